"""An answer claims only what its interval shows."""

import numpy as np

from taskct.evaluation.dose import parse_target
from taskct.evaluation.dose.answer import Certificate
from taskct.evaluation.dose.intervals import share_interval
from taskct.evaluation.statistics import bootstrap_mean


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
    assert sure.proven and ", it holds:" in sure.text()
    assert not unsure.proven and ", not separated from the bound:" in unsure.text()
    assert not missed.proven and ", it does not hold:" in missed.text()
    assert not certificate([1, 2, 3]).proven  # too few
    assert "100 % of 6 patients reach it" in sure.text() and "% of" not in certificate([1]).text()
    assert not certificate([5, 5, 5, 5, 5, -9], 0.5).proven and certificate([5, 5, 5, 5, 5, 1], 0.5).proven
