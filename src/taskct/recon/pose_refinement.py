"""Poses refined by the radiographs themselves: damped Gauss-Newton on six numbers per view, alone or in turn with the image.

Plain least squares between the projections of an image and the measured radiographs; nothing in it is learned. Derivatives
are finite differences of the projector: twelve projections a round, whatever the number of views, since views do not interact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.checks import check_count, check_image, check_scan

_TURN_STEP_DEG, _SHIFT_STEP_MM = 0.5, 1.0
_RAYS_PER_FACT = 20.0  # misfits of neighbouring rays of a wrong image go together: so many of them count as one
_TRIES = 5  # of a damping, in one round
_DAMPING = 1e-4
_LEAST_GAIN = 1e-6  # of the misfit: with less the search rests


@dataclass(frozen=True, eq=False)
class PoseFit:
    """Refined poses: `A` has them; `turn_deg` and `shift_mm` (B, V, 3), z, y, x, are what `Projector.moved` was given.

    `before` and `after` are the root mean square misfits (B, V) of each view with the poses given and refined.
    """

    A: Projector | Projectors
    turn_deg: np.ndarray
    shift_mm: np.ndarray
    before: np.ndarray
    after: np.ndarray


def refine_poses(
    mu: Tensor,
    p: Tensor,
    A: Projector | Projectors,
    *,
    rounds: int = 8,
    expected: tuple[float, float] | None = (5.0, 10.0),
    start: PoseFit | None = None,
) -> PoseFit:
    """The poses of each view that best explain p (B, 1, *A.p_shape) with the image mu (B, 1, *A.mu_shape) held fixed.

    Each view of each image has six numbers: turns about z, y, x in degrees and shifts in mm, as in `Projector.moved`, relative
    to A. `expected` is the size (degrees, mm) of errors of poses: it keeps what a view hardly shows, such as a shift along the
    rays, from running away when the image is wrong, and has no say when the image explains the radiographs. None leaves it
    out. `start` continues from an earlier fit.

    Fitted on the true image the poses come back exactly; fitted on an estimate some error stays, since shape and pose trade.
    Raises GeometryError for slices and for curved detectors.

    >>> from taskct.geometry import Grid, bi_planar
    >>> beam = bi_planar(cols=12, rows=12, pixel_mm=12.0, source_iso_mm=1000, source_detector_mm=1500)
    >>> A = Projector(Grid((8, 8, 8), 10.0), beam)
    >>> mu = 0.02 * torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> p = A.moved(turn_deg=[[0, 0, 0], [2, 0, 0]], shift_mm=[[0, 0, 1.5], [0, 0, 0]])(mu)
    >>> fit = refine_poses(mu, p, A)
    >>> round(float(fit.turn_deg[0, 1, 0]), 2), round(float(fit.shift_mm[0, 0, 2]), 2)
    (2.0, 1.5)
    """
    check_count(rounds, who="refine_poses", name="rounds")
    if expected is not None and not (len(expected) == 2 and all(np.isfinite(e) and e > 0 for e in expected)):
        raise ConfigError(f"refine_poses expects expected as two numbers > 0, degrees and mm, or None, got {expected!r}")
    if len(A.p_shape) != 3:
        raise GeometryError(f"refine_poses expects radiographs (V, R, C), got a projector onto {A.p_shape}")
    each = A.each if isinstance(A, Projectors) else (A,) * len(p)
    check_scan(p, each[0], who="refine_poses")
    image = check_image(mu, p, each[0], who="refine_poses", name="mu")
    if len(each) != len(p):
        raise GeometryError(f"refine_poses expects radiographs for each of {len(each)} geometries, got {len(p)}")
    fits = []
    with torch.no_grad():
        for i, one in enumerate(each):
            six = np.zeros((one.p_shape[0], 6))
            if start is not None:
                six = np.concatenate([start.turn_deg[i], start.shift_mm[i]], 1)
            fits.append(_refine_one(image[i : i + 1], p[i : i + 1], one, six, rounds=rounds, expected=expected))
    found, before, after = (np.stack(part) for part in zip(*fits, strict=True))
    moved = [_moved(one, six) for one, six in zip(each, found, strict=True)]
    single = len(moved) == 1 and isinstance(A, Projector)
    return PoseFit(moved[0] if single else Projectors(moved), found[..., :3], found[..., 3:], before, after)


def reconstruct_and_refine(
    method: Callable[[Tensor, Projector | Projectors], Tensor],
    p: Tensor,
    A: Projector | Projectors,
    *,
    turns: int = 3,
    rounds: int = 3,
    expected: tuple[float, float] | None = (5.0, 10.0),
) -> tuple[Tensor, PoseFit]:
    """Image and poses in turn: `method` (p, A) -> mu with the poses so far, then the poses on that image, `turns` times.

    The last image is made with the last poses. A motion that all views share is a motion of the patient, which radiographs
    cannot tell from one of the source and detector: the image then lies where the refined poses see it.
    """
    check_count(turns, who="reconstruct_and_refine", name="turns")
    fit: PoseFit | None = None
    first: np.ndarray | None = None
    for _ in range(turns):
        mu = method(p, A if fit is None else fit.A)
        fit = refine_poses(mu, p, A, rounds=rounds, expected=expected, start=fit)
        first = fit.before if first is None else first
    assert fit is not None and first is not None
    return method(p, fit.A), PoseFit(fit.A, fit.turn_deg, fit.shift_mm, first, fit.after)


class PoseRefined:
    """A reconstructor that refines the poses in turn with its image: itself (p, A) -> mu, so that it is a row like any."""

    def __init__(
        self,
        method: Callable[[Tensor, Projector | Projectors], Tensor],
        *,
        turns: int = 3,
        rounds: int = 3,
        expected: tuple[float, float] | None = (5.0, 10.0),
    ) -> None:
        self.method, self.turns, self.rounds, self.expected = method, turns, rounds, expected

    def __call__(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        mu, _ = reconstruct_and_refine(self.method, p, A, turns=self.turns, rounds=self.rounds, expected=self.expected)
        return mu


def _moved(A: Projector, six: np.ndarray) -> Projector:
    return A.moved(turn_deg=six[:, :3], shift_mm=six[:, 3:])


def _refine_one(
    mu: Tensor, p: Tensor, A: Projector, six: np.ndarray, *, rounds: int, expected: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six numbers per view (V, 6), and the misfits (V,) before and after."""
    target = _flat(p)
    seen = lambda at: _flat(_moved(A, at)(mu))  # (V, rays)
    weak = np.zeros(6) if expected is None else np.repeat(1 / np.array(expected), 3)
    steps = np.repeat([_TURN_STEP_DEG, _SHIFT_STEP_MM], 3)
    cost = lambda misfit, at, noise: (misfit**2).sum(1) / noise / _RAYS_PER_FACT + ((weak * at) ** 2).sum(1)
    misfit = target - seen(np.zeros_like(six))
    before = np.sqrt((misfit**2).mean(1))
    misfit = target - seen(six)
    damping = np.full(len(six), _DAMPING)
    for _ in range(rounds):
        columns = []
        for k in range(6):
            up, down = six.copy(), six.copy()
            up[:, k] += steps[k]
            down[:, k] -= steps[k]
            columns.append((seen(up) - seen(down)) / (2 * steps[k]))
        slopes = np.stack(columns, -1)  # (V, rays, 6)
        noise = np.maximum((misfit**2).mean(1), 1e-30)  # variance of the misfit of each view
        now = cost(misfit, six, noise)
        waiting = np.ones(len(six), bool)  # views whose step is not taken yet
        for _ in range(_TRIES):
            views = zip(slopes, misfit, six, noise, damping, strict=True)
            change = np.stack([_step(*v[:3], noise=v[3], damping=v[4], weak=weak) for v in views])
            tried = np.where(waiting[:, None], six + change, six)
            rest = target - seen(tried)
            better = waiting & (cost(rest, tried, noise) < now)
            damping = np.where(better, damping / 4, np.where(waiting, damping * 8, damping))
            six, misfit = np.where(better[:, None], tried, six), np.where(better[:, None], rest, misfit)
            waiting &= ~better
            if not waiting.any():
                break
        if (now - cost(misfit, six, noise) < _LEAST_GAIN * now).all():
            break
    return six, before, np.sqrt((misfit**2).mean(1))


def _step(
    slopes: np.ndarray, misfit: np.ndarray, six: np.ndarray, *, noise: float, damping: float, weak: np.ndarray
) -> np.ndarray:
    """The damped Gauss-Newton step of one view."""
    scale = 1 / noise / _RAYS_PER_FACT
    gram = slopes.T @ slopes * scale + np.diag(weak**2)
    gram = gram + damping * np.diag(np.maximum(np.diag(gram), 1e-300))
    return np.asarray(np.linalg.lstsq(gram, slopes.T @ misfit * scale - weak**2 * six, rcond=None)[0])


def _flat(p: Tensor) -> np.ndarray:
    """(1, 1, V, R, C) as (V, rays) in float64."""
    return np.asarray(p[0, 0].flatten(1).double().cpu().numpy())
