"""Rotate and sum: what one writes in PyTorch when there is no projector at hand, as one more peer."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

_VIEWS = 20  # at a time, some 20 MB at 513 columns


def rotate_and_sum(mu: Tensor, *, views: int, cols: int, pixel_mm: float) -> Tensor:
    """Half a turn of parallel projections of a square slice of 1 mm pixels: (1, 1, Y, X) -> (1, 1, V, C)."""
    size = mu.shape[-1]
    angles = torch.arange(views) * (torch.pi / views)
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros(views)
    scale = cols * pixel_mm / size  # of the square of rays against the slice
    turns = scale * torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)  # (V, 2, 3)
    sums = []
    for some in turns.split(_VIEWS):
        grid = nnf.affine_grid(some, [len(some), 1, cols, cols], align_corners=False)
        turned = nnf.grid_sample(mu.expand(len(some), -1, -1, -1), grid, align_corners=False)
        sums.append(pixel_mm * turned.sum(dim=2))  # (V, 1, C)
    return torch.cat(sums).transpose(0, 1)[None]
