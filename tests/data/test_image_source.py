"""Images in memory: what is refused."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.data.images import ImageSet


def test_image_sets_refuse_labels_on_another_grid_hu_nan_and_lists_of_another_length() -> None:
    mu, names = torch.full((2, 1, 8, 8), 0.02), ("a", "b")
    with pytest.raises(GeometryError, match=r"labels on the grid of its images \(2, 8, 8\), got \(2, 4, 4\); resample"):
        ImageSet(mu, names, torch.zeros(2, 4, 4, dtype=torch.uint8))
    with pytest.raises(UnitsError, match=r"image-1: ImageSet expects mu in 1/mm.*look like HU"):
        ImageSet(torch.cat([mu[:1], mu[:1] * 0 - 1000]), names)
    with pytest.raises(UnitsError, match=r"image-0: .*NaN"):
        ImageSet(mu * float("nan"), names)
    with pytest.raises(InputError, match="patient_ids for each of the 2 images, got 1"):
        ImageSet(mu, ("a",))
    with pytest.raises(InputError, match="at least one image"):
        ImageSet(mu[:0], ())
    with pytest.raises(InputError, match="whole numbers"):
        ImageSet(mu, names, torch.zeros(2, 8, 8))
