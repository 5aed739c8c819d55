"""The dose experiment at its smallest: whole, with its page, and grown by a seed without doing anything twice."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from places import ROOT

from taskct.core.config import to_dict
from taskct.core.errors import ConfigError
from taskct.core.runs import Run
from taskct.experiments.engine import run_steps
from taskct.systems.alara.experiment import DoseExperiment, dose_steps
from taskct.systems.alara.experiment.comparing import read_comparisons
from taskct.systems.alara.experiment.shared_subjects import dose_scans, reader_images
from taskct.systems.catalogue import EXPERIMENTS

pytestmark = pytest.mark.slow

TINY = DoseExperiment(
    train_patients=8,
    reader_patients=0,
    validation_patients=3,
    test_patients=4,
    size=32,
    views=24,
    slices=1,
    arms=("fbp-noise-views",),
    fbp_steps=3,
    batch=2,
    width=4,
)


def test_it_ends_with_a_page_and_grows_by_a_seed(tmp_path: Path) -> None:
    said: list[str] = []
    folders = run_steps(dose_steps, TINY, tmp_path, say=said.append)
    page = (folders["report"] / "report.html").read_text()
    assert "Strategies at one quality" in page and "modulation a=0.5" in page and "alt='calibration'" in page
    table = (folders["report"] / "summary.csv").read_text()
    assert "constant noise" in table and "learned_minus_it_percent_low" in table
    before = len(said)
    grown = run_steps(dose_steps, replace(TINY, seeds=2), tmp_path, say=said.append)
    assert "compared-fbp-noise-views-1" in grown
    assert not any("images" in line for line in said[before:])  # the patients were drawn once


def test_every_preset_is_a_valid_experiment() -> None:
    from taskct.core.config import from_dict

    about = EXPERIMENTS["dose"][1]()
    for preset in about.presets.values():
        steps = about.steps(from_dict(about.settings, dict(preset)))
        assert steps[-1].name == "report"


@pytest.mark.parametrize("arm", ["fbp-tumour-views", "unet-dice-mean"])
def test_no_dose_for_a_task_is_learnt_on_patients_that_its_reader_knows(arm: str) -> None:
    with pytest.raises(ConfigError, match=f"arm {arm} expects reader_patients of 1 or more, got 0"):
        replace(TINY, arms=("fbp-noise-views", arm))


def test_the_share_of_full_dose_in_the_docs_is_that_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "docs" / "make_dose_optimisation.py"
    monkeypatch.syspath_prepend(path.parent)
    page = runpy.run_path(str(path))
    Run.create(tmp_path / "run", {"experiment": {"name": "dose", **to_dict(replace(TINY, photons=(16.0, 32.0, 4096.0)))}})
    assert page["full_photons_of"](tmp_path / "run") == 4096


def test_a_task_is_compared_by_the_reader_of_the_training_and_by_another(tmp_path: Path) -> None:
    task = replace(
        TINY,
        train_patients=10,
        reader_patients=4,
        slices=2,
        radius_mm=(20.0, 25.0),
        arms=("fbp-tumour-views",),
        readers=("unet_small", "residual_fast"),
        reader_steps=2,
        dice_share=0.5,
        curve_photons=(2.0**10, 2.0**14, 2.0**18),
    )
    folders = run_steps(dose_steps, task, tmp_path, say=lambda text: None)
    seen = {name: read_comparisons(folders[name]) for name in folders if name.startswith("compared-")}
    assert list(seen) == ["compared-fbp-tumour-views-0", "compared-fbp-tumour-views-0-residual_fast"]
    for one in seen.values():
        values = one.values
        (found,) = one.comparisons  # by the mean alone
        assert str(found.target) == "tumour.dice>=0.5*full" and values["about"]["hold"] == "mean"
        names = [*(o.strategy for o in found.outcomes), *found.unreached]
        assert {"learned, as deployed", "fixed, learned course", "modulation a=0.5, learned course"} <= set(names)
    rivals = read_comparisons(folders["rivals-dice"]).comparisons[0]
    assert "fixed" in [*(o.strategy for o in rivals.outcomes), *rivals.unreached]
    assert len(reader_images(folders["images"], task)) == 8 and len(dose_scans(folders["images"], task)) == 12
