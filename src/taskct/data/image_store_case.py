"""The file of one case in a store of images: its pixels, its labels, its further truths, and what it was made from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.data.hdf5_write import create_hdf5
from taskct.data.image_source import slice_hash
from taskct.data.image_store import StoredCase, read_case
from taskct.data.slice_recipe import PreparedSlices, SliceRecipe, image_id

Targets = Callable[[Case, Sequence[int]], Mapping[str, Sequence[Any]]]
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def write_case(  # noqa: PLR0917
    folder: Path, case: Case, source: str, content: str, recipe: SliceRecipe, targets: Targets | None = None
) -> StoredCase:
    """Write the file of a case into `folder`, whole or not at all.

    `source` names it there and `content` is the source's hash: the file of another content lies beside it, so that a store
    stays whole until all of its next version is there.
    """
    made = recipe.of(case)
    safe = _NOT_IN_NAMES.sub("_", case.case_id)[:60]
    name = f"{safe}-{hashlib.sha256(json.dumps([source, content]).encode()).hexdigest()[:12]}.h5"
    with create_hdf5(folder / name, overwrite=True) as file:
        about = _about(case, source, content, made)
        if made is not None:
            file.create_dataset("mu", data=made.mu[:, 0].numpy())
            if made.labels is not None:
                file.create_dataset("labels", data=made.labels.numpy().astype(about["label_dtype"]))
            if targets is not None:
                about["targets"] = _write_targets(file, case, made, targets)
        file.create_dataset("about", data=np.frombuffer(json.dumps(about).encode(), np.uint8))
    return read_case(folder / name)


def _about(case: Case, source: str, content: str, made: PreparedSlices | None) -> dict[str, Any]:
    about = {"case_id": case.case_id, "patient_id": case.patient_id, "source": source, "source_hash": content}
    if made is None:
        return about
    labels = made.labels
    return {
        **about,
        "ids": [image_id(case.case_id, number) for number in made.numbers],
        "hashes": [slice_hash(one[0]) for one in made.mu],
        "label_values": [[]] * len(made.mu) if labels is None else [one.unique().tolist() for one in labels],
        "label_dtype": "" if labels is None else _smallest(labels),
        "label_names": {str(n): name for n, name in made.label_names.items()},
        "shape": list(made.mu.shape[2:]),
        "spacing_mm": list(made.spacing_mm),
    }


def _smallest(labels: Tensor) -> str:
    low, high = int(labels.min()), int(labels.max())
    return "uint8" if low >= 0 and high < 2**8 else "int16" if low >= -(2**15) and high < 2**15 else "int32"


def _write_targets(file: Any, case: Case, made: PreparedSlices, targets: Targets) -> dict[str, list[Any]]:
    """Tensors as data sets, everything else as JSON."""
    kept: dict[str, list[Any]] = {}
    for name, values in targets(case, made.numbers).items():
        if len(values) != len(made.numbers):
            raise InputError(
                f"case {case.case_id}: target {name!r} has {len(values)} values for {len(made.numbers)} slices; give None "
                "where one is not known"
            )
        kept[name] = []
        for k, value in enumerate(values):
            if isinstance(value, Tensor | np.ndarray):
                array = np.asarray(value)
                if not array.size:  # known to be none, which HDF5 files of taskct do not hold
                    kept[name].append({"empty": list(array.shape), "dtype": str(array.dtype)})
                    continue
                at = f"targets/{name}/{k}"
                file.create_dataset(at, data=array)
                kept[name].append({"tensor": at})
                continue
            try:
                kept[name].append(json.loads(json.dumps(value)))
            except TypeError as error:
                raise InputError(
                    f"case {case.case_id}: target {name!r} is {type(value).__name__}; give tensors or JSON"
                ) from error
    return kept
