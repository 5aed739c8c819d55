"""Folding 2 x 2 x 2 voxels into channels and back: the widest layers of a 3D network then run on an eighth of the voxels."""

from __future__ import annotations

from torch import Tensor

from taskct.core.errors import GeometryError


def fold_volume(x: Tensor, factor: int = 2) -> Tensor:
    """(B, C, Z, Y, X) -> (B, C factor^3, Z / factor, Y / factor, X / factor). GeometryError for sizes that do not divide.

    >>> import torch
    >>> x = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
    >>> fold_volume(x).shape, bool((unfold_volume(fold_volume(x)) == x).all())
    (torch.Size([1, 8, 2, 2, 2]), True)
    """
    if factor == 1:
        return x
    if any(n % factor for n in x.shape[2:]):
        raise GeometryError(f"folding by {factor} expects sizes that divide by it, got {tuple(x.shape[2:])}; pad or resample")
    B, C, Z, Y, X = x.shape
    f, (z, y, w) = factor, (Z // factor, Y // factor, X // factor)
    parts = x.reshape(B, C, z, f, y, f, w, f).permute(0, 1, 3, 5, 7, 2, 4, 6)  # (B, C, f, f, f, z, y, w)
    return parts.reshape(B, C * f**3, z, y, w)


def unfold_volume(x: Tensor, factor: int = 2) -> Tensor:
    """The inverse of `fold_volume`: (B, C factor^3, z, y, x) -> (B, C, factor z, factor y, factor x)."""
    if factor == 1:
        return x
    B, C, z, y, w = x.shape
    f = factor
    parts = x.reshape(B, C // f**3, f, f, f, z, y, w).permute(0, 1, 5, 2, 6, 3, 7, 4)  # (B, C, z, f, y, f, w, f)
    return parts.reshape(B, C // f**3, f * z, f * y, f * w)
