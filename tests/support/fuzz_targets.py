"""A target per reader: small right files made by code, and the reader that gets what is left of them after a mutation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from dicom_files import save, save_stack
from killed_writers import BEAM, GRID, _table
from rtstruct_files import rtstruct

from taskct.core.runs import Run, load_run
from taskct.data.case import Case
from taskct.geometry import Beam, Grid
from taskct.geometry.beam_config import beam_to_config, grid_to_config


@dataclass(frozen=True)
class Target:
    """`make(folder)` writes right files and returns those to damage; `read(folder)` reads all there is."""

    make: Callable[[Path], list[Path]]
    read: Callable[[Path], object]


def _case(shape: tuple[int, int, int] = (4, 6, 8)) -> Case:
    hu = torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape) * 7 - 1000
    return Case(hu, (2.0, 1.0, 0.5), case_id="fuzz", labels=(hu > 0).int())


def _nifti(suffix: str) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        from taskct.data.nifti import write_nifti

        write_nifti(_case(), folder / f"ct{suffix}")
        return [folder / f"ct{suffix}"]

    return make


def _one_volume(folder: Path) -> object:
    from taskct.data.open import open_case
    from taskct.report import file_description as describe

    (path,) = (f for f in folder.iterdir() if f.name.startswith("ct."))
    try:
        return open_case(path)
    finally:
        list(describe.describe_path(path))


def _nrrd(folder: Path) -> list[Path]:
    import nrrd

    values = _case().hu.numpy().astype(np.int16).transpose(2, 1, 0)
    header = {"space": "left-posterior-superior", "space directions": np.diag([0.5, 1.0, 2.0]), "space origin": [0, 0, 0]}
    nrrd.write(str(folder / "ct.nrrd"), values, {**header, "encoding": "gzip"})
    return [folder / "ct.nrrd"]


def _metaimage(packed: bool) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        import zlib

        values = _case().hu.numpy().astype("<i2").tobytes()
        head = (
            f"ObjectType = Image\nNDims = 3\nCompressedData = {packed}\nOffset = 0 0 0\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
        )
        head += "ElementSpacing = 0.5 1 2\nDimSize = 8 6 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        (folder / "ct.mha").write_bytes(head.encode() + (zlib.compress(values) if packed else values))
        return [folder / "ct.mha"]

    return make


def _series(folder: Path) -> list[Path]:
    save_stack(folder / "series", slices=3)
    return sorted((folder / "series").iterdir())


def _read_series(folder: Path) -> object:
    from taskct.data.open import open_case
    from taskct.report import file_description as describe

    try:
        return open_case(folder / "series")
    finally:
        list(describe.describe_path(folder / "series"))


def _labels(kind: str) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        from dataclasses import replace

        from taskct.data.dicom.series import read_series
        from taskct.data.dicom.write_seg import write_seg

        save_stack(folder / "series", slices=3)
        path = folder / "labels.dcm"
        if kind == "seg":
            case = read_series(folder / "series")
            write_seg(replace(case, labels=(case.hu > 0).int(), label_names={1: "liver"}), path, source=folder / "series")
        else:
            corners = np.array([[-98.0, -88.0], [-93.0, -88.0], [-93.0, -80.0], [-98.0, -80.0]])
            rings = [np.c_[corners, np.full(4, z)] for z in (-50.0, -48.0, -46.0)]
            save(rtstruct({"liver": rings}), path)
        return [path]

    return make


@cache
def _labelled_case(series: Path) -> Case:
    """The CT that the labels belong to: it is never damaged, so it is read once."""
    from taskct.data.open import open_case

    return open_case(series)


def _read_labels(folder: Path) -> object:
    from taskct.data.labels import read_labels

    return read_labels(folder / "labels.dcm", _labelled_case(folder / "series"))


def _scan(folder: Path) -> list[Path]:
    from taskct.data.scan import Scan, write_scan

    write_scan(Scan(torch.rand(2, 1, 5, 12), BEAM, GRID, modulation=torch.ones(5)), folder / "scan.h5")
    return [folder / "scan.h5"]


def _read_scan(folder: Path) -> object:
    from taskct.data.scan import read_scan

    return read_scan(folder / "scan.h5")


def _lodopab(folder: Path) -> list[Path]:
    import h5py

    path = folder / "ground_truth_test_000.hdf5"
    with h5py.File(path, "w") as file:
        values = np.zeros((2, 362, 362), np.float32)
        values[:, 100:200, 100:200] = 0.2
        file.create_dataset("data", data=values, chunks=(1, 362, 362), compression="gzip", shuffle=True)
    return [path]


def _read_lodopab(folder: Path) -> object:
    from taskct.data.sets.lodopab import read_lodopab_cases

    return list(read_lodopab_cases(folder / "ground_truth_test_000.hdf5"))


def _net() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))


def _weights(suffix: str) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        from safetensors.torch import save_file

        torch.manual_seed(0)
        path = folder / f"net{suffix}"
        if suffix == ".safetensors":
            save_file(_net().state_dict(), path)
        else:
            content = {"state_dict": _net().state_dict(), "epoch": 3, "lr": 0.1}
            torch.save(content, path, _use_new_zipfile_serialization=suffix == ".pt")
        return [path]

    return make


def _read_weights(folder: Path) -> object:
    from taskct.task.saved_weights import load_network

    (path,) = folder.iterdir()
    return load_network(_net(), path)


CONFIG = """schema = 1
[data]
patients = { train = 2, validation = 1, test = 1 }
slices = 1

