"""Networks that want a grid of their own: sizes that divide, a spacing, an orientation; answered on the image's grid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError

ORIENTATIONS = {"LPS": (), "RAS": (-2, -1)}  # axes to turn round: ours is z to the head, y to the back, x to the left


class Padded(nn.Module):
    """`net` on an image continued by its edge until each size divides by `multiple`; the answer is cut back.

    U-Nets without interpolation need it (MONAI's UNet and SegResNet: 2 to the number of their strides).

    >>> import torch
    >>> Padded(nn.AvgPool2d(1), 16)(torch.zeros(1, 1, 20, 33)).shape
    torch.Size([1, 1, 20, 33])
    """

    def __init__(self, net: nn.Module, multiple: int | Sequence[int]) -> None:
        super().__init__()
        found = (multiple,) if isinstance(multiple, int) else tuple(multiple)
        if not found or min(found) < 1:
            raise ConfigError(f"Padded expects a multiple of 1 or more, for all axes or for each, got {multiple!r}")
        self.net, self.multiple = net, found

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...)."""
        size = x.shape[2:]
        multiple = self.multiple * len(size) if len(self.multiple) == 1 else self.multiple
        if len(multiple) != len(size):
            raise GeometryError(f"Padded to multiples of {multiple} expects as many axes, got {tuple(x.shape)}")
        pad: list[int] = []
        for n, m in zip(reversed(size), reversed(multiple), strict=True):
            pad += [0, -n % m]
        answer = self.net(functional.pad(x, pad, mode="replicate") if any(pad) else x)
        return answer[(..., *(slice(0, n) for n in size))]


class OnGrid(nn.Module):
    """`net` on samples of `its_spacing_mm` in the orientation it was trained in; the answer is on the image's own grid.

    Image (B, C, [Z,] Y, X) with samples `spacing_mm` apart, interpolated linearly (the same centre), as is the answer.
    `orientation`: "LPS" is ours (x grows to the patient's left, y to the back); "RAS" is that of most NIfTI files, whose
    arrays are ours with y and x turned round. `order` says which of our axes (z, y, x) the network's axes are.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        spacing_mm: Sequence[float],
        its_spacing_mm: Sequence[float],
        orientation: str = "LPS",
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        axes = len(spacing_mm)
        if axes not in (2, 3) or len(its_spacing_mm) != axes or min(*spacing_mm, *its_spacing_mm) <= 0:
            raise ConfigError(
                f"OnGrid expects two spacings above 0 with one number per axis, got {tuple(spacing_mm)} and "
                f"{tuple(its_spacing_mm)}"
            )
        if orientation not in ORIENTATIONS:
            raise ConfigError(f"unknown orientation {orientation!r}; one of {', '.join(ORIENTATIONS)}")
        self.net, self.spacing_mm, self.its_spacing_mm = net, tuple(spacing_mm), tuple(its_spacing_mm)
        self.turned = ORIENTATIONS[orientation]
        self.order = tuple(range(axes)) if order is None else tuple(order)
        if sorted(self.order) != list(range(axes)):
            raise ConfigError(f"OnGrid expects order as the axes 0 to {axes - 1}, each once, got {self.order}")

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...)."""
        if x.ndim != 2 + len(self.spacing_mm):
            raise GeometryError(f"OnGrid with {len(self.spacing_mm)} spacings expects as many axes, got {tuple(x.shape)}")
        size = x.shape[2:]
        ours = tuple(self.spacing_mm[k] for k in self.order)  # in the network's order of axes
        forth = (0, 1, *(2 + k for k in self.order))
        back = (0, 1, *(2 + self.order.index(k) for k in range(len(self.order))))
        x = x.flip(self.turned).permute(forth)
        shape = [max(1, round(n * a / b)) for n, a, b in zip(x.shape[2:], ours, self.its_spacing_mm, strict=True)]
        answer = _resized(self.net(_resized(x, shape)), [size[k] for k in self.order])
        return answer.permute(back).flip(self.turned)


def _resized(x: Tensor, shape: Sequence[int]) -> Tensor:
    if list(x.shape[2:]) == list(shape):
        return x
    return functional.interpolate(x, size=list(shape), mode="bilinear" if x.ndim == 4 else "trilinear", align_corners=False)
