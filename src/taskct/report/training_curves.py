"""How a training went: loss of training and validation over its steps, and each further score of validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskct.core.runs import Run
from taskct.report.style import GREY, figure_style, new_figure, plain

_MOST_CURVES = 6
_NOT_CURVES = ("kind", "step", "skipped", "images_per_s")


def training_figure(run: Run) -> Any:
    """A matplotlib Figure, a panel for the loss and for each score; None for a run without steps or validations."""
    lines = run.metrics()
    scores = [line for line in lines if line.get("kind") == "validation"]
    train = [line for line in lines if line.get("kind") == "train"]
    names = [name for name in dict.fromkeys(k for line in scores for k in line) if name not in (*_NOT_CURVES, "total")]
    panels = ["total", *names][:_MOST_CURVES]
    if not (scores or train):
        return None
    cols = min(3, len(panels))
    rows = -(-len(panels) // cols)
    with figure_style():
        figure, axes = new_figure(3.4 * cols + 0.3, 2.4 * rows + 0.3, rows=rows, cols=cols)
        for axis, name in zip(axes.flat, panels, strict=False):
            _draw(axis, train, name, color=GREY, label="training")
            _draw(axis, scores, name, label="validation", marker="o")
            axis.set_title("loss" if name == "total" else plain(name))
            axis.set_xlabel("step")
        axes.flat[0].legend()
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
    return figure


def _draw(axis: Any, lines: Sequence[dict[str, Any]], name: str, **look: Any) -> None:
    points = [(line["step"], line[name]) for line in lines if isinstance(line.get(name), int | float)]
    if points:
        axis.plot(*zip(*points, strict=True), **look)
