"""The classical chain on patients of 64 pixels: it leaves what it promises, and nothing when it is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.runs import is_run
from taskct.data.case import Case
from taskct.data.dicom.series import read_series
from taskct.data.nifti import read_nifti
from taskct.evaluation.table import Table
from taskct.geometry import field_of_view_mm
from taskct.geometry.presets import clinical_fan
from taskct.phantoms import phantom_case
from taskct.systems.classical import classical_demo as demo_file
from taskct.systems.classical.classical_demo import FRACTIONS, classical_demo, demo_beam
from taskct.systems.classical.demo_patients import DemoPatients

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def patients() -> DemoPatients:
    case, other = (phantom_case("abdomen", seed=s, shape=(3, 64, 64), spacing_mm=(5.0, 5.6, 5.6)) for s in (0, 1))
    return DemoPatients(
        scored=[case], scored_slices={case.case_id: [0]}, tuning=[other], tuning_slices={other.case_id: [1]}, shown=case
    )


@pytest.mark.filterwarnings("ignore::taskct.evaluation.TuningWarning")  # 64 pixels want less TV than 256 do
def test_the_demo_leaves_all_that_it_promises(patients: DemoPatients, tmp_path: Path) -> None:
    out, lines = tmp_path / "demo", []
    classical_demo(patients, out, sirt_too=True, say=lines.append)
    said = "\n".join(lines)
    assert "noise-free FBP: slice 0 of abdomen-0 comes back within" in said and "HU RMS in liver" in said
    assert is_run(out) and "hold FBP Hann at 10% dose, whichever method scores best" in said
    assert "whichever method scores best" in (out / "report.html").read_text(encoding="utf-8")
    table = Table.read(out)
    assert table.methods == ["FBP", "FBP Hann", "SIRT", "CGLS", "TV"] and [d.fraction for d in table.doses] == list(FRACTIONS)
    rmse = {m: table.summary("rmse_hu")[i].interval.mean for i, m in enumerate(table.methods, start=15)}
    assert rmse["TV"] < rmse["FBP"]  # at 5 % dose, the last five of the summary
    low = read_nifti(out / "low_dose.nii.gz")
    assert low.hu.shape == patients.shown.hu.shape and torch.allclose(
        torch.tensor(low.affine_mm), torch.tensor(patients.shown.affine_mm), atol=1e-4
    )
    assert (read_series(out / "low_dose_dicom").hu - low.hu).abs().max() <= 0.5  # DICOM holds whole HU
    for name in ("report.html", "geometry.png"):
        assert (out / name).stat().st_size > 10_000
    assert not list(tmp_path.glob(".part-*"))


@pytest.mark.filterwarnings("ignore::taskct.evaluation.TuningWarning")
def test_a_demo_that_is_stopped_leaves_nothing(
    patients: DemoPatients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*words: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_file, "write_report", stopped)
    monkeypatch.setattr(demo_file, "FRACTIONS", (1.0,))
    with pytest.raises(KeyboardInterrupt):
        classical_demo(patients, tmp_path / "demo", say=lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::taskct.evaluation.TuningWarning")
def test_sirt_is_run_on_request_alone(patients: DemoPatients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_file, "FRACTIONS", (0.1,))
    monkeypatch.setattr(demo_file, "TV_STRENGTHS", (1.0, 2.0))
    classical_demo(patients, tmp_path / "demo", say=lambda line: None)
    assert Table.read(tmp_path / "demo").methods == ["FBP", "FBP Hann", "CGLS", "TV"]


def test_the_beam_keeps_its_field_of_view_whatever_the_pixels() -> None:
    for pixels in (64, 256, 512):
        beam = demo_beam(Case(torch.zeros(1, pixels, pixels), (1.0, 1.0, 1.0)))
        assert field_of_view_mm(beam) == pytest.approx(field_of_view_mm(clinical_fan()))
        assert beam.cols >= pixels
