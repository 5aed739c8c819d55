"""The page about real CT: made from any run folders, and each of its steps does what the page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.config import to_dict
from taskct.core.errors import InputError
from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.beam_config import beam_to_config
from taskct.phantoms.abdomen import CohortSettings
from taskct.phantoms.patient import make_patient
from taskct.recon.learned import make_model
from taskct.systems.adaptive import real_ct
from taskct.systems.adaptive.real_ct_cases import RealPatient, body_only, pairs_of, places_mm
from taskct.systems.adaptive.real_ct_page import page
from taskct.systems.adaptive.real_ct_runs import load_runs
from taskct.task.readers import ReaderSpec, make_reader

GRID = Grid((48, 48), 8.0)
MODEL = {"kind": "fbp_unet", "widths": [4, 8]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader that calls everything tumour, a reconstruction, and a folder that is not a run."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "notes").mkdir()
    net = make_reader(ReaderSpec())
    with torch.no_grad():
        net.out.bias[2] += 100.0  # type: ignore[index, union-attr]
    reader = Run.create(folder / "reader", {"reader": to_dict(ReaderSpec()), "reads": "full dose"})
    reader.save_tensors("weights.safetensors", net.state_dict())
    config = {
        "model": MODEL,
        "beam": beam_to_config(ParallelBeam(views=24, cols=52, pixel_mm=8.0)),
        "grid": {"shape": [48, 48], "spacing_mm": [8.0, 8.0]},
        "dose": {"photons": 5e4, "lowest": 0.25, "highest": 1.0, "electronic_std": 0.0},
    }
    made = Run.create(folder / "unet-plain", config)
    made.save_tensors("weights.safetensors", make_model(MODEL).state_dict())
    Run.create(folder / "unfinished", config)
    return folder


@pytest.fixture(scope="module")
def case() -> Case:
    settings = CohortSettings(healthy_share=1.0)
    return make_patient(0, 8, shape=(12, 96, 96), spacing_mm=(4.0, 4.0, 4.0), settings=settings).case


def test_the_page_is_made_from_run_folders_and_counts_every_answer(
    runs: Path, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_ct, "RADII_MM", (8.0,))
    monkeypatch.setattr(real_ct, "CONTRASTS_HU", (-40.0,))
    trained = load_runs(runs)
    assert list(trained.methods) == ["FBP, Hann", "unet-plain"] and [d.used_photons for d in trained.doses] == [5e4, 12500]
    subjects = [RealPatient("Siemens, portal venous", "", case)]
    rows = real_ct.liver_rows(subjects, trained, trained.doses[0])
    assert {r["method"] for r in rows} == {"full dose", "FBP, Hann", "unet-plain"} and all(r["alarms"] == 1 for r in rows)
    audits = real_ct.audit_all(subjects, trained, trained.doses[0], most=2)
    real_ct.draw(subjects, trained, trained.doses[0], tmp_path / "f.png", reader=trained.readers[-1])
    text = page(rows, audits, trained, trained.doses[0])
    assert "| -40 HU | 2 | 2 / 2 | 2 / 2 | 2 / 2 |" in text  # one reader, two places, and it always says lesion
    assert max(map(len, (line for line in text.splitlines() if line[:1] not in "|!#"))) <= 120
    assert (tmp_path / "f.png").stat().st_size > 5000


def test_runs_that_are_not_there_are_named(runs: Path) -> None:
    with pytest.raises(InputError, match=r"missing \['unfinished'\]; has \['reader', 'unet-plain'\]"):
        load_runs(runs, models=["unfinished"])


def test_table_and_arms_become_air_and_the_trunk_comes_to_the_middle_with_its_labels() -> None:
    hu = torch.full((3, 120, 120), -1000.0)
    hu[:, 30:80, 25:85] = 40.0
    hu[:, 45:60, 5:15] = 40.0  # an arm
    hu[:, 100:103, 10:110] = 200.0  # the table
    hu[:, 50:55, 50:60] = -1000.0  # gas inside
    labels = torch.zeros(3, 120, 120, dtype=torch.uint8)
    labels[:, 60:70, 40:50] = 1
    case = Case(hu, (2.0, 1.0, 1.0), labels=labels)
    found = body_only(case)
    body = np.argwhere((found.hu[1] > -300).numpy())
    assert (body.min(0) + body.max(0)).tolist() == pytest.approx([119, 119], abs=1)
    assert int((found.hu > -300).sum()) == 3 * (50 * 60 - 50) and float(found.hu.max()) == 40
    assert float(found.hu[found.labels == 1].mean()) == 40 and int(found.labels.sum()) == 300
    at, was = (np.argwhere((one.labels[0] == 1).numpy()).mean(0) for one in (found, case))
    places = [(one.affine_mm @ [0, *index, 1])[:3] for one, index in ((found, at), (case, was))]
    assert places[0] == pytest.approx(places[1])  # it is still where it was in the patient


def test_lesions_lie_in_the_liver_apart_and_are_put_in_before_the_pixels_change(case: Case) -> None:
    places = places_mm(case, 8.0, 4)
    assert len(places) == 4 and places == places_mm(case, 8.0, 4)
    gaps = [np.linalg.norm(np.subtract(a, b)) for i, a in enumerate(places) for b in places[:i]]
    assert min(gaps) > 16
    pair = pairs_of(case, GRID, radius_mm=12.0, contrast_hu=-60.0, most=1)[0]
    change = (pair.with_lesion.hu - pair.without.hu)[0]
    assert change.shape == (48, 48) and float(change.min()) < -45 and float(change[pair.region[0]].mean()) < -30
    # of 12 mm at most in the slice: pi 12^2 / 8^2 = 7 pixels of 8 mm, uneven
    assert 4 <= int(pair.region.sum()) <= 10
