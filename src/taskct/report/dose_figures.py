"""Figures of dose and quality: one point per patient, curves with intervals, forecasts against what came out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from taskct.core.words import photon_count
from taskct.evaluation.dose.answer import TargetAnswer
from taskct.evaluation.dose.calibration import calibration
from taskct.evaluation.dose.comparison import Comparison, Outcome
from taskct.evaluation.dose.target import Target
from taskct.physics.dose import Dose
from taskct.report.style import GREY, INK, figure_style, method_looks, new_figure, plain, svg_uri

_MOST_CURVES = 60


def scatter_figure(comparison: Comparison, names: Sequence[str] | None = None) -> str:
    """Dose and quality of every patient under every strategy, and how the quality spreads: a data URI of SVG."""
    shown = [o for o in comparison.outcomes if names is None or o.strategy in names]
    looks = method_looks([o.strategy for o in shown])
    target = comparison.target
    with figure_style():
        figure, axes = new_figure(10.2, 4.2, cols=2, gridspec_kw={"width_ratios": [3, 2]})
        left, right = axes[0]
        for k, one in enumerate(shown):
            look = looks[one.strategy]
            y = comparison.gaps(one) if target.of_full else one.values
            left.scatter(
                one.photons,
                y,
                s=16,
                alpha=0.6,
                color=look["color"],
                marker=look["marker"],
                label=plain(one.strategy),
                linewidth=0,
            )
            kept = y[np.isfinite(y)]
            shift = np.random.default_rng(0).uniform(-0.18, 0.18, len(kept))
            right.scatter(k + shift, kept, s=9, alpha=0.5, color=look["color"], linewidth=0)
            if len(kept):
                right.plot([k - 0.3, k + 0.3], [kept.mean()] * 2, color=INK, linewidth=1.5)
        bound = 0.0 if target.of_full else target.bound
        for axis in (left, right):
            axis.axhline(bound, color=GREY, linestyle=":", linewidth=1.2)
        left.set(
            xscale="log",
            xlabel="photons per pixel, mean over views",
            ylabel=_quality_label(target),
            title="One point per patient",
        )
        left.legend(loc="best", fontsize=7.5)
        right.set(title="Spread over patients (bar: mean)", xticks=range(len(shown)))
        right.set_xticklabels([plain(o.strategy, most=24) for o in shown], rotation=35, ha="right", fontsize=7.5)
        return svg_uri(figure)


def forecast_figure(comparison: Comparison, one: Outcome) -> tuple[str, str]:
    """Forecast against achieved quality: a data URI and its numbers in words, both '' where nothing was forecast."""
    if one.forecast is None:
        return "", ""
    y = comparison.gaps(one) if comparison.target.of_full else one.values
    keep = np.isfinite(one.forecast) & np.isfinite(y)
    if keep.sum() < 2:
        return "", ""
    found = calibration(one.forecast[keep], y[keep])
    with figure_style():
        figure, axes = new_figure(4.2, 3.8)
        axis = axes[0, 0]
        axis.scatter(one.forecast[keep], y[keep], s=18, alpha=0.7, linewidth=0)
        ends = [float(min(one.forecast[keep].min(), y[keep].min())), float(max(one.forecast[keep].max(), y[keep].max()))]
        axis.plot(ends, ends, color=GREY, linestyle=":")
        axis.set(
            xlabel="forecast before the scan", ylabel=f"achieved: {_quality_label(comparison.target)}", title="Calibration"
        )
        return svg_uri(figure), str(found)


def curve_figure(answer: TargetAnswer, dose: Dose, photons: float) -> str:
    """Quality over dose: every patient, the mean with its interval, the bound, and the dose that was found."""
    with figure_style():
        figure, axes = new_figure(7.2, 4.0)
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
        axis.axhline(t.bound * full if t.of_full else t.bound, color="#d55e00", linestyle="--", label=plain(str(t)))
        if not math.isnan(photons):
            axis.axvline(photons, color=INK, linewidth=1, label=f"{photon_count(photons, digits=4)} photons")
        axis.set(
            xscale="log",
            xlabel=f"photons per pixel (full dose: {photon_count(dose.photons)})",
            ylabel=_quality_label(t, gap=False),
        )
        axis.legend(loc="best", fontsize=8)
        return svg_uri(figure)


def needed_figure(answer: TargetAnswer) -> str:
    """Photons that each patient needs alone, sorted; who is not served at full dose stands apart at the right."""
    needed = answer.needed
    order = np.sort(needed[np.isfinite(needed)])
    with figure_style():
        figure, axes = new_figure(5.2, 3.4)
        axis = axes[0, 0]
        axis.plot(order, np.arange(1, len(order) + 1) / len(needed), drawstyle="steps-post", color="#0072b2")
        axis.set(xscale="log", xlabel="photons per pixel", ylabel="share of patients that reach it", ylim=(0, 1.02))
        return svg_uri(figure)


def _quality_label(target: Target, *, gap: bool = True) -> str:
    if target.of_full and gap:
        return plain(f"{target.key} minus {target.bound:g} of full dose")
    unit = f" / {target.unit}" if target.unit else ""
    return plain(f"{target.key}{unit}")
