"""Figures of strategies: one point per patient, and forecasts beside what was achieved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taskct.report.dose_figures import quality_label
from taskct.report.style import GREY, INK, figure_style, method_looks, new_figure, plain, svg_uri
from taskct.systems.alara.rivals.calibration import calibration
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome


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
            ylabel=quality_label(target),
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
            xlabel="forecast before the scan", ylabel=f"achieved: {quality_label(comparison.target)}", title="Calibration"
        )
        return svg_uri(figure), str(found)
