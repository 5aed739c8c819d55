"""`taskct biplanar`: what is missing for a pair, and the estimate, as files and as lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import radiograph_files as files
import torch

from taskct import Grid, Projector
from taskct.data.case import Case
from taskct.data.nifti import write_nifti
from taskct.geometry import bi_planar
from taskct.systems.biplanar.own_pair import Heads, pair_estimate

N, SIDE, PIXELS = 16, 192.0, 40


def balls(grid: Grid, **_: object) -> Heads:
    """Ellipsoids of water in place of built-in skulls, which take some time to draw."""
    fine = grid.refined(2)
    z, y, x = torch.meshgrid(*[torch.from_numpy(a) for a in fine.axes_mm()], indexing="ij")
    sizes = torch.linspace(0.9, 1.15, 14)
    made = torch.stack([0.02 * (((z / 62) ** 2 + (y / 74) ** 2 + (x / 60) ** 2).sqrt() < r) for r in sizes])[:, None].float()
    coarse = torch.nn.functional.avg_pool3d(made, 2)
    return Heads(coarse[::2], coarse[1::2], made[1::2], grid, fine)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """AP.dcm and LAT.dcm of an ellipsoid of water in a shell of bone, as an angiography C-arm would write them."""
    grid = Grid((32,) * 3, 6.0)
    z, y, x = torch.meshgrid(*[torch.from_numpy(a) for a in grid.axes_mm()], indexing="ij")
    form = (((z - 20) / 62) ** 2 + (y / 74) ** 2 + (x / 60) ** 2).sqrt()
    mu = (0.0195 * (form < 1) + 0.008 * ((form < 1) & (form > 0.9)))[None, None].float()
    beam = bi_planar(cols=PIXELS, rows=PIXELS, pixel_mm=360.0 / PIXELS, source_iso_mm=1000, source_detector_mm=1500)
    p = Projector(grid, beam)(mu)
    for k, (name, angle) in enumerate((("AP", 180.0), ("LAT", -90.0))):
        facts = files.xa(1000, 1500, 360.0 / PIXELS, angle)
        files.write_dicom(tmp_path / f"{name}.dcm", files.counts_of(p[0, 0, k]), **facts)
    return tmp_path


def test_the_command_checks_a_pair_and_reconstructs_it(
    folder: Path, tmp_path: Path, taskct_says: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    png = files.write_png(tmp_path / "LAT.png", np.full((PIXELS, PIXELS), 9, np.uint8))
    code, out, _ = taskct_says("biplanar", folder / "AP.dcm", png, "--check")
    assert (
        code == 2
        and "problem: lateral" in out
        and out.startswith("poses.toml: pose file, filled in as far as possible, written into the current folder\n")
    )
    assert "TO FILL IN" in (tmp_path / "poses.toml").read_text()
    code, out, _ = taskct_says("biplanar", folder / "AP.dcm", folder / "LAT.dcm", "--check", "--overwrite")
    assert code == 0 and "can be reconstructed" in out and "TO FILL IN" not in (tmp_path / "poses.toml").read_text()
    monkeypatch.setattr(pair_estimate, "draw_skulls", balls)
    words = ["--size", N, "--side-mm", SIDE, "--skulls", 10, "--poses", tmp_path / "poses.toml", "--out", tmp_path / "out"]
    code, out, err = taskct_says("biplanar", folder / "AP.dcm", folder / "LAT.dcm", *words, "--agree", 10)
    assert code == 0 and "not for diagnosis" in out and "note: frontal" in err
    assert (tmp_path / "out" / "estimate.nii.gz").exists()
    code, _, err = taskct_says("biplanar", folder / "AP.dcm", folder / "LAT.dcm")
    assert code == 2 and "--out" in err
    code, _, err = taskct_says(
        "biplanar", folder / "AP.dcm", folder / "LAT.dcm", "--out", tmp_path / "x", "--method", "gausian"
    )
    assert code == 2 and "unknown method" in err


def test_methods_that_make_no_volume_of_a_pair_are_refused_before_any_skull_is_drawn(
    folder: Path, tmp_path: Path, taskct_says: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_estimate, "draw_skulls", lambda *_, **__: pytest.fail("skulls were drawn"))
    for words, message in (
        (("-m", "gausian"), "unknown method 'gausian'; did you mean 'gaussian'?"),
        (("-m", "gaussian", "--set", "a=1"), "gaussian has no settings, got --set a=1"),
        (("-m", "gaussian", "--model", "my.py:MyNet"), "gaussian has no network, got --model my.py:MyNet"),
        (("-m", "fbp"), "fbp has no formula for two radiographs"),
        (("-m", "abdomen-unet"), "was trained for slices (parallel beam of 80 views, 64 x 64 pixels"),
    ):
        code, _, err = taskct_says("biplanar", folder / "AP.dcm", folder / "LAT.dcm", "--out", tmp_path / "x", *words)
        assert code == 2 and message in err and not (tmp_path / "x").exists(), words


def test_a_network_of_radiographs_does_not_reconstruct_slices(
    tmp_path: Path, taskct_says: Callable[..., tuple[int, str, str]]
) -> None:
    ct = tmp_path / "ct.nii.gz"
    write_nifti(Case(torch.zeros(2, 16, 16), (5.0, 4.0, 4.0), case_id="ct"), ct)
    code, _, err = taskct_says("reconstruct", ct, "-m", "skull-unrolled", "--out", tmp_path / "x.nii.gz")
    assert code == 2 and "vector beam of 2 views" in err and "does not take slices of a CT" in err


def test_only_an_earlier_estimate_is_replaced(
    folder: Path, tmp_path: Path, taskct_says: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    words = ("biplanar", folder / "AP.dcm", folder / "LAT.dcm", "--out", tmp_path / "thesis", "--overwrite")
    code, _, err = taskct_says(*words)
    assert code == 2 and "holds chapter.tex, which is not written there" in err and (tmp_path / "thesis/chapter.tex").exists()


def test_a_pair_may_be_checked_again_and_again_and_no_pose_file_is_lost(
    folder: Path, tmp_path: Path, taskct_says: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    poses = tmp_path / "q.toml"
    written = []
    for angle in ("0.5", "0.5", "0.75"):
        poses.write_text(f"schema = 1\n[frontal]\nangle_deg = {angle}\n")
        code, out, err = taskct_says("biplanar", folder / "AP.dcm", folder / "LAT.dcm", "--poses", poses, "--check")
        assert code == 0, err
        written.append(out.splitlines()[0].split(": pose file")[0].rsplit("/", 1)[-1])
    assert written == ["q.filled.toml", "q.filled.toml", "q.filled-2.toml"]
    assert "0.5" in (tmp_path / "q.filled.toml").read_text() and "0.75" in (tmp_path / "q.filled-2.toml").read_text()


def test_two_readings_of_grey_levels_are_those_of_the_two_views(
    folder: Path, tmp_path: Path, taskct_says: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = {**files.xa(1000, 1500, 360.0 / PIXELS, -90.0), "PixelIntensityRelationship": "DISP"}
    picture = np.full((PIXELS, PIXELS), 4000, np.uint16)
    picture[10:30, 10:30] = np.arange(400).reshape(20, 20)
    files.write_dicom(folder / "LAT.dcm", picture, **shown)
    words = ("biplanar", folder / "AP.dcm", folder / "LAT.dcm", "--check", "--grey")
    code, out, _ = taskct_says(*words, "presentation")
    assert code == 2 and "frontal" in out and "--grey auto:presentation" in out
    code, out, _ = taskct_says(*words, "auto:presentation")
    assert code == 0 and "read as films" in out and "frontal: its line integrals were taken as a film" in out
