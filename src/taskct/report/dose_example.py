"""The images of a dose search: full dose beside the dose that was found."""

from __future__ import annotations

from html import escape

from torch import Tensor

from taskct.core.names import photon_count
from taskct.evaluation.dose.example import ShownSlice
from taskct.evaluation.windows import WINDOWS
from taskct.report.number_text import MINUS
from taskct.report.pictures import Encoder, to_grey

_BUDGET_BYTES = 3_000_000
_BODY_ABOVE_HU = -500.0
_MARGIN = 4


def example_html(shown: ShownSlice, *, photons: float, full_photons: float, digits: int = 4) -> str:
    """Truth, full dose and the dose found, side by side in one window, cut to the body."""
    window = WINDOWS["soft tissue"]
    encoder = Encoder(_BUDGET_BYTES)
    rows, columns = _body(shown.truth_hu)
    height = (rows.stop - rows.start) * shown.spacing_mm[0]
    width = (columns.stop - columns.start) * shown.spacing_mm[1]
    parts = [
        (shown.truth_hu, "truth"),
        (shown.full_hu, f"full dose, {photon_count(full_photons)} photons"),
        (shown.found_hu, f"dose found, {photon_count(photons, digits=digits)} photons"),
    ]
    figures = "".join(
        f"<figure><img alt='{escape(words)}' style='width:100%;aspect-ratio:{width / height:.4g}' "
        f'src="{encoder.add(to_grey(hu[rows, columns], window))}"><figcaption>{escape(words)}</figcaption></figure>'
        for hu, words in parts
    )
    black, white = window.bounds_hu
    most = f", the slice with most {shown.region}" if shown.region else ""
    words = f"{window.name.capitalize()} window: black at {black:.0f} HU, white at {white:.0f} HU".replace("-", MINUS)
    key = f"{shown.patient_id}, slice {shown.item}{most}. {words}; the check's noise, which the search did not see."
    html = (
        f"<div style='display:grid;grid-template-columns:repeat(3,1fr);gap:.8rem'>{figures}</div>"
        f"<p class='key'>{escape(key)}</p>"
    )
    return encoder.replace(html)


def _body(truth_hu: Tensor) -> tuple[slice, slice]:
    """Rows and columns of the body with a margin; all of them where there is none."""
    body = truth_hu > _BODY_ABOVE_HU
    found = []
    for axis in (1, 0):
        places = body.any(axis).nonzero().flatten().tolist()
        size = truth_hu.shape[1 - axis]
        found.append(slice(max(0, places[0] - _MARGIN), min(size, places[-1] + 1 + _MARGIN)) if places else slice(0, size))
    return found[0], found[1]
