"""What a reader is shown: the images that one method made at one dose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.data.images import ImageSet
from taskct.evaluation.rows import DoseLevel

UNTRAINED = -1  # the seed of methods that are not trained; they stand beside every training seed of the others


@dataclass(frozen=True, eq=False)
class MethodImages:
    """The `images` that `method` made at one dose, trained with `seed`: in memory, labelled, with the size of their pixels.

    `truth_mu` (mu's shape) is the full-dose image, for contrast and image error. `seed` is UNTRAINED for FBP, TV or full dose.
    """

    images: ImageSet
    method: str
    dose_fraction: float = 1.0
    photons: float = 0.0
    seed: int = UNTRAINED
    truth_mu: Tensor | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.images.in_memory or not self.images.has_labels or self.images.spacing_mm is None:
            raise InputError(f"method {self.method!r}: expected images in memory (to_memory) with labels and spacing_mm")
        if not self.images.all_labelled:
            raise InputError(f"method {self.method!r}: some images have no label map; a panel reads those that are labelled")
        if self.truth_mu is not None and self.truth_mu.shape != self.mu.shape:
            raise GeometryError(f"truth_mu expects the shape of mu, got {tuple(self.truth_mu.shape)}, {tuple(self.mu.shape)}")

    @property
    def mu(self) -> Tensor:
        """(N, 1, ...) in 1/mm."""
        return self.images.mu

    @property
    def labels(self) -> Tensor:
        """(N, ...) int64."""
        assert self.images.labels is not None
        return self.images.labels.long()

    @property
    def patients(self) -> tuple[str, ...]:
        """Whose each image is."""
        return self.images.patient_ids

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Pixel size, one per axis."""
        assert self.images.spacing_mm is not None
        return self.images.spacing_mm

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
        return {case: np.array(numbers) for case, numbers in self.images.by_case().items()}

    def with_labels(self, labels: Tensor) -> MethodImages:
        """The same images with other labels."""
        return replace(self, images=self.images.with_labels(labels))
