"""The row of pictures that the page of an evaluation begins with: full dose, and each method at the lowest dose."""

from __future__ import annotations

from html import escape

from torch import Tensor

from taskct.evaluation.rows import DoseLevel, Example
from taskct.evaluation.table import Table
from taskct.evaluation.windows import Window
from taskct.report.first_screen import figure_row, with_difference
from taskct.report.number_text import dose_phrase
from taskct.report.pictures import (
    Encoder,
    Region,
    body_region,
    choose_window,
    choose_zoom,
    difference_window,
    difference_words,
    half_width_hu,
    image_tag,
    marked,
    to_grey,
    window_words,
)
from taskct.report.verdict import kept_and_leading

_MOST_METHODS = 5


def first_pictures(
    table: Table, metric: str | None, encoder: Encoder, *, window: Window | None = None, zoom: Region | None = None
) -> str:
    """The first kept slice: whole, and below each image its zoomed square; '' where no image was kept."""
    for example in table.images:
        doses = [d for d in table.doses if any(dose == d for _, dose in example.recon_hu)]
        if doses:
            drawn = [m for m in table.methods if (m, doses[-1]) in example.recon_hu]
            methods = kept_and_leading(table, metric, doses[-1], drawn, _MOST_METHODS)
            return _row(table, example, doses[-1], methods, encoder=encoder, window=window, zoom=zoom)
    return ""


def _row(
    table: Table, example: Example, dose: DoseLevel, methods: list[str], *,
    encoder: Encoder, window: Window | None, zoom: Region | None,
) -> str:  # fmt: skip
    shown, truth, crop = window or choose_window(table, example), example.truth_hu, body_region(example)
    square = zoom or choose_zoom(example, shown)
    half_hu = half_width_hu([crop.of(example.recon_hu[m, dose] - truth) for m in methods])
    error = difference_window(half_hu)

    def image(hu: Tensor, part: Region, words: str, scale: Window) -> str:
        kind, more = ("near", ", zoomed") if part is square else ("full", "")
        about = f"{words}{more}: {example.case}, slice {example.slice}"
        return image_tag(encoder.add(to_grey(part.of(hu), scale)), part, example.spacing_mm, about, kind=kind)

    words = "full dose, the CT as it was read"
    whole = marked(image(truth, crop, words, shown), crop, square, profile=False)
    figures = [f"<figure>{whole}{image(truth, square, words, shown)}<figcaption>full dose</figcaption></figure>"]
    at = dose_phrase(dose, table.doses)
    for method in methods:
        hu, words = example.recon_hu[method, dose], f"{method} at {at}"
        pair = "".join(
            with_difference(image(hu, part, words, shown), image(hu - truth, part, f"{words} minus full dose", error))
            for part in (crop, square)
        )
        figures.append(f"<figure>{pair}<figcaption>{escape(method)}</figcaption></figure>")
    about = (
        f"{escape(example.case)}, slice {example.slice}: full dose is the CT as it was read, the others are at {escape(at)}; "
        "below each the marked square."
    )
    difference = f"Differences from full dose: {', '.join(difference_words(half_hu))}."
    return figure_row(figures, about, f"{window_words(shown)}.", difference=difference, kind="zoomed")
