"""Intervals of what a share of patients reaches."""

import math

import numpy as np
from dose_subjects import NOISE, SUBJECTS, smooth

from taskct.evaluation.dose import DoseSearch, optimise_dose
from taskct.evaluation.dose.intervals import share_interval
from taskct.physics.dose import Dose


def test_a_share_of_patients_is_confirmed_by_its_own_interval() -> None:
    names = [f"p{k}" for k in range(40)]
    gap = np.arange(40.0)
    rng = np.random.default_rng(0)
    # the true 10 % quantile of a normal gap lies in the interval in 95 % of studies or more: order statistics are discrete
    studies = [share_interval(rng.normal(size=60), [str(k) for k in range(60)], 0.9) for _ in range(300)]
    inside = [i.low <= -1.2816 and not i.high < -1.2816 for i in studies]
    assert 0.93 <= np.mean(inside) <= 1
    assert share_interval(gap, names, 0.9).low == 0 and share_interval(gap, names, 0.9).mean == 4
    assert math.isnan(share_interval(gap[:35], names[:35], 0.9).low) and math.isnan(share_interval(gap, names, 1.0).low)
    answer = optimise_dose(smooth, SUBJECTS, None, Dose(1e6), keep=NOISE, search=DoseSearch(held_by=1.0), progress=False)
    assert answer.reached and "not confirmed at any measured dose" in answer.text  # six patients do not speak for all
