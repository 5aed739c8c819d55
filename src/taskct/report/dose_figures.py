"""Figures of a dose search: quality over dose with its interval, and the photons that each patient needs."""

from __future__ import annotations

import math

import numpy as np

from taskct.core.names import capital, photon_count
from taskct.evaluation.dose.answer import TargetAnswer
from taskct.evaluation.dose.target import Target
from taskct.physics.dose import Dose
from taskct.report.style import INK, figure_style, new_figure, photon_axis, plain, svg_uri

_MOST_CURVES = 60


def curve_figure(answer: TargetAnswer, dose: Dose, photons: float) -> str:
    """Quality over dose: every patient, the mean with its interval, the bound, and the dose that was found."""
    with figure_style():
        figure, axes = new_figure(5.6, 3.5)
        axis = axes[0, 0]
        several = len(answer.values) > 1
        for row in answer.values[:_MOST_CURVES] if several else ():
            axis.plot(answer.levels, row, color="#9fb8c8", linewidth=0.7)
        points = answer.points
        means = np.array([p.mean for p in points])
        axis.plot(answer.levels, means, color="#0072b2", marker="o", label="mean over patients" if several else "the patient")
        low, high = (np.array([getattr(p, end) for p in points]) for end in ("low", "high"))
        if np.isfinite(low).all():
            axis.fill_between(answer.levels, low, high, color="#0072b2", alpha=0.15, linewidth=0, label="95 % interval")
        t = answer.target
        full = float(np.nanmean(answer.values[:, -1]))
        axis.axhline(t.bound * full if t.of_full else t.bound, color="#d55e00", linestyle="--", label=plain(capital(t.words)))
        if not math.isnan(photons):
            axis.axvline(photons, color=INK, linewidth=1, label="the dose found")
        axis.set(
            xscale="log",
            xlabel=f"photons per pixel (full dose: {photon_count(dose.photons)})",
            ylabel=quality_label(t, gap=False),
        )
        photon_axis(axis)
        axis.legend(loc="best", fontsize=7.5)
        return svg_uri(figure)


def needed_figure(answer: TargetAnswer) -> str:
    """Photons that each patient needs alone, sorted; who is not served at full dose stands apart at the right."""
    needed = answer.needed
    order = np.sort(needed[np.isfinite(needed)])
    asked = int(np.isfinite(answer.gap).any(1).sum())  # patients without the class are not asked
    with figure_style():
        figure, axes = new_figure(5.2, 3.4)
        axis = axes[0, 0]
        axis.plot(order, np.arange(1, len(order) + 1) / max(1, asked), drawstyle="steps-post", color="#0072b2")
        axis.set(xscale="log", xlabel="photons per pixel", ylabel="share of patients that reach it", ylim=(0, 1.02))
        photon_axis(axis)
        return svg_uri(figure)


def quality_label(target: Target, *, gap: bool = True) -> str:
    """The label of an axis that shows a target's quality, with its unit."""
    if target.of_full and gap:
        return plain(f"{target.quality} minus {target.bound:g} of full dose")
    unit = f" / {target.unit}" if target.unit else ""
    return plain(f"{target.quality}{unit}")
