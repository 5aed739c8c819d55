"""Several masks -> one label map: where they overlap, the smaller mask has the voxel, so that what lies inside stays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

KEPT_SHARE = 0.5  # a class that keeps less of itself than this is named
_MOST_NAMED = 5


class Painting:
    """A label map (Z, Y, X) to which masks are added one by one, in any order; of masks of one size the later one wins."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.labels = np.zeros(shape, np.int16)
        self.sizes: dict[int, int] = {}
        self.overlap = 0

    def add(self, number: int, mask: np.ndarray) -> None:
        """Paint `mask` (bool) as `number`."""
        size = int(mask.sum())
        there = self.labels[mask]
        smaller = np.array([n for n, s in self.sizes.items() if s < size], np.int16)
        self.overlap += int((there > 0).sum())
        self.labels[mask] = np.where(np.isin(there, smaller), there, np.int16(number))
        self.sizes[number] = size

    def notes(self, names: Mapping[int, str], *, of: str) -> list[str]:
        """Sentences on what overlapped, and on classes that lost all or most of their voxels to others."""
        if not self.overlap:
            return []
        notes = [f"{self.overlap} voxels lie in more than one of the {of}; the smaller one was taken"]
        kept = dict(zip(*(a.tolist() for a in np.unique(self.labels, return_counts=True)), strict=True))
        return notes + loss_notes(self.sizes, kept, names, by="smaller ones inside")


def loss_notes(before: Mapping[int, float], after: Mapping[int, float], names: Mapping[int, str], *, by: str) -> list[str]:
    """Sentences on classes that kept nothing, or less than half, of their size.

    >>> loss_notes({1: 90, 2: 8, 3: 4}, {1: 88, 2: 2}, {2: "tumour"}, by="resampling")
    ['label 2 (tumour) loses 75 % of its volume to resampling', 'label 3 is lost to resampling']
    """
    notes = []
    for number, size in before.items():
        share = after.get(number, 0) / size if size else 1.0
        name = f"label {number} ({names[number]})" if number in names else f"label {number}"
        if share == 0:
            notes.append(f"{name} is lost to {by}")
        elif share < KEPT_SHARE:
            notes.append(f"{name} loses {100 - 100 * share:.2g} % of its volume to {by}")
    more = [f"and {len(notes) - _MOST_NAMED} more classes lost to {by}"] if len(notes) > _MOST_NAMED else []
    return [*notes[:_MOST_NAMED], *more]
