"""Figures of strategies: one point per patient, and forecasts beside what was achieved."""

from __future__ import annotations

import numpy as np

from taskct.report.dose_figures import quality_label
from taskct.report.style import GREY, INK, figure_style, method_looks, new_figure, photon_axis, plain, svg_uri
from taskct.systems.alara.rivals.calibration import calibration
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome


def scatter_figure(comparison: Comparison) -> str:
    """Dose and quality of every patient under every strategy: a data URI of SVG."""
    looks = method_looks([o.strategy for o in comparison.outcomes])
    with figure_style():
        figure, axes = new_figure(5.8, 4.2)
        axis = axes[0, 0]
        for one in comparison.outcomes:
            look = looks[one.strategy]
            axis.scatter(
                one.photons,
                _quality(comparison, one),
                s=16,
                alpha=0.6,
                color=look["color"],
                marker=look["marker"],
                label=plain(one.strategy),
                linewidth=0,
            )
        axis.axhline(_bound(comparison), color=GREY, linestyle=":", linewidth=1.2)
        axis.set(
            xscale="log",
            xlabel="photons per pixel, mean over views",
            ylabel=quality_label(comparison.target),
            title="One point per patient",
        )
        photon_axis(axis)
        axis.legend(loc="best", fontsize=7.5)
        return svg_uri(figure)


def spread_figure(comparison: Comparison) -> str:
    """How the quality of the patients spreads under every strategy, with its mean: a data URI of SVG."""
    shown = comparison.outcomes
    looks = method_looks([o.strategy for o in shown])
    with figure_style():
        figure, axes = new_figure(4.4, 4.2)
        axis = axes[0, 0]
        for k, one in enumerate(shown):
            y = _quality(comparison, one)
            kept = y[np.isfinite(y)]
            shift = np.random.default_rng(0).uniform(-0.18, 0.18, len(kept))
            axis.scatter(k + shift, kept, s=9, alpha=0.5, color=looks[one.strategy]["color"], linewidth=0)
            if len(kept):
                axis.plot([k - 0.3, k + 0.3], [kept.mean()] * 2, color=INK, linewidth=1.5)
        axis.axhline(_bound(comparison), color=GREY, linestyle=":", linewidth=1.2)
        axis.set(title="Spread over patients (bar: mean)", xticks=range(len(shown)), ylabel=quality_label(comparison.target))
        axis.set_xticklabels([plain(o.strategy, most=24) for o in shown], rotation=35, ha="right", fontsize=7.5)
        return svg_uri(figure)


def _quality(comparison: Comparison, one: Outcome) -> np.ndarray:
    """What is drawn of each patient: the quality, or its distance to a share of full dose's."""
    return comparison.gaps(one) if comparison.target.of_full else one.values


def _bound(comparison: Comparison) -> float:
    return 0.0 if comparison.target.of_full else comparison.target.bound


def forecast_figure(comparison: Comparison, one: Outcome) -> tuple[str, str]:
    """Forecast against achieved quality: a data URI and its numbers in words, both '' where nothing was forecast."""
    if one.forecast is None:
        return "", ""
    y = _quality(comparison, one)
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
