"""Image metrics, each in the convention that its name and arguments state. All return one float64 value per image.

Images are (B, 1, Y, X) or (B, 1, Z, Y, X); a result is (B,). `mask` (bool, broadcast to the images) names the samples that
count. A value that is not defined (no sample in the mask, a range of zero) is NaN, so that it can be counted apart.

A new one is added to the measures in `taskct.evaluation`, which give it its name and unit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, unknown_name
from taskct.evaluation.windows import Window

LODOPAB_MU_MAX_PER_MM = 0.08135858  # mu of 3071 HU by the LoDoPaB recipe; its images are mu / mu_max, in 0..1
_SSIM_K1, _SSIM_K2 = 0.01, 0.03  # Wang et al., IEEE Trans. Image Process. 13:600 (2004)
SSIM_WINDOWS = {"gaussian": (11, 1.5), "uniform": (7, None)}  # pixels, sigma in pixels


def psnr(mu: Tensor, truth: Tensor, *, data_range: str | float = "per-image", mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB: (B, 1, ...) -> (B,). PSNR = 20 log10(L) - 10 log10(mean squared error).

    `data_range` is L: "per-image" takes max - min of each true image inside the mask (DIVal, the LoDoPaB challenge's PSNR),
    a number is used for all (the challenge's PSNR-FR: 1.0 on mu / mu_max, or LODOPAB_MU_MAX_PER_MM on mu). Nothing is clipped.

    >>> truth = torch.tensor([[[[0.0, 1.0]]]])
    >>> psnr(truth + 0.1, truth)
    tensor([20.0000], dtype=torch.float64)
    """
    counts = _checked(mu, truth, mask)
    error = _mean((mu.double() - truth.double()) ** 2, counts)
    return 20 * torch.log10(_range(truth, data_range, counts)) - 10 * torch.log10(error)


def ssim(
    mu: Tensor,
    truth: Tensor,
    *,
    data_range: str | float = "per-image",
    window: str = "gaussian",
    mask: Tensor | None = None,
) -> Tensor:
    """Structural similarity: (B, 1, ...) -> (B,), the mean of the local index over the mask.

    `window` "gaussian" is 11 x 11 with sigma 1.5 and population covariance (Wang et al. 2004); "uniform" is 7 x 7 with
    sample covariance, the default of scikit-image that DIVal uses. `data_range` as in `psnr`. Only samples whose window lies
    inside the image count. A volume is measured in its (y, x) slices.
    """
    if window not in SSIM_WINDOWS:
        raise unknown_name("window", window, SSIM_WINDOWS)
    size, sigma = SSIM_WINDOWS[window]
    counts = _checked(mu, truth, mask)
    if min(mu.shape[-2:]) < size:
        raise InputError(f"ssim expects images of at least {size} x {size} pixels for its window, got {tuple(mu.shape[-2:])}")
    scale = _range(truth, data_range, counts).reshape(-1, *[1] * (mu.ndim - 1))
    index = _ssim_map(mu.double(), truth.double(), scale, size, sigma)
    pad = size // 2
    inner = counts[..., pad:-pad, pad:-pad] & (scale > 0)
    return _mean(index, inner)


def psnr_hu(hu: Tensor, truth_hu: Tensor, *, window: Window, clip: bool = True, mask: Tensor | None = None) -> Tensor:
    """PSNR of what a display window shows: L is the window's width, both images are clipped to it first if `clip`."""
    if clip:
        hu, truth_hu = window.clip(hu), window.clip(truth_hu)
    return psnr(hu, truth_hu, data_range=window.width_hu, mask=mask)


def ssim_hu(
    hu: Tensor,
    truth_hu: Tensor,
    *,
    window: Window,
    clip: bool = True,
    kernel: str = "gaussian",
    mask: Tensor | None = None,
) -> Tensor:
    """SSIM of what a display window shows: the data range is the window's width; `kernel` is the `window` of `ssim`."""
    if clip:
        hu, truth_hu = window.clip(hu), window.clip(truth_hu)
    return ssim(hu, truth_hu, data_range=window.width_hu, window=kernel, mask=mask)


