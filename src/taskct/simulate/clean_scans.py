"""Noise-free projections of an image set, kept in memory where they fit."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, ResourceError
from taskct.core.progress import track
from taskct.data.images import ImageSet
from taskct.physics.projector import Projector
from taskct.simulate.noisy_scan import finer_projection

CACHE_GIB = 4.0  # clean projections kept in memory
_CHUNK = 16  # images projected at a time


class CleanScans:
    """Noise-free projections of an image set through A, computed once when they fit into `cache_gib`.

    Images that are streamed are projected when they are asked for, so that memory does not grow with the set. With
    `refine` > 1 the images are projected on a grid that many times finer, as measured data know no pixels.
    """

    def __init__(
        self,
        images: ImageSet,
        A: Projector,
        *,
        refine: int = 2,
        cache_gib: float = CACHE_GIB,
        progress: bool | None = None,
    ) -> None:
        if images.shape != A.mu_shape:
            raise GeometryError(
                f"the projector expects images of shape {A.mu_shape}, got {images.shape}; build it from the grid of the images"
            )
        images.check_spacing(A.grid.spacing_mm, who="the projector")
        self.images, self.A = images, A
        self._project = finer_projection(A, A.grid.refined(refine) if refine > 1 else None)
        size = len(images) * 4
        for n in A.p_shape:
            size *= n
        self._kept: Tensor | None = None
        if images.in_memory and size <= cache_gib * 2**30:
            try:
                self._kept = torch.empty((len(images), 1, *A.p_shape))
            except RuntimeError as error:
                raise ResourceError(
                    f"no memory for {size / 2**30:.1f} GiB of clean projections; lower cache_gib to project in every step"
                ) from error
            for first in track(range(0, len(images), _CHUNK), "projecting", progress=progress):
                part = slice(first, first + _CHUNK)
                with torch.no_grad():
                    self._kept[part] = self._project(images.mu[part])

    def __len__(self) -> int:
        return len(self.images)

    @property
    def kept(self) -> bool:
        """Whether all projections lie in memory; then `take` reads no image."""
        return self._kept is not None

    def take(self, numbers: Tensor, device: torch.device, *, neighbours: int = 0) -> Tensor:
        """Clean p of some images and their neighbours: (B,) -> (B, 2 neighbours + 1, *A.p_shape) on `device`."""
        if self._kept is not None:
            return self._kept[self.images.beside(numbers, neighbours), 0].to(device)
        stack = self.images.take(numbers, neighbours=neighbours).stack
        assert stack is not None
        return self.project(stack.to(device))

    def project(self, mu: Tensor) -> Tensor:
        """Clean p of other images, such as augmented ones, through the same projection."""
        with torch.no_grad():
            return self._project(mu)
