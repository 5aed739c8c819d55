"""The images of a dose search: full dose beside the dose that was found."""

from __future__ import annotations

from html import escape

from torch import Tensor

from taskct.core.names import photon_count
from taskct.evaluation.dose.example import ShownSlice
from taskct.evaluation.windows import WINDOWS
from taskct.report.first_screen import figure_row
from taskct.report.outlines import OUTLINE_COLOURS, outlined, swatch
from taskct.report.pictures import Encoder, Region, image_tag, to_grey, window_words

_BUDGET_BYTES = 3_000_000
_BODY_ABOVE_HU = -500.0
_MARGIN = 4


def example_html(shown: ShownSlice, *, photons: float, full_photons: float, digits: int = 4) -> str:
    """Truth, full dose and the dose found, side by side in one window, cut to the body; outlined by truth and readers."""
    window = WINDOWS["soft tissue"]
    encoder = Encoder(_BUDGET_BYTES)
    part = _body(shown.truth_hu)
    readers = list(shown.marks)[: len(OUTLINE_COLOURS) - 1]
    figures = []
    for hu, at, words in (
        (shown.truth_hu, None, "truth"),
        (shown.full_hu, 0, f"full dose, {photon_count(full_photons)} photons"),
        (shown.found_hu, 1, f"dose found, {photon_count(photons, digits=digits)} photons"),
    ):
        masks = [] if shown.there is None else [(OUTLINE_COLOURS[0], part.of(shown.there))]
        if at is not None:
            masks += [(OUTLINE_COLOURS[1 + k], part.of(shown.marks[name][at])) for k, name in enumerate(readers)]
        image = image_tag(encoder.add(to_grey(part.of(hu), window)), part, shown.spacing_mm, words)
        figures.append(f"<figure>{outlined(image, masks)}<figcaption>{escape(words)}</figcaption></figure>")
    most = f", the slice with most {shown.region}" if shown.region else ""
    about = f"{escape(f'{shown.patient_id}, slice {shown.item}{most}')}."
    if shown.there is not None:
        legend = [swatch(OUTLINE_COLOURS[0], f"{shown.region} in the truth")]
        legend += [swatch(OUTLINE_COLOURS[1 + k], f"as {name} marks it") for k, name in enumerate(readers)]
        about += f" Outlines: {' · '.join(legend)}."
    noise = "The noise is that of the check, which the search did not see."
    return encoder.replace(figure_row(figures, about, f"{window_words(window)}. {noise}"))


def _body(truth_hu: Tensor) -> Region:
    """The body with a margin; the whole image where there is none."""
    body = truth_hu > _BODY_ABOVE_HU
    ends = []
    for axis, size in zip((1, 0), truth_hu.shape, strict=True):
        places = body.any(axis).nonzero().flatten().tolist()
        ends.append((max(0, places[0] - _MARGIN), min(size, places[-1] + 1 + _MARGIN)) if places else (0, size))
    return Region(*ends[0], *ends[1])
