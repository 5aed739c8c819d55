"""The page of a dose search: what speaks most against the dose stands under its first sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from taskct.evaluation.dose import parse_target
from taskct.evaluation.dose.answer import Certificate, DoseAnswer, TargetAnswer
from taskct.evaluation.statistics import bootstrap_mean
from taskct.physics.dose import Dose
from taskct.report.dose_answer import write_dose_answer

NAMES = tuple("abcdef")


def certificate(gaps: list[float], reader: str) -> Certificate:
    mean = bootstrap_mean(np.array(gaps), NAMES)
    target = parse_target("rmse_hu<=20")
    return Certificate(target, reader, 19.0, 12.0, mean, 0.5, mean.mean >= 0, np.array(gaps), mean)


def test_a_check_that_refutes_the_dose_comes_before_one_that_leaves_it_open(tmp_path: Path) -> None:
    gaps = np.tile([-5.0, 0.5, 8.0], (6, 1))
    target = TargetAnswer(
        target=parse_target("rmse_hu<=20"), levels=np.array([1e4, 5e5, 1e6]), values=20 - gaps, gap=gaps, patients=NAMES,
        held_by="mean", photons=5e5, low=4e5, high=6e5, confirmed=1e6, needed=np.full(6, 5e5), between=5e3,
    )  # fmt: skip
    unsure, refuted = certificate([1, -2, 3, 1, -2, 3], ""), certificate([-1, -2, -1, -2, -3, -1], "reader-b")
    answer = DoseAnswer((target,), (unsure, refuted), Dose(1e6), photons=5e5)
    write_dose_answer(answer, tmp_path / "a.html")
    first = lambda name: (tmp_path / name).read_text().split("class='but'>")[1].split("</p>")[0]
    assert "reader-b" in first("a.html") and "does not hold" in first("a.html")
    write_dose_answer(replace(answer, certificates=(unsure,)), tmp_path / "b.html")
    assert "is neither confirmed nor refuted" in first("b.html")
