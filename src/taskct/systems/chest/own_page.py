"""The page of a user's chest: findings, lesions, the slices that matter, and what the network cannot know."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from taskct.data.volume import NO_ORIENTATION, NO_POSITION
from taskct.report.first_screen import opening, page_body
from taskct.report.page import page
from taskct.report.style import COLOURS, figure_style, new_figure, svg_uri
from taskct.systems.chest.chest_classes import AREAS, FINDINGS
from taskct.systems.chest.own_chest import OwnChest
from taskct.systems.chest.own_lesions import OwnLesion, area_volumes_ml, on_one_place

SURE = 0.5
SHOWN_SCORE = 0.3
_MOST_SLICES = 6
_MOST_ROWS = 12
_WINDOW = (-1350.0, 150.0)
_UNDER_NUMBERS = {"facecolor": "black", "edgecolor": "white", "linewidth": 0.4, "pad": 1.2}
_LEAST_ML = 0.5  # of an area that a finding without suspicion contradicts
_WORDS = {
    "built-in chests": "chests that taskct computes",
    "heads?": "one of the network's outputs: findings of a slice, areas, or boxes",
    "score": "how sure one head is, from 0 to 1, not a probability: of a finding, that a slice of a lung shows it; of a "
    "lesion, that its box holds one. Two heads give them, so they need not agree and are not to be compared",
    "infection": "ground glass or consolidation",
}
"""What the words of this page mean; `word_key` shows those that it uses."""
_MARGIN_MM = 22.0  # round the lungs


def own_page(found: OwnChest, *, masks: str) -> str:
    """The whole page as HTML."""
    numbers = slices_that_matter(found)
    said, *known = headline(found).split(". ", 1)
    first = "".join(
        [
            opening(f"{said.rstrip('.')}.", [*known, *doubts(found)]),
            _slices(found, numbers),
            f"<h3>Findings</h3>{_findings(found)}<h3>Lesions</h3>{_lesions(found)}",
            f"<h3>What this network cannot know</h3>{_limits(found)}",
        ]
    )
    parts = [
        (
            "readers",
            "Beside the readers",
            "how many readers marked a place, and what the network says of it",
            readers_section(found),
        ),
        ("files", "Files", "", f"<p>{escape(masks)}. findings.csv, lesions.csv (boxes in LPS mm), lungs.nii.gz.</p>"),
    ]
    title = f"Chest CT read by a network: {found.case.case_id}"
    return page(f"Chest CT {found.case.case_id}", page_body(title, first, parts, words=_WORDS))


def headline(found: OwnChest) -> str:
    """One line: the findings that the network suspects, and that nothing is known of how often it is right."""
    sure = [f"{f.name} ({f.side})" for f in found.findings if f.score >= SURE]
    said = f"The network suspects: {', '.join(sure)}." if sure else "The network suspects nothing that it knows."
    return (
        f"{said} {found.trained_on} It was never tested on patients: this page is for research, and how often such a "
        "suspicion is right is not known."
    )


def doubts(found: OwnChest) -> list[str]:
    """What speaks against the answers: the CT is not as in training or of unknown orientation, heads that contradict each
    other, marks where no lung is.
    """
    words = [f"Not as in training: {one}." for one in found.outside]
    notes = " ".join(found.case.provenance.get("notes", []))
    if NO_ORIENTATION in notes:
        words.append(
            "The header of the CT records no orientation: which lung is the right one, and each place in mm, are assumed."
        )
    elif NO_POSITION in notes:
        words.append("The header of the CT records no position: each place in mm counts from its first sample.")
    if found.labels is not None:
        volumes = area_volumes_ml(found.labels, found.case.spacing_mm)
        for finding in found.findings:
            areas = {area: volumes[area] for area, kinds in AREAS.items() if set(kinds) <= set(FINDINGS[finding.name])}
            marked = ", ".join(f"{ml:.1f} ml of {area}" for area, ml in areas.items() if ml >= _LEAST_ML)
            if finding.score < SURE and marked:
                words.append(
                    f"Two heads of the network contradict each other: one outlines {marked}, the other gives {finding.name} a "
                    f"score of {finding.score:.2f}. Neither is to be relied on."
                )
    return words + ([f"{found.left_out[0].upper()}{found.left_out[1:]}."] if found.left_out else [])


def _limits(found: OwnChest) -> str:
    notes = [f"Note on the CT: {note}." for note in found.case.provenance.get("notes", [])]
    sentences = [f"{s[0].upper()}{s[1:].rstrip('.')}." for s in (*found.limits, *notes)]
    return "<ul>" + "".join(f"<li>{escape(s)}</li>" for s in sentences) + "</ul>"


def _findings(found: OwnChest) -> str:
    if not found.findings:
        return "<p>This network has no head for findings.</p>"
    rows = [
        f"<tr><th>{escape(f.name)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in (f"{f.score:.2f}", f.side, str(found.slice_at(f.z_mm))))
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
        '<table class="numbers"><thead><tr><th>finding</th><th>score of the finding</th><th>surest in</th><th>slice</th>'
        "</tr></thead><tbody>"
        + "".join(rows)
        + f"</tbody></table><p>The score of the slice and lung where it is highest, 0 to 1. It is not "
        f"a probability: lesions were common in training, so scores are too high where they are rare.</p>{volumes}"
    )


def _lesions(found: OwnChest) -> str:
    shown = shown_lesions(found)
    if not shown:
        return f"<p>No lesion with a score of {SHOWN_SCORE:g} or more; weaker ones stand in lesions.csv.</p>"
    rows = []
    for k, (one, others) in enumerate(shown[:_MOST_ROWS], start=1):
        cells = [
            str(k),
            ", or ".join([one.kind, *(f"{other.kind} ({other.score:.2f})" for other in others)]),
            f"{one.score:.2f}",
            one.side,
            f"{one.diameter_mm:.0f} mm",
            str(found.slice_at(one.middle_mm[0])),
        ]
        rows.append("<tr>" + "".join(f"<td{' class=text' * (k == 1)}>{escape(c)}</td>" for k, c in enumerate(cells)) + "</tr>")
    head = "".join(f"<th>{h}</th>" for h in ("", "kind", "score of the box", "side", "diameter", "slice"))
    more = len(shown) - _MOST_ROWS
    rest = f"<p>{more} more in lesions.csv.</p>" if more > 0 else ""
    table = f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    kinds = (
        "<p>The score of a box, 0 to 1, in the slice where it is highest, is another one than the score of a finding above: "
        "the head for boxes gives it to one place, the head for findings to a whole slice of a lung. Boxes are shown from "
        f"{SHOWN_SCORE:g} on; the first sentence names findings from {SURE:g} on.</p>"
    )
    return f'<div class="wide">{table}</div>{rest}{kinds if found.findings else ""}'


def shown_lesions(found: OwnChest) -> list[tuple[OwnLesion, list[OwnLesion]]]:
    """The lesions that the page numbers, the surest first, each with weaker ones of another kind on the same place."""
    shown: list[tuple[OwnLesion, list[OwnLesion]]] = []
    for one in found.lesions:
        if one.score >= SHOWN_SCORE:
            same = next((others for other, others in shown if other.kind != one.kind and on_one_place(one, other)), None)
            if same is None:
                shown.append((one, []))
            else:
                same.append(one)
    return shown


def slices_that_matter(found: OwnChest) -> list[int]:
    """Slices of the surest lesions, of findings, of large areas, of what readers marked; the middle where none is."""
    wanted = [found.slice_at(one.middle_mm[0]) for one, _ in shown_lesions(found)[:3]]
    wanted += [found.slice_at(f.z_mm) for f in found.findings if f.score >= SURE]
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
    pictures = "".join(_picture(found, number, f"slice {number} with areas and boxes") for number in numbers)
    swatch = lambda k: f'<span class="swatch" style="border-color:{COLOURS[k]}"></span>'
    legend = ", ".join(f"{swatch(k)} {escape(name)}" for k, name in enumerate(AREAS, start=1))
    words = f"Lung window. Outlines: {legend}; white boxes: lesions by their number in the table."
    return f'<div class="pair">{pictures}</div><p>{words}</p>'


def _picture(found: OwnChest, number: int, alt: str, *, title: str = "", votes: bool = False) -> str:
    """A slice with what the network says of it, or with the readers' votes in place of that."""
    with figure_style():
        figure, ((axis,),) = new_figure(4.8, 4.1)
        _draw(axis, found, number, areas=not votes, boxes=not votes)
        axis.set_title(f"{title}slice {number}", fontsize=8, fontweight="normal")
        if votes:
            assert found.votes is not None
            rows, cols = _body(found)
            extent = _extent_mm(found, rows, cols)
            marked = np.ma.masked_equal(found.votes[number, rows, cols].numpy(), 0)
            shown = axis.imshow(marked, cmap="autumn", vmin=1, vmax=4, alpha=0.55, extent=extent)
            figure.colorbar(shown, ax=axis, ticks=[1, 2, 3, 4], shrink=0.7, label="readers")
        return f'<div class="scroll"><img alt="{escape(alt)}" src="{svg_uri(figure)}"></div>'


