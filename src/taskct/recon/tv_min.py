"""Total-variation reconstruction."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.physics.projector import Projector
from taskct.recon.checks import check_number, check_scan
from taskct.recon.stopping import Callback
from taskct.recon.tv_iterations import tv_steps
from taskct.recon.tv_problem import TvProblem


class ConvergenceWarning(UserWarning):
    """The iterations ended before the wanted duality gap was reached."""


def tv_min(
    p: Tensor,
    A: Projector,
    *,
    strength: float = 1.0,
    iterations: int = 500,
    weights: Tensor | None = None,
    noise_std: float | None = None,
    nonnegative: bool = True,
    start: Tensor | None = None,
    tolerance: float = 1e-2,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> Tensor:
    """TV reconstruction: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm, the minimiser of

        1/2 sum_rays w (A mu - p)^2  +  lambda sum_voxels |grad mu|           (mu >= 0 if `nonnegative`)

    with the isotropic gradient on the true spacing. `weights` w (B or 1, 1, *A.p_shape) are inverse variances of p, such as
    the detected counts; without them all rays count alike, with variance `noise_std`^2 (estimated from p if not given).

    `strength` is lambda over the noise that one voxel sees, so it needs no change with dose, views, pixels or slice:

        lambda = strength * h * sqrt(h * n * w_rays)         h: geometric mean of the spacing, in mm
                                                             n: mean of A^T 1 over the voxels, in mm
                                                             w_rays: mean of w over the rays, weighted with p

    1 suits most scans, 0.5 keeps more texture, 2 smooths more. Slices without weights are found by proximal steps in a ramp
    metric, 6 to 30 of them; weighted scans and volumes by primal-dual steps whose data step is a ramp filter, some hundreds
    (docs/reconstruction.md). They end when the duality gap is below `tolerance` of the objective, or after `iterations` with
    a ConvergenceWarning. `start` is the first image (FBP if there is one, else zeros). `callback(iteration, mu)` sees every
    step (every 10th primal-dual one) and stops the loop by returning True.

    Any beam. Not differentiable: runs without gradients, and refuses a p that asks for them.
    """
    check_scan(p, A, who="tv_min")
    if torch.is_grad_enabled() and p.requires_grad:
        raise InputError("tv_min has no gradient with respect to p; pass p.detach(), or use fbp, sirt or cgls")
    tolerance = check_number(tolerance, who="tv_min", name="tolerance", least=0.0)
    problem = TvProblem(
        strength=strength,
        iterations=iterations,
        weights=weights,
        noise_std=noise_std,
        nonnegative=nonnegative,
        start=start,
    )
    steps = tv_steps(p, A, problem)
    found: Tensor | None = None
    resting = torch.zeros(p.shape[:2], dtype=torch.bool, device=p.device)
    known = None if weights is not None or A.grid.ndim != 2 else iterations
    for step in track(steps, "TV", total=known, at_most=tolerance > 0, progress=progress):
        rests = resting.view(*resting.shape, *[1] * len(A.mu_shape))
        found = step.mu if found is None else torch.where(rests, found, step.mu)
        resting = resting | (step.gap <= tolerance)
        asked = callback is not None and bool(callback(step.iteration, found))
        if asked or bool(resting.all()):
            return found
    assert found is not None
    warnings.warn(
        f"tv_min ended after {iterations} iterations at a relative duality gap of {float(step.gap.max()):.1e}, above the "
        f"tolerance of {tolerance:.1e}; give more iterations or a larger tolerance",
        ConvergenceWarning,
        stacklevel=2,
    )
    return found
