"""Other images of the same kind: small motions and changes of brightness, each drawn from a generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import ConfigError
from taskct.core.units import MU_WATER_70KEV_PER_MM

Augment = Callable[[Tensor, Tensor | None, torch.Generator], tuple[Tensor, Tensor | None]]
"""Any function (mu, labels, generator) -> mu and labels of the same shapes."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """`augment(mu, labels, generator)` -> mu and labels of the same shapes: (1, C, [Z,] Y, X) and (1, [Z,] Y, X).

    shift_share      up to this share of the field of view along y and x
    scale            up to this much larger or smaller
    rotate_deg       in the axial plane
    offset_hu        standard deviation of a change of all tissue, in proportion to it (contrast phase, calibration)
    noise_hu         white noise up to this standard deviation: readers that are less brittle
    blur_pixels      Gaussian blur up to this sigma, likewise

    mirror           every other image left for right: for organs that come in pairs; not where the liver lies on the right

    What comes from outside is air, labelled background.
    """

    shift_share: float = 0.06
    scale: float = 0.1
    rotate_deg: float = 8.0
    offset_hu: float = 8.0
    noise_hu: float = 0.0
    blur_pixels: float = 0.0
    mirror: bool = False

    def __post_init__(self) -> None:
        values = (self.shift_share, self.scale, self.rotate_deg, self.offset_hu, self.noise_hu, self.blur_pixels)
        if not all(0 <= value < math.inf for value in values) or self.scale >= 0.5 or self.shift_share > 0.5:
            raise ConfigError(f"Augmentation expects finite values of 0 or more, scale and shift_share below 0.5, got {self}")

    def __call__(self, mu: Tensor, labels: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Another image and its labels."""
        out, grid = self.moved(mu, generator)
        if labels is not None:
            moved = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
            labels = moved[:, 0].to(labels.dtype)
        if self.blur_pixels:
            sigma = self.blur_pixels * float(torch.rand(1, generator=generator, device=generator.device))
            out = _blur(out, sigma)
        if self.noise_hu:
            level = torch.rand(1, generator=generator, device=generator.device)
            noise = torch.randn(mu.shape, generator=generator, device=generator.device)
            out = out + (level * noise).to(mu.device) * (self.noise_hu * MU_WATER_70KEV_PER_MM / 1000)
        return out, labels

    def plain(self, mu: Tensor, generator: torch.Generator) -> Tensor:
        """The image moved and brightened as a call with the same generator does, without noise and blur: its truth."""
        return self.moved(mu, generator)[0]

    def moved(self, mu: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The image moved and brightened, and the grid (1, [Z,] Y, X, axes) of -1 to 1 that it was sampled on."""
        draw = (2 * torch.rand(4, generator=generator, device=generator.device) - 1).tolist()
        grid = self._grid(mu, *draw).to(mu.device)
        if self.mirror and bool(torch.rand(1, generator=generator, device=generator.device) < 0.5):
            grid = grid.flip(-2)
        out = functional.grid_sample(mu, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        size = torch.randn(1, generator=generator, device=generator.device).to(mu.device)
        return out * (1 + size * self.offset_hu / 1000), grid  # of water: offset_hu; of air: nothing

    def _grid(self, mu: Tensor, down: float, right: float, turn: float, grow: float) -> Tensor:
        """Where each pixel of the new image lies in the old one, -1 to 1."""
        angle, size = math.radians(self.rotate_deg * turn), 1 + self.scale * grow
        cos, sin = math.cos(angle) / size, math.sin(angle) / size
        aspect = mu.shape[-2] / mu.shape[-1]
        rows = [
            [cos, -sin * aspect, 2 * self.shift_share * right],
            [sin / aspect, cos, 2 * self.shift_share * down],
        ]
        if mu.ndim == 5:  # x, y as above; z stays
            rows = [[r[0], r[1], 0.0, r[2]] for r in rows] + [[0.0, 0.0, 1.0, 0.0]]
        return functional.affine_grid(torch.tensor([rows]), list(mu.shape), align_corners=False)


def _blur(mu: Tensor, sigma: float) -> Tensor:
    """Gaussian blur along y and x, edges repeated."""
    if sigma < 0.1:
        return mu
    reach = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1, device=mu.device).float() ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1)
    shape = mu.shape
    for _ in range(2):  # once along the last axis, once along the one before
        flat = mu.transpose(-1, -2).reshape(-1, 1, mu.shape[-2])
        flat = functional.conv1d(functional.pad(flat, (reach, reach), mode="replicate"), kernel)
        mu = flat.reshape(*mu.shape[:-2], mu.shape[-1], mu.shape[-2])
    return mu.reshape(shape)


def augmented(
    augment: Augment, mu: Tensor, labels: Tensor | None, streams: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor | None]:
    """Each image of a batch augmented with a generator of its own."""
    pairs = [
        augment(mu[k : k + 1], labels[k : k + 1] if labels is not None else None, stream) for k, stream in enumerate(streams)
    ]
    found = [one for _, one in pairs if one is not None]
    return torch.cat([image for image, _ in pairs]), torch.cat(found) if found else None
