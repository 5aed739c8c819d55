"""The page of a user's chest: findings, lesions, the slices that matter, and what the network cannot know."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from taskct.report.page import page, section
from taskct.report.style import COLOURS, figure_style, new_figure, svg_uri
from taskct.systems.chest.chest_classes import AREAS
from taskct.systems.chest.own_chest import OwnChest
from taskct.systems.chest.own_lesions import area_volumes_ml

SURE = 0.5
SHOWN_SCORE = 0.3
_MOST_SLICES = 6
_MOST_ROWS = 12
_WINDOW = (-1350.0, 150.0)
_COLUMNS = 3
_MOST_BOXES = 6
_MARGIN_MM = 22.0  # round the lungs


def own_page(found: OwnChest, *, masks: str) -> str:
    """The whole page as HTML."""
    numbers = slices_that_matter(found)
    body = "".join(
        [
            f"<h1>Chest CT read by a network: {escape(found.case.case_id)}</h1>",
            f'<p class="verdict">{escape(_headline(found))}</p>',
            section("limits", "What this network cannot know", _limits(found)),
            section("findings", "Findings", _findings(found)),
            section("lesions", "Lesions", _lesions(found)),
            section("slices", "Slices that matter", _slices(found, numbers)),
            section("readers", "Beside the readers", readers_section(found)),
            section("files", "Files", f"<p>{escape(masks)}. findings.csv, lesions.csv (boxes in LPS mm), lungs.nii.gz.</p>"),
        ]
    )
    return page(f"Chest CT {found.case.case_id}", body)


def _headline(found: OwnChest) -> str:
    sure = [f"{f.name} {f.probability:.0%} ({f.side})" for f in found.findings if f.probability >= SURE]
    said = f"The network sees {', '.join(sure)}." if sure else "The network sees no finding above 50 %."
    return f"{said} {found.trained_on} Research only: it was never tested on patients."


def _limits(found: OwnChest) -> str:
    outside = [f"Outside of its training: {words}." for words in found.outside]
    sentences = [found.trained_on, *outside, *found.limits]
    notes = [f"Note on the CT: {note}." for note in found.case.provenance.get("notes", [])]
    return "<ul>" + "".join(f"<li>{escape(s)}</li>" for s in [*sentences, *notes]) + "</ul>"


def _findings(found: OwnChest) -> str:
    if not found.findings:
        return "<p>This network has no head for findings.</p>"
    rows = [
        f"<tr><th>{escape(f.name)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in (f"{f.probability:.2f}", f.side, str(found.slice_at(f.z_mm))))
        + "</tr>"
        for f in found.findings
    ]
    volumes = ""
    if found.labels is not None:
        parts = [f"{name} {ml:.1f} ml" for name, ml in area_volumes_ml(found.labels, found.case.spacing_mm).items() if ml > 0]
        lungs = ", ".join(
            f"{name} {found.lungs.volume_ml[side]:.0f} ml" for side, name in ((1, "right lung"), (2, "left lung"))
        )
        volumes = f"<p>Areas: {escape(', '.join(parts) or 'none')}. Lungs: {lungs}, median {found.lungs.median_hu:.0f} HU.</p>"
    return (
        '<table class="numbers"><thead><tr><th>finding</th><th>probability</th><th>surest in</th><th>slice</th></tr></thead>'
        "<tbody>"
        + "".join(rows)
        + f"</tbody></table><p>The probability of the slice and lung where it is highest.</p>{volumes}"
    )


def _lesions(found: OwnChest) -> str:
    shown = [one for one in found.lesions if one.score >= SHOWN_SCORE][:_MOST_ROWS]
    if not shown:
        return f"<p>No lesion with a score of {SHOWN_SCORE:g} or more; weaker ones stand in lesions.csv.</p>"
    rows = []
    for k, one in enumerate(shown, start=1):
        cells = [
            str(k),
            one.kind,
            f"{one.score:.2f}",
            one.side,
            f"{one.diameter_mm:.0f} mm",
            str(found.slice_at(one.middle_mm[0])),
        ]
        rows.append("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>")
    head = "".join(f"<th>{h}</th>" for h in ("", "kind", "score", "side", "diameter", "slice"))
    more = sum(one.score >= SHOWN_SCORE for one in found.lesions) - len(shown)
    rest = f"<p>{more} more in lesions.csv.</p>" if more > 0 else ""
    return f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>{rest}'


def slices_that_matter(found: OwnChest) -> list[int]:
    """Slices of the surest lesions, of findings, of large areas, of what readers marked; the middle where none is."""
    wanted = [found.slice_at(one.middle_mm[0]) for one in found.lesions[:3] if one.score >= SHOWN_SCORE]
    wanted += [found.slice_at(f.z_mm) for f in found.findings if f.probability >= SURE]
    for labels in (found.votes, found.labels):
        if labels is not None and bool((labels > 0).any()):
            wanted.append(int((labels > 0).sum((1, 2)).argmax()))
    z0, z1 = found.lungs.slices
    apart = max(1, round(6 / found.case.spacing_mm[0]))
    kept: list[int] = []
    for number in wanted or [(z0 + z1) // 2]:
        if all(abs(number - other) >= apart for other in kept):
            kept.append(number)
    return sorted(kept[:_MOST_SLICES])


def _slices(found: OwnChest, numbers: Sequence[int]) -> str:
    rows, cols = -(-len(numbers) // _COLUMNS), min(_COLUMNS, len(numbers))
    with figure_style():
        figure, axes = new_figure(3.4 * cols, 3.0 * rows, rows=rows, cols=cols)
        flat = np.ravel(axes)
        for axis in flat:
            axis.set_axis_off()
        for axis, number in zip(flat, numbers, strict=False):
            _draw(axis, found, number, areas=True, boxes=True)
            axis.set_title(f"slice {number}", fontsize=8, fontweight="normal")
        uri = svg_uri(figure)
    swatch = lambda k: f'<span class="swatch" style="border-color:{COLOURS[k]}"></span>'
    legend = ", ".join(f"{swatch(k)} {escape(name)}" for k, name in enumerate(AREAS, start=1))
    words = f"Lung window. Outlines: {legend}; boxes: lesions by their number in the table."
    return f'<img alt="slices with areas and boxes" src="{uri}"><p>{words}</p>'


def _draw(axis: Any, found: OwnChest, number: int, *, areas: bool, boxes: bool) -> None:
    _, dy, dx = found.case.spacing_mm
    rows, cols = _body(found)
    extent = (cols.start * dx, cols.stop * dx, rows.stop * dy, rows.start * dy)
    hu = found.case.hu[number, rows, cols].numpy()
    axis.imshow(hu, cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1], extent=extent)
    place = {"extent": (extent[0], extent[1], extent[2], extent[3]), "origin": "upper"}
    if areas and found.labels is not None:
        for k in range(1, len(AREAS) + 1):
            mask = (found.labels[number, rows, cols] == k).numpy()
            if mask.any() and not mask.all():
                axis.contour(mask.astype(np.float32), [0.5], colors=COLOURS[k], linewidths=0.9, **place)
    z = number * found.case.spacing_mm[0]
    here = [(k, one) for k, one in enumerate(found.lesions, start=1) if one.low_mm[0] <= z <= one.high_mm[0]]
    for k, one in here[:_MOST_BOXES] if boxes else ():
        if one.score >= SHOWN_SCORE:
            y0, x0, y1, x1 = *one.low_mm[1:], *one.high_mm[1:]
            axis.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color="#ffd400", linewidth=0.9)
            axis.text(x0, y0 - 2, str(k), color="#ffd400", fontsize=7)
    axis.set_aspect("equal")
    axis.set_axis_off()


def readers_section(found: OwnChest) -> str:
    """A map of readers' votes beside the prediction: pictures, and what share of each count of votes was seen."""
    if found.votes is None:
        return ""
    if not bool((found.votes > 0).any()):
        return "<p>No reader marked anything.</p>"
    rows = []
    for row in beside_readers(found):
        cells = [str(row["readers"]), str(row["samples"]), f"{row['seen']:.0%}", f"{row['dice']:.2f}", f"{row['hu']:.0f}"]
        rows.append("<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    head = "".join(f"<th>{h}</th>" for h in ("readers at least", "samples", "seen as nodule", "Dice", "mean HU"))
    table = f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    number = int((found.votes > 0).sum((1, 2)).argmax())
    with figure_style():
        figure, axes = new_figure(9.0, 3.4, cols=2)
        votes = np.ma.masked_equal(found.votes[number].numpy(), 0)
        for axis, title in zip(np.ravel(axes), ("readers: votes 1 to 4", "network"), strict=True):
            _draw(axis, found, number, areas=title == "network", boxes=title == "network")
            axis.set_title(f"{title}, slice {number}", fontsize=8, fontweight="normal")
        _, dy, dx = found.case.spacing_mm
        rows_in, cols_in = _body(found)
        extent = (cols_in.start * dx, cols_in.stop * dx, rows_in.stop * dy, rows_in.start * dy)
        shown = np.ravel(axes)[0].imshow(votes[rows_in, cols_in], cmap="autumn", vmin=1, vmax=4, alpha=0.55, extent=extent)
        figure.colorbar(shown, ax=np.ravel(axes)[0], ticks=[1, 2, 3, 4], shrink=0.7, label="readers")
        uri = svg_uri(figure)
    return f'{table}<img alt="votes of readers beside the network" src="{uri}">'


def beside_readers(found: OwnChest) -> list[dict[str, float]]:
    """For each count of readers: samples that so many marked, the share that the network calls nodule, Dice and mean HU.

    Dice counts what the network calls nodule anywhere in the lungs.
    """
    assert found.votes is not None
    said = np.zeros(tuple(found.votes.shape), bool) if found.labels is None else (found.labels == 1).numpy()
    votes, hu, rows = found.votes.numpy(), found.case.hu.numpy(), []
    for count in range(1, int(votes.max()) + 1):
        true = votes >= count
        shared = float((said & true).sum())
        both = float(said.sum() + true.sum())
        rows.append(
            {
                "readers": count,
                "samples": int(true.sum()),
                "seen": shared / float(true.sum()),
                "dice": 2 * shared / both,
                "hu": float(hu[true].mean()),
            }
        )
    return rows


def _body(found: OwnChest) -> tuple[slice, slice]:
    """Rows and columns about both lungs, with the chest wall round them."""
    boxes = list(found.lungs.boxes.values())
    spans = []
    for axis in (1, 2):
        margin = round(_MARGIN_MM / found.case.spacing_mm[axis])
        low, high = min(box[axis] for box in boxes) - margin, max(box[axis + 3] for box in boxes) + margin
        spans.append(slice(max(0, low), min(found.case.hu.shape[axis], high)))
    return spans[0], spans[1]
