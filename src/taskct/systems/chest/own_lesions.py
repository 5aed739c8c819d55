"""Answers on the crops of a CT as findings of the patient, as lesions in mm, and as a label map on its samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.names import plural
from taskct.data.lungs import SIDES
from taskct.systems.chest.chest_classes import AREAS, FINDINGS, LESIONS
from taskct.systems.chest.chest_net import ChestReader
from taskct.systems.chest.own_crops import LungWindow, OwnCrops
from taskct.task import FoundBoxes

_BATCH = 16
_SAME_LESION = 0.15  # intersection over union of boxes of neighbouring slices that are one lesion
LEAST_SCORE = 0.05  # of lesions that are kept at all


@dataclass(frozen=True)
class Finding:
    """The score of a finding: that of the slice and lung where it is highest, and its place above the first slice."""

    name: str
    score: float
    side: str
    z_mm: float


@dataclass(frozen=True)
class OwnLesion:
    """A lesion by its box, in mm from the middle of the case's first sample: (z, y, x) low edges, high edges."""

    kind: str
    score: float
    side: str
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]

    @property
    def middle_mm(self) -> tuple[float, ...]:
        """Its centre."""
        return tuple((a + b) / 2 for a, b in zip(self.low_mm, self.high_mm, strict=True))

    @property
    def diameter_mm(self) -> float:
        """Mean of its height and width in the slice."""
        return float(np.mean([b - a for a, b in zip(self.low_mm[1:], self.high_mm[1:], strict=True)]))


@dataclass(frozen=True, eq=False)
class OwnAnswers:
    """What a network says of a CT. `labels` int16 (Z, Y, X): 0 nothing, k the k-th area; None without a segmentation head."""

    findings: tuple[Finding, ...]
    lesions: tuple[OwnLesion, ...]
    labels: Tensor | None


def read_crops_of_ct(reader: ChestReader, crops: OwnCrops) -> OwnAnswers:
    """Both lungs slice by slice -> findings, lesions and areas of the patient."""
    findings: dict[str, Finding] = {}
    lesions: list[OwnLesion] = []
    labels = torch.zeros(tuple(crops.case.hu.shape), dtype=torch.int16) if "segment" in reader.config.tasks else None
    for window in crops.windows:
        side = SIDES[window.side]
        boxes: list[FoundBoxes] = []
        areas: list[Tensor] = []
        for first in range(0, len(crops.heights_mm), _BATCH):
            numbers = list(range(first, min(first + _BATCH, len(crops.heights_mm))))
            answers = reader.answers(crops.stack(window, numbers, reader.config.neighbours))
            if "classify" in answers:
                _keep_surest(findings, answers["classify"].sigmoid(), crops.heights_mm[numbers], side)
            if "segment" in answers:
                areas.append(answers["segment"].argmax(1).to(torch.int16))
            if "detect" in answers:
                boxes += reader.boxes(answers["detect"], threshold=LEAST_SCORE)
        if labels is not None:
            _paint(labels, torch.cat(areas), crops, window)
        lesions += linked(boxes, crops, window, side=side)
    lesions = merged(sorted(lesions, key=lambda one: -one.score), step_mm=crops.step_mm)
    return OwnAnswers(tuple(findings[name] for name in FINDINGS if name in findings), tuple(lesions), labels)


def merged(lesions: Sequence[OwnLesion], *, step_mm: float) -> list[OwnLesion]:
    """Lesions, the surest first -> one for each kind and place, as sure and wide as the surest, as high as all."""
    kept: list[OwnLesion] = []
    for one in lesions:
        same = next((k for k, other in enumerate(kept) if other.kind == one.kind and on_one_place(one, other, step_mm)), None)
        if same is None:
            kept.append(one)
            continue
        other = kept[same]
        low, high = min(one.low_mm[0], other.low_mm[0]), max(one.high_mm[0], other.high_mm[0])
        kept[same] = replace(other, low_mm=(low, *other.low_mm[1:]), high_mm=(high, *other.high_mm[1:]))
    return kept


def on_one_place(one: OwnLesion, other: OwnLesion, step_mm: float = 0.0) -> bool:
    """Whether two boxes overlap as those of neighbouring slices of one lesion do, with heights at most a step apart."""
    apart = max(one.low_mm[0], other.low_mm[0]) - min(one.high_mm[0], other.high_mm[0])
    edges = (np.array([*box.low_mm[1:], *box.high_mm[1:]]) for box in (one, other))
    return apart <= step_mm and _overlap(*edges) > _SAME_LESION


def inside(answers: OwnAnswers, cavity: Tensor, spacing_mm: Sequence[float]) -> tuple[OwnAnswers, str]:
    """The answers in a mask (Z, Y, X), with a sentence on what was left out, "" for nothing."""
    stays = [bool(cavity[_sample(one.middle_mm, spacing_mm, cavity.shape)]) for one in answers.lesions]
    lesions = tuple(one for one, here in zip(answers.lesions, stays, strict=True) if here)
    labels, out_ml = answers.labels, 0.0
    if labels is not None:
        out_ml = sum(area_volumes_ml(labels * ~cavity, spacing_mm).values())
        labels = labels * cavity
    boxes = len(stays) - len(lesions)
    if not boxes and not out_ml:
        return answers, ""
    words = [plural(boxes, "box", "boxes")] * bool(boxes) + [f"areas of {out_ml:.1f} ml"] * bool(out_ml)
    said = f"{' and '.join(words)} that the network marked outside of the ribs were left out"
    return replace(answers, lesions=lesions, labels=labels), said


