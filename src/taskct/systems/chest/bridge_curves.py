"""Scores of the reader that judges, over dose: detection, findings and outlines of every reconstruction of the bridge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from taskct.evaluation.statistics import Interval
from taskct.report.curve_figures import draw_intervals
from taskct.report.style import GREY, figure_style, method_looks, new_figure, plain, svg_uri
from taskct.systems.chest.chest_comparing import Trainings

SCORES = (
    "AUC infection",
    "AUC nodule",
    "AP10 infection",
    "FROC infection, slices",
    "FROC nodule, slices",
    "Dice ground glass",
)
_COLS = 3


def dose_points(judged: Mapping[tuple[str, str], Trainings], scores: Sequence[str]) -> dict[tuple[str, str, str], Interval]:
    """(score, image, dose) -> value with its interval over seeds and patients; dose "" is full."""
    found = {}
    for (name, dose), trainings in judged.items():
        for score in scores:
            if score in trainings.scores:
                value = trainings.interval(score)
                if math.isfinite(value.mean):
                    found[score, name, dose] = value
    return found


def dose_figure(judged: Mapping[tuple[str, str], Trainings]) -> str:
    """A panel for each of SCORES, a line for each image, full dose dashed: HTML, '' for fewer than two doses."""
    points = dose_points(judged, SCORES)
    doses = sorted({float(dose) for _, _, dose in points if dose})
    shown = [score for score in SCORES if any(one == score for one, _, _ in points)]
    if len(doses) < 2 or not shown:
        return ""
    names = list(dict.fromkeys(name for _, name, dose in points if dose))
    looks = method_looks(names)
    rows = -(-len(shown) // _COLS)
    with figure_style():
        figure, axes = new_figure(3.4 * _COLS + 0.3, 2.55 * rows + 0.55, rows=rows, cols=_COLS)
        for panel, score in zip(axes.flat, shown, strict=False):
            full = next((value for (one, _, dose), value in points.items() if one == score and not dose), None)
            if full is not None:
                panel.axhline(full.mean, color=GREY, linestyle="--", linewidth=0.9)
            keys = {name: [(d, (score, name, f"{d:g}")) for d in doses] for name in names}
            found = {name: [(100 * d, points[key]) for d, key in mine if key in points] for name, mine in keys.items()}
            draw_intervals(panel, found, looks)
            panel.set_xscale("log")
            panel.set_xticks([100 * d for d in doses], [f"{100 * d:g} %" for d in doses])
            panel.minorticks_off()
            panel.set_xlabel("dose, share of full")
            panel.set_title(plain(score))
        for panel in axes.flat[len(shown) :]:
            panel.set_visible(False)
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=min(7, len(names)))
        uri = svg_uri(figure)
    words = "Scores of readers never used in training, over dose; bars: 95 % over seeds and patients; dashed: at full dose."
    image = f"<img alt='scores over dose, a line for each reconstruction' src=\"{uri}\">"
    return f"<figure class='plot'>{image}<figcaption>{words}</figcaption></figure>"