def _draw(axis: Any, found: OwnChest, number: int, *, areas: bool, boxes: bool) -> None:
    rows, cols = _body(found)
    extent = _extent_mm(found, rows, cols)
    hu = found.case.hu[number, rows, cols].numpy()
    axis.imshow(hu, cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1], extent=extent)
    place = {"extent": (extent[0], extent[1], extent[2], extent[3]), "origin": "upper"}
    if areas and found.labels is not None:
        for k in range(1, len(AREAS) + 1):
            mask = (found.labels[number, rows, cols] == k).numpy()
            if mask.any() and not mask.all():
                axis.contour(mask.astype(np.float32), [0.5], colors=COLOURS[k], linewidths=0.9, **place)
    numbered = enumerate(shown_lesions(found)[:_MOST_ROWS], start=1)
    here = [(k, one) for k, (one, _) in numbered if shown_in(found, one, number)]
    for k, one in here if boxes else ():
        y0, x0, y1, x1 = *one.low_mm[1:], *one.high_mm[1:]
        across, down = [x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0]
        axis.plot(across, down, color="black", linewidth=2.2)
        axis.plot(across, down, color="white", linewidth=1.0)
        axis.text(x0, y0 - 2, str(k), color="white", fontsize=8, bbox=_UNDER_NUMBERS)
    axis.set_aspect("equal")
    axis.set_axis_off()


def shown_in(found: OwnChest, lesion: OwnLesion, number: int) -> bool:
    """Whether a slice shows a lesion: those that cut it, and the one nearest to its middle where it lies between two."""
    z_mm = number * found.case.spacing_mm[0]
    return lesion.low_mm[0] <= z_mm <= lesion.high_mm[0] or number == found.slice_at(lesion.middle_mm[0])


def _extent_mm(found: OwnChest, rows: slice, cols: slice) -> tuple[float, float, float, float]:
    """Left, right, lower and upper edge of a part of a slice, in mm from the middle of its first pixel, as boxes are."""
    _, dy, dx = found.case.spacing_mm
    return (cols.start - 0.5) * dx, (cols.stop - 0.5) * dx, (rows.stop - 0.5) * dy, (rows.start - 0.5) * dy


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
    table = (
        f'<div class="wide"><table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )
    number = int((found.votes > 0).sum((1, 2)).argmax())
    pictures = _picture(found, number, "votes of readers", title="readers, votes: ", votes=True)
    pictures += _picture(found, number, "what the network says", title="network: ")
    return f'{table}<div class="pair">{pictures}</div>'


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
