"""The reference, made of the package: a page for each group of public names and for each folder that users import."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import taskct

GROUPS: dict[str, tuple[str, list[str]]] = {
    "geometry": (
        "Grids, beams and the projector",
        ["Grid", "ParallelBeam", "FanBeam", "ConeBeam", "VectorBeam", "bi_planar", "Projector", "draw_geometry"],
    ),
    "cases": (
        "Cases: reading and writing CT",
        [
            "Case", "open_case", "open_cases", "write_nifti", "write_series", "liver_classes", "split_by_patient", "to_hu",
            "to_mu", "read_radiographs", "prepare_store", "open_store", "ImageSet",
        ],
    ),
    "patients": (
        "Built-in patients and lesions",
        ["phantom_case", "Cohort", "insert_lesion", "remove_lesion", "case_lesions"],
    ),
    "dose": (
        "Low dose",
        [
            "Dose", "simulate_scan", "simulate_scan_differentiable", "scan_case", "lodopab_scan", "lower_dose",
            "take_radiographs", "Scan", "read_scan", "write_scan",
        ],
    ),
    "reconstruction": (
        "Reconstruction",
        [
            "Reconstructor", "fbp", "fdk", "sirt", "cgls", "os_sart", "tv_min", "refine_poses", "fbp_unet", "fbp_redcnn",
            "LearnedPrimalDual", "load_reconstructor",
        ],
    ),
    "tasks": ("Tasks and readers", ["FrozenTask", "freeze", "ReaderSpec", "load_reader"]),
    "training": (
        "Training",
        [
            "train", "train_reader", "train_task", "TrainSettings", "DoseRange", "ImageError", "LabelPenalty",
            "FeaturePenalty", "convex", "fit", "Player", "train_dose",
        ],
    ),
    "evaluation": (
        "Evaluation and reports",
        ["evaluate", "tune", "Table", "write_report", "show", "DoseSearch", "optimise_dose"],
    ),
    "runs": ("Runs and models", ["Run", "load_run", "open_model", "pack_model"]),
}  # fmt: skip

FOLDERS = {
    "taskct.nets": "networks as plain modules",
    "taskct.testing": "checks for your own parts",
    "taskct.task": "tasks, penalties and what prepares images for a reader",
    "taskct.training": "terms, objectives and loops",
    "taskct.evaluation": "tables, intervals and protocols",
    "taskct.evaluation.reading": "evaluation under readers",
    "taskct.evaluation.dose": "dose searches",
    "taskct.recon.learned": "learned reconstructions",
    "taskct.recon": "classical reconstructions",
    "taskct.phantoms": "bodies whose truth is known",
    "taskct.geometry": "grids and beams",
    "taskct.models": "trained networks and their cards",
    "taskct.report": "pages and pictures",
    "taskct.simulate": "simulated scans",
}


def write_reference(folder: Path) -> None:
    """Write index.rst and a page per group and folder into `folder`; files that would not change are left alone."""
    pages = {name: _page(title, "", [f"taskct.{n}" for n in names]) for name, (title, names) in GROUPS.items()}
    for module, words in FOLDERS.items():
        found = importlib.import_module(module)
        names = [n for n in getattr(found, "__all__", []) if not n.startswith("_") and not inspect.ismodule(getattr(found, n))]
        public = [n for n in names if getattr(found, n, None) is getattr(taskct, n, ...)]
        rest = [f"{module}.{n}" for n in names if n not in public]
        also = ", ".join(f":py:obj:`~taskct.{n}`" for n in public)
        head = (inspect.getdoc(found) or "").split("\n")[0].replace("*", "\\*").replace("`", "``")
        pages[module.replace(".", "-")] = _page(
            f"{module}: {words}", head + (f"\n\nAlso here, under the name ``taskct.NAME``: {also}." if also else ""), rest
        )
    lines = ["Reference", "=========", "", "Every public name, from its docstring.", "", ".. toctree::", "   :maxdepth: 1", ""]
    pages["index"] = "\n".join([*lines, *(f"   {name}" for name in pages)]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        write_if_new(folder / f"{name}.rst", text)


def write_if_new(path: Path, text: str) -> None:
    """Write a file unless it holds just this: Sphinx reads again only what changed."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _page(title: str, head: str, names: Iterable[str]) -> str:
    parts = [title, "=" * len(title), "", head, ""]
    for name in names:
        parts += _entry(name)
    return "\n".join(parts)


def _entry(name: str) -> list[str]:
    module, _, last = name.rpartition(".")
    value: Any = getattr(importlib.import_module(module), last)
    if inspect.isclass(value):
        return [f".. autoclass:: {name}", "   :members:", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name}", ""]
    return [f".. autodata:: {name}", "   :no-value:", ""]
