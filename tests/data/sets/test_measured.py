from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from taskct.core.errors import FileFormatError, InputError, TaskctError, UnsupportedDataError
from taskct.data.sets.measured import RawCounts, counts_to_p, read_counts, read_dxchange, read_htc2022
from taskct.geometry import FanBeam, ParallelBeam, VectorBeam
from taskct.phantoms.exact.ellipses import Ellipse, Phantom, disk

BODY = Phantom((*disk(12.0).bodies, Ellipse(centre_mm=(4, -5), half_axes_mm=(3, 2), mu_per_mm=0.03)))


def _dxchange(path: Path, beam: ParallelBeam, **change: np.ndarray) -> Path:
    """A file of two rows whose exact counts are known: the second row sees twice the attenuation."""
    p = BODY.line_integrals(beam, dtype=torch.float64)[0, 0].numpy()
    air, dark = 30000.0, 100.0
    counts = dark + (air - dark) * np.exp(-np.stack([p, 2 * p], axis=1))
    arrays = {
        "data": counts,
        "data_white": np.full((4, 2, beam.cols), air) + np.array([-2, -1, 1, 2])[:, None, None],
        "data_dark": np.full((3, 2, beam.cols), dark),
        "theta": np.rad2deg(beam.angles_rad),
    } | change
    with h5py.File(path, "w") as f:
        for name, values in arrays.items():
            f[f"exchange/{name}"] = values
    return path


# contracts ----------------------------------------------------------------------------------------------------------


def test_counts_become_line_integrals_with_the_axis_in_place(tmp_path):
    beam = ParallelBeam(views=90, cols=64, pixel_mm=0.5, col_offset_mm=1.4)
    scan = read_dxchange(_dxchange(tmp_path / "a.h5", beam), pixel_mm=0.5)
    exact = BODY.line_integrals(beam)
    assert scan.p.shape == (2, 1, 90, 64)
    assert torch.allclose(scan.p[:1], exact, atol=1e-6) and torch.allclose(scan.p[1:], 2 * exact, atol=1e-6)
    assert isinstance(scan.beam, ParallelBeam) and scan.beam.arc_deg == pytest.approx(180)
    assert scan.beam.col_offset_mm == pytest.approx(1.4, abs=0.05)
    given_axis = read_dxchange(tmp_path / "a.h5", pixel_mm=0.5, axis_col=30.0)
    assert given_axis.beam.col_offset_mm == pytest.approx(0.75) and given_axis.grid.shape == (60, 60)


@pytest.mark.parametrize("axis_col", [-1.0, 0.0, 0.49, 62.51, 63.0, 64.0, np.nan])
def test_an_axis_that_leaves_nothing_to_reconstruct_is_refused_with_the_columns_it_may_lie_on(tmp_path, axis_col):
    beam = ParallelBeam(views=90, cols=64, pixel_mm=0.5)
    with pytest.raises(InputError, match=r"between columns 0\.5 and 62\.5, got"):
        read_dxchange(_dxchange(tmp_path / "a.h5", beam), pixel_mm=0.5, axis_col=axis_col)
    for edge in (0.5, 62.5):
        assert read_dxchange(tmp_path / "a.h5", pixel_mm=0.5, axis_col=edge).grid.shape == (2, 2)


def test_the_angle_of_the_first_view_is_that_of_the_file(tmp_path):
    beam = ParallelBeam(views=90, cols=64, pixel_mm=0.5, start_deg=25.0)
    scan = read_dxchange(_dxchange(tmp_path / "a.h5", beam), pixel_mm=0.5, axis_col=31.5)
    assert scan.beam.start_deg == pytest.approx(25.0)


def test_low_counts_are_raised_to_the_floor_and_no_lower():
    frame = np.full((1, 1, 3), 100.0)
    raw = RawCounts(np.array([[[1.0, -5.0, 0.05]]]), frame, np.zeros((2, 1, 3)), np.zeros(1))
    assert np.allclose(counts_to_p(raw), [[[np.log(100), np.log(1000), np.log(1000)]]])
    assert np.allclose(counts_to_p(raw, floor_counts=2.0), np.log(50))


# Helsinki -----------------------------------------------------------------------------------------------------------

FAN = FanBeam(views=9, cols=40, pixel_mm=0.8, source_iso_mm=410.66, source_detector_mm=553.74, start_deg=30, arc_deg=4.5)


def _fields(angles: np.ndarray | None = None) -> dict:
    return {
        "type": "2d",
        "sinogram": BODY.line_integrals(FAN, dtype=torch.float64)[0, 0].numpy(),
        "parameters": {
            "angles": np.round(np.rad2deg(FAN.angles_rad), 9) if angles is None else angles,
            "distanceSourceOrigin": 410.66,
            "distanceSourceDetector": 553.74,
            "pixelSizePost": 0.8,
            "effectivePixelSizePost": 0.6,
            "numDetectorsPost": 40.0,
            "scanner": "a cone-beam scanner",
        },
    }


