"""Volumes with the radiographs that are taken of them: truths on the answer's grid, radiographs from a finer one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from taskct.core.errors import GeometryError
from taskct.data.images import ImageSet
from taskct.geometry import Grid
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.simulate.radiograph import transmission

OVERSAMPLE = 2
_CHUNK = 8


class RadiographSet:
    """Images (N, 1, Z, Y, X) on a grid `factor` times finer than A's, their truths on A's grid, and noise-free radiographs.

    `A` is one projector, or several: geometries of which any image may be seen by any. A truth is the mean of factor^3 voxels;
    radiographs are projected from the finer images (`transmission`), so that nothing is reconstructed on the grid that it was
    projected from. Each is computed when it is first asked for, and kept.

    Raises GeometryError for images of another shape than `factor` times A's grid, and for geometries of several grids.
    """

    def __init__(self, images: ImageSet, A: Projector | Sequence[Projector], *, factor: int = 2) -> None:
        self.geometries = (A,) if isinstance(A, Projector) else tuple(A)
        self.images, self.factor = images, factor
        grid = Projectors(self.geometries).grid  # refuses several grids
        if factor < 1 or images.shape != tuple(n * factor for n in grid.shape):
            raise GeometryError(
                f"RadiographSet expects images of {factor} times the grid {grid.shape}, got {images.shape}; draw or resample "
                "them for it"
            )
        self.grid = grid
        self.fine_grid: Grid = grid.refined(factor) if factor > 1 else grid
        images.check_spacing(self.fine_grid.spacing_mm, who=f"the projector's grid, {factor} times finer,")
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._truth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def truth(self) -> Tensor:
        """All truths, (N, 1, z, y, x) in 1/mm."""
        if self._truth is None:
            chunks = self.images.batches(_CHUNK)
            self._truth = torch.cat([avg_pool3d(chunk.mu, self.factor) for chunk in chunks])
        return self._truth

    def seen_by(self, places: Sequence[int]) -> Projector | Projectors:
        """The geometry of a batch whose image i is seen by geometry `places[i]`: one, or one for each image."""
        if len(self.geometries) == 1:
            return self.geometries[0]
        return Projectors([self.geometries[k] for k in places])

    def clean(self, numbers: Sequence[int], places: Sequence[int] | None = None) -> Tensor:
        """Noise-free p (B, 1, V, R, C) of some images, image i by geometry `places[i]` (the first without)."""
        pairs = list(zip(numbers, places if places is not None else [0] * len(numbers), strict=True))
        for place in dict.fromkeys(place for _, place in pairs):
            missing = [n for n, k in dict.fromkeys(pairs) if k == place and (n, k) not in self._kept]
            for first in range(0, len(missing), _CHUNK):
                some = missing[first : first + _CHUNK]
                through = transmission(
                    self.images.take(some).mu, self.geometries[place], mu_grid=self.fine_grid, oversample=OVERSAMPLE
                )
                for number, one in zip(some, -through.log(), strict=True):
                    self._kept[number, place] = one
        return torch.stack([self._kept[pair] for pair in pairs])
