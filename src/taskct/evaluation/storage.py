"""A table in a run folder: table.csv, table.json and images.safetensors."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, InputError, OutputExistsError
from taskct.core.files import atomic_files, atomic_folder, encoded, refuse_existing
from taskct.core.open_files import parsing, read_bytes
from taskct.core.runs import Run, is_run, json_text, load_run
from taskct.core.safetensors_files import pack_tensors
from taskct.evaluation.rows import DoseLevel, Example, TableParts, read_rows, rows_as_csv
from taskct.evaluation.table_json import check_about

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE_FILES = ("table.json", "images.safetensors", "table.csv")
_MAX_BYTES = 2**31


def refuse_table(folder: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise OutputExistsError when `save_table` would have to: before hours of work, not after."""
    target = Path(folder)
    if target.is_dir() and is_run(target):
        for name in TABLE_FILES:
            refuse_existing(target / name, overwrite=overwrite)
    elif target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputExistsError(
            f"{target}: exists and is not a run folder, so nothing is written into it; choose another name"
        )


def save_table(table: TableParts, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a table into the run folder `folder`, or make one whose config are the table's settings."""
    refuse_table(folder, overwrite=overwrite)
    target = Path(folder)
    if target.is_dir() and is_run(target):
        _write(table, Run(target), overwrite=overwrite)
        return
    with atomic_folder(target) as part:
        _write(table, Run.create(part, {"evaluate": table.settings}, provenance=table.provenance), overwrite=False)


def read_table(folder: str | os.PathLike[str]) -> TableParts:
    """The table of a run folder; InputError when it holds none, FileFormatError when it is damaged."""
    run = load_run(folder)
    if not run.path("table.csv").exists() and run.path("task.csv").exists():
        raise InputError(
            f"{run.folder}: holds task.csv of an earlier version; readers' scores are now in table.csv: score again"
        )
    if not run.path("table.csv").exists():
        raise InputError(f"{run.folder}: this run has no table.csv; evaluate it first")
    rows = read_rows(run.path("table.csv"))
    about = run.read_json("table.json") if run.path("table.json").exists() else {}
    if "belongs" in about:
        _check_belongs(run, about["belongs"])
    parts: dict[str, Any] = {}
    for name, kind in (("settings", dict), ("cases", list), ("notes", dict), ("provenance", dict), ("readers", dict)):
        parts[name] = about.get(name, kind())
        if not isinstance(parts[name], kind):
            raise FileFormatError(f"{run.path('table.json')}: expected {name} as a {kind.__name__}")
    check_about(about, run.path("table.json"))
    images = _read_images(run) if run.path("images.safetensors").exists() else []
    return TableParts(rows, images=images, **parts)


def _write(table: TableParts, run: Run, *, overwrite: bool) -> None:
    """All files of the table in one step; `belongs` in table.json holds the digests of the others."""
    about: dict[str, Any] = {
        "settings": table.settings,
        "cases": table.cases,
        "notes": table.notes,
        "provenance": table.provenance,
        "readers": table.readers,
    }
    tensors, index = _pack(table.images)
    images = pack_tensors(tensors, metadata={"index": json.dumps(index)}) if tensors else None
    files = {"table.csv": encoded(rows_as_csv(table.rows)), **({"images.safetensors": images} if images is not None else {})}
    about["belongs"] = {name: _digest(content) for name, content in files.items()}
    files["table.json"] = encoded(json_text(about))
    with atomic_files(
        run.folder, files, removed=() if images is not None else ("images.safetensors",), overwrite=overwrite
    ) as part:
        for name, content in files.items():
            (part / name).write_bytes(content)


def _check_belongs(run: Run, belongs: Any) -> None:
    """FileFormatError unless the files beside table.json are those that were written with it."""
    place = run.path("table.json")
    if not isinstance(belongs, dict) or not all(isinstance(name, str) for name in belongs):
        raise FileFormatError(f"{place}: expected belongs as a table of file names and digests")
    for name, digest in belongs.items():
        if name not in TABLE_FILES[1:]:
            raise FileFormatError(f"{place}: names a file {name!r} that is not part of a table")
        content = read_bytes(run.path(name), limit_bytes=_MAX_BYTES, what="table")
        if _digest(content) != digest:
            raise FileFormatError(
                f"{run.path(name)}: was not written together with {place.name} (its digest differs), or was changed since; "
                "evaluate again, or restore the file"
            )
    if "images.safetensors" not in belongs and run.path("images.safetensors").exists():
        raise FileFormatError(f"{run.path('images.safetensors')}: does not belong to this table; remove it")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _pack(images: list[Example]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Tensors by name and what they are: HU as float16 (0.5 HU steps up to 1024 HU, 1 up to 2048)."""
    tensors: dict[str, Tensor] = {}
    index = []
    for number, example in enumerate(images):
        recon = []
        tensors[f"{number}/truth"] = example.truth_hu.half()
        for part in ("labels", "mask"):
            values = getattr(example, part)
            if values is not None:
                tensors[f"{number}/{part}"] = values
        for place, ((method, dose), hu) in enumerate(example.recon_hu.items()):
            tensors[f"{number}/recon/{place}"] = hu.half()
            recon.append({"method": method, "fraction": dose.fraction, "photons": dose.photons})
        index.append(
            {
                "case": example.case,
                "slice": example.slice,
                "spacing_mm": list(example.spacing_mm),
                "recon": recon,
                "label_names": {str(value): name for value, name in example.label_names.items()},
            }
        )
    return tensors, index


def _read_images(run: Run) -> list[Example]:
    mapped, metadata = run.load_tensors("images.safetensors")
    tensors = {name: values.clone() for name, values in mapped.items()}  # what is read stays, whatever becomes of the file
    path = run.path("images.safetensors")
    with parsing(path, "example images with an index"):
        index = json.loads(metadata.get("index", "[]"))
        return [_example(number, entry, tensors) for number, entry in enumerate(index)]


def _example(number: int, entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Example:
    truth = tensors[f"{number}/truth"].float()
    dy, dx = (float(s) for s in entry["spacing_mm"])
    if truth.ndim != 2 or not (0 < dy < math.inf and 0 < dx < math.inf):
        raise ValueError("an image expects (Y, X) and a spacing in mm")
    made = Example(str(entry["case"]), int(entry["slice"]), (dy, dx), truth)
    for place, about in enumerate(entry["recon"]):
        hu = _fitting(tensors[f"{number}/recon/{place}"], truth).float()
        dose = DoseLevel.checked(float(about["fraction"]), float(about["photons"]))
        made.recon_hu[str(about["method"]), dose] = hu
    labels, mask = tensors.get(f"{number}/labels"), tensors.get(f"{number}/mask")
    return Example(
        made.case,
        made.slice,
        made.spacing_mm,
        truth,
        made.recon_hu,
        None if labels is None else _fitting(labels, truth),
        None if mask is None else _fitting(mask, truth).to(torch.bool),
        {int(k): str(v) for k, v in entry.get("label_names", {}).items()},
    )


def _fitting(values: Tensor, truth: Tensor) -> Tensor:
    if values.shape != truth.shape:
        raise ValueError(f"images of one slice have shapes {tuple(truth.shape)} and {tuple(values.shape)}")
    return values
