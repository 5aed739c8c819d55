"""The current by view that a region's noise asks for, if the rays through it were known: a bound for every modulation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.evaluation.dose.quality import region_of
from taskct.evaluation.subject import Subject
from taskct.physics.unchecked import project_unchecked

_LEAST_SHARE = 0.1  # of the largest part: slices without the region must not look as if they had it


@dataclass(frozen=True)
class RegionRays:
    """n_v in proportion to sqrt(c_v), c_v the mean of exp(p) over the rays of view v through the region; patient's mean 1.

    The variance of an FBP in the region is sum_v c_v / n_v, and this is its least for a given dose (Lagrange: c_v / n_v^2 the
    same for all). It sees the truth, so no scanner can do it; slices without the region get the patient's mean.
    With `by_size` a slice counts as much as it shows of the region, and a tenth of the largest part more: what a reader's
    score asks for, roughly.
    """

    region: str
    by_size: bool = False

    def __call__(self, subject: Subject) -> Tensor:
        """Relative photons (S, V)."""
        mask = region_of(subject, self.region).to(subject.p.dtype)
        weight = project_unchecked(subject.A, mask)[:, 0].double()  # length of each ray in the region, (S, V, C)
        cost = (weight * subject.p[:, 0].double().exp()).sum(2) / weight.sum(2).clamp_min(1e-12)
        course = cost.sqrt()
        size = weight.sum((1, 2))
        seen = size > 0
        if not bool(seen.any()):
            return torch.ones_like(course)
        course[~seen] = course[seen].mean()
        if self.by_size:
            course = course * (size + _LEAST_SHARE * size.max()).sqrt()[:, None]
        return course / course.mean()
