"""Affine registration of an image to a scan: 12 parameters and a factor on the attenuation, by least squares."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from taskct.core.errors import ConfigError
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.physics.unchecked import project_unchecked

_DAMPING = 1e-3


def register(image: Tensor, p: Tensor, A: Projector | Projectors, *, rounds: int = 12) -> Tensor:
    """The affine copy of `image` (B or 1, 1, *A.mu_shape) in 1/mm, with its attenuation scaled, that best explains p.

    Levenberg-Marquardt on 13 numbers per case (3 x 4 of the affine map and the factor); the derivatives are those of the
    interpolation, projected. Returns (B, 1, *A.mu_shape). Voxels from outside of the image are air.
    """
    if rounds < 1:
        raise ConfigError(f"register expects rounds >= 1, got {rounds!r}")
    if isinstance(A, Projectors):
        start = image.expand(len(p), *image.shape[1:])
        return torch.cat([register(start[i : i + 1], p[i : i + 1], one, rounds=rounds) for i, one in enumerate(A.each)])
    return torch.cat([_register_one(image[i % len(image)][None].to(p), p[i : i + 1], A, rounds) for i in range(len(p))])


class Registered:
    """A reconstructor whose image is registered to the scan: `Registered(MeanImage(...))`, `Registered(NearestImage(...))`."""

    def __init__(self, method: Callable[[Tensor, Projector | Projectors], Tensor], *, rounds: int = 12) -> None:
        self.method, self.rounds = method, rounds

    def __call__(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm."""
        return register(self.method(p, A), p, A, rounds=self.rounds)


def _register_one(image: Tensor, p: Tensor, A: Projector, rounds: int) -> Tensor:
    numbers = torch.zeros(13)
    best, damping = _moved(image, numbers), _DAMPING
    misfit = p - A(best)
    error = float(misfit.square().sum())
    for _ in range(rounds):
        J = torch.stack([project_unchecked(A, d).flatten() for d in _derivatives(image, numbers)], 1).double()  # (rays, 13)
        gram, pull = J.T @ J, J.T @ misfit.flatten().double()
        for _ in range(5):
            step = torch.linalg.solve(gram + damping * torch.diag(gram.diagonal() + 1e-9), pull)
            tried = _moved(image, numbers + step.float())
            rest = p - A(tried)
            now = float(rest.square().sum())
            if now < error:
                break
            damping *= 8
        else:
            break
        gain = error - now
        numbers, best, misfit, error, damping = numbers + step.float(), tried, rest, now, damping / 4
        if gain < 1e-4 * error:
            break
    return best


def _moved(image: Tensor, numbers: Tensor) -> Tensor:
    """The image seen through the affine map 1 + numbers[:12] (in halves of the grid), times 1 + numbers[12]."""
    theta = torch.eye(3, 4) + numbers[:12].reshape(3, 4)
    grid = affine_grid(theta[None].to(image), list(image.shape), align_corners=False)
    return grid_sample(image, grid, align_corners=False) * (1 + numbers[12].to(image))


def _derivatives(image: Tensor, numbers: Tensor) -> list[Tensor]:
    """Central differences of `_moved` by each of its numbers; half a voxel for the map, exact for the factor."""
    found = []
    half = 1.0 / max(image.shape[2:])
    for k in range(12):
        step = torch.zeros(13)
        step[k] = half
        found.append((_moved(image, numbers + step) - _moved(image, numbers - step)) / (2 * half))
    found.append(_moved(image, torch.cat([numbers[:12], torch.zeros(1)])))
    return found
