from __future__ import annotations

import math
import re

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.core.names import THIN
from taskct.evaluation.reading import dose_curve, needed_dose
from taskct.evaluation.reading.task_curves import crossing, monotone
from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.table import Table

FRACTIONS = (0.05, 0.1, 0.2, 0.5)


def table(slope: float = 0.1, *, spread: float = 0.02, full: float = 0.8, seed: int = 0) -> Table:
    """Dice that falls by `slope` per halving of the dose below the full one, 12 patients, 3 seeds."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(12):
        who, own = f"p{k}", 0.05 * rng.normal()
        rows.append(Row("full dose", who, who, None, 1.0, 1e5, "dice", "tumour", full + own, "S1"))
        for fraction in FRACTIONS:
            for s in range(3):
                value = full + own + slope * math.log2(fraction) + spread * rng.normal()
                rows.append(Row("net", who, who, None, fraction, 1e5, "dice", "tumour", value, "S1", s))
    return Table(rows, readers={"S1": "unseen"})


def need(found: Table, margin: float, **more: object):
    return needed_dose(found, "net", margin=margin, metric="dice", **more)  # type: ignore[arg-type]


def test_the_needed_dose_is_where_the_law_says():
    # slope 0.1 per halving: a margin of 0.2 is met at a quarter of 1e5 photons, interpolated between 0.2 and 0.5.
    found = need(table(), 0.2)
    assert found.estimate == pytest.approx(2.5e4, rel=0.1)
    assert found.low < 2.5e4 < found.high and found.confirmed == pytest.approx(5e4)
    assert "within 0.2 of full dose at" in found.text and f"confirmed from 50{THIN}000 on" in found.text


def test_a_needed_dose_has_no_more_digits_than_its_interval_leaves_and_few_patients_confirm_none():
    found = need(table(spread=0.2), 0.2)
    assert found.high > 1.5 * found.low and re.search(rf"at about \d0{THIN}000 photons", found.text), found.text
    few = Table([r for r in table().rows if r.patient in ("p0", "p1", "p2", "p3")], readers={"S1": "unseen"})
    assert math.isnan(need(few, 0.4).confirmed) and "not confirmed at any dose" in need(few, 0.4).text


def test_the_interval_of_the_dose_covers_it():
    hits = sum((f := need(table(spread=0.06, seed=s), 0.2, resamples=300)).low <= 2.5e4 <= f.high for s in range(40))
    assert hits >= 34  # 95 % of 40 is 38; fewer than 34 has a probability below 2 %


def test_a_margin_that_is_not_reached_is_said_to_be_so():
    found = need(table(slope=0.3), 0.05)
    assert math.isnan(found.estimate) and math.isnan(found.confirmed)
    assert f"is not reached at up to 50{THIN}000 photons" in found.text


def test_a_margin_that_is_met_at_once_is_not_extrapolated():
    found = need(table(slope=0.001), 0.1)
    assert found.estimate == pytest.approx(5e3) and f"at 5{THIN}000 photons, the lowest dose that was measured" in found.text
    assert found.confirmed == pytest.approx(5e3)


def test_a_curve_has_an_interval_at_each_dose_and_full_dose_beside_it():
    curve = dose_curve(table(), "net", metric="dice")
    assert [d.fraction for d in curve.doses] == list(FRACTIONS)
    means = [p.mean for p in curve.points]
    assert means == sorted(means) and all(p.low < p.mean < p.high for p in curve.points)
    assert curve.full.mean == pytest.approx(0.8, abs=0.05) and curve.points[0].n_seeds == 3


def test_for_measures_where_less_is_better_the_margin_is_an_excess():
    rows = [r._replace(metric="rmse_hu", value=-r.value, region="all") for r in table().rows]
    found = needed_dose(Table(rows, readers={"S1": "unseen"}), "net", margin=0.2, metric="rmse_hu", region="all")
    assert found.estimate == pytest.approx(need(table(), 0.2).estimate)


def test_pooling_neighbours_is_the_nearest_rising_sequence():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=6)
        fitted = monotone(values)
        assert (np.diff(fitted) >= 0).all() and fitted.mean() == pytest.approx(values.mean())
        rivals = np.sort(fitted + 0.1 * rng.normal(size=(200, 6)), axis=1)
        assert ((rivals - values) ** 2).sum(1).min() >= ((fitted - values) ** 2).sum() - 1e-12


def test_a_dip_does_not_make_two_crossings():
    photons = np.array([1e3, 2e3, 4e3, 8e3])
    assert 2e3 < crossing(photons, np.array([-0.3, -0.05, -0.2, 0.0]), -0.1) < 8e3
    assert math.isnan(crossing(photons, np.array([-0.3, -0.2, -0.2, -0.15]), -0.1))
    assert math.isnan(crossing(photons, np.full(4, math.nan), -0.1))  # not defined is not reached at once


def test_impossible_requests_are_refused():
    with pytest.raises(InputError, match="margin above 0"):
        need(table(), 0.0)
    with pytest.raises(InputError, match="'net' was read at 4 doses, expected one as full dose"):
        need(table(), 0.1, full="net")
    assert need(table(), 0.2, full="net", full_dose=DoseLevel(0.5, 1e5)).estimate < 2.5e4
