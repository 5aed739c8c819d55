"""Many comparisons of one experiment: chance gains are not confirmed, true ones are, harm is said."""

from __future__ import annotations

import numpy as np
import pytest

from taskct.evaluation.reading import correct_verdicts, task_verdict
from taskct.evaluation.reading.many_verdicts import LEVEL
from taskct.evaluation.reading.ratios import described_metrics
from taskct.evaluation.reading.task_verdict import LEADING
from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.statistics import holm
from taskct.evaluation.table import Table

DOSE = DoseLevel(0.25, 6e4)
READERS = {"S0": "training", "S1": "unseen", "S2": "unseen"}
PATIENTS, LESIONS = 20, 4


def table(gains: dict[str, float], *, found: dict[str, float] | None = None, pooled: float = 0.0, seed: int = 0) -> Table:
    """Patients of 100 lesion pixels whose Dice differs by `gains`, lesions found at equal alarms by `found`.

    `pooled` are false pixels that every other method avoids on images without a lesion: pooled Dice alone.
    """
    draws = np.random.default_rng(seed)
    rows = []
    for n in range(PATIENTS):
        for method, gain in {"plain": 0.0, **gains}.items():
            for reader in READERS:
                dice = 0.5 + gain + draws.normal(0, 0.04)
                hits = 2.0 + (found or {}).get(method, 0.0) + draws.normal(0, 0.3)
                fp = 40.0 - (pooled if method != "plain" else 0.0)
                values = {"dice": dice, "dice_retuned": dice, "ap": dice, "tp_px": 50.0, "fp_px": fp, "fn_px": 50.0}
                values |= {"lesions_found@1": hits, "lesions": LESIONS}
                for metric, value in values.items():
                    rows.append(Row(method, f"c{n}", f"p{n}", None, *DOSE, metric, "tumour", value, reader))
    about = {"metrics": described_metrics(dict.fromkeys(r.metric for r in rows))}
    return Table(rows, about, notes={"lesion_class": "tumour"}, readers=READERS)


def verdicts(of: Table) -> dict:  # type: ignore[type-arg]
    return {m: task_verdict(of, m, "plain", dose=DOSE) for m in of.methods if m != "plain"}


def test_of_many_methods_without_a_gain_none_is_confirmed_after_the_correction_and_a_true_one_is() -> None:
    of = table({f"nothing {k}": 0.0 for k in range(60)} | {"true": 0.1})
    before = verdicts(of)
    lucky = [m for m, v in before.items() if m != "true" and v.outcome == "confirmed"]
    after = correct_verdicts(before)
    assert lucky, "a family of sixty is expected to hold a chance gain"
    assert all(after[m].outcome == "too many" and "does not survive" in after[m].headline for m in lucky)
    assert after["true"].outcome == "confirmed" and after["true"].adjusted["unseen"] < LEVEL
    assert {v.comparisons for v in after.values()} == {61 * 3}  # Dice of a patient, lesions, pooled Dice
    every = holm([before[m].numbers[name].p for m in before for name in LEADING])
    assert after["true"].adjusted["unseen"] == every[list(before).index("true") * 3]


def test_the_number_of_comparisons_stands_in_the_findings() -> None:
    found = correct_verdicts(verdicts(table({"true": 0.1, "nothing": 0.0})))["true"]
    words = [f.text for f in found.findings if f.rule == "comparisons"]
    assert len(words) == 1 and f"Corrected for {found.comparisons} comparisons (Holm)" in words[0]


def test_harm_is_said_patient_by_patient_though_pooled_dice_is_higher() -> None:
    found = verdicts(table({"cautious": -0.06}, pooled=30.0))["cautious"]
    assert found.outcome == "harm" and found.headline.startswith("harm: ")
    assert found.numbers["pooled"].low > 0 > found.numbers["unseen"].high
    rules = [f.rule for f in found.cautions]
    assert rules[0] == "harm" and "pooled only" in rules
    kept = correct_verdicts({"a": found})["a"]
    assert kept.outcome == "harm"


def test_fewer_lesions_at_equal_alarms_are_harm_although_the_dice_is_equal() -> None:
    found = verdicts(table({"loses": 0.0}, found={"loses": -0.8}))["loses"]
    assert found.outcome == "harm" and "at one false alarm per image" in found.cautions[0].text
    gains = verdicts(table({"more": 0.1}, found={"more": 0.8}))["more"]
    assert gains.outcome == "confirmed" and gains.numbers["equal alarms"].mean == pytest.approx(0.2, abs=0.1)


def test_harm_that_does_not_survive_the_correction_is_called_worse_and_not_confirmed() -> None:
    before = verdicts(table({f"nothing {k}": 0.0 for k in range(8)} | {"a little": -0.03, "spoils": -0.1}))
    assert before["a little"].outcome == "harm" and before["a little"].numbers["unseen"].p < LEVEL
    after = correct_verdicts(before)
    one = after["a little"]
    assert one.adjusted["unseen"] > LEVEL
    assert one.outcome == "worse" and "not confirmed" in one.headline and "harm" not in str(one).lower()
    assert any(f.rule == "comparisons" for f in one.cautions)
    assert after["spoils"].outcome == "harm" and after["spoils"].adjusted["unseen"] < LEVEL


def test_lesions_lost_at_equal_alarms_stay_harm_by_their_own_corrected_p_value() -> None:
    before = verdicts(table({"loses": 0.0, "nothing": 0.0}, found={"loses": -0.8}))
    loses = correct_verdicts(before)["loses"]
    assert loses.outcome == "harm" and loses.adjusted["unseen"] > LEVEL > loses.adjusted["equal alarms"]
    words = [f.text for f in loses.findings if f.rule == "comparisons"]
    assert len(words) == 1 and "of lesions at one false alarm per image, -0.2" in words[0]
