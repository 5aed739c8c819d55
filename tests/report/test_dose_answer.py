"""The page of a dose search: what speaks most against the dose stands under its first sentence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from taskct.core.names import THIN
from taskct.evaluation.dose import parse_target
from taskct.evaluation.dose.answer import Certificate, DoseAnswer, TargetAnswer
from taskct.evaluation.statistics import bootstrap_mean
from taskct.physics.dose import Dose
from taskct.report.dose_answer import write_dose_answer
from taskct.report.style import figure_style, new_figure, photon_axis

NAMES = tuple("abcdef")


def certificate(gaps: list[float], reader: str) -> Certificate:
    mean = bootstrap_mean(np.array(gaps), NAMES)
    target = parse_target("rmse_hu<=20")
    return Certificate(target, reader, 19.0, 12.0, mean, 0.5, mean.mean >= 0, np.array(gaps), mean)


def search_answer(gaps: np.ndarray, *, quality: str = "rmse_hu<=20") -> TargetAnswer:
    return TargetAnswer(
        target=parse_target(quality), levels=np.array([1e4, 5e5, 1e6]), values=20 - gaps, gap=gaps, patients=NAMES,
        held_by="mean", photons=5e5, low=4e5, high=6e5, confirmed=1e6, needed=np.full(6, 5e5), between=5e3,
    )  # fmt: skip


def test_the_first_sentence_holds_the_interval_and_patients_without_the_class_are_named(tmp_path: Path) -> None:
    gaps = np.tile([-0.5, -0.1, 0.8], (6, 1))
    gaps[0] = np.nan
    one = search_answer(gaps, quality="tumour.dice>=0.9")
    checked = certificate([1, -2, 3, 1, -2, 3], "")
    write_dose_answer(DoseAnswer((one,), (checked,), Dose(1e6), photons=5e5), tmp_path / "a.html")
    html = (tmp_path / "a.html").read_text().replace(THIN, " ")
    sentence = html.split("class='answer'>")[1].split("</p>")[0]
    assert sentence.endswith("% of full dose [95 % over 5 patients: 400 000 to 600 000]; confirmed from 1 000 000 photons on.")
    lead = html.split("class='lead'>")[1].split("</p>")[0]
    assert lead.startswith("6 patients scanned") and "asked of the 5 patients who have a tumour" in lead
    assert "<b>5 of 5 patients miss the bound</b>" in html and "by the scans of the search" in html


def test_the_labels_of_an_axis_of_photons_stand_apart() -> None:
    for limits in ((2e3, 7e4), (3e4, 5e4), (1e3, 1e7), (9e5, 3e6)):
        with figure_style():
            figure, axes = new_figure(5.2, 3.4)
            axes[0, 0].set(xscale="log", xlim=limits)
            photon_axis(axes[0, 0])
            figure.canvas.draw()
            shown = [t for t in axes[0, 0].get_xticklabels(which="both") if t.get_text()]
            boxes = sorted((t.get_window_extent() for t in shown), key=lambda b: b.x0)
        inside = [b for b in boxes if axes[0, 0].bbox.x0 - 1 <= (b.x0 + b.x1) / 2 <= axes[0, 0].bbox.x1 + 1]
        assert len(inside) >= 2 and all(a.x1 + 3 < b.x0 for a, b in pairwise(inside))


def test_a_check_that_refutes_the_dose_comes_before_one_that_leaves_it_open(tmp_path: Path) -> None:
    gaps = np.tile([-5.0, 0.5, 8.0], (6, 1))
    target = search_answer(gaps)
    unsure, refuted = certificate([1, -2, 3, 1, -2, 3], ""), certificate([-1, -2, -1, -2, -3, -1], "reader-b")
    answer = DoseAnswer((target,), (unsure, refuted), Dose(1e6), photons=5e5)
    write_dose_answer(answer, tmp_path / "a.html")
    first = lambda name: (tmp_path / name).read_text().split("class='but'>")[1].split("</p>")[0]
    assert "reader-b" in first("a.html") and "does not hold" in first("a.html")
    write_dose_answer(replace(answer, certificates=(unsure,)), tmp_path / "b.html")
    assert "is neither confirmed nor refuted" in first("b.html")
