"""The noise of a scan: from line integrals to counts and back to noisy line integrals.

    air      = used_photons * m_k * b_c                         counts of view k, column c without a patient
    expected = air * exp(-p)
    counts   = Poisson(expected) + Normal(0, electronic_std)
    noisy p  = -ln(max(counts, floor_photons) / air)

m_k is the tube current of view k relative to the mean over views, b_c the share of photons that pass the bow-tie filter.
Both are divided out with the air scan: they change the noise of p, not its mean. docs/dose.md has the whole model.

`modulation` is (V,) or (B, V); `bowtie` is (C,) or (R, C). Counts are float64 whatever the precision of p.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.physics.dose import Dose
from taskct.physics.pieces import NormalDraws, pieces_of_views
from taskct.physics.poisson import poisson_from_normal

MODULATION_TOLERANCE = 0.01  # a mean this close to 1 is rounding in a file; farther off the unit is another one


def relative_air(p: Tensor, *, modulation: Tensor | None = None, bowtie: Tensor | None = None) -> Tensor:
    """m_k * b_c as float64, of a shape that goes with p (B, 1, V, C) or (B, 1, V, R, C); ones where nothing is given.

    A modulation whose mean over views lies within 1 % of 1 is divided by that mean, so that `photons` is exactly the
    mean over views; any other mean is refused.
    """
    return Air(p, modulation=modulation, bowtie=bowtie).whole()


class Air:
    """m_k * b_c for a scan p, view by view: the product over a volume would be as large as two scans."""

    def __init__(self, p: Tensor, *, modulation: Tensor | None = None, bowtie: Tensor | None = None) -> None:
        _check_p(p)
        self._one = torch.ones([1] * p.ndim, dtype=torch.float64, device=p.device)
        self._currents = None if modulation is None else _checked_modulation(p, modulation)
        self._passed = None if bowtie is None else _checked_bowtie(p, bowtie)
        self._channels = p.shape[1]

    def whole(self) -> Tensor:
        """For all images and views, in as few values as they differ in."""
        air = self._one
        for factor in (self._currents, self._passed):
            air = air if factor is None else air * factor
        return air

    def of(self, image: int, views: slice) -> Tensor:
        """For some views of one image whose channels follow each other: of a shape that goes with (views, ..., C)."""
        air = self._one[0, 0]
        if self._currents is not None:
            currents = self._currents[image % len(self._currents), 0]
            air = air * currents.repeat(self._channels, *[1] * (currents.ndim - 1))[views]
        return air if self._passed is None else air * self._passed[0, 0]


def expected_counts(p: Tensor, dose: Dose, *, modulation: Tensor | None = None, bowtie: Tensor | None = None) -> Tensor:
    """Mean detected photons of each ray: p of any scan shape -> the same shape, float64.

    >>> round(expected_counts(torch.full((1, 1, 1, 1), 8.0), Dose(4096)).item(), 4)
    1.3741
    """
    air = dose.used_photons * relative_air(p, modulation=modulation, bowtie=bowtie)
    return air * torch.exp(-p.double())


def sample_counts(expected: Tensor, *, generator: torch.Generator, electronic_std: float = 0.0) -> Tensor:
    """Counts that a detector reads: expected counts -> Poisson(expected) + Normal(0, electronic_std), float64, same shape.

    The draws are made on the generator's device, first those of the photons for all rays, then those of the read-out;
    the counts are on the device of `expected`. See `poisson_from_normal` for what the same generator gives at two doses.
    """
    counts = poisson_from_normal(expected, _normal(expected, generator))
    if electronic_std > 0:
        counts += electronic_std * _normal(expected, generator)
    return counts


def log_transform(counts: Tensor, air: Tensor, *, floor_photons: float) -> Tensor:
    """Line integrals from counts: -ln(max(counts, floor_photons) / air), same shape."""
    return torch.log(air) - torch.log(counts.clamp_min(floor_photons))


def log_variance(p: Tensor, dose: Dose, *, modulation: Tensor | None = None, bowtie: Tensor | None = None) -> Tensor:
    """Variance of noisy p about p to first order (delta method): (expected + electronic_std^2) / expected^2, same shape.

    From a noisy scan this is the usual plug-in estimate. It holds where a ray has some 20 photons and several
    `electronic_std`; below that the log is skewed and its variance is bounded by the floor (docs/dose.md).
    """
    variance = lambda expected: (expected + dose.electronic_std**2) / expected**2
    return _of_counts(variance, p, dose, Air(p, modulation=modulation, bowtie=bowtie))


def statistical_weights(p: Tensor, dose: Dose, *, modulation: Tensor | None = None, bowtie: Tensor | None = None) -> Tensor:
    """Weight of each ray in a least-squares fit, 1 / `log_variance`: p of a scan -> same shape, in photons, never 0 / 0.

    Without read-out noise it is the number of photons the ray saw (Sauer and Bouman, IEEE TSP 41:534 (1993)).
    """

    def weight(expected: Tensor) -> Tensor:
        noise = torch.clamp_min(expected + dose.electronic_std**2, torch.finfo(torch.float64).tiny)
        return expected**2 / noise

    return _of_counts(weight, p, dose, Air(p, modulation=modulation, bowtie=bowtie))


def noisy_projections(p: Tensor, dose: Dose, air: Air, streams: Sequence[torch.Generator], *, floor_photons: float) -> Tensor:
    """Noisy line integrals of noise-free ones, same shape: the whole model of this file, a few views at a time."""
    noisy = torch.empty(p.shape, dtype=p.dtype, device=p.device)
    for i, stream in enumerate(streams):
        clean, target = p[i].flatten(0, 1), noisy[i].flatten(0, 1)
        for views, z, read_out in NormalDraws(tuple(clean.shape), stream, read_out=dose.electronic_std > 0):
            in_air = dose.used_photons * air.of(i, views)
            counts = poisson_from_normal(in_air * torch.exp(-clean[views].double()), z.to(p.device))
            if read_out is not None:
                counts += dose.electronic_std * read_out.to(p.device)
            target[views] = log_transform(counts, in_air, floor_photons=floor_photons).to(p.dtype)
    return noisy


def _of_counts(what: Callable[[Tensor], Tensor], p: Tensor, dose: Dose, air: Air) -> Tensor:
    """A function of the expected counts of each ray, in the dtype of p."""
    if p.requires_grad and torch.is_grad_enabled():
        return what(dose.used_photons * air.whole() * torch.exp(-p.double())).to(p.dtype)
    found = torch.empty(p.shape, dtype=p.dtype, device=p.device)
    for i in range(len(p)):
        clean, target = p[i].flatten(0, 1), found[i].flatten(0, 1)
        for views in pieces_of_views(tuple(clean.shape)):
            in_air = dose.used_photons * air.of(i, views)
            target[views] = what(in_air * torch.exp(-clean[views].double())).to(p.dtype)
    return found


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal draws of the shape of `like`, made where the generator lives, float64."""
    draws = torch.randn(like.shape, dtype=torch.float64, device=generator.device, generator=generator)
    return draws.to(like.device)


