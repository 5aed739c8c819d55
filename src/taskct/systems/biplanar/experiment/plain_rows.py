"""The rows of the experiment that learn no network: what any network has to beat."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.learned.biplanar import Lifting
from taskct.recon.population import GaussianPopulation, MeanImage, NearestImage, Registered
from taskct.recon.sirt import sirt
from taskct.recon.tv_min import tv_min

Method = Callable[[Tensor, Projector | Projectors], Tensor]
SIRT_ITERATIONS, TV_ITERATIONS = 50, 150


class Choice(NamedTuple):
    """A setting that is chosen on validation skulls, by PSNR3D."""

    name: str
    values: tuple[float, ...]


class PlainRow(NamedTuple):
    """`make(population, value)` is the method, given the training skulls (N, 1, Z, Y, X) and the chosen value, if any.

    `sees` is False for one that is the same whatever the radiographs: there is nothing to read. `cost` is in seconds of a core
    for 40 skulls of 32 voxels.
    """

    label: str
    make: Callable[[Tensor, float], Method]
    choice: Choice | None = None
    cost: float = 1.0
    sees: bool = True


def smear(p: Tensor, A: Projector | Projectors) -> Tensor:
    """Back-projection: the mean of the radiographs spread along their rays, in 1/mm."""
    return Lifting(A).images(p).mean(1, keepdim=True)


def one_by_one(method: Callable[..., Tensor]) -> Method:
    """A method for a single geometry, for batches with one for each image too."""

    def run(p: Tensor, A: Projector | Projectors) -> Tensor:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two views: nothing converges as it would from many
            if isinstance(A, Projector):
                return method(p, A, progress=False)
            return torch.cat([method(p[i : i + 1], one, progress=False) for i, one in enumerate(A.each)])

    return run


PLAIN: dict[str, PlainRow] = {
    "back-projection": PlainRow("back-projection", lambda population, _: smear),
    "sirt": PlainRow(
        "SIRT",
        lambda population, _: one_by_one(partial(sirt, iterations=SIRT_ITERATIONS, nonnegative=True)),
        cost=3,
    ),
    "tv": PlainRow(
        "TV",
        lambda population, strength: one_by_one(partial(tv_min, strength=strength, iterations=TV_ITERATIONS)),
        Choice("strength", (0.3, 1.0, 3.0)),
        cost=15,
    ),
    "atlas": PlainRow("mean atlas", lambda population, _: MeanImage(population), sees=False),
    "nearest": PlainRow("nearest skull", lambda population, _: NearestImage(population)),
    "gaussian": PlainRow(
        "Gaussian model",
        lambda population, sigma: GaussianPopulation(population, sigma=sigma),
        Choice("sigma", (0.02, 0.05, 0.1, 0.2, 0.4)),
        cost=4,
    ),
    "atlas-registered": PlainRow("mean atlas, registered", lambda population, _: Registered(MeanImage(population)), cost=30),
    "nearest-registered": PlainRow(
        "nearest skull, registered", lambda population, _: Registered(NearestImage(population)), cost=30
    ),
}
