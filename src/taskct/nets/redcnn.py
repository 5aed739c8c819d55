"""RED-CNN: a residual encoder-decoder without resolution loss, for denoising."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class REDCNN(nn.Module):
    """Five convolutions and five transposed ones, 5x5, with shortcuts: (B, 1, Y, X) -> (B, 1, Y, X), any size above 20.

    Source: Chen et al., IEEE TMI 36:2524 (2017), Fig. 1: 96 filters, no padding, shortcuts around pairs, ReLU. Each
    convolution takes 4 pixels off, each transposed one gives 4 back.

    >>> import torch
    >>> REDCNN(filters=4)(torch.zeros(1, 1, 24, 33)).shape
    torch.Size([1, 1, 24, 33])
    """

    def __init__(self, *, filters: int = 96, size: int = 5) -> None:
        super().__init__()
        self.encode = nn.ModuleList(nn.Conv2d(1 if i == 0 else filters, filters, size) for i in range(5))
        self.decode = nn.ModuleList(nn.ConvTranspose2d(filters, 1 if i == 4 else filters, size) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, Y, X) -> (B, 1, Y, X)."""
        shortcuts, y = [x], x
        for i, layer in enumerate(self.encode):
            y = functional.relu(layer(y))
            if i in (1, 3):
                shortcuts.append(y)
        for i, layer in enumerate(self.decode):
            y = layer(y)
            if i in (0, 2, 4):
                y = y + shortcuts.pop()
            y = functional.relu(y)
        return y
