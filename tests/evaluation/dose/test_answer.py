"""An answer claims only what its interval shows."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from taskct.core.names import THIN
from taskct.evaluation.dose import parse_target
from taskct.evaluation.dose.answer import Certificate, DoseAnswer, TargetAnswer
from taskct.evaluation.dose.intervals import dose_interval, share_interval
from taskct.evaluation.statistics import bootstrap_mean
from taskct.physics.dose import Dose


def certificate(gaps: list[float], held_by: str | float = "mean") -> Certificate:
    values, names = np.array(gaps), tuple("abcdefgh"[: len(gaps)])
    mean = bootstrap_mean(values, names)
    criterion = mean if held_by == "mean" else share_interval(values, names, float(held_by))
    return Certificate(parse_target("rmse_hu<=20"), "", 1.0, 1.0, mean, 1.0, True, values, criterion)


def test_it_holds_only_where_the_interval_does() -> None:
    sure, unsure, missed = (
        certificate([1, 2, 3, 1, 2, 3]),
        certificate([1, -2, 3, 1, -2, 3]),
        certificate([-1, -2, -1, -2, -3]),
    )
    assert sure.proven and sure.text().startswith("Checked with fresh noise, an RMSE of at most 20 HU holds: it is 1 HU (")
    assert "2 HU better than the bound [95 %: 1.2 to 2.8 HU better]" in sure.text()
    assert not unsure.proven and " is neither confirmed nor refuted: " in unsure.text()
    assert "[95 %: 1.5 HU worse to 2.7 HU better]" in unsure.text()
    assert not missed.proven and " does not hold: " in missed.text() and "1.8 HU worse than the bound" in missed.text()
    assert "95 %" not in certificate([1, 2, 3]).text()
    assert not certificate([1, 2, 3]).proven  # too few
    assert "100 % of 6 patients reach it" in sure.text() and "% of" not in certificate([1]).text()
    assert not certificate([5, 5, 5, 5, 5, -9], 0.5).proven and certificate([5, 5, 5, 5, 5, 1], 0.5).proven


@pytest.mark.parametrize("times", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_a_check_has_no_powers_of_ten_however_large_its_numbers_are(times: float) -> None:
    for gaps in ([1, 2, 3, 1, 2, 3], [-1, -2, -1, -2, -3], [1, -2, 3, 1, -2, 3]):
        one = certificate([times * gap for gap in gaps])
        said = replace(one, value=123.4 * times, full=times).text()
        assert re.search(r"\de[+-]?\d", said) is None and f" HU {'better' if sum(gaps) > 0 else 'worse'} than" in said


def test_a_check_on_the_bound_is_neither_better_nor_worse() -> None:
    assert "just at the bound" in certificate([0, 0, 0]).text()
    assert "nan better" not in certificate([np.nan]).text() and "nan worse" not in certificate([np.nan]).text()


def test_a_dose_that_was_found_is_told_with_what_was_asked() -> None:
    found = DoseAnswer((), (certificate([1, 2, 3]),), Dose(1e6), photons=123456.7, ctdi_vol_mgy_full=10.0)
    head, certified = found.text.split("\n")
    assert head.replace(THIN, " ") == "123 000 photons per pixel, 12.3 % of full dose, CTDIvol 1.23 mGy of 10" and certified
    assert found.reached and abs(found.ctdi_vol_mgy - 1.234567) < 1e-9  # type: ignore[operator]
    missed = DoseAnswer((), (), Dose(1e6), photons=float("nan"))
    assert not missed.reached and missed.ctdi_vol_mgy is None
    assert missed.text.replace(THIN, " ") == "no dose up to 1 000 000 photons keeps what was asked"


def test_an_interval_without_an_upper_end_leaves_few_digits() -> None:
    nan = float("nan")
    gaps = np.zeros((6, 3))
    told = {
        high: TargetAnswer(
            target=parse_target("rmse_hu<=20"), levels=np.array([1e5, 5e5, 1e6]), values=gaps, gap=gaps,
            patients=tuple("abcdef"), held_by="mean", photons=456_789.0, low=4e5, high=high, confirmed=nan,
            needed=np.full(6, nan), between=4_000.0,
        ).digits
        for high in (8e5, 4.1e5, nan)
    }  # fmt: skip
    assert told[nan] == told[8e5] == 1 < told[4.1e5]


def test_patients_without_the_class_are_not_counted() -> None:
    nan, gaps = float("nan"), np.full((6, 3), np.nan)
    gaps[:2] = [[-1.0, 0.5, 1.0], [-2.0, 0.5, 1.0]]
    levels, names = np.array([1e5, 5e5, 1e6]), tuple("abcdef")
    low, high = dose_interval(levels, gaps, names, "mean", 0)
    found = TargetAnswer(
        target=parse_target("tumour.dice>=0.5"), levels=levels, values=gaps, gap=gaps, patients=names, held_by="mean",
        photons=4e5, low=low, high=high, confirmed=5e5, needed=np.full(6, nan), between=8e3,
    )  # fmt: skip
    assert found.asked == 2
    assert "95 % over 2 patients" in found.text(Dose(1e6)) and "2 patients are too few" in found.text(Dose(1e6))
    one = dose_interval(levels, gaps[1:], names[1:], "mean", 0)
    assert all(np.isnan(one))  # a single patient with the class has no interval


def test_each_scan_of_a_patient_keeps_the_photons_it_needs() -> None:
    levels = np.array([1e3, 1e4])
    values = np.array([[30.0, 10.0], [25.0, 5.0], [40.0, 15.0]])
    answer = TargetAnswer(
        target=parse_target("rmse_hu<=20"),
        levels=levels,
        values=values,
        gap=20 - values,
        patients=("p0", "p1", "p0"),
        held_by="mean",
        photons=5e3,
        low=1e3,
        high=1e4,
        confirmed=1e4,
        needed=np.array([3e3, 2e3, 7e3]),
    )
    told = DoseAnswer((answer,), (), Dose(1e4), photons=5e3).summary()["targets"][0]["needed"]
    assert told == {"p0, scan 1": 3e3, "p1": 2e3, "p0, scan 2": 7e3}
    rows = list(csv.DictReader(DoseAnswer((answer,), (), Dose(1e4), photons=5e3).csv_text().splitlines()))
    assert [float(r["value"]) for r in rows if r["scan"] == "p0, scan 2" and r["patient"] == "p0"] == [40.0, 15.0]
