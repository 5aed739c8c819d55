"""A method with all that belongs to it, judged on heads that it does not know: how far is a user's pair from these?"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.core.units import HU_PER_MU, MU_WATER_70KEV_PER_MM
from taskct.evaluation.volumes import reprojection_rms, seen_share, spread_factor
from taskct.geometry import VectorBeam
from taskct.geometry.radiographs import vector_beam
from taskct.physics.dose import Dose
from taskct.physics.film import as_film, fit_film
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.agree import agree
from taskct.recon.learned import BiPlanarNet
from taskct.recon.population import GaussianPopulation
from taskct.recon.pose_refinement import PoseFit, refine_poses
from taskct.simulate.radiograph import take_radiographs
from taskct.systems.biplanar.experiment.plain_rows import Method
from taskct.systems.biplanar.own_pair.drawn_heads import Heads
from taskct.systems.biplanar.own_pair.pair_methods import SIGMA

_PHOTONS = 1e5  # of the radiographs of the held heads
_ROUNDS = 3  # of the refinement of poses, with one image
_FILM_TURNS = 10  # image, gain and offset in turn
_FAR_RESIDUAL = 1.5  # times the largest of the held heads
_MOST_CUT = 0.5  # of the heads
_SHADOW = 0.25  # of the largest line integral: rays above it pass through the head


class Made(NamedTuple):
    """An image; the line integrals it was made of (p itself, or films with gain and offset taken off); its misfit (B,).

    The misfit is that before the steps of agreement, which hide it.
    """

    mu: Tensor
    p: Tensor
    misfit: Tensor


class Finished:
    """A method with agreement at the end; films get gain and offset in turn with the image, from the mean skull on."""

    def __init__(self, method: Method, steps: int, film: bool, mean: Tensor) -> None:
        self.method, self.steps, self.film, self.mean = method, steps, film, mean

    def __call__(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        return self.run(p, A).mu

    def run(self, p: Tensor, A: Projector | Projectors) -> Made:
        """The image with what it was made of."""
        if not self.film:
            own = self.method(p, A)
            return Made(agree(own, p, A, steps=self.steps), p, reprojection_rms(own, p, A))
        mu = self.mean.expand(len(p), *self.mean.shape[1:])
        scan = p
        for _ in range(_FILM_TURNS):
            gain, offset = fit_film(p, A(mu))
            scan = (p - offset) / gain.clamp_min(1e-6)
            mu = self.method(scan, A)
        return Made(agree(mu, scan, A, steps=self.steps), scan, reprojection_rms(mu, scan, A))


def refined_poses(method: Finished, p: Tensor, A: Projector, *, turns: int) -> PoseFit:
    """Poses refined in turn with the image, on line integrals: of films gain and offset are taken off with every image."""
    fit: PoseFit | None = None
    for _ in range(turns):
        made = method.run(p, A if fit is None or not isinstance(fit.A, Projector) else fit.A)
        fit = refine_poses(made.mu, made.p, A, rounds=_ROUNDS, start=fit)
    assert fit is not None
    return fit


@dataclass(frozen=True, eq=False)
class Judged:
    """The method on held heads: residuals, factor of the spread, mean errors in the head, and sizes of their shadows.

    `seen` is the share of the variance about the mean head that lies in the row space of the views, `explained` the share that
    the method got right: it may be larger by what it knows of heads, or smaller.
    """

    residuals: Tensor
    misfits: Tensor
    factor: float
    seen: float
    explained: float
    error_hu: float
    prior_error_hu: float
    shadows: Tensor  # (held, V)
    sums: Tensor  # (held, V)


def judge(method: Finished, sets: Heads, A: Projector, *, seed: int = 0) -> Judged:
    """Radiographs of the held skulls, from twice the resolution, through the same method."""
    B = Projector(sets.grid, _about_origin(A))
    p = take_radiographs(sets.held_fine, B, Dose(_PHOTONS), seed=seed, mu_grid=sets.fine)
    with torch.no_grad():
        film = as_film(p, mode="gain", seed=seed) if method.film else p
        mu, scan, misfit = method.run(film, B)
        residuals = reprojection_rms(mu, scan, B)
        spread = GaussianPopulation(sets.known, sigma=SIGMA).spread(B).expand_as(mu)
    head = sets.held > 0.5 * MU_WATER_70KEV_PER_MM
    mean = sets.known.mean(0, keepdim=True)
    about_mean = (sets.held - mean).square().sum()
    mean_hu = lambda image: float((image - sets.held).abs()[head].mean()) * HU_PER_MU
    return Judged(
        residuals,
        misfit,
        spread_factor(spread, mu, sets.held),
        float(seen_share(sets.held - mean, B).mean()),
        float(1 - (mu - sets.held).square().sum() / about_mean),
        mean_hu(mu),
        mean_hu(mean.expand_as(sets.held)),
        _shadow(p),
        p.mean((-1, -2))[:, 0],
    )


def learnt_from_others(method: object, sets: Heads) -> str:
    """A sentence where a network that holds its mean head learnt from heads of another kind than those it is judged on; or ''.

    Means of heads of one kind differ by a fraction of what these heads differ from their mean by.
    """
    own = method.prior_mu if isinstance(method, BiPlanarNet) else None
    if own is None or own.shape[2:] != sets.known.shape[2:]:
        return ""
    mean = sets.known.mean(0, keepdim=True)
    head = mean > 0.25 * MU_WATER_70KEV_PER_MM
    apart = float((own - mean).abs()[head].mean()) * HU_PER_MU
    usual = float((sets.known - mean).abs()[head.expand_as(sets.known)].mean()) * HU_PER_MU
    if apart <= usual:
        return ""
    return (
        f"the mean head of the network's training differs by {apart:.0f} HU from that of the heads that judge it, which "
        f"differ by {usual:.0f} HU from their mean: it learnt from heads of another age or kind"
    )


def cut_off(sets: Heads) -> str:
    """A sentence where most heads reach the sides or the top of the volume, or ''; the neck leaves it at the bottom."""
    solid = sets.known[:, 0] > 0.5 * MU_WATER_70KEV_PER_MM
    faces = solid[:, -1], solid[:, :, 0], solid[:, :, -1], solid[..., 0], solid[..., -1]
    reach = torch.stack([face.flatten(1).any(1) for face in faces]).any(0).double().mean()
    if reach <= _MOST_CUT:
        return ""
    size_mm = sets.grid.size_mm[0]
    return (
        f"{100 * float(reach):.0f} % of the built-in skulls reach out of the volume of {size_mm:.0f} mm: what of the head is "
        "outside is in the radiographs, and falsifies what is inside; films of the whole head or a larger side_mm help"
    )


def _about_origin(A: Projector) -> VectorBeam:
    """The beam of A moved so that the grid's centre is the origin."""
    centre = np.asarray(A.grid.centre_mm)
    beam = vector_beam(A.poses)
    assert beam.source_mm is not None
    return dataclasses.replace(beam, source_mm=beam.source_mm - centre, detector_mm=beam.detector_mm - centre)


