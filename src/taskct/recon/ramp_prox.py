"""Total variation by proximal steps in a ramp metric: few projections, the rest of the work stays in the image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.physics.native.tv_halves import TvHalves
from taskct.physics.projector import Projector
from taskct.physics.unchecked import project_unchecked
from taskct.recon.gradient import gradient, gradient_adjoint, total_variation
from taskct.recon.stopping import inner
from taskct.recon.tv_step import TvStep, duality_gap

INNER_STEPS = 16  # fewer cost less and say less: the gap falls below 1 % later, with 8 after twice the projections
_RELAX = 1.4  # of an inner step: convergence is proved below 1.5 (Condat, J. Optim. Theory Appl. 158:460 (2013)), 1.8 diverged
_MOMENTUM = 0.15  # of the last step, taken once more; .3 overshoots, and so does Nesterov's step
_LEAST_SEEN = 0.5  # of the mean number of rays: voxels that fewer see, in the corners of a fan, are taken to be seen so often
_AIR = 0.01  # of the largest line integral: rays below it pass no body
_SHIFTS = tuple(10 ** (-k / 3) for k in range(10))  # of the dual values of such rays, over that which covers every slope
_FIRST_SHARE = 0.8  # of the ramp that a first step assumes; it grows where the scan turns out to be stiffer
_STIFFER, _KEEP = 1.5, 1.3  # when it grows, and what it keeps below the stiffness that was seen
_MATCH_PER_PIXEL = 0.15  # frequency, in 1 / pixel, at which gradient and positivity are as stiff as the data
_PROBE_BAND = (0.05, 0.3)  # of the frequencies: where a probe with white noise measures the ramp


@torch.no_grad()
def ramp_prox_steps(
    p: Tensor, A: Projector, *, limit: Tensor, first: Tensor, nonnegative: bool, iterations: int
) -> Iterator[TvStep]:
    """Steps towards the minimiser of 1/2 |A mu - p|^2 + limit TV(mu), mu >= 0 if `nonnegative`; `limit` is (B, 1, 1, ...).

    A^T A of a scan is nearly a multiplication with q / f in the frequency domain (the ramp's inverse), scaled by how much
    the rays see of each voxel. With H = K Q K, Q = q / max(f, 1 / 4 N h), K^2 = max(1/2, A^T 1 / mean), each step solves

        min over v   <A^T (A mu - p), v> + c/2 |v - mu - b (mu - last mu)|_H^2 + limit TV(v),   v >= 0

    by `INNER_STEPS` warm-started primal-dual steps in the metric c H + K (rho D^T D + s) K, which the discrete cosine
    transform diagonalises: no projection is needed inside. c starts at .8 and grows where |A d|^2 > 1.5 c |d|_H^2;
    b = .15 is the momentum of a heavy ball. (Proximal Newton steps, Lee, Sun and Saunders, SIAM J. Optim. 24:1420 (2014);
    the ball is Polyak's (1964), the inner steps, over-relaxed by 1.4, are Condat's.)

    A step costs one projection and one back-projection. The duality gap of each step costs nothing further.
    """
    metric = _metric(A, p)
    spacing, k = A.grid.spacing_mm, metric.root
    h = spacing[-1]
    match = metric.q / (_MATCH_PER_PIXEL / h)
    rho = match / (2 * math.pi * _MATCH_PER_PIXEL / h) ** 2
    hold = match if nonnegative else 0.0
    stiff = metric.ramp.new_full((len(p), 1, *[1] * len(A.mu_shape)), _FIRST_SHARE)
    inverse = 1 / (stiff * metric.ramp + rho * metric.laplacian + hold)
    image_step = _ImageStep(metric, spacing, rho=rho, hold=hold)
    bound = _Bound(A, p, nonnegative=nonnegative)
    mu = first.clamp(min=0) if nonnegative else first
    z = torch.zeros_like(gradient(mu, spacing))
    nu = torch.zeros_like(mu)
    seen, bent = A(mu), torch.zeros_like(mu)
    for iteration in range(1, iterations + 1):
        misfit = seen - p
        pull = A.adjoint(misfit)
        if iteration > 1:
            tv = limit * total_variation(gradient(mu, spacing))
            objective, gap = bound(mu, misfit, tv, pull + gradient_adjoint(z, spacing))
            yield TvStep(iteration - 1, mu, objective, gap)
        v, push = torch.empty_like(mu), pull - _MOMENTUM * stiff * bent
        for one in (slice(b, b + 1) for b in range(len(mu))):  # a slice fits the processor's cache, a batch of them does not
            v[one], z[:, one], nu[one] = image_step(
                mu[one], push[one], z[:, one], nu[one], limit=limit[one], inverse=inverse[one]
            )
        new = v.clamp(min=0) if nonnegative else v
        new_seen = A(new)
        moved, moved_seen = new - mu, new_seen - seen
        bent = metric.back(metric.forth(k * moved) * metric.ramp) * k
        ratio = (inner(moved_seen, moved_seen) / inner(moved, bent).clamp(min=1e-300)).to(stiff)
        grown = torch.where(ratio > _STIFFER * stiff, ratio / _KEEP, stiff)
        if bool((grown > stiff).any()):
            stiff = grown
            inverse = 1 / (stiff * metric.ramp + rho * metric.laplacian + hold)
        mu, seen = new, new_seen
    misfit = seen - p
    slope = A.adjoint(misfit) + gradient_adjoint(z, spacing)
    objective, gap = bound(mu, misfit, limit * total_variation(gradient(mu, spacing)), slope)
    yield TvStep(iterations, mu, objective, gap)


class _Bound:
    """The duality gap at an image, by the best of some dual points.

    A dual value for each ray and a z that never exceeds `limit` bound the optimum from below; what A^T r + D^T z pushes
    below 0 has to be paid for. The misfit is the usual r. Where images are nonnegative it may be larger on rays through air
    alone: that costs next to nothing, since they measure 0, and lifts the slopes in the corners, where they fall last.
    """

    def __init__(self, A: Projector, p: Tensor, *, nonnegative: bool) -> None:
        self.p, self.nonnegative = p, nonnegative
        axes = tuple(range(2, p.ndim))
        self.air = (p < _AIR * p.amax(axes, keepdim=True)).to(p)
        self.lift = A.adjoint(self.air) if nonnegative else None

    def __call__(self, mu: Tensor, misfit: Tensor, tv: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and relative gap (B, 1); `slope` is A^T misfit + D^T z."""
        if self.lift is None:
            return duality_gap(mu, misfit, tv, r=misfit, measured=self.p, slope=slope.abs())
        axes = tuple(range(2, mu.ndim))
        deepest = slope.amin(axes, keepdim=True).clamp(max=0).neg()
        whole = deepest / self.lift.amax(axes, keepdim=True).clamp(min=torch.finfo(mu.dtype).tiny)
        objective, gap = duality_gap(mu, misfit, tv, r=misfit, measured=self.p, slope=slope.clamp(max=0).neg())
        for share in _SHIFTS:
            by = share * whole
            left = (slope + by * self.lift).clamp(max=0).neg()
            gap = torch.minimum(gap, duality_gap(mu, misfit, tv, r=misfit + by * self.air, measured=self.p, slope=left)[1])
        return objective, gap


@dataclass(frozen=True, eq=False)
class _ImageStep:
    """The inner steps of one slice: mu, pull, nu (1, 1, *shape), z (2, 1, 1, *shape) -> v, z, nu; `hold` 0: mu of any sign."""

    metric: _Metric
    spacing: Sequence[float]
    rho: float
    hold: float

    def __call__(
        self, mu: Tensor, pull: Tensor, z: Tensor, nu: Tensor, *, limit: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        if TvHalves.serves(mu):
            return self._compiled(mu, pull, z, nu, limit=float(limit), inverse=inverse)
        spacing, k, rho, hold = self.spacing, self.metric.root, self.rho, self.hold
        k2 = k.square()
        v, held = mu, torch.zeros_like(mu)  # held = c H (v - mu), kept without another transform
        for _ in range(INNER_STEPS):
            push = pull + gradient_adjoint(z, spacing) - nu + held
            u = self.metric.back(self.metric.forth(push / k) * inverse)
            change = u / k
            held = held + _RELAX * (k * (rho * gradient_adjoint(gradient(u, spacing), spacing) + hold * u) - push)
            ahead = v - 2 * change
            v = v - _RELAX * change
            z = z + _RELAX * (_within(z + rho * k2 * gradient(ahead, spacing), limit) - z)
            if hold > 0:
                nu = nu + _RELAX * ((nu - hold * k2 * ahead).clamp(min=0) - nu)
        return v, _within(z, limit), nu.clamp(min=0)

    def _compiled(
        self, mu: Tensor, pull: Tensor, z: Tensor, nu: Tensor, *, limit: float, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same, with every value read once between two transforms."""
        y_mm, x_mm = self.spacing
        halves = TvHalves(
            root=self.metric.root[0, 0],
            pull=pull[0, 0],
            v=mu[0, 0],
            z=z[:, 0, 0],
            nu=nu[0, 0],
            spacing_mm=(y_mm, x_mm),
            rho=self.rho,
            hold=self.hold,
            limit=limit,
            relax=_RELAX,
        )
        for _ in range(INNER_STEPS):
            asked = self.metric.forth(halves.push()[None, None])
            halves.move(self.metric.back(asked.mul_(inverse))[0, 0])
        return halves.v[None, None], _within(halves.z, limit)[:, None, None], halves.nu.clamp(min=0)[None, None]


def _within(z: Tensor, limit: Tensor | float) -> Tensor:
    """The dual variable (2 or 3, ...) of gradients, no longer than `limit` anywhere."""
    return z / (z.square().sum(0).sqrt() / limit).clamp(min=1)


@dataclass(frozen=True, eq=False)
class _Metric:
    """H = K Q K: `root` is K (1, 1, *shape), `ramp` Q at the frequencies of the cosine transform, `q` its constant."""

    root: Tensor
    ramp: Tensor
    laplacian: Tensor
    q: float

    @staticmethod
    def forth(x: Tensor) -> Tensor:
        """Orthonormal discrete cosine transform over the axes of the image."""
        from scipy.fft import dctn

        return torch.from_numpy(
            dctn(x.numpy(), type=2, norm="ortho", axes=tuple(range(2, x.ndim)), workers=torch.get_num_threads())
        )

    @staticmethod
    def back(x: Tensor) -> Tensor:
        """Its inverse."""
        from scipy.fft import idctn

        return torch.from_numpy(
            idctn(x.numpy(), type=2, norm="ortho", axes=tuple(range(2, x.ndim)), workers=torch.get_num_threads())
        )


def _metric(A: Projector, p: Tensor) -> _Metric:
    """The ramp of a scan, its constant measured by one probe with white noise."""
    shape, spacing = A.mu_shape, A.grid.spacing_mm
    reach = A.adjoint(p.new_ones((1, 1, *A.p_shape)))
    mean = float(reach.mean())
    if not mean > 0:
        raise GeometryError("tv_min: no ray of this beam meets the grid")
    root = (reach / mean).clamp(min=_LEAST_SEEN).sqrt()
    axes = [np.arange(n) / (2 * n * s) for n, s in zip(shape, spacing, strict=True)]
    grids = np.meshgrid(*axes, indexing="ij")
    radial = np.sqrt(grids[-1] ** 2 + grids[-2] ** 2)
    noise = torch.randn((1, 1, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(p)
    answer = A.adjoint(project_unchecked(A, noise / root)) / root
    X, Y = _Metric.forth(noise), _Metric.forth(answer)
    q = _ramp_constant(radial, (X * Y)[0, 0].double().numpy(), X.square()[0, 0].double().numpy(), shape, spacing)
    lowest = 0.25 / (max(shape[-2:]) * spacing[-1])
    bends = sum((2 - 2 * np.cos(2 * math.pi * f * s)) / s**2 for f, s in zip(grids, spacing, strict=True))
    to = lambda a: torch.as_tensor(a, dtype=p.dtype)[None, None]
    return _Metric(root, to(q / np.maximum(radial, lowest)), to(bends), q)


def _ramp_constant(
    radial: np.ndarray, answered: np.ndarray, asked: np.ndarray, shape: Sequence[int], spacing: Sequence[float]
) -> float:
    """q of A^T A ~ q / f: the median over rings of (answered / asked) f in the band that all beams see."""
    step = 0.5 / (max(shape[-2:]) * max(spacing[-2:]))
    ring = np.round(radial / step).astype(int).ravel()
    count = int(ring.max()) + 1
    share = np.bincount(ring, answered.ravel(), count) / np.maximum(np.bincount(ring, asked.ravel(), count), 1e-300)
    low, high = (int(count * b) for b in _PROBE_BAND)
    return float(np.median((share * np.arange(count) * step)[low + 2 : max(high, low + 3)]))
