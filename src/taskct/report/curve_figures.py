"""Figures of numbers: dose curves with intervals, line profiles, noise power spectra."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from taskct.evaluation.noise_power_spectrum import noise_power_spectrum, quiet_square
from taskct.evaluation.profiles import line_profile
from taskct.evaluation.rows import DoseLevel, Example
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table
from taskct.geometry import Grid
from taskct.report.number_text import by_fraction, dose_label
from taskct.report.style import GREY, INK, figure_style, method_looks, new_figure, plain, svg_uri

MOST_PANELS = 6
_SPREAD = 0.035  # decades between neighbouring methods, so that error bars do not hide one another


def dose_curves(table: Table, metrics: Sequence[str]) -> str:
    """`dose_curve_figure` as SVG in a data URI."""
    with figure_style():
        return svg_uri(dose_curve_figure(table, metrics))


def dose_curve_figure(table: Table, metrics: Sequence[str]) -> Any:
    """Each metric against dose on a logarithmic axis, a line per method with its interval: a matplotlib Figure."""
    shown = list(metrics)[:MOST_PANELS]
    looks = method_looks(table.methods)
    cols = min(3, len(shown))
    rows = -(-len(shown) // cols)
    with figure_style():
        figure, axes = new_figure(3.4 * cols + 0.3, 2.55 * rows + 0.55, rows=rows, cols=cols)
        for panel, metric in zip(axes.flat, shown, strict=False):
            _dose_panel(panel, table, metric, looks)
        for panel in axes.flat[len(shown) :]:
            panel.set_visible(False)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        if len(table.methods) > 1:
            figure.legend(handles, labels, loc="outside upper center", ncols=min(6, len(labels)))
    return figure


def _dose_panel(axes: Any, table: Table, metric: str, looks: dict[str, dict[str, Any]]) -> None:
    about = table.label(metric)
    doses = table.doses[::-1]
    fraction = by_fraction(doses)
    where = np.array([100 * d.fraction if fraction else d.used_photons for d in doses])
    cells = {(s.method, s.dose): s.interval for s in table.summary(metric)}
    points = {m: [(x, cells[m, d]) for x, d in zip(where, doses, strict=True) if (m, d) in cells] for m in table.methods}
    draw_intervals(axes, points, looks)
    if about["better"] == "zero":
        axes.axhline(0, color=GREY, linewidth=0.9)
    axes.set_xscale("log")
    axes.set_xticks(where, [dose_label(d, doses).removesuffix(" photons") for d in doses])
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel("dose, fraction of full" if fraction else "photons per detector pixel")
    axes.set_ylabel(about["unit"] or "index")
    axes.set_title(plain(about["label"]))


def draw_intervals(
    axes: Any, points: Mapping[str, Sequence[tuple[float, Interval]]], looks: Mapping[str, Mapping[str, Any]]
) -> None:
    """A line with error bars for each name through its (x, interval), a little apart along a logarithmic x."""
    for i, (name, found) in enumerate(points.items()):
        known = [(x, interval) for x, interval in found if math.isfinite(interval.mean)]
        if not known:
            continue
        x = np.array([place for place, _ in known]) * 10 ** (_SPREAD * (i - (len(points) - 1) / 2))
        y = np.array([one.mean for _, one in known])
        ends = np.array([[one.mean - one.low, one.high - one.mean] for _, one in known]).T
        ends = np.where(np.isfinite(ends), np.maximum(ends, 0), 0)
        axes.errorbar(x, y, yerr=ends, label=plain(name, most=28), capsize=2.5, elinewidth=1.0, **looks[name])


def profile_figure(example: Example, methods: Sequence[str], dose: DoseLevel, *, row: int, cols: tuple[int, int]) -> str:
    """HU along one image row, a panel per method over the truth; SVG as a data URI, '' where no method has an image."""
    grid = Grid(tuple(example.truth_hu.shape), example.spacing_mm)
    y_mm, x_mm = grid.axes_mm()
    start_mm, end_mm = (y_mm[row], x_mm[cols[0]]), (y_mm[row], x_mm[cols[1] - 1])
    shown = [m for m in methods if (m, dose) in example.recon_hu]
    if not shown:
        return ""
    looks = method_looks(methods)
    across = min(3, len(shown))
    rows = -(-len(shown) // across)
    with figure_style():
        figure, axes = new_figure(3.4 * across + 0.3, 2.1 * rows + 0.3, rows=rows, cols=across, sharex=True, sharey=True)
        place, truth = line_profile(example.truth_hu[None, None], grid, start_mm=start_mm, end_mm=end_mm)
        for panel, method in zip(axes.flat, shown, strict=False):
            _, values = line_profile(example.recon_hu[method, dose][None, None], grid, start_mm=start_mm, end_mm=end_mm)
            panel.plot(place, values[0].numpy(), color=looks[method]["color"], linewidth=1.3)
            panel.plot(place, truth[0].numpy(), color=INK, linewidth=1.0, linestyle=(0, (4, 1.5)))
            panel.set_title(plain(method, most=36))
        for panel in axes.flat[len(shown) :]:
            panel.set_visible(False)
        if float(truth.median()) > -200:  # air at the ends of the line would flatten the tissue
            low, high = axes[0, 0].get_ylim()
            axes[0, 0].set_ylim(max(low, -400), high)
        for panel in axes[:, 0]:
            panel.set_ylabel("HU")
        last = [axes[-1, c] if (rows - 1) * across + c < len(shown) else axes[-2, c] for c in range(across)]
        for panel in last:
            panel.set_xlabel("position / mm")
            panel.tick_params(labelbottom=True)
        return svg_uri(figure)


def texture_figure(table: Table, dose: DoseLevel) -> tuple[str, str] | None:
    """Noise power spectra of every method in the most uniform squares of the kept images; SVG data URI and a caption.

    None when no kept image has a square of 16 samples or more inside the body.
    """
    squares = [(e, *found) for e in table.images if (found := _noise_square(e)) is not None]
    if not squares:
        return None
    size = min(s for *_, s in squares)
    spacing = squares[0][0].spacing_mm
    squares = [s for s in squares if s[0].spacing_mm == spacing]
    looks = method_looks(table.methods)
    with figure_style():
        figure, axes = new_figure(7.6, 2.75, cols=2)
        for method in table.methods:
            parts = []
            for example, y, x, _ in squares:
                if (method, dose) in example.recon_hu:
                    error = example.recon_hu[method, dose] - example.truth_hu
                    parts.append(error[y : y + size, x : x + size])
            if not parts:
                continue
            frequency, power = noise_power_spectrum(torch.stack(parts)[:, None], spacing_mm=spacing)
            style = {k: v for k, v in looks[method].items() if k != "marker"}
            axes[0, 0].semilogy(frequency, np.maximum(power, 1e-12), label=plain(method, most=28), **style)
            area = np.trapezoid(power, frequency)
            if area > 0:
                axes[0, 1].plot(frequency, power / area, label=plain(method, most=28), **style)
        axes[0, 0].set(xlabel="spatial frequency / mm⁻¹", ylabel="power / HU² mm²", title="Noise power")
        axes[0, 1].set(xlabel="spatial frequency / mm⁻¹", ylabel="share / mm", title="Noise texture (area 1)")
        axes[0, 1].set_ylim(bottom=0)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
        uri = svg_uri(figure)
    names = ", ".join(f"{e.case} slice {e.slice}" for e, *_ in squares)
    caption = (
        f"Radially averaged spectrum of reconstruction minus truth in the most uniform square of {size} × {size} pixels "
        f"({size * spacing[0]:.0f} mm) of {names}, at {dose_label(dose, table.doses)} dose: "
        "one noise realisation each, and whatever blur or structure the error holds."
    )
    return uri, caption


def _noise_square(example: Example) -> tuple[int, int, int] | None:
    """Corner and size of the largest quiet square (48, 32, 24 or 16 samples) of soft tissue in an example."""
    soft = (example.truth_hu > -150) & (example.truth_hu < 250)
    if example.mask is not None:
        soft &= example.mask
    for size in (48, 32, 24, 16):
        corner = quiet_square(example.truth_hu, soft, size=size)
        if corner is not None:
            return (*corner, size)
    return None
