from __future__ import annotations

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io

from taskct.cli import main as command
from taskct.core.errors import InputError, UnsupportedDataError
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.open import open_case
from taskct.data.sets.measured_scan import DXCHANGE, HTC2022, measured_kind, read_measured_scan
from taskct.report.file_description import describe_path as described


def main(words: list[str]) -> int:
    """The exit code of a command."""
    try:
        command(words)
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def _disc(path):
    """A disc of radius 6 mm and .05 per mm in a fan of 64 columns of .5 mm, as the challenge stores it."""
    views, cols = 90, 64
    columns = (np.arange(cols) - (cols - 1) / 2) * 0.5
    across = 100.0 * columns / np.hypot(columns, 200.0)  # how far the ray passes the middle
    chord = 2 * np.sqrt(np.maximum(36.0 - across**2, 0.0))
    parameters = {
        "distanceSourceOrigin": 100.0, "distanceSourceDetector": 200.0, "pixelSizePost": 0.5, "effectivePixelSizePost": 0.03,
        "numDetectorsPost": float(cols), "angles": np.arange(0.0, 360.0, 4.0),
    }  # fmt: skip
    scipy.io.savemat(path, {"CtData": {"sinogram": np.tile(0.05 * chord, (views, 1)), "parameters": parameters}})
    return path


def _exchange(path):
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.full((20, 2, 16), 900, np.uint16)
        file["exchange/data_white"] = np.full((3, 2, 16), 1000, np.uint16)
        file["exchange/data_dark"] = np.zeros((3, 2, 16), np.uint16)
        file["exchange/theta"] = np.linspace(0, 180, 20, endpoint=False)
    return path


def test_measured_projections_are_known_by_their_content(tmp_path):
    assert measured_kind(_disc(tmp_path / "a.mat")) == HTC2022
    assert measured_kind(_exchange(tmp_path / "noname")) == DXCHANGE
    (tmp_path / "a.txt").write_text("MATLAB 4")
    assert measured_kind(tmp_path / "a.txt") == measured_kind(tmp_path) == measured_kind(tmp_path / "no") == ""


def test_the_command_line_reconstructs_a_measured_disc(tmp_path, capsys):
    source, out = _disc(tmp_path / "a.mat"), tmp_path / "disc.nii.gz"
    assert main(["reconstruct", str(source), "--out", str(out), "--window", "hann"]) == 0
    assert "mirror image" in capsys.readouterr().err
    hu = np.asarray(nibabel.load(out).dataobj).squeeze()
    mu = (hu[246:266, 246:266].mean() / 1000 + 1) * read_measured_scan(source).mu_water_per_mm
    assert mu == pytest.approx(0.05, rel=0.02)  # law 2, through file and command


def test_a_data_exchange_file_needs_its_pixel_size(tmp_path, capsys):
    source = _exchange(tmp_path / "a.h5")
    assert main(["reconstruct", str(source), "--out", str(tmp_path / "v.nii")]) == 2
    assert "--pixel-mm" in capsys.readouterr().err
    words = ["reconstruct", str(source), "--out", str(tmp_path / "v.nii"), "--pixel-mm", "0.5", "--axis-col", "7.5"]
    assert main(words) == 0
    assert nibabel.load(tmp_path / "v.nii").header.get_zooms() == (0.5, 0.5, 0.5)  # rows lie as far apart as columns
    assert "slices lie 0.5 mm apart" in capsys.readouterr().err


def test_a_small_object_at_a_low_energy_keeps_its_attenuation(tmp_path, capsys):
    source = _exchange(tmp_path / "a.h5")
    with h5py.File(source, "r+") as file:
        across = np.abs(np.arange(16) - 7.5) * 0.001
        chord = 2 * np.sqrt(np.maximum(0.006**2 - across**2, 0))
        file["exchange/data"][:] = np.round(60000 * np.exp(-5 * chord)).astype(np.uint16)
        file["exchange/data_white"][:] = 60000
    words = ["reconstruct", str(source), "--out", str(tmp_path / "v.nii"), "--pixel-mm", "0.001", "--axis-col", "7.5"]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "right for a small object at a low energy, else check the size of the detector's pixel" in said
    hu = np.asarray(nibabel.load(tmp_path / "v.nii").dataobj)
    side = hu.shape[0] // 2
    mu = (hu[side - 1 : side + 1, side - 1 : side + 1].mean() / 1000 + 1) * MU_WATER_70KEV_PER_MM
    assert mu == pytest.approx(5.0, rel=0.06)  # of 16 columns


@pytest.mark.parametrize("words", [["--dose", "0.5"], ["--views", "10"], ["--untilt"], ["--pixel-mm", "1"]])
def test_options_that_do_not_go_with_measured_projections_are_refused(tmp_path, words, capsys):
    assert main(["reconstruct", str(_disc(tmp_path / "a.mat")), "--out", str(tmp_path / "v.nii"), *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_info_describes_measured_projections(tmp_path):
    assert "Helsinki" in "\n".join(described(_disc(tmp_path / "a.mat")))
    said = "\n".join(described(_exchange(tmp_path / "a.h5")))
    assert "20 x 2 x 16" in said and "--pixel-mm" in said


def test_they_are_not_taken_for_ct(tmp_path, capsys):
    source = _disc(tmp_path / "a.mat")
    with pytest.raises(UnsupportedDataError, match=r"a MATLAB file, not a CT.*taskct reconstruct"):
        open_case(source)
    assert main(["simulate", str(source), "--out", str(tmp_path / "s.h5")]) == 2
    assert "taskct reconstruct" in capsys.readouterr().err
    (tmp_path / "plain.nii").write_bytes(b"")
    with pytest.raises(InputError, match="not a file of measured projections"):
        read_measured_scan(tmp_path / "plain.nii")
