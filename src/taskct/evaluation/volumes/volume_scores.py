"""Scores of whole volumes in HU: PSNR of the volume and of its slices, SSIM along a named axis, mean absolute error."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.errors import InputError, unknown_name
from taskct.evaluation.metrics import psnr, ssim
from taskct.evaluation.windows import Window

SKULL_WINDOW = Window(250.0, 2500.0, "skull")  # -1000..1500 HU
HEAD_ABOVE_HU = -500.0
AXES = {"axial": 0, "coronal": 1, "sagittal": 2}  # which axis of (Z, Y, X) the slices are counted along
_EMPTY_DB = 100.0  # what published code gives a slice without error


def psnr3d(hu: Tensor, truth_hu: Tensor, *, window: Window = SKULL_WINDOW) -> Tensor:
    """PSNR of the whole volume in dB: (B, 1, Z, Y, X) -> (B,). Both are clipped to `window`, whose width is the data range."""
    return psnr(window.clip(hu), window.clip(truth_hu), data_range=window.width_hu)


def slice_psnr(hu: Tensor, truth_hu: Tensor, *, window: Window = SKULL_WINDOW, empty: str = "apart") -> tuple[Tensor, Tensor]:
    """Mean PSNR of the slices along all three axes, and how many slices are empty: (B, 1, Z, Y, X) -> (B,), (B,).

    A slice is empty where the clipped truth has one value only. `empty` "apart" leaves these out of the mean; "100 dB" is the
    convention of published code: every slice counts, and one without any error counts 100 dB.

    >>> truth = torch.full((1, 1, 4, 4, 4), -1000.0)
    >>> truth[:, :, 1:3, 1:3, 1:3] = 0.0
    >>> apart, empty = slice_psnr(truth + 25, truth)
    >>> round(float(apart), 4), int(empty)
    (40.0, 6)
    """
    if empty not in ("apart", "100 dB"):
        raise unknown_name("treatment of empty slices", empty, ("apart", "100 dB"))
    error, blank = [], []
    for axis in AXES.values():
        a, b = (window.clip(v[:, 0]).double().movedim(1 + axis, 1).flatten(2) for v in (hu, truth_hu))
        error.append((a - b).square().mean(-1))
        blank.append(b.amax(-1) == b.amin(-1))
    square, void = torch.cat(error, 1), torch.cat(blank, 1)  # (B, Z + Y + X)
    decibel = 20 * torch.log10(torch.tensor(window.width_hu)) - 10 * torch.log10(square)
    if empty == "100 dB":
        return torch.where(square > 0, decibel, _EMPTY_DB).mean(1), void.sum(1)
    return torch.where(void, torch.nan, decibel).nanmean(1), void.sum(1)


def ssim_along(hu: Tensor, truth_hu: Tensor, *, axis: str, window: Window = SKULL_WINDOW) -> Tensor:
    """Mean SSIM of the slices along one axis, "axial", "coronal" or "sagittal": (B, 1, Z, Y, X) -> (B,).

    Gaussian window of 11 x 11 with sigma 1.5; data range and clipping as in `psnr3d`.
    """
    if axis not in AXES:
        raise unknown_name("axis", axis, AXES)
    first, second = (window.clip(v).movedim(2 + AXES[axis], 2) for v in (hu, truth_hu))
    return ssim(first, second, data_range=window.width_hu)


def mae_hu(hu: Tensor, truth_hu: Tensor, *, mask: Tensor | None = None, window: Window = SKULL_WINDOW) -> Tensor:
    """Mean absolute error in HU of volumes clipped to `window`, over `mask` (bool, broadcast): (B, 1, Z, Y, X) -> (B,)."""
    error = (window.clip(hu).double() - window.clip(truth_hu).double()).abs()
    counts = torch.ones_like(error, dtype=torch.bool) if mask is None else mask.expand(error.shape)
    return torch.where(counts, error, 0.0).flatten(1).sum(1) / counts.flatten(1).sum(1)


def head_mask(truth_hu: Tensor) -> Tensor:
    """Bool (B, 1, Z, Y, X): where the truth is above -500 HU."""
    return truth_hu > HEAD_ABOVE_HU


def check_volumes(*volumes: Tensor) -> None:
    """InputError unless all are (B, 1, Z, Y, X) of one shape."""
    shapes = {tuple(v.shape) for v in volumes}
    if len(shapes) != 1 or volumes[0].ndim != 5 or volumes[0].shape[1] != 1:
        raise InputError(f"scores of volumes expect (B, 1, Z, Y, X) of one shape, got {', '.join(map(str, sorted(shapes)))}")
