"""What a reader is shown: the images that one method made at one dose, with their labels and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.rows import DoseLevel

UNTRAINED = -1  # the seed of methods that are not trained; they stand beside every training seed of the others


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images mu (N, 1, Y, X) or (N, 1, Z, Y, X) in 1/mm of `method` at one dose, trained with `seed`.

    `labels` (N, ...) int64; `cases` and `patients` name each image's case and patient, which may own several images.
    `truth_mu` (mu's shape) is the full-dose image, for contrast and image error. `seed` is UNTRAINED for FBP, TV or full dose.
    """

    method: str
    mu: Tensor
    labels: Tensor
    cases: Sequence[str]
    patients: Sequence[str]
    spacing_mm: tuple[float, ...]
    dose_fraction: float = 1.0
    photons: float = 0.0
    seed: int = UNTRAINED
    truth_mu: Tensor | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.mu)
        if self.mu.ndim not in (4, 5) or self.mu.shape[1] != 1 or n == 0:
            raise GeometryError(f"an ImageSet expects mu (N, 1, Y, X) or (N, 1, Z, Y, X), got {tuple(self.mu.shape)}")
        if tuple(self.labels.shape) != (n, *self.mu.shape[2:]):
            raise GeometryError(
                f"method {self.method!r}: labels expect the grid of the images {(n, *self.mu.shape[2:])}, got "
                f"{tuple(self.labels.shape)}; resample them"
            )
        if len(self.cases) != n or len(self.patients) != n or len(self.spacing_mm) != self.mu.ndim - 2:
            raise InputError(
                f"method {self.method!r}: {n} images expect {n} cases and patients and one spacing per axis, got "
                f"{len(self.cases)}, {len(self.patients)} and {self.spacing_mm}"
            )
        if self.truth_mu is not None and self.truth_mu.shape != self.mu.shape:
            raise GeometryError(f"truth_mu expects the shape of mu, got {tuple(self.truth_mu.shape)}, {tuple(self.mu.shape)}")
        if not bool(self.mu.isfinite().all()):
            bad = int((~self.mu.flatten(1).isfinite()).any(1).nonzero()[0])
            raise InputError(f"method {self.method!r}, case {self.cases[bad]}: NaN or infinite values cannot be read")

    @property
    def dose(self) -> DoseLevel:
        """The dose of the scans."""
        return DoseLevel(self.dose_fraction, self.photons)

    @property
    def key(self) -> tuple[str, int, DoseLevel]:
        """Method, training seed and dose."""
        return self.method, self.seed, self.dose

    def groups(self) -> dict[str, np.ndarray]:
        """Case -> numbers of its images, in the order in which cases first occur."""
        found: dict[str, list[int]] = {}
        for i, case in enumerate(self.cases):
            found.setdefault(case, []).append(i)
        return {case: np.array(numbers) for case, numbers in found.items()}

    def with_labels(self, labels: Tensor) -> ImageSet:
        """The same images with other labels."""
        return replace(self, labels=labels)