def _check_p(p: Tensor) -> None:
    if p.ndim not in (4, 5) or not p.is_floating_point() or p.numel() == 0:
        raise GeometryError(
            f"a scan is p of shape (B, 1, V, C) or (B, 1, V, R, C) in float32 or float64, got {p.dtype} {tuple(p.shape)}"
        )


def _checked_modulation(p: Tensor, modulation: Tensor) -> Tensor:
    """(V,) or (B, V) -> (1 or B, 1, V, 1[, 1]) with mean 1 over views."""
    currents = torch.as_tensor(modulation).to(dtype=torch.float64, device=p.device)
    views = p.shape[2]
    if currents.ndim not in (1, 2) or currents.shape[-1] != views or (currents.ndim == 2 and len(currents) != len(p)):
        raise GeometryError(
            f"modulation expects one relative tube current per view, ({views},) or ({len(p)}, {views}), "
            f"got {tuple(currents.shape)}"
        )
    with torch.no_grad():
        if not bool(torch.isfinite(currents).all()) or float(currents.min()) <= 0:
            raise InputError(
                f"modulation expects finite tube currents > 0, got a smallest value of {float(currents.min()):g}; "
                "leave the views out (Projector.subset) that are not exposed"
            )
        mean = currents.mean(-1, keepdim=True)
        worst = float(mean.flatten()[(mean.flatten() - 1).abs().argmax()])
        if abs(worst - 1) > MODULATION_TOLERANCE:
            raise InputError(
                f"modulation expects tube currents relative to their mean over views, got a mean of {worst:g}; "
                "pass modulation / modulation.mean(), and put the level into Dose"
            )
    currents = currents / currents.mean(-1, keepdim=True)
    return currents.reshape(-1, 1, views, *[1] * (p.ndim - 3))


def _checked_bowtie(p: Tensor, bowtie: Tensor) -> Tensor:
    """(C,) or (R, C) -> (1, 1, 1[, R or 1], C)."""
    passed = torch.as_tensor(bowtie).to(dtype=torch.float64, device=p.device)
    rows, cols = (p.shape[3] if p.ndim == 5 else 1), p.shape[-1]
    if tuple(passed.shape) not in {(cols,), (rows, cols)}:
        raise GeometryError(
            f"bowtie expects a transmission per column ({cols},) or per pixel ({rows}, {cols}), got {tuple(passed.shape)}"
        )
    low, high = float(passed.min()), float(passed.max())
    if not (low > 0 and high <= 1):  # also refuses NaN
        raise InputError(f"bowtie expects transmissions above 0 and up to 1, got {low:g} to {high:g}")
    passed = passed.reshape(1, 1, 1, -1, cols)
    return passed if p.ndim == 5 else passed[:, :, :, 0]
