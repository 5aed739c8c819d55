"""Tables and curves of the page, from comparisons and readings that are written down here."""

from __future__ import annotations

import csv
import re
from io import StringIO
from typing import Any

import numpy as np
import pytest

from taskct.evaluation.reading import ScanMatches
from taskct.evaluation.statistics import Interval
from taskct.systems.chest.bridge_curves import dose_figure, dose_points
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import TASKS
from taskct.systems.chest.chest_comparing import MEAN, Comparison, Group, Trainings, bridge_gains, summary_lines
from taskct.systems.chest.chest_page import beside_table
from taskct.systems.chest.chest_scores import scores_of
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_summary import scores_csv
from taskct.systems.chest.reading_crops import Readings

KINDS = {"equal steps": "all", "equal computing": "all-computing", "single task longer": "all"}


def pair(kind: str, group: str, score: str, gain: float) -> Comparison:
    return Comparison(kind, group, "classify", score, 0.5, 0.5 + gain, Interval(gain, gain - 0.1, gain + 0.1, 20, 20), 3)


def readings(quality: float, patients: int = 6) -> Readings:
    """Of one nodule and one infection in each patient, found with scores that are right in a share `quality`."""
    owner = np.repeat(np.arange(patients), 2)
    truth = np.tile([1.0, 0.0], patients)
    draw = np.random.default_rng(0)
    logits = np.stack([truth * quality * 6 + draw.normal(size=2 * patients) for _ in range(3)], 1)
    hit = draw.random(2 * patients) < quality
    boxes = [
        ScanMatches(np.array([0.9]), np.array([0 if h and t else -1]), int(t), f"p{o}")
        for h, t, o in zip(hit, truth, owner, strict=True)
    ]
    return Readings(
        tuple(f"p{k}" for k in range(patients)),
        owner,
        owner,
        logits,
        np.stack([truth] * 3, 1),
        boxes={(name, iou): boxes for name in ("nodule", "infection") for iou in (0.1, 0.5)},
    )


@pytest.mark.parametrize("kinds", [["equal steps", "equal computing"], list(KINDS), ["single task longer", "equal steps"]])
def test_comparisons_stand_beside_each_other_in_one_row_a_score(kinds: list[str]) -> None:
    pairs = [pair(kind, KINDS[kind], score, 0.01 * k) for k, kind in enumerate(kinds) for score in ("AUC nodule", "PSNR")]
    pairs.append(pair("equal steps", "classify+segment", "AUC nodule", 0.77))
    pairs.append(pair("changed", "all-vgg13", "AUC nodule", 0.88))
    table = beside_table(pairs)
    rows = re.findall(r"<tr><th scope='row'>(.*?)</th>(.*?)</tr>", table)
    assert [name for name, _ in rows] == ["AUC nodule", "PSNR"] and all(text.count("<td>") == len(kinds) for _, text in rows)
    heads = re.findall(r"<th scope='col'>([^<]+)</th>", table)
    assert heads == [kind for kind in KINDS if kind in kinds] and "0.77" not in table and "0.88" not in table


def test_a_missing_comparison_is_a_dash_and_one_alone_needs_no_table() -> None:
    assert beside_table([pair("equal steps", "all", "PSNR", 0.1)]) == "" and beside_table([]) == ""
    table = beside_table(
        [pair("equal steps", "all", "PSNR", 0.1), pair("equal computing", "all-computing", "CPM nodule", 0.1)]
    )
    assert table.count("<td>–</td>") == 2


def test_curves_over_dose_hold_every_image_and_rise_with_its_quality() -> None:
    judged = {("full dose", ""): Trainings({0: readings(1.0)})}
    judged |= {
        (name, dose): Trainings({0: readings(q)})
        for name, dose, q in (("FBP", "0.05", 0.1), ("FBP", "0.25", 0.6), ("all", "0.05", 0.5))
    }
    found = dose_points(judged, ("AUC infection", "FROC nodule, slices"))
    assert len(found) == 8
    low, high = (found["FROC nodule, slices", "FBP", dose] for dose in ("0.05", "0.25"))
    assert low.mean < high.mean <= found["FROC nodule, slices", "full dose", ""].mean
    assert all(0 <= value.low <= value.mean <= value.high <= 1 for value in found.values())
    assert "data:image/svg+xml" in dose_figure(judged)
    assert dose_figure({key: one for key, one in judged.items() if key[1] != "0.25"}) == "" and dose_figure({}) == ""


