"""A picture of the surface of bone: the first voxel above a threshold along an axis, shaded by where it faces."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

BONE_ABOVE_HU = 200.0


def render_bone(hu: Tensor, *, axis: int = 1, above_hu: float = BONE_ABOVE_HU, scale: int = 4) -> np.ndarray:
    """The surface above `above_hu` of a volume (Z, Y, X), seen along `axis` from its low end: uint8, head upwards.

    Light comes from the viewer's upper left; black where no bone is met.
    """
    fine = interpolate(hu[None, None].float(), scale_factor=scale, mode="trilinear")[0, 0].movedim(axis, 0)  # (depth, a, b)
    bone = fine > above_hu
    hit, first = bone.any(0), bone.float().argmax(0)
    here = fine.gather(0, first[None])[0]
    before = fine.gather(0, (first - 1).clamp_min(0)[None])[0]
    inside = ((above_hu - before) / (here - before).clamp_min(1e-3)).clamp(0, 1)  # where it is crossed, between two samples
    depth = torch.where(hit, first - 1 + inside, float(len(fine)))
    down, right = torch.gradient(depth)
    normal = torch.stack([torch.ones_like(depth), down, right]) / torch.stack([torch.ones_like(depth), down, right]).norm(
        dim=0
    )
    light = torch.tensor([0.8, -0.45, 0.4]) / torch.tensor([0.8, -0.45, 0.4]).norm()
    shade = (normal * light[:, None, None]).sum(0).clamp(0.08, 1) * (1 - 0.5 * depth / len(fine))
    picture = torch.where(hit, 255 * shade, 0).to(torch.uint8).numpy()
    return picture[::-1] if axis != 0 else picture  # z runs upwards
