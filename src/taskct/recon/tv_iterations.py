"""The steps of a TV reconstruction: the method that needs fewer projections where it holds, the other one elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from taskct.geometry import VectorBeam, truncation_mm
from taskct.physics.projector import Projector
from taskct.recon.checks import check_scan
from taskct.recon.primal_dual import first_image, noise_in_a_voxel, primal_dual_steps, ray_weights
from taskct.recon.ramp_prox import ramp_prox_steps
from taskct.recon.tv_problem import TvProblem
from taskct.recon.tv_step import TvStep

_RAMP_STEPS, _STILL_FAR = 60, 0.05  # after so many steps a gap above this says that the metric does not fit the scan


@torch.no_grad()
def tv_steps(p: Tensor, A: Projector, problem: TvProblem | None = None) -> Iterator[TvStep]:
    """The iterations behind `tv_min`, one by one: for plots of convergence and rules of one's own.

    Slices without `weights`, on the CPU, take `ramp_prox_steps`: each step a projection and a back-projection, 6 to 30 of
    them where the other method needs over 100. Weighted scans, volumes, tensors on a GPU, and scans whose detector cuts off
    the grid's circle, where A^T A is far from a ramp, take `primal_dual_steps`, seen every 10th time; so does the rest of a
    scan whose gap is still above 5 % after 60 ramp steps.
    """
    check_scan(p, A, who="tv_min")
    problem = problem or TvProblem()
    cut = isinstance(A.beam, VectorBeam) or truncation_mm(A.grid, A.beam) > 0
    if problem.weights is not None or A.grid.ndim != 2 or p.device.type != "cpu" or cut:
        yield from primal_dual_steps(p, A, problem)
        return
    w, scale = ray_weights(p, None, problem.noise_std)
    scale = scale.expand(len(p), *scale.shape[1:])
    limit = problem.strength * noise_in_a_voxel(p, A, w * scale) / scale  # of the objective over the scale: every ray counts 1
    first, iterations = first_image(p, A, problem.start), problem.iterations
    steps = ramp_prox_steps(p, A, limit=limit, first=first, nonnegative=problem.nonnegative, iterations=iterations)
    for step in steps:
        yield replace(step, objective=step.objective * scale.flatten(1))
        if step.iteration == _RAMP_STEPS and float(step.gap.max()) > _STILL_FAR and iterations > _RAMP_STEPS:
            rest = replace(problem, iterations=iterations - _RAMP_STEPS, start=step.mu)
            for later in primal_dual_steps(p, A, rest):
                yield replace(later, iteration=later.iteration + _RAMP_STEPS)
            return