def _sample(place_mm: Sequence[float], spacing_mm: Sequence[float], shape: Sequence[int]) -> tuple[int, ...]:
    """The sample at a place in mm, the nearest one for a place outside."""
    return tuple(min(max(round(p / s), 0), n - 1) for p, s, n in zip(place_mm, spacing_mm, shape, strict=True))


def _keep_surest(found: dict[str, Finding], scores: Tensor, heights: np.ndarray, side: str) -> None:
    for k, name in enumerate(FINDINGS):
        n = int(scores[:, k].argmax())
        value = float(scores[n, k])
        if name not in found or value > found[name].score:
            found[name] = Finding(name, value, side, float(heights[n]))


def _paint(labels: Tensor, areas: Tensor, crops: OwnCrops, window: LungWindow) -> None:
    """The areas (N, rows, cols) of one lung on the samples of the CT, each from the nearest pixel of the nearest slice."""
    spacing, shape = crops.case.spacing_mm, tuple(labels.shape)
    z = np.arange(shape[0]) * spacing[0]
    nearest = np.abs(z[:, None] - crops.heights_mm[None]).argmin(1)
    there = np.abs(z - crops.heights_mm[nearest]) <= max(crops.step_mm, spacing[0]) / 2 + 1e-6
    index, inside = [], []
    for axis in (0, 1):
        at_mm = np.arange(shape[1 + axis]) * spacing[1 + axis]
        at = np.rint((at_mm - window.first_mm[axis]) / crops.pixel_mm).astype(int)
        ok = (at >= 0) & (at < window.shape[axis])
        if axis == 1:
            ok &= (at_mm >= window.from_mm) & (at_mm < window.to_mm)
        index.append(at[ok])
        inside.append(np.flatnonzero(ok))
    if not len(inside[0]) or not len(inside[1]):
        return
    rows, cols = slice(inside[0][0], inside[0][-1] + 1), slice(inside[1][0], inside[1][-1] + 1)
    for k in np.flatnonzero(there):
        labels[int(k), rows, cols] = areas[int(nearest[k])][index[0][:, None], index[1][None, :]]


def linked(
    boxes: Sequence[FoundBoxes], crops: OwnCrops, window: LungWindow, *, side: str, least: float = LEAST_SCORE
) -> list[OwnLesion]:
    """Boxes of a lung's slices, in pixels -> lesions: boxes of one class that overlap in neighbouring slices are one.

    The surest begins; its box is that of the surest slice, its score too, and its height that of all its slices. Boxes whose
    middle lies in the other half of the chest are left to the other lung.
    """
    table = [
        (float(score), k, int(kind), corners.numpy())
        for k, found in enumerate(boxes)
        for corners, kind, score in zip(found.corners, found.classes, found.scores, strict=True)
        if float(score) >= least
        and window.inside(window.first_mm[1] + (float(corners[1] + corners[3]) / 2 - 0.5) * crops.pixel_mm)
    ]
    table.sort(key=lambda row: (-row[0], -float((row[3][2:] - row[3][:2]).prod()), row[1]))
    taken = [False] * len(table)
    names = list(LESIONS)
    found = []
    for n, (score, k, kind, corners) in enumerate(table):
        if taken[n]:
            continue
        taken[n] = True
        low = high = k
        chain = {k: corners}
        grown = True
        while grown:
            grown = False
            for m, (_, other, other_kind, other_corners) in enumerate(table):
                near = chain.get(other - 1 if other > k else other + 1)
                if taken[m] or other_kind != kind or other in chain or near is None:
                    continue
                if _overlap(near, other_corners) > _SAME_LESION:
                    taken[m], chain[other], grown = True, other_corners, True
                    low, high = min(low, other), max(high, other)
        for m, (_, other, other_kind, other_corners) in enumerate(table):  # weaker ones on the same place are the same
            if not taken[m] and other_kind == kind and other in chain and _overlap(chain[other], other_corners) > _SAME_LESION:
                taken[m] = True
        y0, x0, y1, x1 = ((v - 0.5) * crops.pixel_mm for v in corners)
        half = crops.step_mm / 2
        ends = crops.heights_mm[low] - half, crops.heights_mm[high] + half
        place = (window.first_mm[0], window.first_mm[1])
        found.append(
            OwnLesion(
                names[kind],
                score,
                side,
                (float(ends[0]), float(place[0] + y0), float(place[1] + x0)),
                (float(ends[1]), float(place[0] + y1), float(place[1] + x1)),
            )
        )
    return found


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(sides.prod())
    return shared / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def area_volumes_ml(labels: Tensor, spacing_mm: Sequence[float]) -> Mapping[str, float]:
    """Volume of each area in ml."""
    voxel = float(np.prod(spacing_mm)) / 1000
    counts: Any = torch.bincount(labels.flatten().long(), minlength=len(AREAS) + 1).tolist()
    return {name: counts[k] * voxel for k, name in enumerate(AREAS, start=1)}
