"""Scans without noise: the same from memory and made when they are needed."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.data.images import ImageSet
from taskct.physics.projector import Projector
from taskct.simulate.clean_scans import CleanScans


def test_images_of_another_grid_than_the_projectors_are_refused(projector: Projector) -> None:
    with pytest.raises(GeometryError, match=r"expects images of shape \(32, 32\), got \(16, 16\)"):
        CleanScans(ImageSet(torch.zeros(1, 1, 16, 16), ("a",)), projector)


def test_clean_scans_are_the_same_from_memory_and_made_in_the_step(images: ImageSet, projector: Projector) -> None:
    numbers, cpu = torch.tensor([3, 1]), torch.device("cpu")
    kept, made = (CleanScans(images, projector, cache_gib=g).take(numbers, cpu) for g in (1.0, 0.0))
    assert torch.allclose(kept, made, atol=1e-6)
    coarse = CleanScans(images, projector, refine=1).take(numbers, cpu)
    assert 0 < float((kept - coarse).abs().max()) < 0.5  # another grid, the same body


def test_images_on_pixels_of_another_size_are_refused(projector: Projector) -> None:
    """Their shape fits, and every length would be wrong."""
    with pytest.raises(GeometryError, match=r"the projector has pixels of .* mm, the images have 0.5 x 0.5 mm; build it"):
        CleanScans(ImageSet(torch.zeros(1, 1, *projector.mu_shape), ("a",), spacing_mm=(0.5, 0.5)), projector)
