"""Attenuation in numbers of order 1, as networks want them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from taskct.core.errors import UnitsError
from taskct.core.units import MU_WATER_70KEV_PER_MM


@dataclass(frozen=True)
class MuScale:
    """x = (mu - centre) / scale, and back. The default maps air to -2, water to 0 and dense bone to about 2 (HU / 500).

    >>> import torch
    >>> scale = MuScale()
    >>> scale.normalise(torch.tensor([0.0, 0.01929]))
    tensor([-2.,  0.])
    """

    centre_per_mm: float = MU_WATER_70KEV_PER_MM
    scale_per_mm: float = MU_WATER_70KEV_PER_MM / 2

    def __post_init__(self) -> None:
        if not (self.scale_per_mm > 0 and abs(self.centre_per_mm) < 1):
            raise UnitsError(
                f"MuScale expects a scale above 0 and a centre in 1/mm (water is about 0.02), got {self.scale_per_mm!r} "
                f"and {self.centre_per_mm!r}"
            )

    def normalise(self, mu: Tensor) -> Tensor:
        """1/mm -> order 1, same shape."""
        return (mu - self.centre_per_mm) / self.scale_per_mm

    def restore(self, x: Tensor) -> Tensor:
        """Order 1 -> 1/mm, same shape."""
        return x * self.scale_per_mm + self.centre_per_mm