def _shadow(p: Tensor) -> Tensor:
    """Share of each detector that the head shadows: (B, 1, V, R, C) -> (B, V)."""
    top = torch.quantile(p.flatten(3), 0.99, dim=3)[..., None, None]
    return (p > _SHADOW * top).double().mean((-1, -2))[:, 0]


def doubts_about(
    meaning: str,
    p: Tensor,
    misfits: tuple[float, float],
    judged: Judged,
    *,
    age_months: tuple[float, float],
    stated_months: tuple[float, float] | None = None,
) -> tuple[str, ...]:
    """In what a pair p (1, 1, V, R, C), with its misfits before and after agreement, lies outside of the held heads.

    `age_months` are those of the held heads, `stated_months` the least and the largest age that the films' headers stand for.
    """
    low, high = age_months
    found = []
    if stated_months is not None and (stated_months[0] > high or stated_months[1] < low):
        found.append(
            f"the headers say an age of {stated_months[0]:.0f} months, built-in skulls have {low:g} to {high:g}; --months "
            "(age_months) sets their ages"
        )
    stages = ("before agreement", "after agreement")
    for stage, here, seen in zip(stages, misfits, (judged.misfits, judged.residuals), strict=True):
        most = float(seen.max())
        if here > _FAR_RESIDUAL * most:
            found.append(
                f"{stage} the re-projections differ from the radiographs by {here:.3g}, by at most {most:.3g} for "
                f"built-in skulls of {low:g} to {high:g} months: poses, grey levels or the head itself are of another kind"
            )
    for view, here, seen in zip(("frontal", "lateral"), _shadow(p)[0].tolist(), judged.shadows.T, strict=True):
        if not 0.9 * float(seen.min()) <= here <= 1.1 * float(seen.max()):
            found.append(
                f"{view}: the head shadows {100 * here:.0f} % of the detector, built-in skulls of {low:g} to {high:g} months "
                f"{100 * float(seen.min()):.0f} to {100 * float(seen.max()):.0f} %: another size, age or distance"
            )
    if meaning == "line integral":
        sums = zip(("frontal", "lateral"), p.mean((-1, -2))[0, 0].tolist(), judged.sums.T, strict=True)
        for view, here, seen in sums:
            if not 0.8 * float(seen.min()) <= here <= 1.25 * float(seen.max()):
                found.append(
                    f"{view}: the mean line integral is {here:.2f}, of built-in skulls {float(seen.min()):.2f} to "
                    f"{float(seen.max()):.2f}: another size, another beam energy, or grey levels that mean something else"
                )
    return tuple(found)
