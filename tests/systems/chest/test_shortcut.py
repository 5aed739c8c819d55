"""A reader of the disease and a reader of the scanner are told apart, and the two trainings differ by nothing but origins."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_chest import TINY, chest_experiment

from taskct.core.errors import ConfigError
from taskct.experiments.steps import checked_steps
from taskct.systems.catalogue import reproduce
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_steps import chest_steps
from taskct.systems.chest.lung_crops import PARTS
from taskct.systems.chest.scan_origins import COINCIDE, INDEPENDENT, ORIGINS, ArrangedScans, OriginScans, check_classes
from taskct.systems.chest.shortcut import (
    ANY_ORIGIN,
    AS_TRAINED,
    BY_PROBE,
    BY_SCORE,
    REVERSED,
    OriginReadings,
    probed,
    shortcut_rows,
    shortcut_scores,
)

SMALL: dict[str, Any] = {
    **TINY,
    "train_patients": 6,
    "test_patients": 5,
    "infection_share": 0.5,
    "first_steps": 0,
    "steps": 0,
    "preload": False,
    "bridge_steps": 0,
    "shortcut_steps": 2,
    "shortcut_seeds": 2,
    "shortcut_slices": 2,
}


@pytest.fixture(scope="module")
def shortcut_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small test."""
    return chest_experiment(tmp_path_factory, "shortcut", SMALL)


def readings(scores: np.ndarray, truth: np.ndarray, probe: np.ndarray | None = None) -> OriginReadings:
    """Of two slices of each patient."""
    owner = np.arange(len(truth)) // 2
    names = tuple(f"p{k}" for k in range(owner.max() + 1))
    flat = np.zeros_like(scores)
    return OriginReadings(names, owner, truth, scores, flat if probe is None else probe, flat)


TRUTH = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], float)
SCANNER = np.tile([1.0, 0.0], (12, 1))


@pytest.mark.parametrize("disease", [0.0, 1.0])
@pytest.mark.parametrize("scanner", [-3.0, -0.5, 0.0, 0.5, 3.0])
def test_the_three_arrangements_tell_the_disease_from_the_scanner(disease: float, scanner: float) -> None:
    scores = disease * TRUTH[:, None] + scanner * SCANNER
    found = {name: score(np.ones(6)) for name, score in shortcut_scores(readings(scores, TRUTH)).items()}
    rank = lambda value: 0.5 + 0.5 * np.sign(value)
    assert found[AS_TRAINED] == rank(disease + scanner) and found[REVERSED] == rank(disease - scanner)
    pairs = [rank(disease + scanner * (a - b)) for a in (0, 1) for b in (0, 1)]
    assert found[ANY_ORIGIN] == pytest.approx(np.mean(pairs)) and found[BY_SCORE] == rank(scanner)


def test_patients_without_weight_take_no_part() -> None:
    scores = TRUTH[:, None] + 3 * SCANNER
    scores[:2] = -9.0
    found = shortcut_scores(readings(scores, TRUTH))
    assert found[REVERSED](np.ones(6)) < found[AS_TRAINED](np.ones(6)) < 1
    assert found[AS_TRAINED](np.array([0.0, 1, 1, 1, 1, 1])) == 1


def test_a_probe_finds_what_is_there_and_nothing_where_there_is_nothing() -> None:
    draw = np.random.default_rng(0)
    learnt, asked = draw.normal(size=(60, 2, 5)), draw.normal(size=(40, 2, 5))
    learnt[..., 3] = asked[..., 3] = 7.0  # a map that never varies
    asked_alike = np.repeat(asked[:, :1], 2, axis=1)
    assert (probed(learnt, asked_alike)[:, 0] == probed(learnt, asked_alike)[:, 1]).all()
    learnt[:, 0, 1] += 6
    asked[:, 0, 1] += 6
    said = probed(learnt, asked)
    assert said[:, 0].min() > said[:, 1].max()
    score = shortcut_scores(readings(said[:12], TRUTH, probe=said[:12]))[BY_PROBE]
    assert score(np.ones(6)) == 1


def test_rows_pair_the_trainings_of_one_seed_and_patients() -> None:
    honest, fooled = readings(TRUTH[:, None] + 0 * SCANNER, TRUTH), readings(3 * SCANNER, TRUTH)
    rows = shortcut_rows({(COINCIDE, 0): fooled, (COINCIDE, 1): fooled, (INDEPENDENT, 0): honest})
    lost = {(r.training, r.less): r.interval.mean for r in rows if r.less and r.score == REVERSED}
    assert lost == {(COINCIDE, AS_TRAINED): -1.0, (INDEPENDENT, AS_TRAINED): 0.0, (COINCIDE, INDEPENDENT): -1.0}
    assert {r.seeds for r in rows if r.training == COINCIDE and not r.less} == {2}
    assert {r.seeds for r in rows if r.less == INDEPENDENT} == {1}
    assert shortcut_rows({}) == []


