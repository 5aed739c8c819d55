"""Images at one fixed window with the outlines of what is there and of what readers saw."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torch import Tensor

from taskct.core.names import photon_count
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.windows import WINDOWS, Window
from taskct.report.first_screen import figure_row, with_difference
from taskct.report.outlines import OUTLINE_COLOURS, outlined, swatch
from taskct.report.pictures import (
    Encoder,
    Region,
    difference_window,
    difference_words,
    half_width_hu,
    image_tag,
    to_grey,
    window_words,
)
from taskct.systems.adaptive.pages.story import TaskExample, TaskStory

OUTLINES = dict(zip(("truth", "unseen", "training"), OUTLINE_COLOURS, strict=True))
_MARGIN_PX = 6
_ACROSS = 4


def picture_section(story: TaskStory, example: TaskExample, encoder: Encoder, *, window: Window | None = None) -> str:
    """One slice: the full-dose image and every shown method at every dose, with outlines of the lesion."""
    window = window or WINDOWS["liver"]
    key = f"{window_words(window)}, the same for all images. Outlines: {_legend(story, ('truth', 'training', 'unseen'))}."
    rows = []
    for dose in story.doses:
        figures = _figures(story, example, dose, story.drawn, encoder, window=window, roles=("training", "unseen"))
        if figures:
            lines = [figures[k : k + _ACROSS] for k in range(0, len(figures), _ACROSS)]
            cells = "".join("<tr>" + "".join(f"<td>{f}</td>" for f in _filled(line)) + "</tr>" for line in lines)
            rows.append(
                f"<h4>{escape(photon_count(dose.used_photons))} photons per pixel</h4>"
                f"<table class='pictures'><tbody>{cells}</tbody></table>"
            )
    head = f"<h3>{escape(example.name)}</h3><p class='key'>{key}</p>"
    return f"<section class='slice'>{head}{''.join(rows)}</section>" if rows else ""


def picture_row(
    story: TaskStory, methods: Sequence[str], dose: DoseLevel, encoder: Encoder, *, window: Window | None = None
) -> str:
    """The first example at one dose: a picture for each of `methods` with the lesion and what one unseen reader marks."""
    window = window or WINDOWS["liver"]
    for example in story.examples:
        half_hu = _half_width_hu(story, example, dose, methods)
        figures = _figures(story, example, dose, methods, encoder, window=window, roles=("unseen",), half_hu=half_hu)
        if figures:
            where = f"{escape(example.name)} at {escape(photon_count(dose.used_photons))} photons per pixel"
            about = f"{where}. Outlines: {_legend(story, ('truth', 'unseen'))}."
            words = f"Differences from full dose: {', '.join(difference_words(half_hu))}." if half_hu else ""
            return figure_row(figures, about, f"{window_words(window)}.", difference=words)
    return ""


def _half_width_hu(story: TaskStory, example: TaskExample, dose: DoseLevel, methods: Sequence[str]) -> int:
    """Half width of the window of differences from full dose; 0 where there is nothing to take a difference of."""
    part, full = _part(example), _image(example, story.full_dose, dose)
    images = [_image(example, m, dose) for m in methods if m != story.full_dose]
    differences = [part.of(hu - full) for hu in images if hu is not None] if full is not None else []
    return half_width_hu(differences) if differences else 0


def _figures(
    story: TaskStory, example: TaskExample, dose: DoseLevel, methods: Sequence[str], encoder: Encoder, *,
    window: Window, roles: Sequence[str], half_hu: int = 0,
) -> list[str]:  # fmt: skip
    """A figure for each method of which an image was kept, with the lesion and the marks of the first reader of each role.

    With `half_hu` the difference from full dose lies behind each image, grey at 0, black and white at so many HU.
    """
    part, lesion = _part(example), _lesion_index(story)
    readers = {role: story.table.of_role(role)[:1] for role in roles}
    full = _image(example, story.full_dose, dose) if half_hu else None

    def tag(hu: Tensor, scale: Window, words: str) -> str:
        return image_tag(encoder.add(to_grey(part.of(hu).float(), scale)), part, example.spacing_mm, words, kind="near")

    figures = []
    for method in methods:
        at, hu = _dose_of(example, method, dose), _image(example, method, dose)
        if hu is None:
            continue
        masks = {"truth": example.labels == lesion}
        for role, names in readers.items():
            for reader in names:
                marks = example.marks.get((method, at, reader))
                if marks is not None:
                    masks[role] = marks == lesion
        dosed = "" if method == story.full_dose else f", {photon_count(dose.used_photons)} photons per pixel"
        alt = f"{method}{dosed}: {example.name}, the lesion and what readers mark outlined"
        picture = tag(hu, window, alt)
        if full is not None and method != story.full_dose:
            picture = with_difference(picture, tag(hu - full, difference_window(half_hu), f"{alt}, minus full dose"))
        picture = outlined(picture, [(OUTLINES[role], part.of(mask)) for role, mask in masks.items()])
        figures.append(f"<figure>{picture}<figcaption>{escape(method)}</figcaption></figure>")
    return figures


def _legend(story: TaskStory, roles: Sequence[str]) -> str:
    """Which outline is which; the swatches are dark so that the bright colours are seen on any page."""
    words = {"truth": "the lesion", "training": "reader of the training", "unseen": "an unseen reader"}
    parts = []
    for role in roles:
        names = [] if role == "truth" else story.table.of_role(role)[:1]
        if names or role == "truth":
            name = f" ({', '.join(names)})" if names else ""
            parts.append(swatch(OUTLINES[role], words[role] + name))
    return " · ".join(parts)


def _part(example: TaskExample) -> Region:
    """The labelled organs and a margin, at least half of the image wide."""
    labelled = (example.labels > 0).nonzero()
    height, width = example.labels.shape
    if len(labelled) == 0:
        return Region(0, height, 0, width)
    low, high = labelled.min(0).values.tolist(), labelled.max(0).values.tolist()
    ends = []
    for a, b, n in zip(low, high, (height, width), strict=True):
        side = min(n, max(b - a + 1 + 2 * _MARGIN_PX, n // 2))
        start = min(max(0, (a + b + 1 - side) // 2), n - side)
        ends.append((start, start + side))
    return Region(*ends[0], *ends[1])


def _lesion_index(story: TaskStory) -> int:
    return int(story.table.notes.get("lesion_index", 2))


def _dose_of(example: TaskExample, method: str, dose: DoseLevel) -> DoseLevel:
    if (method, dose) in example.images_hu:
        return dose
    return next((d for m, d in example.images_hu if m == method and d.fraction == 1.0 and d.photons == dose.photons), dose)


def _image(example: TaskExample, method: str, dose: DoseLevel) -> Tensor | None:
    return example.images_hu.get((method, _dose_of(example, method, dose)))


def _filled(cells: list[str]) -> list[str]:
    return cells + [""] * (_ACROSS - len(cells))
