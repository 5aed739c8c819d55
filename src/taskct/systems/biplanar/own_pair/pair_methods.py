"""What can be made of a pair without a trained network: estimates from built-in skulls, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.population import GaussianPopulation, MeanImage, NearestImage, Registered

Method = Callable[[Tensor, Projector | Projectors], Tensor]
SIGMA = 0.2  # standard error of a line integral, the grid's own included

PAIR_METHODS: dict[str, Callable[[Tensor], Method]] = {
    "gaussian": lambda skulls: GaussianPopulation(skulls, sigma=SIGMA),
    "atlas": MeanImage,
    "atlas-registered": lambda skulls: Registered(MeanImage(skulls)),
    "nearest": NearestImage,
    "nearest-registered": lambda skulls: Registered(NearestImage(skulls)),
}
