"""The row of pictures that the page of an evaluation begins with: full dose, and each method at the lowest dose."""

from __future__ import annotations

from html import escape

from torch import Tensor

from taskct.evaluation.rows import DoseLevel, Example
from taskct.evaluation.table import Table
from taskct.evaluation.windows import Window
from taskct.report.first_screen import figure_row
from taskct.report.number_text import dose_phrase
from taskct.report.pictures import (
    Encoder,
    Region,
    body_region,
    choose_window,
    choose_zoom,
    image_tag,
    marked,
    to_grey,
    window_words,
)
from taskct.report.verdict import ranking

_MOST_METHODS = 5


def first_pictures(
    table: Table, metric: str | None, encoder: Encoder, *, window: Window | None = None, zoom: Region | None = None
) -> str:
    """The first kept slice: whole, and below each image its zoomed square; '' where no image was kept."""
    for example in table.images:
        doses = [d for d in table.doses if any(dose == d for _, dose in example.recon_hu)]
        if not doses:
            continue
        dose, shown = doses[-1], window or choose_window(table, example)
        crop, square = body_region(example), zoom or choose_zoom(example, shown)

        def figure(hu: Tensor, name: str, words: str, *, mark: bool = False) -> str:
            part = lambda region: encoder.add(to_grey(region.of(hu), shown))  # noqa: B023 - called at once
            whole = image_tag(part(crop), example, crop, words)  # noqa: B023
            near = image_tag(part(square), example, square, f"{words}, zoomed", kind="near")  # noqa: B023
            whole = marked(whole, crop, square, profile=False) if mark else whole  # noqa: B023
            return f"<figure>{whole}{near}<figcaption>{escape(name)}</figcaption></figure>"

        at = dose_phrase(dose, table.doses)
        figures = [figure(example.truth_hu, "full dose", "full dose, the CT as it was read", mark=True)]
        for method in _methods(table, metric, example, dose):
            figures.append(figure(example.recon_hu[method, dose], method, f"{method} at {at}"))
        key = (
            f"{escape(example.case)}, slice {example.slice}: full dose is the CT as it was read, the others are at "
            f"{escape(at)}; below each the marked square. {window_words(shown)}."
        )
        return figure_row(figures, key, kind="zoomed")
    return ""


def _methods(table: Table, metric: str | None, example: Example, dose: DoseLevel) -> list[str]:
    """Methods with an image at the dose; of many the baseline and those that lead."""
    drawn = [m for m in table.methods if (m, dose) in example.recon_hu]
    if len(drawn) <= _MOST_METHODS:
        return drawn
    best = [] if metric is None else [name for name, _ in ranking(table, metric, dose) if name in drawn]
    kept = list(dict.fromkeys([drawn[0], *best, *drawn]))[:_MOST_METHODS]
    return [m for m in drawn if m in kept]
