"""Does a projector keep the contract: shapes, linearity, an exact adjoint, right gradients, right line integrals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from taskct.core.seeds import generator
from taskct.testing.bodies import off_centre_body
from taskct.testing.check_findings import Findings

_ADJOINT_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}  # relative to the inner product itself
_LINEAR_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}  # rounding of one sum along a ray, with room
_PAIRS = 3


def check_projector(
    A: Any,
    *,
    geometry_tolerance: float | None = 0.02,
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64),
    device: torch.device | str = "cpu",
    gradients: bool = True,
    seed: int = 0,
) -> Findings:
    """Questions that a projector `A` must answer well: `A(mu)`, `A.adjoint(p)`, `A.mu_shape`, `A.p_shape`.

    - the maps go (B, 1, *mu_shape) <-> (B, 1, *p_shape) in each of `dtypes` and leave their input as it was;
    - <A x, y> = <x, A^T y>, relative to the inner product itself, to 1e-6 in float32 and 1e-12 in float64;
    - both are linear, treat a batch one by one, and give the same bytes twice;
    - gradcheck and gradgradcheck (float64, along random directions) unless `gradients` is False;
    - an off-centre disk or ball has its exact line integrals to `geometry_tolerance` (RMS, relative to the largest);
      this needs `A.grid` and `A.poses`. Coarse grids need a larger number, None skips it. An adjoint that comes from
      autograd passes the dot test whatever the geometry: this question is the one that sees it.

    Use a small projector (64 pixels). Returns `Findings`; `.raise_if_failed()` makes a test of them.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> from taskct.physics.projector import Projector
    >>> check_projector(Projector(Grid((32, 32), 1.0), ParallelBeam(views=8, cols=48, pixel_mm=1.0))).passed
    True
    """
    found = Findings(f"projector {A!r}")
    for dtype in dtypes:
        draw = _Draw(A, dtype, torch.device(device), seed)
        for question, ask in _QUESTIONS.items():
            with found.asking(f"{question} ({draw.name})"):
                ask(found, A, draw)
    if gradients and torch.float64 in dtypes:
        _gradients(found, A, _Draw(A, torch.float64, torch.device(device), seed))
    else:
        found.skip("gradients", "not asked for, or no float64")
    if geometry_tolerance is None or not (hasattr(A, "grid") and hasattr(A, "poses")):
        found.skip("line integrals of an off-centre body", "not asked for, or A has no grid and poses")
    else:
        with found.asking("line integrals of an off-centre body"):
            _geometry(found, A, _Draw(A, dtypes[-1], torch.device(device), seed), geometry_tolerance)
    return found


def adjoint_error(A: Any, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu", seed: int = 0) -> float:
    """|<A x, y> - <x, A^T y>| / |<A x, y>| for random x, y >= 0 (so that nothing cancels), summed in float64."""
    x, y = _Draw(A, dtype, torch.device(device), seed).pair()
    ahead = (A(x).double() * y.double()).sum().item()
    back = (x.double() * A.adjoint(y).double()).sum().item()
    return abs(ahead - back) / max(abs(ahead), 1e-300)


@dataclass(frozen=True)
class _Draw:
    """Random images and projections for A in one dtype on one device."""

    A: Any
    dtype: torch.dtype
    device: torch.device
    seed: int

    @property
    def name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def pair(self, *, batch: int = 1, number: int = 0) -> tuple[Tensor, Tensor]:
        gen = generator(self.seed, "check_projector", number)
        x = torch.rand((batch, 1, *self.A.mu_shape), generator=gen, dtype=torch.float64) * 0.04
        y = torch.rand((batch, 1, *self.A.p_shape), generator=gen, dtype=torch.float64)
        return x.to(self.device, self.dtype), y.to(self.device, self.dtype)


def _shapes(found: Findings, A: Any, draw: _Draw) -> None:
    x, y = draw.pair(batch=2)
    kept_x, kept_y = x.clone(), y.clone()
    p, mu = A(x), A.adjoint(y)
    for what, got, like in (("A(mu)", p, y), ("A.adjoint(p)", mu, x)):
        good = got.shape == like.shape and got.dtype == like.dtype and got.device == like.device
        said = f"{tuple(got.shape)} {got.dtype} {got.device}" + (
            "" if good else f", expected {tuple(like.shape)} {like.dtype}"
        )
        found.say(f"shape, dtype and device of {what} ({draw.name})", good, said)
        found.say(f"{what} is finite ({draw.name})", bool(got.isfinite().all()))
    untouched = torch.equal(x, kept_x) and torch.equal(y, kept_y)
    found.say(f"inputs are not edited ({draw.name})", untouched, "" if untouched else "an input has changed")


def _adjoint(found: Findings, A: Any, draw: _Draw) -> None:
    errors = [adjoint_error(A, dtype=draw.dtype, device=draw.device, seed=draw.seed + k) for k in range(_PAIRS)]
    worst, limit = max(errors), _ADJOINT_TOLERANCE[draw.dtype]
    found.say(f"exact adjoint ({draw.name})", worst <= limit, f"<Ax, y> and <x, A'y> differ by {worst:.1e} (limit {limit:g})")


def _linear(found: Findings, A: Any, draw: _Draw) -> None:
    (x, y), (x2, y2) = draw.pair(), draw.pair(number=1)
    worst = max(
        _apart(A(0.75 * x + 0.5 * x2), 0.75 * A(x) + 0.5 * A(x2)),
        _apart(A.adjoint(0.75 * y + 0.5 * y2), 0.75 * A.adjoint(y) + 0.5 * A.adjoint(y2)),
    )
    limit = _LINEAR_TOLERANCE[draw.dtype]
    found.say(f"linear ({draw.name})", worst <= limit, f"off by {worst:.1e} (limit {limit:g})")


def _batch(found: Findings, A: Any, draw: _Draw) -> None:
    x, y = draw.pair(batch=2)
    off = max(
        _apart(A(x), torch.cat([A(x[:1]), A(x[1:])])),
        _apart(A.adjoint(y), torch.cat([A.adjoint(y[:1]), A.adjoint(y[1:])])),
    )
    found.say(f"a batch is treated one by one ({draw.name})", off <= _LINEAR_TOLERANCE[draw.dtype], f"differs by {off:.1e}")


def _same_bytes(found: Findings, A: Any, draw: _Draw) -> None:
    x, y = draw.pair()
    same = torch.equal(A(x), A(x)) and torch.equal(A.adjoint(y), A.adjoint(y))
    found.say(f"same input, same bytes ({draw.name})", same, "" if same else "two calls differ")


_QUESTIONS: dict[str, Callable[[Findings, Any, _Draw], None]] = {
    "shapes, dtype and inputs": _shapes,
    "exact adjoint": _adjoint,
    "linear": _linear,
    "a batch is treated one by one": _batch,
    "same input, same bytes": _same_bytes,
}


def _gradients(found: Findings, A: Any, draw: _Draw) -> None:
    x, y = (t.requires_grad_() for t in draw.pair())
    for what, apply, at in (("A", A, x), ("A.adjoint", A.adjoint, y)):
        for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
            with found.asking(f"{check.__name__} of {what}"):
                # fast_mode compares along random directions: the full Jacobian of 64^2 pixels would take minutes
                good = check(lambda t, f=apply: f(t), (at,), fast_mode=True, raise_exception=True)
                found.say(f"{check.__name__} of {what}", bool(good))


def _geometry(found: Findings, A: Any, draw: _Draw, tolerance: float) -> None:
    body = off_centre_body(A.grid)
    exact = body.line_integrals(A.poses, A.grid.ndim)
    got = A(body.on_grid(A.grid).to(draw.device, draw.dtype)).cpu().double()
    error = (got - exact).square().mean().sqrt().item() / exact.max().item()
    found.say(
        "line integrals of an off-centre body",
        error <= tolerance,
        f"RMS error {error:.2%} of the largest (limit {tolerance:.0%})",
    )


def _apart(got: Tensor, wanted: Tensor) -> float:
    return ((got - wanted).double().norm() / wanted.double().norm().clamp_min(1e-300)).item()