[beam]
kind = "parallel"
views = 20
cols = 132
pixel_mm = 4.2

[dose]
photons = 65536.0

[model]
kind = "fbp_unet"
widths = [4, 8]
norm = "none"

[objective]
task = "none"

[training]
steps = 2
lr = 1e-3
"""


def _config(folder: Path) -> list[Path]:
    (folder / "train.toml").write_text(CONFIG)
    return [folder / "train.toml"]


def _read_config(folder: Path) -> object:
    from taskct.geometry.beam_config import beam_from_config
    from taskct.training.training_config import read_plan

    plan = read_plan(folder / "train.toml")
    return plan.beam and beam_from_config(plan.beam)


def _run(folder: Path) -> list[Path]:
    run = Run.create(folder / "run", {"a": [1, 2], "b": {"c": "text"}}, provenance={"seed": 1})
    run.append(step=1, loss=0.5)
    run.append(step=2, loss=None)
    run.save_tensors("weights.safetensors", {"w": torch.zeros(3)}, metadata={"about": "x"})
    return sorted(run.folder.iterdir())


def _read_run(folder: Path) -> object:
    from taskct.report import file_description as describe

    run = load_run(folder / "run")
    return run.provenance, run.metrics(), run.load_tensors("weights.safetensors"), list(describe.describe_path(run.folder))


def _table_files(folder: Path) -> list[Path]:
    run = Run.create(folder / "run", {"a": 1})
    table = _table(3)
    beam, grid = beam_to_config(BEAM), grid_to_config(GRID)
    table.settings |= {
        "doses": [{"photons": 1e5, "fraction": 1.0, "electronic_std": 0.0, "floor_photons": 1.0}],
        "methods": {"fbp": "fbp(window='hann')"},
        "geometry": [{"beam": beam, "grid": grid, "views_used": 5, "cases": ["c0"]}],
        "slices": "all",
    }
    facts = {"case_id": "c0", "patient_id": "p0", "shape": [1, 8, 8], "spacing_mm": [1.0, 1.0, 1.0], "slices": [0]}
    table.cases.append({**facts, "provenance": {"source": "ct.nii"}})
    table.notes["tuning"] = {"fbp": {"best": 1.0, "cases": ["c0"], "slices": "all", "at_edge": "no", "method": "fbp"}}
    table.provenance["versions"] = {"taskct": "0.1"}
    table.save(run.folder)
    about = {k: v for k, v in run.read_json("table.json").items() if k != "belongs"}
    run.write_json("table.json", about, overwrite=True)  # so that damage is read, and not refused by its digest
    return [run.path(name) for name in ("table.json", "table.json", "table.csv", "images.safetensors")]


def _read_table(folder: Path) -> object:
    from taskct.evaluation import Table
    from taskct.report import protocol_section
    from taskct.report.verdict import verdict

    table = Table.read(folder / "run")
    with patch.multiple(protocol_section, svg_uri=str, draw_geometry=_drawn):
        sections = protocol_section.protocol_section(table), protocol_section.provenance_section(table)
    return str(table), table.csv_text(), sections, verdict(table)


@cache
def _drawn(grid: Grid, beam: Beam) -> str:
    """The drawing of the same scan is made once: it takes as long as a hundred readings."""
    from taskct.report.geometry_figure import draw_geometry
    from taskct.report.style import svg_uri

    return svg_uri(draw_geometry(grid, beam))


def _matlab(packed: bool) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        import scipy.io

        fields = {
            "sinogram": np.linspace(0, 1, 9 * 8).reshape(9, 8),
            "parameters": {
                "angles": np.arange(9) * 0.5,
                "numDetectorsPost": 8.0,
                "pixelSizePost": 0.2,
                "distanceSourceDetector": 553.74,
                "distanceSourceOrigin": 410.66,
                "effectivePixelSizePost": 0.1483,
            },
        }
        scipy.io.savemat(folder / "a.mat", {"CtDataLimited": fields}, do_compression=packed)
        return [folder / "a.mat"]

    return make


def _read_matlab(folder: Path) -> object:
    from taskct.data.sets.measured import read_htc2022

    return read_htc2022(folder / "a.mat")


def _radiographs(folder: Path) -> list[Path]:
    import radiograph_files as films

    y, x = np.mgrid[0:12, 0:10]
    head = (np.hypot(y - 5.5, x - 4.5) < 4).astype(float)
    counts = np.round(50000 * np.exp(-head)).astype(np.uint16)
    made = [films.write_dicom(folder / "ap.dcm", counts, **films.xa(700, 1000, 9.0, 180.0))]
    made.append(films.write_png(folder / "lat.png", np.round(50000 * np.exp(-0.8 * head)).astype(np.uint16)))
    (folder / "poses.toml").write_text(
        "schema = 1\n[lateral]\nsource_iso_mm = 700.0\nsource_detector_mm = 1000.0\npixel_mm = 9.0\nangle_deg = 90.0\n"
    )
    return [*made, folder / "poses.toml"]


def _read_pair(folder: Path) -> object:
    from taskct.data.radiographs import read_radiographs

    return read_radiographs(folder / "ap.dcm", folder / "lat.png", poses=folder / "poses.toml", grey="intensity")


TARGETS: dict[str, Target] = {
    "radiographs": Target(_radiographs, _read_pair),
    "nifti": Target(_nifti(".nii"), _one_volume),
    "nifti-gz": Target(_nifti(".nii.gz"), _one_volume),
    "nrrd": Target(_nrrd, _one_volume),
    "metaimage": Target(_metaimage(False), _one_volume),
    "metaimage-zlib": Target(_metaimage(True), _one_volume),
    "dicom": Target(_series, _read_series),
    "seg": Target(_labels("seg"), _read_labels),
    "rtstruct": Target(_labels("rtstruct"), _read_labels),
    "scan": Target(_scan, _read_scan),
    "lodopab": Target(_lodopab, _read_lodopab),
    "pt": Target(_weights(".pt"), _read_weights),
    "pth": Target(_weights(".pth"), _read_weights),
    "safetensors": Target(_weights(".safetensors"), _read_weights),
    "config": Target(_config, _read_config),
    "run": Target(_run, _read_run),
    "table": Target(_table_files, _read_table),
    "matlab": Target(_matlab(False), _read_matlab),
    "matlab-packed": Target(_matlab(True), _read_matlab),
}
