"""Readers' outlines of LIDC-IDRI -> masks, and masks of several readers -> nodules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.names import plural
from taskct.data.sets.lidc_xml import ReaderMark, on_scale


@dataclass(frozen=True, eq=False)
class ReaderMask:
    """One reader's nodule as samples (n, 3) of the CT, in rising order."""

    mark: ReaderMark
    samples: np.ndarray

    @property
    def keys(self) -> set[tuple[int, ...]]:
        """Its samples as a set."""
        return {tuple(s) for s in self.samples.tolist()}


@dataclass(frozen=True, eq=False)
class NoduleOfReaders:
    """Masks of different readers that are one nodule, and how many of them have each of its samples."""

    masks: tuple[ReaderMask, ...]
    samples: np.ndarray
    votes: np.ndarray

    @property
    def readers(self) -> int:
        """How many readers marked it."""
        return len(self.masks)

    def agreed(self, share: float = 0.5) -> np.ndarray:
        """Samples (n, 3) that at least this share of its readers have; those with most votes where none are so many."""
        need = min(np.ceil(share * self.readers), self.votes.max())
        return np.asarray(self.samples[self.votes >= need])

    def rating(self, name: str) -> float | None:
        """Mean of its readers' ratings of a name; None where nobody rated it on its scale."""
        given = [r for m in self.masks if (r := m.mark.ratings.get(name)) is not None and on_scale(name, r)]
        return float(np.mean(given)) if given else None


def inside_outline(pixels: Sequence[tuple[int, int]], *, hole: bool = False) -> np.ndarray:
    """Pixels (n, 2) inside an outline: (row, column) of its edge, in order.

    The edge is the first pixel outside of the nodule, so it does not belong to it: of an outline what it encloses is given,
    of a hole (its edge is not nodule either) also the edge. Edges touch by sides or corners; points further apart are joined
    by straight lines, and the last one to the first.

    >>> square = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    >>> inside_outline(square).tolist()
    [[1, 1]]
    """
    from scipy.ndimage import binary_fill_holes

    points = np.array(pixels, dtype=np.int64)
    low = points.min(0) - 1
    edge = np.zeros(points.max(0) - low + 2, bool)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        steps = max(1, int(np.abs(end - start).max()))
        line = np.rint(start + (end - start) * (np.arange(steps + 1)[:, None] / steps)).astype(np.int64) - low
        edge[line[:, 0], line[:, 1]] = True
    filled = binary_fill_holes(edge)
    return np.argwhere(filled if hole else filled & ~edge) + low


def joined_nodules(masks: Sequence[ReaderMask]) -> tuple[list[NoduleOfReaders], list[str]]:
    """Which masks of different readers are one nodule, and notes.

    The rule: pairs of masks of two readers that share a sample are joined in the order of their overlap (intersection over
    union), the largest first, unless one reader would then have two masks in one nodule: then they stay apart, and a note
    says so. Nodules are ordered by their number of readers, then by their size.
    """
    keys = [m.keys for m in masks]
    pairs = []
    for i in range(len(masks)):
        for j in range(i + 1, len(masks)):
            shared = len(keys[i] & keys[j]) if masks[i].mark.reader != masks[j].mark.reader else 0
            if shared:
                pairs.append((-shared / len(keys[i] | keys[j]), i, j))
    group = list(range(len(masks)))
    members = {i: [i] for i in group}
    apart = 0
    for _, i, j in sorted(pairs):
        a, b = sorted((group[i], group[j]))
        if a == b:
            continue
        readers = [masks[k].mark.reader for k in members[a] + members[b]]
        if len(set(readers)) < len(readers):
            apart += 1
            continue
        for k in members.pop(b):
            group[k] = a
            members[a].append(k)
    nodules = [_nodule([masks[k] for k in sorted(found)]) for found in members.values()]
    nodules.sort(key=lambda n: (-n.readers, -len(n.samples), n.samples[0].tolist()))
    notes = []
    if apart:
        notes.append(
            f"{plural(apart, 'pair of overlapping marks was', 'pairs of overlapping marks were')} kept apart, since "
            "one reader would have two marks in one nodule"
        )
    return nodules, notes


def _nodule(masks: list[ReaderMask]) -> NoduleOfReaders:
    samples, votes = np.unique(np.concatenate([m.samples for m in masks]), axis=0, return_counts=True)
    return NoduleOfReaders(tuple(masks), samples, votes)
