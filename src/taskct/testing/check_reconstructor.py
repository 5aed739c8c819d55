"""Does a reconstructor keep the contract: any callable `(p, A) -> mu` that returns what was scanned, where it was."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.testing.bodies import Body, off_centre_body
from taskct.testing.check_findings import Findings

_EDGE_PIXELS = 3.0  # resolution is not judged here, so the edge is left out


def check_reconstructor(
    reconstruct: Callable[..., Tensor],
    A: Projector | None = None,
    *,
    mu_tolerance: float = 0.03,
    place_tolerance_pixels: float = 0.5,
    batch_tolerance: float = 1e-4,
    linear: bool = False,
    gradient: bool | None = None,
) -> Findings:
    """Questions that `reconstruct(p, A)` must answer well, on the noise-free scan of an off-centre disk of 0.02/mm.

    - (B, 1, *p_shape) becomes (B, 1, *mu_shape), finite, same dtype and device, for a batch of 1 and of 2;
    - p is not edited, the same input gives the same bytes, and no global random numbers are used;
    - a batch is treated one by one, to `batch_tolerance`;
    - mu in = mu out: the mean inside the disk is 0.02/mm and outside 0, to `mu_tolerance` of 0.02/mm;
    - the disk is where it was, to `place_tolerance_pixels` (this sees flipped and swapped axes);
    - with `linear`: twice the p gives twice the mu;
    - with `gradient` (None: when the output depends on p through autograd): the gradient agrees with a difference.

    `A` is a parallel beam on 64 pixels of 1 mm when not given. A learned reconstructor that never saw disks may need a
    larger `mu_tolerance`. Returns `Findings`; `.raise_if_failed()` makes a test of them.

    >>> bad = check_reconstructor(lambda p, A: A.adjoint(p))
    >>> bad.passed, bad.failures[0].question
    (False, 'mu in = mu out inside the disk')
    """
    A = A or Projector(Grid((64, 64), 1.0), ParallelBeam(views=96, cols=95, pixel_mm=1.0))
    body = off_centre_body(A.grid)
    p = A(body.on_grid(A.grid).float())
    found = Findings(f"reconstructor {getattr(reconstruct, '__name__', type(reconstruct).__name__)}")
    with found.asking("runs on p and A"):
        kept, state = p.clone(), torch.get_rng_state()
        mu = reconstruct(p, A)
        if not found.say("returns a tensor", isinstance(mu, Tensor), f"got {type(mu).__name__}"):
            return found
        fits = tuple(mu.shape) == (1, 1, *A.mu_shape)
        wanted = "" if fits else f", expected {(1, 1, *A.mu_shape)}"
        found.say("shape (B, 1, *mu_shape)", fits, f"{tuple(mu.shape)}{wanted}")
        same_kind = mu.dtype == p.dtype and mu.device == p.device
        found.say("dtype and device of p", same_kind, f"{mu.dtype} on {mu.device}")
        found.say("finite", bool(mu.isfinite().all()))
        found.say("p is not edited", torch.equal(p, kept), "" if torch.equal(p, kept) else "p has changed")
        quiet = torch.equal(torch.get_rng_state(), state)
        found.say("no global random numbers", quiet, "" if quiet else "take a torch.Generator or a seed instead")
        if fits:
            _levels(found, mu.detach().double(), A, body, mu_tolerance)
            _place(found, mu.detach().double(), A, body, place_tolerance_pixels)
    if not found.passed and found.lines[-1].question == "runs on p and A":
        return found
    with found.asking("same input, same bytes"):
        again = torch.equal(reconstruct(p.clone(), A), mu)
        found.say("same input, same bytes", again, "" if again else "two calls differ")
    with found.asking("a batch is treated one by one"):
        _batch(found, reconstruct, A, p, batch_tolerance)
    if linear:
        with found.asking("linear"):
            off = _apart(reconstruct(2 * p, A), 2 * mu)
            found.say("linear", off <= batch_tolerance, f"twice the p gives twice the mu up to {off:.1e}")
    if gradient is not False:
        with found.asking("gradient with respect to p"):
            _gradient(found, reconstruct, A, p, required=bool(gradient))
    return found


def _levels(found: Findings, mu: Tensor, A: Projector, body: Body, tolerance: float) -> None:
    edge = _EDGE_PIXELS * max(A.grid.spacing_mm)
    from_centre = _distance_mm(A, body.centre_mm)
    seen = _distance_mm(A, A.grid.centre_mm) < A.grid.inscribed_radius_mm - edge
    image = mu[0, 0]
    level = image[from_centre < body.radius_mm - edge].mean().item() / body.mu_per_mm
    found.say(
        "mu in = mu out inside the disk",
        abs(level - 1) <= tolerance,
        f"{level * body.mu_per_mm:.5f}/mm for {body.mu_per_mm:g}/mm, {level - 1:+.1%} (limit {tolerance:.0%})",
    )
    empty = image[(from_centre > body.radius_mm + edge) & seen].mean().item() / body.mu_per_mm
    found.say("mu is 0 outside the disk", abs(empty) <= tolerance, f"{empty:+.1%} of the disk (limit {tolerance:.0%})")


def _place(found: Findings, mu: Tensor, A: Projector, body: Body, pixels: float) -> None:
    image = mu[0, 0]
    weight = image.clamp_min(0) * (image > 0.5 * image.max())  # the disk without streaks and background
    total = weight.sum().clamp_min(1e-300)
    off_mm = [((x * weight).sum() / total).item() - c for x, c in zip(_places_mm(A), body.centre_mm, strict=True)]
    worst = max(abs(o) / step for o, step in zip(off_mm, A.grid.spacing_mm, strict=True))
    axes = "zyx"[-len(off_mm) :]
    said = ", ".join(f"{axis} {o:+.2f} mm" for axis, o in zip(axes, off_mm, strict=True))
    found.say("the disk is where it was", worst <= pixels, f"off by {said}")


def _places_mm(A: Projector) -> tuple[Tensor, ...]:
    return torch.meshgrid(*[torch.from_numpy(a) for a in A.grid.axes_mm()], indexing="ij")


def _distance_mm(A: Projector, centre_mm: tuple[float, ...]) -> Tensor:
    square = torch.zeros(A.grid.shape, dtype=torch.float64)
    for x, c in zip(_places_mm(A), centre_mm, strict=True):
        square = square + (x - c) ** 2
    return square.sqrt()


def _batch(found: Findings, reconstruct: Callable[..., Tensor], A: Projector, p: Tensor, tolerance: float) -> None:
    both = torch.cat([p, 0.5 * p.flip(2)])
    together = reconstruct(both, A)
    if tuple(together.shape) != (2, 1, *A.mu_shape):
        found.say("a batch is treated one by one", False, f"a batch of 2 became {tuple(together.shape)}")
        return
    alone = torch.cat([reconstruct(both[:1], A), reconstruct(both[1:], A)])
    off = max(_apart(together[i], alone[i]) for i in range(2))
    found.say("a batch is treated one by one", off <= tolerance, f"differs by {off:.1e} (limit {tolerance:g})")


def _gradient(found: Findings, reconstruct: Callable[..., Tensor], A: Projector, p: Tensor, *, required: bool) -> None:
    question = "gradient with respect to p"
    at = p.double().requires_grad_()
    try:
        mu = reconstruct(at, A)
    except Exception as error:
        if required:
            raise
        found.skip(question, f"does not take float64 with gradient ({type(error).__name__})")
        return
    if not mu.requires_grad:
        if required:
            found.say(question, False, "the output does not depend on p through autograd")
        else:
            found.skip(question, "the output does not depend on p through autograd")
        return
    gen = torch.Generator().manual_seed(0)
    look = torch.rand(mu.shape, generator=gen, dtype=torch.float64)
    step = torch.rand(p.shape, generator=gen, dtype=torch.float64)
    (slope,) = torch.autograd.grad((mu * look).sum(), at)
    by_autograd = (slope * step).sum().item()
    eps = 1e-4 * p.max().item()
    with torch.no_grad():
        ahead, back = ((reconstruct(p.double() + s * eps * step, A) * look).sum().item() for s in (1, -1))
    by_difference = (ahead - back) / (2 * eps)
    off = abs(by_autograd - by_difference) / max(abs(by_difference), 1e-300)
    # a kink (clamp, TV) near p makes the two differ slightly; a wrong gradient differs by much more than 1 %
    found.say(question, off <= 0.01, f"autograd {by_autograd:.6g}, difference {by_difference:.6g}")


def _apart(got: Tensor, wanted: Tensor) -> float:
    return ((got - wanted).double().norm() / wanted.double().norm().clamp_min(1e-300)).item()