def _matlab_73(path: Path, fields: dict) -> Path:
    with h5py.File(path, "w", userblock_size=512) as f:
        f["CtDataLimited/sinogram"] = fields["sinogram"].T
        for name, value in fields["parameters"].items():
            text = isinstance(value, str)
            f[f"CtDataLimited/parameters/{name}"] = (
                np.frombuffer(value.encode("utf-16-le"), "u2")[:, None] if text else np.atleast_2d(value).T
            )
        f["#refs#/a"] = np.zeros(2, dtype="u8")
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(510) + b"\x00\x02")
    return path


@pytest.mark.parametrize("kind", ["5", "5 packed", "7.3"])
def test_a_challenge_file_gives_its_line_integrals_and_fan(tmp_path, kind):
    path = tmp_path / "a.mat"
    if kind == "7.3":
        _matlab_73(path, _fields())
    else:
        scipy.io.savemat(path, {"CtDataLimited": _fields()}, do_compression=kind.endswith("packed"))
    p, beam, grid, angles_rad = read_htc2022(path)
    assert torch.allclose(p, BODY.line_integrals(FAN), atol=1e-7)
    assert beam == FAN and grid.shape == (512, 512) and grid.spacing_mm == (0.6, 0.6)
    assert np.allclose(angles_rad, FAN.angles_rad)


@pytest.mark.parametrize("kind", ["5", "7.3"])
def test_of_several_scans_in_one_file_none_is_taken_and_all_are_named(tmp_path, kind):
    path, names = tmp_path / "a.mat", ("CtDataFull", "CtDataLimited")
    if kind == "7.3":
        _matlab_73(path, _fields())
        with h5py.File(path, "r+") as f:
            f.copy("CtDataLimited", "CtDataFull")
    else:
        scipy.io.savemat(path, dict.fromkeys(names, _fields()))
    with pytest.raises(
        UnsupportedDataError, match=r"holds 2 scans \(CtDataFull, CtDataLimited\); save each to a file of its own"
    ):
        read_htc2022(path)


@pytest.mark.parametrize("kind", ["5", "7.3"])
def test_other_variables_beside_the_scan_are_passed_over(tmp_path, kind):
    path = tmp_path / "a.mat"
    if kind == "7.3":
        _matlab_73(path, _fields())
        with h5py.File(path, "r+") as f:
            f["notes/parameters"] = np.zeros(3)
            f["mask"] = np.ones((4, 4))
    else:
        scipy.io.savemat(path, {"mask": np.ones((4, 4)), "notes": {"parameters": "none"}, "CtDataLimited": _fields()})
    assert torch.allclose(read_htc2022(path).p, BODY.line_integrals(FAN), atol=1e-7)


def test_two_variables_of_one_name_are_refused(tmp_path):
    for name in ("one", "two"):
        scipy.io.savemat(tmp_path / f"{name}.mat", {"CtDataLimited": _fields()})
    twice = (tmp_path / "one.mat").read_bytes() + (tmp_path / "two.mat").read_bytes()[128:]
    (tmp_path / "twice.mat").write_bytes(twice)
    with pytest.raises(FileFormatError, match="two variables called 'CtDataLimited'"):
        read_htc2022(tmp_path / "twice.mat")


def test_uneven_angles_get_a_pose_each(tmp_path):
    angles = np.rad2deg(FAN.angles_rad) + np.array([0, 0, 0.1, 0, 0, 0, 0, 0, 0])
    scipy.io.savemat(tmp_path / "a.mat", {"CtDataLimited": _fields(angles)})
    beam = read_htc2022(tmp_path / "a.mat").beam
    assert isinstance(beam, VectorBeam) and beam.views == 9
    assert np.allclose(beam.source_mm[3], FAN.poses().source_mm[3]) and not np.allclose(
        beam.source_mm[2], FAN.poses().source_mm[2]
    )