def test_a_group_has_the_scores_that_all_of_its_trainings_have() -> None:
    old, new = readings(0.7), readings(0.8)
    values: Any = np.linspace(20, 30, len(new.owner))
    new = Readings(**{**vars(new), "restored": values, "ssim": values / 30, "bias_hu": values})
    assert {"PSNR", "SSIM", "HU bias"} <= set(scores_of(new))
    mixed, whole = (Group({0: new, 1: one}, Arm(TASKS, steps=1)) for one in (old, new))
    assert "SSIM" not in mixed.scores and "AUC nodule" in mixed.scores
    assert whole.interval("HU bias").mean == pytest.approx(25) and 0 < whole.interval("SSIM").mean < 1


def test_scores_of_one_patient_stand_in_the_tables_without_an_interval() -> None:
    # the tables were empty, and the page said that nothing was read
    read = readings(1.0, patients=1)
    group = lambda one: {"first": Group({0: one}, Arm(TASKS, steps=1, name="first"))}
    rows = {row["score"]: row for row in csv.DictReader(StringIO(scores_csv(group(read))))}
    for name, score in scores_of(read).items():
        value = score(np.ones(1))
        assert (rows[name]["mean"], rows[name]["low"]) == (f"{value:.4f}" if np.isfinite(value) else "", ""), name
    lines = summary_lines(ChestExperiment(), group(read), [], {})
    assert "an AUC of 1.00; the aim of 0.9 is reached" in lines[0]
    judged_of = lambda one: {(name, "0.05"): Trainings({0: one}) for name in ("error", "all")}
    nothing = Readings(**{**vars(read), "presence": np.ones((2, 3))})
    (line, *rest) = summary_lines(ChestExperiment(), group(nothing), [], judged_of(nothing))
    assert "Heads in the loss, 5.0% of the dose: the AUC of an infection is not defined for these patients." in rest
    assert line == "At full dose AUC nodule is not defined; the aim of 0.9 is not tested by these patients."


def test_gains_of_the_bridge_pair_the_seeds_that_both_sides_have() -> None:
    judged = {
        ("error", "0.05"): Trainings({0: readings(0.2), 1: readings(0.4)}),
        ("all", "0.05"): Trainings({1: readings(0.8), 0: readings(0.6), 2: readings(0.0)}),
        ("FBP", "0.25"): Trainings({0: readings(0.9)}),
    }
    rows = {(row.image, row.dose): row for row in bridge_gains(judged) if row.score == "FROC infection, slices"}
    one, base = (scores_of(readings(q))["FROC infection, slices"](np.ones(6)) for q in (0.6, 0.2))
    two, other = (scores_of(readings(q))["FROC infection, slices"](np.ones(6)) for q in (0.8, 0.4))
    found = rows["all", "0.05"]
    assert found.gain is not None and found.gain.mean == pytest.approx((one - base + two - other) / 2) and found.seeds == 3
    assert found.value.mean == pytest.approx((one + two + scores_of(readings(0.0))["FROC infection, slices"](np.ones(6))) / 3)
    assert rows["error", "0.05"].gain is None and rows["FBP", "0.25"].gain is None
    assert not [dose for _, dose in rows if dose == MEAN]  # no image was judged at both doses


def test_the_mean_of_the_bridge_over_doses_pairs_seeds_doses_and_patients() -> None:
    quality = {"error": (0.2, 0.4), "segment": (0.6, 0.9), "random": (0.3, 0.4), "all": (0.5, 0.5)}
    judged = {
        (name, dose): Trainings({seed: readings(q + 0.05 * seed) for seed in seeds})
        for name, both in quality.items()
        for dose, q, seeds in zip(("0.05", "0.25"), both, ((0, 1, 2), (2, 0)), strict=True)
        if (name, dose) != ("all", "0.25")
    }
    score = "FROC infection, slices"
    rows = {(row.image, row.dose): row for row in bridge_gains(judged) if row.score == score}
    assert ("all", MEAN) not in rows  # an average over fewer doses is another number
    value = lambda name: np.mean([scores_of(readings(q + 0.05 * s))[score](np.ones(6)) for q in quality[name] for s in (0, 2)])
    found = rows["segment", MEAN]
    assert found.value.mean == pytest.approx(value("segment")) and found.seeds == 2
    assert found.gain is not None and found.gain.mean == pytest.approx(value("segment") - value("error"))
    assert found.control is not None and found.control.mean == pytest.approx(value("segment") - value("random"))
    assert rows["random", MEAN].control is None and rows["random", MEAN].gain is not None
    first, gains, *_ = summary_lines(ChestExperiment(doses=(0.25, 0.05)), {}, [], judged)
    assert "the AP of nodules under a reader" in first and "of 2 (mean of 2 doses" in first
    assert "segment " in gains and "random " in gains and "FBP" not in first + gains
