"""Scan files: writing and reading is the identity for every beam; bad files are refused in one line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from taskct.core.errors import DataError, FileFormatError, GeometryError, InputError, OutputExistsError, UnsupportedDataError
from taskct.core.seeds import generator
from taskct.data.scan import Scan, read_scan, write_scan
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.dose import Dose

FAN = FanBeam(views=5, cols=12, pixel_mm=1 / 3, source_iso_mm=500, source_detector_mm=1000.1, curved=True, col_offset_mm=0.7)
PARALLEL_VECTORS = VectorBeam(
    rows=2,
    cols=3,
    detector_mm=np.array([[0, 500, 0], [0.1, 0, 500]]),
    col_step_mm=np.array([[0, 0, 1], [0, 1.0, 0]]),
    row_step_mm=np.array([[1, 0, 0], [1.0, 0, 0]]),
    direction=np.array([[0, 1, 0], [0, 0, 1.0]]),
)
POINT_VECTORS = replace(PARALLEL_VECTORS, direction=None, source_mm=np.array([[0, -500, 0], [0, 0, -500.0]]))
BEAMS: dict[str, tuple[Beam, Grid]] = {
    "parallel": (ParallelBeam(views=5, cols=12, pixel_mm=0.1, arc_deg=180.3, start_deg=0.09), Grid((8, 9), 0.3)),
    "parallel rows": (ParallelBeam(views=5, cols=12, rows=3, row_mm=0.7, pixel_mm=0.1), Grid((4, 8, 9), (1.0, 0.3, 0.3))),
    "fan": (FAN, Grid((8, 9), 0.1, (-0.5, 0.1))),
    "cone": (
        ConeBeam(views=5, cols=12, rows=4, pixel_mm=1.1, source_iso_mm=500, source_detector_mm=1000, pitch_mm=-3.3),
        Grid((4, 8, 9), 0.3),
    ),
    "vectors, parallel": (PARALLEL_VECTORS, Grid((4, 8, 9), 0.3)),
    "vectors, sources": (POINT_VECTORS, Grid((4, 8, 9), 0.3)),
}


def _scan(name: str = "fan", **changes: object) -> Scan:
    beam, grid = BEAMS[name]
    shape = (3, 1, beam.views, beam.cols) if grid.ndim == 2 else (1, 1, beam.views, beam.rows, beam.cols)
    spacing_mm = grid.spacing_mm if grid.ndim == 3 else (2.0, *grid.spacing_mm)
    facts: dict = {
        "p": torch.rand(shape, generator=generator(0, name)),
        "beam": beam,
        "grid": grid,
        "dose": Dose(1e5 / 3, 0.1, 7.0),
        "mu_water_per_mm": 0.01929,
        "case_id": "Fall Ä",
        "patient_id": "p-1",
        "slices": (4, 6, 8) if grid.ndim == 2 else (0, 1, 2, 3),
        "modulation": torch.linspace(0.5, 1.5, beam.views),
        "bowtie": torch.linspace(0.1, 1.0, beam.cols, dtype=torch.float64),
        "affine_mm": np.diag([*spacing_mm, 1.0]),
        "spacing_mm": spacing_mm,
        "provenance": {"seed": 3, "source": ["a.dcm", "b.dcm"], "nested": {"x": 0.1, "none": None}},
    }
    return Scan(**{**facts, **changes})


@pytest.mark.parametrize("name", BEAMS)
def test_writing_and_reading_is_the_identity_for_every_beam(name: str, tmp_path: Path) -> None:
    scan = _scan(name)
    path = write_scan(scan, tmp_path / "scan.h5")
    back = read_scan(path)
    assert torch.equal(back.p, scan.p) and back.p.dtype == scan.p.dtype
    same = ("beam", "grid", "dose", "mu_water_per_mm", "case_id", "patient_id", "slices", "spacing_mm", "provenance")
    for fact in same:
        assert getattr(back, fact) == getattr(scan, fact), fact
    assert type(back.beam) is type(scan.beam)
    assert np.array_equal(back.affine_mm, scan.affine_mm)
    assert torch.equal(back.modulation, scan.modulation) and torch.equal(back.bowtie, scan.bowtie)
    assert list(tmp_path.iterdir()) == [path]


def test_a_scan_with_the_fewest_facts_survives_in_float64(tmp_path: Path) -> None:
    beam, grid = BEAMS["parallel"]
    scan = Scan(torch.rand((2, 1, 5, 12), dtype=torch.float64, generator=generator(1)), beam, grid)
    back = read_scan(write_scan(scan, tmp_path / "scan.h5"))
    assert torch.equal(back.p, scan.p) and back.dose is None and back.modulation is None and back.slices == (0, 1)


def test_provenance_of_numpy_numbers_and_paths_is_written_as_plain_values(tmp_path: Path) -> None:
    scan = _scan(provenance={"path": Path("a/b"), "n": np.int64(3), "array": np.arange(2)})
    assert read_scan(write_scan(scan, tmp_path / "s.h5")).provenance == {"path": "a/b", "n": 3, "array": [0, 1]}


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    path = write_scan(_scan(), tmp_path / "scan.h5")
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
        write_scan(_scan("parallel"), path)
    assert path.read_bytes() == before
    write_scan(_scan("parallel"), path, overwrite=True)
    assert read_scan(path).beam == BEAMS["parallel"][0]


def test_a_reconstruction_becomes_a_case_in_its_place() -> None:
    scan = _scan()
    case = scan.to_case(torch.full((3, 1, 8, 9), 0.01929), method="fbp")
    assert case.hu.shape == (3, 8, 9) and case.hu.abs().max().item() < 1e-3 and case.patient_id == "p-1"
    assert np.array_equal(case.affine_mm, scan.affine_mm) and case.provenance["method"] == "fbp"
    assert scan.projector().p_shape == (5, 12)
    with pytest.raises(GeometryError, match="to_case expects mu"):
        scan.to_case(torch.zeros(2, 1, 8, 9))


def test_every_truncation_of_a_file_is_refused_by_name(tmp_path: Path) -> None:
    whole = write_scan(_scan(), tmp_path / "scan.h5").read_bytes()
    cut = tmp_path / "cut.h5"
    for size in [0, 4, 100, *range(512, len(whole), 701), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(DataError) as caught:
            read_scan(cut)
        assert str(caught.value).startswith(str(cut)) and "\n" not in str(caught.value)


def test_changed_bytes_are_refused_or_leave_the_scan_as_it_was(tmp_path: Path) -> None:
    scan = _scan()
    whole = write_scan(scan, tmp_path / "scan.h5").read_bytes()
    bad, refused = tmp_path / "bad.h5", 0
    for place in range(9, len(whole), max(1, len(whole) // 150)):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert torch.equal(read_scan(bad).p, scan.p)
        except DataError as error:
            refused += 1
            assert str(error).startswith(str(bad))
    assert refused > 20


def _with_header(path: Path, **changes: object) -> Path:
    """The scan file with other values in its header; 'key.sub' reaches into a table."""
    with h5py.File(path, "r+") as file:
        head = json.loads(file["header"][()])
        for key, value in changes.items():
            table, _, sub = key.partition("__")
            if sub:
                head[table][sub] = value
            else:
                head[key] = value
        del file["header"]
        file.create_dataset("header", data=np.bytes_(json.dumps(head).encode()))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "something"}, "no taskct scan"),
        ({"schema": 2}, "has schema 2, this version reads 1"),
        ({"beam__kind": "MagicBeam"}, "unknown beam 'MagicBeam'"),
        ({"beam__views": 10**6}, "declares p of shape"),
        ({"beam__views": -5}, "views"),
        ({"beam__views": "five"}, "views"),
        ({"beam__evil": 1}, "evil"),
        ({"beam__source_iso_mm": 2000.0}, "source_detector_mm > source_iso_mm"),
        ({"beam": [1, 2]}, "damaged"),
        ({"grid__shape": [8]}, "Grid expects a shape"),
        ({"grid__shape": [10**9, 9]}, "Grid expects a shape"),
        ({"grid__spacing_mm": [0, 0.1]}, "spacing_mm"),
        ({"dose__photons": -1}, "photons > 0"),
        ({"dose__photons": float("nan")}, "NaN is not a number"),
        ({"dose": 7}, "damaged"),
        ({"slices": [1]}, "numbers of its 3 slices"),
        ({"slices": ["a", "b", "c"]}, "damaged"),
        ({"spacing_mm": [1, 2]}, "three positive spacing_mm"),
        ({"spacing_mm": [2.0, 0.2, 0.1]}, "spacing_mm of its grid"),
        ({"spacing_mm": [3.0, 0.1, 0.1]}, "affine_mm with spacing_mm"),
        ({"grid__shape": [60_000, 60_000]}, "GiB"),
        ({"grid__origin_mm": [-500.0, 0.0]}, "damaged"),
        ({"beam__source_iso_mm": 0.2}, "damaged"),
        ({"case_id": ["x"]}, "not a text"),
        ({"provenance": 3}, "provenance is not a table"),
        ({"mu_water_per_mm": "much"}, "damaged"),
        ({"mu_water_per_mm": 20.0}, "between 0 and 1"),
        ({"mu_water_per_mm": -0.02}, "between 0 and 1"),
        ({"p_fingerprint": "0" * 16}, "altered"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused_by_its_reason(changes: dict, message: str, tmp_path: Path) -> None:
    path = _with_header(write_scan(_scan(), tmp_path / "scan.h5"), **changes)
    with pytest.raises(DataError, match=message) as caught:
        read_scan(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.diag([2.0, 0.1, 0.0, 1.0]), "can be inverted"),
        (np.ones((4, 4)), "can be inverted"),
        (np.diag([2.0, 0.2, 0.1, 1.0]), "affine_mm with spacing_mm"),
    ],
)
def test_an_affine_that_is_singular_or_contradicts_the_spacing_is_refused(
    affine: np.ndarray, message: str, tmp_path: Path
) -> None:
    path = write_scan(_scan(), tmp_path / "scan.h5")
    with h5py.File(path, "r+") as file:
        file["affine_mm"][...] = affine
    with pytest.raises(FileFormatError, match=message) as caught:
        read_scan(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("name", ["header", "p"])
def test_a_file_that_lacks_its_header_or_projections_is_a_damaged_scan(name: str, tmp_path: Path) -> None:
    path = write_scan(_scan(), tmp_path / "scan.h5")
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(FileFormatError, match=f"this scan file is damaged, it has no '{name}'"):
        read_scan(path)


def test_a_header_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    path = write_scan(_scan(), tmp_path / "scan.h5")
    for text in (b"{", b"[" * 100_000, b"3", b"\xff\xfe", b"9" * 10_000):
        with h5py.File(path, "r+") as file:
            del file["header"]
            file.create_dataset("header", data=np.bytes_(text))
        with pytest.raises(FileFormatError):
            read_scan(path)
    with h5py.File(path, "r+") as file:
        del file["header"]
    with pytest.raises(FileFormatError, match="header"):
        read_scan(path)


def _replace_p(path: Path, **how: object) -> Path:
    with h5py.File(path, "r+") as file:
        del file["p"]
        file.create_dataset("p", **how)
    return path


def test_projections_of_another_size_kind_or_with_nan_are_refused_before_allocation(tmp_path: Path) -> None:
    path = write_scan(_scan(), tmp_path / "scan.h5")
    with pytest.raises(FileFormatError, match=r"declares p of shape \(2, 2\)"):
        read_scan(_replace_p(path, data=np.zeros((2, 2), np.float32)))
    with pytest.raises(FileFormatError, match="GiB"):  # 240 TB declared, nothing stored
        read_scan(_replace_p(path, shape=(10**12, 1, 5, 12), dtype="f4", chunks=(1000, 1, 5, 12), fillvalue=0))
    with pytest.raises(FileFormatError, match="stores only 0 bytes"):
        read_scan(_replace_p(path, shape=(3, 1, 5, 12), dtype="f4"))
    with pytest.raises(FileFormatError, match="not finite"):
        read_scan(_replace_p(path, data=np.full((3, 1, 5, 12), np.nan, np.float32)))
    with pytest.raises(DataError):
        read_scan(_replace_p(path, data=np.zeros((3, 1, 5, 12), np.int32)))
    with pytest.raises(DataError):
        read_scan(_replace_p(path, data=np.zeros((3, 1, 5, 12), "S4")))


def test_data_outside_the_file_are_refused(tmp_path: Path) -> None:
    path = write_scan(_scan(), tmp_path / "scan.h5")
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(720))
    outside = _replace_p(path, shape=(3, 1, 5, 12), dtype="f4", external=[(str(secret), 0, 720)])
    with pytest.raises(UnsupportedDataError, match="another file"):
        read_scan(outside)
    with h5py.File(path, "r+") as file:
        del file["p"]
        file["p"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "p")
    with pytest.raises(UnsupportedDataError, match="link into another file"):
        read_scan(path)


def test_what_is_no_scan_file_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_scan(tmp_path / "nothing.h5")
    text = tmp_path / "text.h5"
    text.write_text("p = 3")
    with pytest.raises(FileFormatError, match="content is not HDF5"):
        read_scan(text)


def test_a_scan_that_contradicts_itself_cannot_be_made() -> None:
    with pytest.raises(
        GeometryError, match=r"p of shape \(B, 1, 5, 12\).*from its FanBeam, got torch.float32 \(3, 1, 5, 11\)"
    ):
        _scan(p=torch.zeros(3, 1, 5, 11))
    with pytest.raises(GeometryError, match="numbers of its 3 slices, got 2"):
        _scan(slices=(1, 2))
    with pytest.raises(GeometryError, match="three positive spacing_mm"):
        _scan(spacing_mm=(0.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="one relative tube current per view"):
        _scan(modulation=torch.ones(4))
    with pytest.raises(GeometryError, match="finite affine_mm"):
        _scan(affine_mm=np.full((4, 4), math.nan))
    with pytest.raises(GeometryError, match="2D grid has one detector row"):
        Scan(torch.zeros(1, 1, 5, 12), BEAMS["cone"][0], Grid((8, 9), 1.0))


def test_a_scan_of_slices_without_a_place_begins_at_height_0():
    scan = Scan(torch.zeros(2, 1, 5, 12), ParallelBeam(views=5, cols=12, pixel_mm=1.0), Grid((8, 8), 1.0))
    assert scan.affine_mm is not None and scan.affine_mm[0, 3] == 0.0 and scan.affine_mm[1, 3] == -3.5
