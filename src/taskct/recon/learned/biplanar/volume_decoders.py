"""3D decoders: one branch, or a branch for each view that meet in a fused one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from taskct.nets import unfold_volume
from taskct.nets.blocks import concatenate, conv_block, conv_layer, norm_layer, upsample_to

Repeat = Callable[[Tensor, Sequence[int]], Tensor]
"""Maps copied along the depth of their views: (maps (B, C, V, r, c), shape) -> (B, V, C, *shape)."""


class PlainDecoder(nn.Module):
    """One branch: up by linear interpolation, with whatever stands at the level beside it, (B, C, ...) -> (B, 1, Z, Y, X)."""

    def __init__(self, widths: Sequence[int], skips: Sequence[int], *, fold: int = 2, norm: str = "instance") -> None:
        super().__init__()
        self.fold = fold
        self.ups = nn.ModuleList(
            nn.Sequential(conv_block(3, low + skip, high, norm=norm), conv_block(3, high, high, norm=norm))
            for low, high, skip in zip(widths[:0:-1], widths[-2::-1], skips[-2::-1], strict=True)
        )
        self.out = last_layer(widths[0], fold)

    def forward(self, y: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """`skips` from fine to coarse, without the coarsest."""
        for up, skip in zip(self.ups, skips[::-1], strict=True):
            y = up(concatenate(upsample_to(y, skip), skip))
        return unfold_volume(self.out(y), self.fold)


class FusedDecoder(nn.Module):
    """MV3D-C: a branch for each view and a fused one, all in the frame of the volume; an answer of each.

    At each level the view branches take their own view's maps, repeated along its depth (1 x 1, copy, 3^3 convolutions). Their
    mean goes back to each of them and, with the volume encoder's features, into the fused branch. Transposed convolutions of
    stride 2. (PSCT-Net as described by its authors; the feedback is X2CT-GAN's fusion of views.)
    """

    def __init__(
        self,
        views: int,
        widths: Sequence[int],
        map_widths: Sequence[int],
        skips: Sequence[int],
        *,
        fold: int = 1,
        norm: str = "batch",
        last_size: int = 7,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.levels = nn.ModuleList(
            _FusedLevel(views, low, high, flat, skip, norm)
            for low, high, flat, skip in zip(widths[:0:-1], widths[-2::-1], map_widths[-2::-1], skips[-2::-1], strict=True)
        )
        self.outs = nn.ModuleList(last_layer(widths[0], fold, size=last_size) for _ in range(views + 1))

    def forward(
        self, fused: Tensor, views: Sequence[Tensor], maps: Sequence[Tensor], skips: Sequence[Tensor], repeat: Repeat
    ) -> tuple[Tensor, ...]:
        """(fused, view 1, view 2 ...), each (B, 1, Z, Y, X).

        `fused` and `views` are the coarsest volumes, `maps` (B, C, V, r, c) and `skips` those of the finer levels, fine to
        coarse; without a volume encoder there are no skips.
        """
        ys = list(views)
        for number, level in zip(range(len(self.levels) - 1, -1, -1), self.levels, strict=True):
            fused, ys = level(fused, ys, maps[number], skips[number : number + 1], repeat)
        return tuple(unfold_volume(out(y), self.fold) for out, y in zip(self.outs, (fused, *ys), strict=True))


class _FusedLevel(nn.Module):
    """Twice the size in all branches, and their meeting there."""

    def __init__(self, views: int, low: int, high: int, flat: int, skip: int, norm: str) -> None:  # noqa: PLR0917
        super().__init__()
        self.narrow = nn.ModuleList(conv_layer(2, flat, high, size=1) for _ in range(views))
        self.spread = nn.ModuleList(conv_block(3, high, high, norm=norm) for _ in range(views))
        self.view_ups = nn.ModuleList(_Up(low, high, high, norm) for _ in range(views))
        self.up = _Up(low, high, high + skip, norm)

    def forward(
        self, fused: Tensor, ys: list[Tensor], maps: Tensor, skips: Sequence[Tensor], repeat: Repeat
    ) -> tuple[Tensor, list[Tensor]]:
        """The branches at twice the size: fused, and those of the views."""
        narrow = torch.stack([one(maps[:, :, v]) for v, one in enumerate(self.narrow)], 2)
        copies = repeat(narrow, [2 * n for n in fused.shape[2:]])  # (B, V, C, z, y, x)
        spread = [one(copies[:, v].contiguous()) for v, one in enumerate(self.spread)]
        ys = [up(y, beside) for up, y, beside in zip(self.view_ups, ys, spread, strict=True)]
        mean = torch.stack(ys).mean(0)
        return self.up(fused, concatenate(mean, *skips)), [y + mean for y in ys]


class _Up(nn.Module):
    """Twice the size by a transposed convolution, then a convolution with what stands beside it."""

    def __init__(self, low: int, high: int, beside: int, norm: str) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose3d(low, high, 3, stride=2, padding=1, output_padding=1), norm_layer(3, norm, high), nn.ReLU()
        )
        self.mix = conv_block(3, high + beside, high, norm=norm, slope=0.0)

    def forward(self, y: Tensor, beside: Tensor) -> Tensor:
        return self.mix(concatenate(self.up(y), beside))


def last_layer(width: int, fold: int, *, size: int = 1) -> nn.Module:
    """To the numbers of folded voxels; it starts near zero, so that the network starts near what its answer is added to."""
    out = conv_layer(3, width, fold**3, size=size)
    nn.init.normal_(out.weight, std=0.02 / size**1.5)  # type: ignore[arg-type]
    nn.init.zeros_(out.bias)  # type: ignore[arg-type]
    return out
