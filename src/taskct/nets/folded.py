"""Any network at half the resolution, with 2 x 2 pixels as channels: several times faster."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import GeometryError


class Folded(nn.Module):
    """`make(4 in_channels, 4 out_channels)` between folding 2 x 2 pixels into channels and unfolding its answer:
    (B, in_channels, Y, X) -> (B, out_channels, Y, X). (Shi et al., CVPR 2016.) Checkerboards become cheap to paint.

    >>> import torch
    >>> Folded(lambda a, b: nn.Conv2d(a, b, 3, padding=1), 1, 3)(torch.zeros(2, 1, 8, 6)).shape
    torch.Size([2, 3, 8, 6])
    """

    def __init__(self, make: Callable[[int, int], nn.Module], in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.net = make(4 * in_channels, 4 * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, Y, X) -> (B, out_channels, Y, X)."""
        return functional.pixel_shuffle(self.net(self._folded(x)), 2)

    def scales(self, x: Tensor) -> list[Tensor]:
        """Feature maps of the network, if it gives any, on the folded pixels."""
        return self.net.scales(self._folded(x))  # type: ignore[operator]

    @staticmethod
    def _folded(x: Tensor) -> Tensor:
        if x.shape[-1] % 2 or x.shape[-2] % 2:
            raise GeometryError(f"a folded network expects an even image size, got {tuple(x.shape)}")
        return functional.pixel_unshuffle(x, 2)
