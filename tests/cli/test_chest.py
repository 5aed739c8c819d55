"""`taskct chest` reads a series and says what it cannot know; what it refuses is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import torch
from chest_runs import chest_with_ball, network

from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti
from taskct.models import shipped_models

Says = Callable[..., tuple[int, str, str]]


def test_an_untrained_network_reads_a_series_and_leaves_its_files(tmp_path: Path, taskct_says: Says) -> None:
    write_series(chest_with_ball((10.0, 12.0, -62.0), 9.0), tmp_path / "series")
    net = network(tmp_path / "net")
    code, out, err = taskct_says("chest", tmp_path / "series", "--out", tmp_path / "out", "--network", net)
    assert code == 0, err
    assert "nodule: score 0." in out and "Trained on built-in chests: computed phantoms, no patients." in out
    assert "Not as in training: pixels have 5.00 mm" in out and "Never tested on patients; research only." in out
    names = {f.name for f in (tmp_path / "out").iterdir()}
    assert "lesions.csv (all with 0.05 or more)" in out
    assert (tmp_path / "out" / "findings.csv").read_text().startswith("finding,score,side,z_mm,slice")
    assert {"findings.csv", "lesions.csv", "lungs.nii.gz", "report.html"} <= names
    code, _, err = taskct_says("chest", tmp_path / "series", "--out", tmp_path / "out", "--network", net)
    assert code == 2 and "exists" in err


def test_water_and_a_missing_network_are_one_line_each(tmp_path: Path, taskct_says: Says) -> None:
    water = Case(torch.full((6, 40, 40), 20.0).index_fill(1, torch.arange(4), -1000.0), (5.0, 4.0, 4.0), "water")
    write_nifti(water, tmp_path / "water.nii.gz")
    net = network(tmp_path / "net")
    code, _, err = taskct_says("chest", tmp_path / "water.nii.gz", "--out", tmp_path / "out", "--network", net)
    assert code == 3 and "this is not a CT of the chest" in err and err.count("\n") == 1 and not (tmp_path / "out").exists()
    code, _, err = taskct_says("chest", tmp_path / "water.nii.gz", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert code == 3 if any("chest" in name for name in shipped_models()) else code == 2 and "name one: --network RUN" in err


def test_the_input_and_folders_of_others_are_never_replaced(tmp_path: Path, taskct_says: Says) -> None:
    series = tmp_path / "series"
    write_series(chest_with_ball((10.0, 12.0, -62.0), 9.0), series)
    net, before = network(tmp_path / "net"), sorted(f.name for f in series.iterdir())
    for out, words in ((series, "is the input"), (tmp_path, "holds the input"), (net, "holds config.toml, which is not")):
        code, _, err = taskct_says("chest", series, "--out", out, "--network", net, "--overwrite")
        assert code == 2 and words in err, out
    assert sorted(f.name for f in series.iterdir()) == before and (net / "weights.safetensors").exists()
    for _ in range(2):  # an earlier reading is replaced
        code, _, err = taskct_says("chest", series, "--out", tmp_path / "out", "--network", net, "--overwrite")
        assert code == 0, err


def test_a_ct_without_an_orientation_is_read_and_its_sides_are_said_to_be_assumed(tmp_path: Path, taskct_says: Says) -> None:
    # "left lung" was said of the right one, with a note on the page alone
    chest = chest_with_ball((10.0, 12.0, -62.0), 9.0)
    image = nibabel.Nifti1Image(np.ascontiguousarray(chest.hu.numpy().transpose(2, 1, 0)), None)
    image.header.set_zooms(chest.spacing_mm[::-1])
    nibabel.save(image, tmp_path / "bare.nii.gz")
    write_nifti(chest, tmp_path / "whole.nii.gz")
    net, words = network(tmp_path / "net"), "which lung is the right one, and each place in mm, are assumed"
    for name, bare in (("bare", True), ("whole", False)):
        code, out, err = taskct_says("chest", tmp_path / f"{name}.nii.gz", "--out", tmp_path / name, "--network", net)
        assert code == 0 and (words in out) == (words in (tmp_path / name / "report.html").read_text()) == bare
        assert ("the header records no orientation; axes were taken as right" in err) == bare
