"""Dice of class maps: per class and patient, pooled over patients by name, and of single lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import GeometryError, InputError


@dataclass(frozen=True, eq=False)
class AreaSums:
    """Samples of K classes in P patients, each (P, K): said and true, said, true."""

    shared: np.ndarray
    said: np.ndarray
    true: np.ndarray
    patients: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def per_patient(self) -> np.ndarray:
        """Dice of each patient and class, (P, K); NaN where a patient has nothing of the class, whatever was said."""
        total = self.said + self.true
        return np.asarray(np.where(self.true > 0, 2 * self.shared / np.maximum(total, 1), np.nan))

    def pooled(self, *, weights: np.ndarray | None = None) -> np.ndarray:
        """Dice of each class over the samples of all patients together, (K,): large lesions decide, false ones count."""
        counts = np.ones(len(self.patients)) if weights is None else weights
        above, below = 2 * counts @ self.shared, counts @ (self.said + self.true)
        return np.asarray(np.where(below > 0, above / np.maximum(below, 1e-300), np.nan))

    @property
    def false_where_absent(self) -> np.ndarray:
        """Mean number of samples that are said of a class in patients who have nothing of it, (K,)."""
        absent = self.true == 0
        return np.asarray((self.said * absent).sum(0) / np.maximum(absent.sum(0), 1))


def area_sums(said: np.ndarray, true: np.ndarray, patients: Sequence[str], classes: Sequence[str]) -> AreaSums:
    """Class maps (N, ...) of numbers, 0 background and k the k-th of `classes`, with whose each is -> sums by patient.

    Where `true` is below 0 the class is unknown, and the sample is left out. Raises InputError for a class above the number
    of `classes`, and for NaN or a fraction, such as a probability, which would count as background.
    """
    if said.shape != true.shape or len(said) != len(patients):
        raise GeometryError(f"area_sums expects two maps of one shape and a patient each, got {said.shape}, {true.shape}")
    for what, one in (("said", said), ("true", true)):
        if np.issubdtype(one.dtype, np.floating) and not (whole := np.trunc(one) == one).all():
            raise InputError(f"area_sums expects classes as whole numbers, got {what} samples of {one[~whole][0]:g}")
        if one.size and one.max() > len(classes):
            raise InputError(f"area_sums expects classes up to {len(classes)}, got {what} samples of class {one.max():g}")
    names = list(dict.fromkeys(patients))
    row = {name: k for k, name in enumerate(names)}
    sums = np.zeros((3, len(names), len(classes)))
    for one, other, patient in zip(said, true, patients, strict=True):
        known = other >= 0
        for k in range(1, len(classes) + 1):
            a, b = (one == k) & known, other == k
            sums[:, row[patient], k - 1] += (a & b).sum(), a.sum(), b.sum()
    return AreaSums(sums[0], sums[1], sums[2], tuple(names), tuple(classes))


def lesion_dice(said: np.ndarray, instances: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Dice of single lesions, (len(numbers),): what is said, bool (Z, Y, X) or (Y, X), against instances of the same shape.

    To a lesion belong the connected pieces (all neighbours) of what is said that touch it, whole: a piece that runs on into a
    vessel counts against it, and one that joins two lesions against both. 0 for a lesion that nothing touches; NaN for a
    number that the map does not show.
    """
    from scipy.ndimage import label

    if said.shape != instances.shape:
        raise GeometryError(f"lesion_dice expects maps of one shape, got {said.shape} and {instances.shape}")
    pieces, count = label(said, structure=np.ones((3,) * said.ndim))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    found = []
    for number in numbers:
        lesion = instances == number
        true = int(lesion.sum())
        inside = np.bincount(pieces[lesion], minlength=count + 1)
        inside[0] = 0
        touched = np.flatnonzero(inside)
        found.append(2 * inside.sum() / (true + sizes[touched].sum()) if true else np.nan)
    return np.array(found, float)
