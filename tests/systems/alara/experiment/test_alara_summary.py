"""The table of the dose experiment."""

from __future__ import annotations

import numpy as np

from taskct.evaluation.dose import parse_target
from taskct.systems.alara.experiment.alara_summary import summary_text
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome


def test_no_name_in_the_summary_is_a_formula() -> None:
    target = parse_target("rmse_hu<=10")
    found = Comparison(target, "mean", ("p", "q"), (Outcome("=fixed", 1.0, np.ones(2), np.array([9.0, 8.0])),))
    head, first = summary_text([("@arm", found)]).splitlines()
    assert head.startswith("comparison,target,held_by,strategy") and first.startswith("'@arm,rmse_hu<=10,mean,'=fixed,")
