"""Scans of a patient at a dose: one for all views, or one for each."""

import pytest
import torch
from dose_subjects import SUBJECTS


def test_the_same_photons_for_all_views_or_by_view_are_one_scan() -> None:
    one = SUBJECTS[0]
    flat = torch.full((2, 30), 1000.0)
    assert torch.equal(one.scan(1000.0, seed=1), one.scan(flat, seed=1))
    assert not torch.equal(one.scan(1000.0, seed=1), one.scan(1000.0, seed=1, draw=1))
    course = flat.clone()
    course[:, 15:] = 1e5
    error = (one.scan(course, seed=1) - one.p).std(-1)[:, 0]
    assert float(error[:, :15].mean() / error[:, 15:].mean()) == pytest.approx(10, rel=0.15)  # 600 rays each
