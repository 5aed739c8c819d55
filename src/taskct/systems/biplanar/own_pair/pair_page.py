"""One page on an estimate: what it is, what speaks against it, slices beside prior and spread, radiographs."""

from __future__ import annotations

from html import escape

import numpy as np
import torch
from torch import Tensor

from taskct.evaluation.windows import Window
from taskct.report.first_screen import opening, page_body
from taskct.report.page import page
from taskct.report.pictures import Encoder, to_grey
from taskct.systems.biplanar.own_pair.pair_estimate import PairEstimate

_BUDGET_BYTES = 4 * 2**20
_WINDOW = Window(400.0, 1600.0, "bone")
_SPREAD_HU = 600.0  # shown white
_PLANES = ("axial", "coronal", "sagittal")
_SHARES = (0.42, 0.6, 0.78)  # of each axis
_LEAST_PIXELS = 128


_WORDS = {
    "prior": "what the method makes of the mean skull's radiographs: what it shows whoever is looked at",
    "spread": "how far the truth may lie from the estimate, by the method's errors on built-in skulls",
    "built-in skulls": "skulls that taskct computes",
    "re-projections?": "the radiograph that the estimate would give, at the same pose",
    "agreement": "iterative steps (SIRT) at the end that make the estimate agree with the radiographs",
    "line integral": "attenuation summed along a ray, which a radiograph shows",
}
"""What the words of this page mean; `word_key` shows those that it uses."""


def pair_page(made: PairEstimate) -> str:
    """The page as HTML."""
    encoder = Encoder(_BUDGET_BYTES)
    title = "Estimated from two radiographs, not for diagnosis"
    answer, *more = findings(made)
    first = opening(answer, more) + _slices(made, encoder)
    parts = [
        (
            "films",
            "Radiographs and re-projections",
            "how far the estimate agrees with what was measured",
            _films(made, encoder),
        ),
        ("notes", "What was assumed", "of radiographs and poses", _listed(made.notes)),
    ]
    lead = f"Method: {made.method}; voxels of {made.numbers['voxel_mm']:.1f} mm."
    return encoder.replace(page("Estimated from two radiographs", page_body(title, first, parts, lead=lead, words=_WORDS)))


def findings(made: PairEstimate) -> list[str]:
    """Sentences: what the radiographs determine, what of this pair is outside of the method's skulls, how large errors are."""
    n = made.numbers
    known = (
        f"Two such radiographs show {100 * n['seen']:.0f} % of how built-in skulls differ from their mean (variance); with "
        f"what it knows of skulls, this method gets {100 * n['explained']:.0f} % of that difference right in skulls it does "
        "not know. All else in the pictures is what skulls have in common."
    )
    lines = [
        *(f"This pair is outside of what the method knows: {doubt.rstrip('.')}." for doubt in made.doubts),
        f"Of pairs that it knows, and so not of this one: {known[0].lower()}{known[1:]}" if made.doubts else known,
        f"On built-in skulls that it does not know, this method errs by {n['error_held_hu']:.0f} HU in the head on average, "
        f"the mean skull by {n['error_prior_held_hu']:.0f} HU. Real heads differ more from built-in ones than these from each "
        "other.",
        f"Its re-projections differ from the radiographs by {n['misfit']:.3g} before and {n['residual']:.3g} after the steps "
        f"of agreement (root mean square line integral; {n['misfit_held_mean']:.3g} and {n['residual_held_mean']:.3g} on "
        "average for built-in skulls).",
    ]
    return lines if made.doubts else [*lines, "Size and residual of this pair are like those of the built-in skulls."]


def _slices(made: PairEstimate, encoder: Encoder) -> str:
    columns = {
        "estimate": (made.estimate.hu, _WINDOW),
        "prior alone": (made.prior.hu, _WINDOW),
        f"spread, 0 to {_SPREAD_HU:.0f} HU": (made.spread.hu, Window(_SPREAD_HU / 2, _SPREAD_HU, "spread")),
    }
    rows = []
    for axis, plane in enumerate(_PLANES):
        for share in _SHARES if axis == 0 else (0.5,):
            cells = [encoder.add(_grown(_grey(hu, axis, share, window))) for hu, window in columns.values()]
            rows.append(_row(plane, list(columns), cells))
    return (
        _table(list(columns), rows)
        + f"<p class='note'>Bone window, {_WINDOW.bounds_hu[0]:.0f} to {_WINDOW.bounds_hu[1]:.0f} HU.</p>"
    )


def _films(made: PairEstimate, encoder: Encoder) -> str:
    top = float(torch.quantile(made.p.flatten(), 0.999))
    heads = ["radiograph as read", "re-projection of the estimate", f"difference, ±{0.2 * top:.2g}"]
    rows = []
    for number, view in enumerate(("frontal", "lateral")):
        p, again = made.p[number].flip(0), made.again[number].flip(0)
        pictures = [_scaled(p, 0, top), _scaled(again, 0, top), _scaled(again - p, -0.2 * top, 0.2 * top)]
        rows.append(_row(view, heads, [encoder.add(_grown(picture)) for picture in pictures]))
    return _table(heads, rows)


def _grey(hu: Tensor, axis: int, share: float, window: Window) -> np.ndarray:
    plane = hu.select(axis, min(int(share * hu.shape[axis]), hu.shape[axis] - 1))
    return to_grey(plane if axis == 0 else plane.flip(0), window)


def _scaled(values: Tensor, low: float, high: float) -> np.ndarray:
    return np.asarray(((values - low) / max(high - low, 1e-9)).clamp(0, 1).mul(255).round().byte().numpy())


def _grown(grey: np.ndarray) -> np.ndarray:
    """Whole pixels repeated until the picture can be seen."""
    times = max(1, -(-_LEAST_PIXELS // max(grey.shape)))
    return np.kron(grey, np.ones((times, times), np.uint8))


def _row(name: str, heads: list[str], keys: list[str]) -> str:
    cells = "".join(
        f'<td><img class="near" alt="{escape(f"{name}, {head}", quote=True)}" src="{key}"></td>'
        for head, key in zip(heads, keys, strict=True)
    )
    return f"<tr><th scope='row' class='dose'><span>{escape(name)}</span></th>{cells}</tr>"


def _table(heads: list[str], rows: list[str]) -> str:
    top = "".join(f"<th scope='col'>{escape(head)}</th>" for head in heads)
    return (
        f"<div class='slice fits'><table class='pictures'><colgroup><col class='dose'><col span='{len(heads)}'></colgroup>"
        f"<thead><tr><th></th>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _listed(lines: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""