def rmse(image: Tensor, truth: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Root mean squared error in the unit of the images: (B, 1, ...) -> (B,). RMSE^2 = bias^2 + error SD^2."""
    counts = _checked(image, truth, mask)
    return _mean((image.double() - truth.double()) ** 2, counts).sqrt()


def bias(image: Tensor, truth: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean error, reconstruction minus truth, in the unit of the images: (B, 1, ...) -> (B,)."""
    counts = _checked(image, truth, mask)
    return _mean(image.double() - truth.double(), counts)


def noise_sd(image: Tensor, truth: Tensor | None = None, *, mask: Tensor | None = None) -> Tensor:
    """Standard deviation inside the mask, in the unit of the images: (B, 1, ...) -> (B,).

    With `truth` it is that of the error (reconstruction minus truth), so that anatomy does not count as noise. Without,
    it is that of the image itself, what one measures in a uniform region of a scanner image. Divided by n, not n - 1.
    """
    counts = _checked(image, image if truth is None else truth, mask)
    error = image.double() if truth is None else image.double() - truth.double()
    centre = _mean(error, counts).reshape(-1, *[1] * (image.ndim - 1))
    return _mean((error - centre) ** 2, counts).sqrt()


def _checked(image: Tensor, truth: Tensor, mask: Tensor | None) -> Tensor:
    """The mask as bool of the images' shape."""
    if image.ndim not in (4, 5) or image.shape[1] != 1:
        raise GeometryError(
            f"a metric expects images (B, 1, Y, X) or (B, 1, Z, Y, X), got {tuple(image.shape)}; index with [None, None]"
        )
    if image.shape != truth.shape:
        raise GeometryError(f"a metric expects two images of one shape, got {tuple(image.shape)} and {tuple(truth.shape)}")
    if mask is None:
        return torch.ones_like(truth, dtype=torch.bool)
    if mask.dtype != torch.bool:
        raise InputError(f"a mask expects bool values, got {mask.dtype}; compare first, for example labels == 1")
    try:
        return mask.expand(truth.shape)
    except RuntimeError as error:
        raise GeometryError(f"mask {tuple(mask.shape)} does not fit images {tuple(truth.shape)}") from error


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean over the samples that count, per image; NaN where none does."""
    axes = tuple(range(1, values.ndim))
    return torch.where(counts, values, 0.0).sum(axes) / counts.sum(axes)


def _range(truth: Tensor, data_range: str | float, counts: Tensor) -> Tensor:
    """L per image, float64 (B,); NaN where a per-image range is zero or nothing counts."""
    if isinstance(data_range, str):
        if data_range != "per-image":
            raise InputError(f"data_range expects 'per-image' or a positive number, got {data_range!r}")
        axes = tuple(range(1, truth.ndim))
        values = truth.double()
        high = torch.where(counts, values, -torch.inf).amax(axes)
        low = torch.where(counts, values, torch.inf).amin(axes)
        return torch.where(high > low, high - low, torch.nan)
    if not 0 < data_range < float("inf"):
        raise InputError(f"data_range expects 'per-image' or a positive number, got {data_range!r}")
    return torch.full((len(truth),), float(data_range), dtype=torch.float64, device=truth.device)


def _ssim_map(x: Tensor, y: Tensor, scale: Tensor, size: int, sigma: float | None) -> Tensor:
    """Local SSIM of every sample whose window fits: (..., Y, X) -> (..., Y - size + 1, X - size + 1)."""
    taps = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
    kernel = torch.ones_like(taps) if sigma is None else torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()

    def local_mean(image: Tensor) -> Tensor:
        flat = image.reshape(-1, 1, *image.shape[-2:])
        flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
        return flat.reshape(*image.shape[:-2], *flat.shape[-2:])

    unbias = size**2 / (size**2 - 1) if sigma is None else 1.0  # sample covariance for the uniform window
    mean_x, mean_y = local_mean(x), local_mean(y)
    var_x = unbias * (local_mean(x * x) - mean_x**2)
    var_y = unbias * (local_mean(y * y) - mean_y**2)
    cov = unbias * (local_mean(x * y) - mean_x * mean_y)
    c1, c2 = (_SSIM_K1 * scale) ** 2, (_SSIM_K2 * scale) ** 2
    return (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
