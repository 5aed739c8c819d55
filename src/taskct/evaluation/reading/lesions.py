"""Scores per lesion: how many are found, at how many false alarms, by size and contrast.

A lesion is a connected piece of its label in one image (8 neighbours in a slice, 26 in a volume). A mark is a connected
piece of what the reader marks. They meet by a `MatchRule`; a mark that meets no lesion is a false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import GeometryError, InputError, unknown_name
from taskct.core.names import plural
from taskct.core.tensors import refuse_nan
from taskct.phantoms.lesions.of_case import contrast_to_organ

FALSE_ALARM_RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
RULES = ("overlap", "iou")


@dataclass(frozen=True)
class MatchRule:
    """When a mark finds a lesion.

    "overlap": they share `min_pixels` or more, and `min_precision` of the mark or more lies in lesions. Without the second
    a reader that marks everything would find all lesions without a false alarm. "iou": intersection over union with one
    lesion is `min_iou` or more.
    """

    kind: str = "overlap"
    min_pixels: int = 1
    min_precision: float = 0.1
    min_iou: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in RULES:
            raise unknown_name("match rule", self.kind, RULES, InputError)
        if self.min_pixels < 1 or not 0 <= self.min_precision <= 1 or not 0 < self.min_iou <= 1:
            raise InputError(f"a match rule expects min_pixels >= 1 and shares from 0 to 1, got {self}")

    def __str__(self) -> str:
        if self.kind == "iou":
            return f"a mark finds a lesion when their intersection over union is {self.min_iou:g} or more"
        return (
            f"a mark finds a lesion when they share {plural(self.min_pixels, 'pixel')} or more and "
            f"{self.min_precision:.0%} or more "
            "of the mark lies in lesions"
        )


@dataclass(frozen=True)
class TrueLesion:
    """One lesion of one image; `radius_mm` of the disk or ball of its size, `contrast_hu` to the organ round it, or NaN."""

    item: int
    pixels: int
    radius_mm: float
    contrast_hu: float = math.nan


@dataclass(frozen=True, eq=False)
class LesionSet:
    """The lesions of N images: `pieces` (N, ...) holds i + 1 where lesion i is, 0 elsewhere."""

    pieces: np.ndarray
    lesions: tuple[TrueLesion, ...]


Facts = Callable[[int, np.ndarray], tuple[float, float]]


def find_lesions(
    labels: np.ndarray,
    class_index: int,
    *,
    spacing_mm: Sequence[float],
    truth_hu: np.ndarray | None = None,
    organ_index: int | None = None,
    facts: Facts | None = None,
) -> LesionSet:
    """The lesions of labels (N, Y, X) or (N, Z, Y, X), one by one.

    Contrast is the mean HU of the lesion (without its rim) minus that of the organ within 10 mm, measured in `truth_hu` (of
    the labels' shape); NaN without. Where size and contrast are recorded, `facts(item, mask) -> (radius_mm, contrast_hu)` is
    asked instead: `recorded_facts` of taskct.phantoms.lesions.of_case.
    """
    if labels.ndim != len(spacing_mm) + 1 or (truth_hu is not None and truth_hu.shape != labels.shape):
        raise GeometryError(
            f"lesions expect labels (N, ...) with one spacing per axis and truth_hu of their shape, got {labels.shape}, "
            f"{tuple(spacing_mm)}, {None if truth_hu is None else truth_hu.shape}"
        )
    from scipy.ndimage import find_objects

    pieces, number = pieces_per_item(labels == class_index)
    pixel = float(np.prod(spacing_mm))
    found = []
    for i, box in enumerate(find_objects(pieces), start=1):
        item = box[0].start
        pixels = int((pieces[box] == i).sum())
        if facts is not None:
            radius, contrast = facts(item, pieces[item] == i)
        else:
            area = pixels * pixel
            radius = math.sqrt(area / math.pi) if len(spacing_mm) == 2 else (0.75 * area / math.pi) ** (1 / 3)
            contrast = math.nan
            if truth_hu is not None:
                organ = labels[item] > 0 if organ_index is None else labels[item] == organ_index
                organ = organ & (pieces[item] == 0)
                contrast = contrast_to_organ(truth_hu[item], pieces[item] == i, organ, spacing_mm=spacing_mm)
        found.append(TrueLesion(item, pixels, radius, contrast))
    assert len(found) == number
    return LesionSet(pieces, tuple(found))


def pieces_per_item(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected pieces of bool (N, ...), numbered from 1 over all images; pieces of different images never join."""
    from scipy.ndimage import label

    structure = np.zeros((3,) * mask.ndim, dtype=bool)
    structure[1] = True
    pieces, number = label(mask, structure=structure)
    return pieces, int(number)


def match(marked: np.ndarray, truth: LesionSet, rule: MatchRule | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Which lesions are found, bool (L,), and the false alarms of each image, (N,): marked bool (N, ...).

    >>> truth = find_lesions(np.array([[[0, 1, 1, 0, 0]]]), 1, spacing_mm=(1, 1))
    >>> match(np.array([[[False, True, False, False, True]]]), truth)
    (array([ True]), array([1]))
    """
    rule = rule or MatchRule()
    if marked.shape != truth.pieces.shape:
        raise GeometryError(f"marks and lesions differ in shape: {marked.shape} and {truth.pieces.shape}")
    marks, number = pieces_per_item(marked)
    hits = np.zeros(len(truth.lesions), dtype=bool)
    alarms = np.zeros(len(marked), dtype=np.int64)
    if number == 0:
        return hits, alarms
    where = np.flatnonzero(marks)
    flat = marks.ravel()[where]
    size = np.bincount(flat, minlength=number + 1)
    lesion = truth.pieces.ravel()[where]
    both = np.bincount(flat[lesion > 0] * (len(hits) + 1) + lesion[lesion > 0]) if (lesion > 0).any() else np.zeros(0)
    pairs = np.flatnonzero(both)
    mark, number_of = pairs // (len(hits) + 1), pairs % (len(hits) + 1)
    shared = both[pairs]
    if rule.kind == "iou":
        lesion_size = np.array([one.pixels for one in truth.lesions], dtype=np.int64)
        good = shared / (size[mark] + lesion_size[number_of - 1] - shared) >= rule.min_iou
    else:
        inside = np.bincount(mark, weights=shared, minlength=number + 1)
        good = (shared >= rule.min_pixels) & (inside[mark] >= rule.min_precision * size[mark])
    hits[number_of[good] - 1] = True
    false = np.ones(number + 1, dtype=bool)
    false[0] = False
    false[mark[good]] = False
    first = where[np.unique(flat, return_index=True)[1]]  # a pixel of each mark, in the order of their numbers
    items = first // math.prod(marked.shape[1:])
    np.add.at(alarms, items[false[1:]], 1)
    return hits, alarms


@dataclass(frozen=True, eq=False)
class Froc:
    """Free-response curve: at each of T score thresholds, falling, the lesions found (T, L) and false alarms (T, N)."""

    thresholds: np.ndarray
    hits: np.ndarray
    alarms: np.ndarray

    @property
    def sensitivity(self) -> np.ndarray:
        """Share of lesions found, (T,)."""
        return self.hits.mean(1) if self.hits.shape[1] else np.full(len(self.hits), np.nan)

    @property
    def alarms_per_image(self) -> np.ndarray:
        """Mean number of false alarms per image (slice or volume), (T,)."""
        return self.alarms.mean(1)

    def found_at(self, rate: float) -> np.ndarray:
        """Lesions found, bool (L,), at the threshold with most of them among those with `rate` false alarms or fewer."""
        allowed = self.alarms_per_image <= rate
        if not allowed.any():
            return np.zeros(self.hits.shape[1], dtype=bool)
        return np.asarray(self.hits[int(np.argmax(np.where(allowed, self.hits.sum(1), -1)))])

    def sensitivity_at(self, rate: float) -> float:
        """The highest sensitivity with at most `rate` false alarms per image; never falls as the rate rises."""
        found = self.found_at(rate)
        return float(found.mean()) if len(found) else math.nan


def froc(scores: np.ndarray, truth: LesionSet, *, rule: MatchRule | None = None, levels: int = 16) -> Froc:
    """Free-response curve of pixel scores (N, ...): marks are the connected pieces above each threshold.

    Thresholds are those at which 1/64 to 16 times as many pixels are marked as lesions have, so that any rising transform
    of the scores gives the same curve. Raises InputError for NaN.
    """
    refuse_nan(scores, who="froc: the reader")
    true = max(1, sum(one.pixels for one in truth.lesions))
    ranked = np.sort(scores, axis=None)
    kept = np.unique(np.round(true * np.geomspace(1 / 64, 16, levels)).astype(np.int64).clip(1, len(ranked)))
    thresholds = np.unique(ranked[-kept])[::-1]
    found = [match(scores >= threshold, truth, rule) for threshold in thresholds]
    return Froc(thresholds, np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))


@dataclass(frozen=True)
class Bins:
    """Edges that divide lesions by radius and by the size of their contrast; the first and last bins are open."""

    radius_mm: tuple[float, ...] = (5.0, 10.0)
    contrast_hu: tuple[float, ...] = (20.0, 40.0)

    def of(self, lesion: TrueLesion) -> tuple[str, ...]:
        """Names of the bins that a lesion belongs to.

        >>> Bins().of(TrueLesion(0, 9, 3.0, -25.0))
        ('radius under 5 mm', 'contrast 20 to 40 HU')
        """
        names = [_bin("radius", lesion.radius_mm, self.radius_mm, "mm")]
        if math.isfinite(lesion.contrast_hu):
            names.append(_bin("contrast", abs(lesion.contrast_hu), self.contrast_hu, "HU"))
        return tuple(names)


def _bin(what: str, value: float, edges: tuple[float, ...], unit: str) -> str:
    place = int(np.searchsorted(edges, value, side="right"))
    if place == 0:
        return f"{what} under {edges[0]:g} {unit}"
    if place == len(edges):
        return f"{what} from {edges[-1]:g} {unit}"
    return f"{what} {edges[place - 1]:g} to {edges[place]:g} {unit}"
