"""The Gaussian model of a population: the linear estimate of least mean square error from a scan, with its spread."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, InputError
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.physics.unchecked import project_unchecked
from taskct.recon.population.nearest import check_shape, checked_population, projections

_KEPT = 4  # geometries whose projections of the population are kept


class GaussianPopulation:
    """Mean and sample covariance of a population (N, 1, *shape) in 1/mm as a prior; the estimate is in closed form.

        mu = m + X w,   w = argmin |A X w - (p - A m)|^2 / sigma^2 + |w|^2,   X = (mu_i - m) / sqrt(N)

    `sigma` is the standard error of a line integral, noise and model together. `estimate` gives mean and spread (the
    standard deviation of the posterior, times `scale`: `calibrated` sets it so that the spread means what it says).
    N x N numbers are solved for, whatever the size of the images. Projections of the population are kept for the last few
    geometries. As a reconstructor it returns the mean.
    """

    def __init__(self, population: Tensor, *, sigma: float = 0.3, scale: float = 1.0) -> None:
        images = checked_population(population)
        if len(images) < 2:
            raise InputError(f"GaussianPopulation expects at least two images, got {len(images)}")
        if not (sigma > 0 and scale > 0):
            raise ConfigError(f"GaussianPopulation expects sigma > 0 and scale > 0, got {sigma!r} and {scale!r}")
        self.sigma, self.scale = float(sigma), float(scale)
        self.mean = images.mean(0, keepdim=True)
        self.parts = (images - self.mean) / len(images) ** 0.5  # (N, 1, *shape)
        self._kept: dict[int, tuple[Projector, Tensor, Tensor]] = {}

    def __call__(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        check_shape(self.mean, A, who="GaussianPopulation")
        if isinstance(A, Projectors):
            return torch.cat([self(p[i : i + 1], one) for i, one in enumerate(A.each)])
        through, mean = self._through(A)
        w = self._solve(through, (p.flatten(1) - mean).T)
        return (self.mean + (w.T @ self.parts.flatten(1)).reshape(len(p), 1, *A.mu_shape)).to(p)

    def estimate(self, p: Tensor, A: Projector | Projectors) -> tuple[Tensor, Tensor]:
        """Mean and spread, each (B, 1, *A.mu_shape) in 1/mm. The spread depends on the geometry only."""
        return self(p, A), self.spread(A).expand(len(p), -1, *A.mu_shape).to(p)

    def spread(self, A: Projector | Projectors) -> Tensor:
        """Posterior standard deviation of each voxel in 1/mm, (1 or B, 1, *A.mu_shape)."""
        if isinstance(A, Projectors):
            return torch.cat([self.spread(one) for one in A.each])
        through, _ = self._through(A)
        gram = (through @ through.T).double() / self.sigma**2
        value, vector = torch.linalg.eigh(gram)
        root = (vector / (1 + value.clamp_min(0)).sqrt()).float()  # (1 + gram)^-1/2 in that basis
        return self.scale * (root.T @ self.parts.flatten(1)).square().sum(0).sqrt().reshape(1, 1, *A.mu_shape)

    def calibrated(self, truth: Tensor, p: Tensor, A: Projector | Projectors) -> GaussianPopulation:
        """The same model with its spread scaled to the root mean square error on cases that neither it nor the test has."""
        mean, spread = self.estimate(p, A)
        wide = spread > 0.02 * spread.max()  # where the population varies at all
        ratio = ((mean - truth).square()[wide].mean() / spread.square()[wide].mean()).sqrt()
        other = object.__new__(GaussianPopulation)
        other.__dict__.update(self.__dict__)
        other.scale = self.scale * float(ratio)
        return other

    def _through(self, A: Projector) -> tuple[Tensor, Tensor]:
        """A of the parts (N, rays) and of the mean (1, rays)."""
        if id(A) not in self._kept or self._kept[id(A)][0] is not A:
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[id(A)] = A, projections(self.parts, partial(project_unchecked, A)), projections(self.mean, A)
        return self._kept[id(A)][1:]

    def _solve(self, through: Tensor, misfit: Tensor) -> Tensor:
        """w (N, B) of the objective above."""
        gram = through @ through.T / self.sigma**2
        return torch.linalg.solve(gram + torch.eye(len(gram)), through @ misfit.to(through) / self.sigma**2)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": {}}
