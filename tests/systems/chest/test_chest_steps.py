from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_chest import TINY

from taskct.core.errors import ConfigError
from taskct.core.runs import load_run
from taskct.experiments.steps import checked_steps
from taskct.systems.catalogue import reproduce
from taskct.systems.chest.bridge import load_corrector
from taskct.systems.chest.chest_arms import all_subsets
from taskct.systems.chest.chest_net import load_reader
from taskct.systems.chest.chest_presets import PRESETS
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_steps import chest_steps
from taskct.systems.chest.reading_crops import Readings


def test_every_preset_plans_steps_that_stand_on_one_another() -> None:
    for preset in PRESETS.values():
        steps = checked_steps(chest_steps(ChestExperiment(**preset)))
        assert list(steps)[-1] == "report" and ("first-0" in steps) == bool(preset.get("first_steps", 1))
        assert ("bridge-random-0" in steps) == bool(preset.get("bridge_steps", 1))
        assert ("shortcut-scans" in steps) == bool(preset.get("shortcut_steps", 0))
        assert ("all-0" in steps) == bool(preset.get("steps", 1))


def test_the_arms_hold_all_subsets_and_the_three_comparisons() -> None:
    arms = ChestExperiment().arms
    plain = {frozenset(a.tasks) for a in arms if a.group.count("-") == 0}
    assert plain == {frozenset(subset) for subset in all_subsets()} and len(plain) == 15
    four, alone = (next(a for a in arms if a.group == name) for name in ("all", "classify"))
    computing = next(a for a in arms if a.group == "all-computing")
    longer = next(a for a in arms if a.group == "classify-longer")
    assert computing.cost == pytest.approx(sum(a.cost for a in arms if a.group in four.tasks and a.seed == 0), rel=0.01)
    assert longer.cost == pytest.approx(four.cost, rel=0.01) and longer.steps > alone.steps
    assert len({a.label for a in arms}) == len(arms)


def test_a_whole_small_experiment_leaves_tables_a_page_and_networks_that_load(tiny_run: Path) -> None:
    rows = list(csv.DictReader((tiny_run / "report" / "comparisons.csv").open()))
    assert {r["comparison"] for r in rows} == {"equal steps", "changed"}
    assert {r["baseline"] for r in rows if r["comparison"] == "equal steps"} <= {"classify", "segment", "restore", "detect"}
    judged = list(csv.DictReader((tiny_run / "report" / "bridge.csv").open()))
    assert {r["image"] for r in judged} >= {"full dose", "FBP", "error", "all", "random"}
    assert all(r["gain over the image error"] for r in judged if r["image"] == "all" and r["score"] == "PSNR")
    page = (tiny_run / "report.html").read_text()
    assert "No figure was measured on patients of a clinic" in page and "data:image/svg+xml" in page
    first = page[page.index("<body>") : page.index("<details")]
    places = [first.index(part) for part in ("class='answer'", "<figure", "numbers first-table")]
    assert places == sorted(places) and "Unfinished" not in first
    reader = load_reader(tiny_run / "first-0")
    answers = reader.answers(torch.full((1, 3, 48, 48), 0.01))
    assert set(answers) == {"classify", "segment", "restore", "detect"}
    assert load_corrector(tiny_run / "bridge-all-0")(torch.full((1, 1, 48, 48), 0.01)).shape == (1, 1, 48, 48)


def test_an_experiment_that_is_done_is_not_done_again_and_a_changed_one_is_refused(tiny_run: Path) -> None:
    said: list[str] = []
    reproduce("chest", tiny_run, changes=TINY, workers=1, say=said.append)
    assert not any("first-0" in line for line in said)
    with pytest.raises(ConfigError, match="first_steps"):
        reproduce("chest", tiny_run, changes={**TINY, "first_steps": 3}, workers=1, say=said.append)


def test_a_preloaded_arm_begins_with_the_encoder_of_the_segmentation(tiny_run: Path) -> None:
    assert load_run(tiny_run / "classify-preloaded-0").read_json("provenance.json")
    plain = Readings.read(tiny_run / "read-classify-0")
    warm = Readings.read(tiny_run / "read-classify-preloaded-0")
    assert plain.logits is not None and warm.logits is not None and (plain.logits != warm.logits).any()


def test_settings_that_cannot_be_are_refused() -> None:
    plain = ChestExperiment()
    with pytest.raises(ConfigError, match="divide by 8"):
        replace(plain, crop=(90, 80))
    with pytest.raises(ConfigError, match="did you mean"):
        replace(plain, losses=("twersky",))
    with pytest.raises(ConfigError, match="neighbours"):
        replace(plain, slices=2)
    with pytest.raises(ConfigError, match="bridge_dose"):
        replace(plain, doses=(0.5,))
