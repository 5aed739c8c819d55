"""Scans of a patient at a dose: one for all views, or one for each."""

from dataclasses import replace

import pytest
import torch
from dose_subjects import SUBJECTS

from taskct.core.errors import GeometryError
from taskct.data.images import ImageSet


def test_the_same_photons_for_all_views_or_by_view_are_one_scan() -> None:
    one = SUBJECTS[0]
    flat = torch.full((2, 30), 1000.0)
    assert torch.equal(one.scan(1000.0, seed=1), one.scan(flat, seed=1))
    assert not torch.equal(one.scan(1000.0, seed=1), one.scan(1000.0, seed=1, draw=1))
    course = flat.clone()
    course[:, 15:] = 1e5
    error = (one.scan(course, seed=1) - one.p).std(-1)[:, 0]
    assert float(error[:, :15].mean() / error[:, 15:].mean()) == pytest.approx(10, rel=0.15)  # 600 rays each


def test_images_on_other_pixels_than_those_of_the_projector_are_refused() -> None:
    one = SUBJECTS[0]
    other = ImageSet(one.mu, one.images.patient_ids, spacing_mm=(5.0, 5.0))
    with pytest.raises(GeometryError, match="p0: the projector has pixels of 10 x 10 mm, the images have 5 x 5 mm"):
        replace(one, images=other)
