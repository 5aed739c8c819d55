"""Pictures of lungs with what is true of them and what a network says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.units import to_hu_unchecked
from taskct.data.images import ImageSet
from taskct.report.outlines import swatch
from taskct.report.style import COLOURS, figure_style, new_figure, svg_uri
from taskct.systems.chest.chest_classes import AREAS, FINDINGS
from taskct.systems.chest.chest_net import ChestReader
from taskct.task import FoundBoxes

_WINDOW = (-1150.0, 250.0)
_BOXES = ("#00e5ff", "#ffffff")  # of nodules and of infection; no colour of an outline
SHOWN_SCORE = 0.3  # boxes that are shown


def telling_crops(images: ImageSet, count: int = 6) -> list[int]:
    """Crops that show something, one of each patient where there are as many: the largest sections of any lesion."""
    best: dict[str, tuple[int, int]] = {}
    for i, (patient, marks) in enumerate(zip(images.patient_ids, images.marks, strict=True)):
        size = 0 if marks is None else int((marks.instances > 0).sum())
        best[patient] = max(best.get(patient, (0, i)), (size, i))
    ranked = sorted(best.values(), reverse=True)
    return [i for _, i in ranked[:count]]


def lungs_figures(reader: ChestReader, images: ImageSet, numbers: Sequence[int]) -> list[str]:
    """A figure for each crop as HTML, the truth above the network's answer."""
    read = images.take(numbers, neighbours=reader.config.neighbours)
    assert read.stack is not None
    answers = reader.answers(read.stack)
    truth = [None if m is None else m.class_map(AREAS) for m in read.marks]
    said = list(answers["segment"].argmax(1)) if "segment" in answers else [None] * len(numbers)
    boxes = reader.boxes(answers["detect"], threshold=SHOWN_SCORE) if "detect" in answers else [None] * len(numbers)
    pictures = []
    with figure_style():
        for k, mu in enumerate(read.mu[:, 0]):
            figure, axes = new_figure(1.75, 4.4, rows=2)
            for row, (areas, found) in enumerate(((truth[k], None), (said[k], boxes[k]))):
                _draw(axes[row][0], mu, areas, found)
            axes[0][0].set_title(read.ids[k], fontsize=7.5, fontweight="normal")
            axes[1][0].set_title(_findings(answers, k), fontsize=7.5, fontweight="normal")
            alt = f"{read.ids[k]}: the truth above what the network says, {_findings(answers, k)}".replace("\n", ", ")
            pictures.append(f'<figure><img alt="{escape(alt)}" src="{svg_uri(figure)}"></figure>')
    return pictures


def _draw(axis: Any, mu: Tensor, areas: Tensor | None, found: FoundBoxes | None) -> None:
    axis.imshow(to_hu_unchecked(mu).numpy(), cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1], interpolation="nearest")
    axis.set_axis_off()
    for k in range(1, len(AREAS) + 1):
        mask = None if areas is None else (areas == k).numpy()
        if mask is not None and mask.any() and not mask.all():
            axis.contour(mask.astype(np.float32), [0.5], colors=COLOURS[k], linewidths=0.9)
    if found is None:
        return
    for (y0, x0, y1, x1), kind, score in zip(
        found.corners.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True
    ):
        corner_x, corner_y = (
            [x0 - 0.5, x1 - 0.5, x1 - 0.5, x0 - 0.5, x0 - 0.5],
            [y0 - 0.5, y0 - 0.5, y1 - 0.5, y1 - 0.5, y0 - 0.5],
        )
        colour = _BOXES[0 if kind == 0 else 1]
        axis.plot(corner_x, corner_y, color=colour, linewidth=0.8)
        ground = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 0.4}
        axis.text(x0, max(y0 - 2, 6), f"{score:.2f}", color=colour, fontsize=6, bbox=ground)


def _findings(answers: Mapping[str, Any], k: int) -> str:
    if "classify" not in answers:
        return ""
    p = torch.sigmoid(answers["classify"][k]).tolist()
    return "\n".join(f"{name} {value:.2f}" for name, value in zip(FINDINGS, p, strict=True))


def picture_words() -> str:
    """Which outline and which box is which, as HTML."""
    areas = " · ".join(swatch(COLOURS[k], area) for k, area in enumerate(AREAS, start=1))
    boxes = f"{swatch(_BOXES[0], 'nodule')} · {swatch(_BOXES[1], 'infection')}"
    return (
        "Above the truth, below what the network says, with its score of each finding over the picture and of "
        f"each box in it. Outlines: {areas}. Boxes: {boxes}."
    )
