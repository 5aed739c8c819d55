"""Stored scans of LoDoPaB-CT scored in both conventions, beside what was published."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.sets.lodopab import MU_MAX_PER_MM, LodopabFiles, write_lodopab
from taskct.evaluation.lodopab_part import PUBLISHED, evaluate_lodopab, published_text
from taskct.evaluation.table import Table
from taskct.geometry.presets import lodopab
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.simulate.noisy_scan import add_noise

HANN = functools.partial(fbp, window="hann", frequency_scale=0.641)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four test slices of two patients in the layout of the data set, scanned with 4096 photons."""
    place = tmp_path_factory.mktemp("lodopab")
    A = Projector(*lodopab())
    axis = torch.linspace(-1, 1, 362)
    slices = []
    for k in range(4):
        body = ((axis[:, None] / 0.6) ** 2 + (axis / (0.7 + 0.05 * k)) ** 2 < 1).float()
        mu = (0.02 * body - 0.01 * ((axis[:, None] - 0.1) ** 2 + axis**2 < 0.04).float())[None]
        slices.append((add_noise(A(mu[None]), Dose(4096.0), seed=k, items=["s"])[0], mu))
    write_lodopab(place, "test", slices, per_file=3, patient_ids=[7, 7, 9, 9])
    return place


def test_both_conventions_are_scored_on_the_scans_as_they_are_stored(folder: Path, tmp_path: Path) -> None:
    table = evaluate_lodopab({"fbp": HANN}, folder, out=tmp_path / "run", progress=False)
    p, mu = LodopabFiles(folder, "test")[3]
    error = HANN(p[None], Projector(*lodopab()))[0].double() - mu.double()
    mse = float((error**2).mean())
    own = {r.metric: r.value for r in table.rows if r.case == "test-00003"}
    assert own["psnr"] == pytest.approx(20 * np.log10(float(mu.max() - mu.min())) - 10 * np.log10(mse), abs=1e-3)
    assert own["psnr_fr"] == pytest.approx(20 * np.log10(MU_MAX_PER_MM) - 10 * np.log10(mse), abs=1e-3)
    assert own["psnr_fr"] - own["psnr"] > 8 and set(own) == {"psnr", "psnr_fr", "ssim", "ssim_fr", "rmse_hu"}
    assert {r.patient for r in table.rows} == {"test-7", "test-9"} and {r.photons for r in table.rows} == {4096.0}
    assert [r.key for r in Table.read(tmp_path / "run").rows] == [r.key for r in table.rows]


def test_published_means_stand_beside_and_are_marked_as_of_other_slices(folder: Path) -> None:
    table = evaluate_lodopab({"mine": HANN}, folder, most=2, progress=False)
    text = published_text(table)
    lines = text.split("\n")
    assert lines[1].startswith("mine") and "[" in lines[1] and len(lines) == 2 + len(PUBLISHED) + 3
    assert "brackets: 95 % intervals over 2 patients, which are too few to rely on" in lines
    assert "FBP + U-Net, published*" in text and "36.00" in text and "40.28" in text
    assert "other slices, so only the order of magnitude" in text
    assert "2 of 4 slices" in table.notes["scans"] and "patients" not in table.notes
    for one in PUBLISHED:  # the two conventions differ by the mean of 20 log10 of the range, the same for every method
        assert one.psnr_fr - one.psnr == pytest.approx(4.27, abs=0.02)


def test_what_cannot_be_scored_is_refused_and_missing_patients_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="challenge part of LoDoPaB-CT has no public images"):
        evaluate_lodopab({"fbp": HANN}, folder, part="challenge")
    with pytest.raises(InputError, match=r"holds no observation_validation_000\.hdf5"):
        evaluate_lodopab({"fbp": HANN}, folder, part="validation")
    with pytest.raises(InputError, match="method 'broken' on test-00000"):
        evaluate_lodopab({"broken": lambda p, A: p}, folder, progress=False)
    p, mu = LodopabFiles(folder, "test")[0]
    write_lodopab(tmp_path / "plain", "test", [(p, mu)])
    assert "intervals are too narrow" in evaluate_lodopab({"fbp": HANN}, tmp_path / "plain", progress=False).notes["patients"]