# real scans ---------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_the_axis_of_the_tooth_is_where_others_found_it(real_data):
    scan = read_dxchange(real_data / "raw_tomopy_tooth" / "tooth.h5", pixel_mm=1.0)
    assert scan.p.shape == (2, 1, 181, 640) and isinstance(scan.beam, ParallelBeam)
    assert 319.5 - scan.beam.col_offset_mm == pytest.approx(296, abs=0.5)
    assert scan.beam.arc_deg == pytest.approx(180) and scan.p.min() > -0.1 and 1.9 < scan.p.max() < 2.0


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "views", "start_deg"),
    [
        ("tb_subsample_90", 181, 75),
        ("tb_subsample_30", 61, 269),
        ("tc_subsample", 61, 32),
        ("solid_disc_subsample73", 61, 181),
    ],
)
def test_every_disc_of_helsinki_turns_as_our_fan_does(real_data, name, views, start_deg):
    scan = read_htc2022(real_data / "raw_htc2022_fanbeam" / f"{name}.mat")
    assert scan.p.shape == (1, 1, views, 560) and scan.beam.start_deg == start_deg
    if name == "tb_subsample_90":  # the only arc long enough to tell the two senses apart
        right, wrong = (_edge_misfit_columns(scan.p[0, 0].numpy(), sign * scan.angles_rad) for sign in (1, -1))
        assert right < 0.25 and wrong > 0.6  # measured 0.20 and 0.72


def _edge_misfit_columns(p: np.ndarray, angles_rad: np.ndarray) -> float:
    """RMS distance in columns of the disc's two edges from those of the best-fitting circle."""
    from scipy.optimize import least_squares

    level, found = 0.25, []
    for row in p:
        first, last = np.flatnonzero(row > level)[[0, -1]]
        left = first - (row[first] - level) / (row[first] - row[first - 1])
        found.append((left, last + (row[last] - level) / (row[last] - row[last + 1])))
    edges = (np.array(found) - 279.5) * 0.2

    def misfit(disc: np.ndarray) -> np.ndarray:
        y, x, radius = disc
        along = 410.66 + y * np.cos(angles_rad) - x * np.sin(angles_rad)
        across = y * np.sin(angles_rad) + x * np.cos(angles_rad)
        centre, half = np.arctan2(across, along), np.arcsin(radius / np.hypot(across, along))
        return (553.74 * np.tan(np.stack([centre - half, centre + half], axis=1)) - edges).ravel()

    return float(np.sqrt((least_squares(misfit, [0.0, 0.0, 35.0]).fun ** 2).mean()) / 0.2)


# bad input ----------------------------------------------------------------------------------------------------------


def _refused(reader, path: Path, error: type[TaskctError], reason: str) -> None:
    with pytest.raises(error, match=reason) as caught:
        reader(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data_white": np.ones((2, 3, 64))}, "do not fit together"),
        ({"theta": np.zeros(7)}, "7 angles for 90"),
        ({"theta": np.full(90, np.nan)}, "not finite"),
        ({"data": np.full((90, 2, 64), np.inf)}, "NaN or infinite"),
    ],
)
def test_counts_that_do_not_fit_together_are_refused(tmp_path, change, reason):
    path = _dxchange(tmp_path / "a.h5", ParallelBeam(views=90, cols=64, pixel_mm=1.0), **change)
    _refused(read_counts, path, FileFormatError, reason)


def test_uneven_projection_angles_are_refused(tmp_path):
    theta = np.linspace(0, 178, 90)
    theta[40] += 1
    path = _dxchange(tmp_path / "a.h5", ParallelBeam(views=90, cols=64, pixel_mm=1.0), theta=theta)
    _refused(lambda p: read_dxchange(p, pixel_mm=1.0), path, UnsupportedDataError, "evenly spaced")


def test_a_detector_pixel_without_beam_is_refused(tmp_path):
    white = np.full((4, 2, 64), 30000.0)
    white[:, 0, 5] = 100.0
    path = _dxchange(tmp_path / "a.h5", ParallelBeam(views=90, cols=64, pixel_mm=1.0), data_white=white)
    _refused(lambda p: read_dxchange(p, pixel_mm=1.0), path, FileFormatError, "1 detector pixels")


def test_files_that_are_not_of_the_challenge_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"hello")
    _refused(read_htc2022, path, FileFormatError, "neither")
    scipy.io.savemat(path, {"x": np.ones(3)})
    _refused(read_htc2022, path, FileFormatError, "sinogram and parameters")
    fields = _fields()
    fields["parameters"]["pixelSizePost"] = -1.0
    scipy.io.savemat(path, {"CtDataLimited": fields})
    _refused(read_htc2022, path, FileFormatError, "positive number as pixelSizePost")
    fields = _fields()
    fields["sinogram"] = fields["sinogram"][:, :-1]
    scipy.io.savemat(path, {"CtDataLimited": fields})
    _refused(read_htc2022, path, FileFormatError, "sinogram of")


def test_truncated_and_exploding_matlab_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"CtDataLimited": _fields()}, do_compression=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    _refused(read_htc2022, path, FileFormatError, "truncated")
    scipy.io.savemat(path, {"CtDataLimited": np.zeros(2**19)}, do_compression=True)  # 4 MiB in some kB
    monkeypatch.setattr("taskct.data.sets.measured._MAT_LIMIT_BYTES", 2**20)
    _refused(read_htc2022, path, FileFormatError, "larger than")