def test_arrangements_hold_the_same_slices_and_differ_by_their_origins(shortcut_run: Path) -> None:
    folder = shortcut_run / "shortcut-scans"
    both, truth, whose = OriginScans(folder).judged("train")
    infected = {p for p, one in zip(whose, truth, strict=True) if one == 1}
    assert all((one == 1) == (p in infected) for p, one in zip(whose, truth, strict=True))
    drawn = set()
    for arrangement, seed in ((COINCIDE, 0), (COINCIDE, 1), *((INDEPENDENT, seed) for seed in range(6))):
        images = ArrangedScans(folder, arrangement, seed).images("train")
        assert list(images.patient_ids) == whose and len(set(images.case_ids)) == len(images)
        first = [torch.equal(one[0], pair[0]) for one, pair in zip(images.mu, both, strict=True)]
        second = [torch.equal(one[0], pair[1]) for one, pair in zip(images.mu, both, strict=True)]
        assert all(a != b for a, b in zip(first, second, strict=True))
        origin = dict(zip(whose, first, strict=True))
        assert [origin[p] for p in whose] == first  # a patient has one scanner
        if arrangement == COINCIDE:
            assert all(one == (p in infected) for p, one in origin.items())
            continue
        for group in (infected, set(whose) - infected):
            assert abs(sum(origin[p] for p in group) - len(group) / 2) <= 0.5
        drawn.add(tuple(first))
    assert len(drawn) > 1


def test_origins_differ_in_noise_and_not_in_the_mean(shortcut_run: Path) -> None:
    images, both = OriginScans(shortcut_run / "shortcut-scans").images("test")
    hu = both / 0.0193 * 1000
    assert len({(o.kernel, o.dose, o.slice_mm) for o in ORIGINS}) == 2
    means, rough = hu.mean((0, 2, 3)), (hu[..., 1:, 1:] - hu[..., :-1, :-1]).std((0, 2, 3))
    assert abs(float(means[0] - means[1])) < 10 and float(rough[0]) > 1.2 * float(rough[1])
    assert torch.equal(images.mu[:, 0], both[:, 0]) and all(one is not None for one in images.marks)


def test_a_whole_test_leaves_a_table_a_section_and_sentences(shortcut_run: Path) -> None:
    rows = list(csv.DictReader((shortcut_run / "report" / "shortcut.csv").open()))
    assert {r["training"] for r in rows} == {COINCIDE, INDEPENDENT} and {r["seeds"] for r in rows} == {"2"}
    assert {r["less"] for r in rows} == {"", AS_TRAINED, INDEPENDENT} and all(
        0 <= float(r["mean"]) <= 1 for r in rows if not r["less"]
    )
    page = (shortcut_run / "report.html").read_text()
    assert "The disease or the scanner" in page and "2 slices each" in page and "Unfinished" not in page
    summary = (shortcut_run / "report" / "summary.txt").read_text().splitlines()
    assert len(summary) == 3 and all("scanner" in line for line in summary)
    assert not (shortcut_run / "images").exists()
    said: list[str] = []
    reproduce("chest", shortcut_run, changes=SMALL, workers=1, say=said.append)
    assert not any("shortcut-coincide" in line for line in said)


def test_readings_come_back_as_they_were_kept(shortcut_run: Path, tmp_path: Path) -> None:
    kept = OriginReadings.read(shortcut_run / "read-shortcut-coincide-0")
    kept.save(tmp_path / "again")
    again = OriginReadings.read(tmp_path / "again")
    assert again.patients == kept.patients
    for name in ("owner", "truth", "scores", "probe", "untrained"):
        assert np.array_equal(getattr(again, name), getattr(kept, name)), name


def test_scans_that_are_made_anew_in_their_folder_are_read_anew(shortcut_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    shutil.copytree(shortcut_run / "shortcut-scans", folder)
    images, _ = OriginScans(folder).images("test")
    parts = json.loads((folder / PARTS).read_text())
    (folder / PARTS).write_text(json.dumps({**parts, "test": parts["test"][1:]}))
    again, both = OriginScans(folder).images("test")
    assert set(again.patient_ids) == set(parts["test"][1:]) and len(again) == len(both) < len(images)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ([1, 1, 1], "without an infection, got 0"),
        ([0, 0, 1], "with an infection, got 1"),
        ([1, 1, 0], "without an infection, got 1"),
    ],
)
def test_too_few_patients_of_a_class_are_refused(truth: list[int], words: str) -> None:
    with pytest.raises(ConfigError, match=f"two train patients or more {words}"):
        check_classes(np.array(truth), ["a", "b", "c"], "train")


def test_it_is_off_unless_asked_for_and_the_first_run_can_be_left_out() -> None:
    plain = ChestExperiment()
    assert not any("shortcut" in name for name in checked_steps(chest_steps(plain)))
    more = checked_steps(chest_steps(replace(plain, shortcut_steps=5)))
    assert sum(name.startswith("shortcut-") for name in more) == 1 + 2 * plain.shortcut_seeds
    with pytest.raises(ConfigError, match="more_steps continue the first run"):
        replace(plain, first_steps=0, more_steps=5)
    bridge_only = checked_steps(chest_steps(replace(plain, first_steps=0, steps=0)))
    assert "images" in bridge_only and "first-0" not in bridge_only
