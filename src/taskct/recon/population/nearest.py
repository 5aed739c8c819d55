"""The mean of a population, and its member whose scan is nearest: what any method that learns must beat."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors

_CHUNK = 16


class MeanImage:
    """The mean of a population (N, 1, *shape) in 1/mm, whatever the scan: the atlas that was not registered to anything."""

    def __init__(self, population: Tensor) -> None:
        self.mean = checked_population(population).mean(0, keepdim=True)

    def __call__(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        check_shape(self.mean, A, who="MeanImage")
        return self.mean.to(p).expand(len(p), -1, *A.mu_shape).clone()


class NearestImage:
    """The member of a population whose projections through A are nearest to p in root mean square."""

    def __init__(self, population: Tensor) -> None:
        self.population = checked_population(population)

    def __call__(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        return self.population[self.which(p, A)].to(p)

    def which(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """(B,) numbers of the nearest members."""
        check_shape(self.population, A, who="NearestImage")
        if isinstance(A, Projectors):
            return torch.cat([self.which(p[i : i + 1], one) for i, one in enumerate(A.each)])
        return torch.cdist(p.flatten(1), projections(self.population, A).to(p)).argmin(1).cpu()


def projections(population: Tensor, project: Callable[[Tensor], Tensor]) -> Tensor:
    """`project`, such as a Projector, of each member of a population: (N, 1, *shape) -> (N, rays)."""
    with torch.no_grad():
        return torch.cat([project(part).flatten(1) for part in population.split(_CHUNK)])


def checked_population(population: Tensor) -> Tensor:
    """The population as float32 (N, 1, Z, Y, X) in 1/mm."""
    if population.ndim not in (4, 5) or population.shape[1] != 1 or len(population) < 1:
        raise InputError(f"a population expects images (N, 1, Z, Y, X) in 1/mm, got {tuple(population.shape)}")
    if not bool(torch.isfinite(population).all()):
        raise InputError("a population expects finite images, got NaN or infinite values")
    return population.float()


def check_shape(images: Tensor, A: Projector | Projectors, *, who: str) -> None:
    """GeometryError where the population has another grid than A."""
    if tuple(images.shape[2:]) != A.mu_shape:
        raise GeometryError(
            f"{who} expects A on the grid of its population {tuple(images.shape[2:])}, got {A.mu_shape}; "
            "resample the population"
        )
