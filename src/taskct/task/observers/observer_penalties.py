"""Model observers as penalties of a training: how much of a lesion's detectability or contrast an image has lost."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError
from taskct.core.precision import at_least_float32
from taskct.task.observers.hotelling import squared_detectability


class ObserverPenalty(nn.Module):
    """Task penalty without a network: -ln(1 + d'^2) of channel responses at lesion pixels against organ pixels.

    Images (B, 1, Y, X) and labels (B, Y, X) -> scalar, 0 when lesion or organ is missing. It makes a task like any other:
    `FrozenTask(freeze(nn.Identity()), HuWindow(40, 400), ObserverPenalty(channels), "observer")`.
    """

    channels: Tensor

    def __init__(self, channels: Tensor, *, lesion_class: int = 2, organ_class: int = 1) -> None:
        super().__init__()
        if channels.ndim != 3 or channels.shape[-1] % 2 == 0 or channels.shape[-2] % 2 == 0:
            raise ConfigError(f"ObserverPenalty expects channels (J, Y, X) of odd sizes, got {tuple(channels.shape)}")
        self.register_buffer("channels", channels)
        self.lesion_class, self.organ_class = lesion_class, organ_class

    def forward(self, image: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        image = at_least_float32(image)
        kernels = self.channels.to(image)[:, None]
        pad = (kernels.shape[-1] // 2,) * 2 + (kernels.shape[-2] // 2,) * 2
        maps = functional.conv2d(functional.pad(image, pad, mode="replicate"), kernels).movedim(1, -1)  # (B, Y, X, J)
        present, absent = maps[labels == self.lesion_class], maps[labels == self.organ_class]
        if min(len(present), len(absent)) < 2 or len(present) + len(absent) < len(kernels) + 4:
            return image.sum() * 0.0
        return -torch.log1p(squared_detectability(present.double(), absent.double(), ridge=1e-6)).to(image.dtype)


class ContrastPenalty(nn.Module):
    """Task penalty without a network: -|contrast-to-noise ratio| of the lesion in its organ, mean over images with both.

    Images (B, 1, ...) and labels (B, ...) -> scalar. The noise is the standard deviation in the organ, `noise_floor` at least,
    so that a flat image cannot reach any value.
    """

    def __init__(self, *, lesion_class: int = 2, organ_class: int = 1, noise_floor: float = 0.01) -> None:
        super().__init__()
        if not noise_floor > 0:
            raise ConfigError(f"ContrastPenalty expects noise_floor > 0, got {noise_floor!r}")
        self.lesion_class, self.organ_class, self.noise_floor = lesion_class, organ_class, noise_floor

    def forward(self, image: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        image = at_least_float32(image)
        values = []
        for one, truth in zip(image[:, 0], labels, strict=True):
            lesion, organ = one[truth == self.lesion_class], one[truth == self.organ_class]
            if len(lesion) and len(organ) > 1:
                noise = (organ.var() + self.noise_floor**2).sqrt()
                values.append((lesion.mean() - organ.mean()).abs() / noise)
        return -torch.stack(values).mean() if values else image.sum() * 0.0
