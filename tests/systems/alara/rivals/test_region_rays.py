"""The rays through a region."""

from dataclasses import replace

import pytest
import torch
from dose_subjects import SUBJECTS

from taskct.systems.alara.rivals.region_rays import RegionRays
from taskct.systems.alara.rivals.strategies import STRATEGIES


def test_the_rays_through_a_region_are_the_least_dose_for_its_noise() -> None:
    """No modulation of the scout's longest path does better than the oracle that knows the region's own rays."""
    subject = SUBJECTS[0]
    rays = RegionRays("body")(subject)
    assert float(rays.mean()) == pytest.approx(1)
    mask = (subject.labels == 1)[:, None].float()
    weight = subject.A(mask)[:, 0].double()
    cost = (weight * subject.p[:, 0].double().exp()).sum(2) / weight.sum(2).clamp_min(1e-12)
    noise = lambda n: float((cost / (n / n.mean())).mean())
    best = noise(rays)
    scout = STRATEGIES["modulation a=0.5"](subject)
    others = [torch.ones_like(rays), scout, rays**2, rays**0.5]
    assert all(best < noise(other) for other in others)


def test_a_slice_gets_more_the_more_it_shows_of_what_is_read() -> None:
    subject = SUBJECTS[0]
    small = torch.zeros_like(subject.labels)
    small[0], small[1:, 14:18, 14:18] = subject.labels[0], subject.labels[1:, 14:18, 14:18]
    part = replace(subject, images=subject.images.with_labels(small))
    even, sized = (RegionRays("body", by_size=flag)(part).mean(1) for flag in (False, True))
    assert float(sized.mean()) == pytest.approx(1)
    assert float(sized[0] / sized[1]) > 1.5 * float(even[0] / even[1])
    first = torch.where(torch.arange(len(small))[:, None, None] == 0, small, 0)
    none = replace(subject, images=subject.images.with_labels(first))
    assert float(RegionRays("body", by_size=True)(none)[1:].min()) > 0  # and never nothing
