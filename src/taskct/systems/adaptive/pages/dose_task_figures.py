"""Dose-task curves: the score of each method over dose, beside full dose and the margin that is asked for."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from taskct.core.errors import InputError
from taskct.core.names import photon_count
from taskct.evaluation.reading import dose_curve
from taskct.report.style import GREY, figure_style, method_looks, new_figure, plain, svg_uri
from taskct.systems.adaptive.pages.story import LEAD, TaskStory

PANELS = ((LEAD, "unseen", "Dice of a patient, unseen readers"), ("froc@1", "unseen", "Lesions at 1 false alarm, unseen"),
          (LEAD, "retrained", "Dice of a patient, retrained readers"))  # fmt: skip
_SPREAD = 0.03


def curve_figure(story: TaskStory) -> str:
    """The curves as an SVG data URI; '' with fewer than two doses."""
    methods = [m for m in story.drawn if m != story.full_dose]
    doses = story.doses[::-1]
    if len(doses) < 2 or not methods:
        return ""
    looks = method_looks(methods)
    with figure_style():
        figure, axes = new_figure(10.2, 3.6, cols=len(PANELS))
        for panel, (metric, reader, title) in zip(axes.flat, PANELS, strict=True):
            for i, method in enumerate(methods):
                names = story.readers(reader)
                if not names:
                    continue
                try:
                    curve = dose_curve(
                        story.table, method, metric=metric, region=story.lesion, reader=names, full=story.full_dose
                    )
                except InputError:
                    continue
                x = np.array([d.used_photons for d in curve.doses]) * 10 ** (_SPREAD * (i - (len(methods) - 1) / 2) / 3)
                y = np.array([p.mean for p in curve.points])
                ends = np.array([[p.mean - p.low, p.high - p.mean] for p in curve.points]).T
                ends = np.where(np.isfinite(ends), np.maximum(ends, 0), 0)
                panel.errorbar(x, y, yerr=ends, label=plain(method, most=34), capsize=2, elinewidth=0.8, **looks[method])
                if reader == "unseen" and i == 0 and math.isfinite(curve.full.mean):
                    panel.axhline(curve.full.mean, color=GREY, linewidth=1.0, linestyle="--", label="full dose")
                    if metric == LEAD:
                        panel.axhline(curve.full.mean - story.margin, color=GREY, linewidth=0.8, linestyle=":")
            panel.set_xscale("log")
            panel.set_xticks([d.used_photons for d in doses], [photon_count(d.used_photons) for d in doses])
            panel.minorticks_off()
            panel.margins(x=0.15)
            panel.set_xlabel("photons per detector pixel")
            panel.set_title(title)
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
        return svg_uri(figure)


def needed_doses(story: TaskStory) -> str:
    """For each method, the dose at which it comes within the margin of full dose under unseen readers; a list in HTML."""
    lines = [f"<li>{escape(found.text)}</li>" for found in story.needed_doses()]
    if not lines:
        return ""
    what = f"Dose at which the Dice of the {escape(story.lesion)} is within {story.margin:g} of full dose:"
    return f"<p>{what}</p><ul>{''.join(lines)}</ul>"


def spectrum_figure(story: TaskStory, spectra: dict[str, tuple[list[float], list[float]]]) -> str:
    """Radial power over that of full dose, {method: (frequency per mm, ratio)}; an SVG data URI."""
    if not spectra:
        return ""
    looks = method_looks(list(spectra))
    with figure_style():
        figure, axes = new_figure(6.4, 2.8)
        for method, (frequency, ratio) in spectra.items():
            style = {k: v for k, v in looks[method].items() if k != "marker"}
            axes[0, 0].semilogy(frequency, np.maximum(ratio, 1e-3), label=plain(method, most=34), **style)
        axes[0, 0].axhline(1.0, color=GREY, linewidth=0.9)
        axes[0, 0].set(xlabel="spatial frequency / mm⁻¹", ylabel="power over full dose")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
        return svg_uri(figure)
