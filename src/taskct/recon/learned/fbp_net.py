"""Filtered back-projection, then a network: the post-processing that every learned reconstruction is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets import REDCNN, UNet
from taskct.physics.filters import FilterWindow
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned.scaling import MuScale
from taskct.recon.slice_stacks import stack_neighbours


class FBPNet(nn.Module):
    """`model(p, A)`: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm, FBP and then `net`.

    `net` maps images to images, (B, C, ...) -> (B, 1, ...), in the numbers of `scale`; with `residual` its answer is added
    to the FBP, in float32 whatever the precision inside. `window` and `frequency_scale` are those of `fbp`.

    With `neighbours` k > 0 (2.5D) the network sees 2k + 1 slices and answers for the middle one. Either p has 2k + 1
    channels, neighbouring slices of one place each; or one channel, and the batch is the slices of one volume in order
    (the ends are repeated).

    In 3D, p (B, 1, V, R, C), `net` is a network of three dimensions. Gradients flow to the weights, and to p when it asks.

    Source for the defaults: DIVal's FBP+U-Net on LoDoPaB-CT (Leuschner et al., J. Imaging 7:44 (2021)): Hann window,
    frequency scale 1.

    >>> import torch
    >>> from taskct.geometry import Grid, ParallelBeam
    >>> A = Projector(Grid((16, 16), 1.0), ParallelBeam(views=12, cols=24, pixel_mm=1.0))
    >>> model = fbp_unet(widths=(4, 8))
    >>> p = torch.rand(2, 1, 12, 24)
    >>> torch.allclose(model(p, A), fbp(p, A, window="hann"), atol=1e-7)  # untrained, it changes nothing
    True
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        window: FilterWindow = "hann",
        frequency_scale: float = 1.0,
        residual: bool = True,
        neighbours: int = 0,
        scale: MuScale | None = None,
    ) -> None:
        super().__init__()
        if neighbours < 0:
            raise ConfigError(f"FBPNet expects neighbours 0 or more on each side, got {neighbours}")
        self.net, self.window, self.frequency_scale = net, window, frequency_scale
        self.residual, self.neighbours, self.scale = residual, neighbours, scale or MuScale()

    def forward(self, p: Tensor, A: Projector) -> Tensor:
        """p -> mu in 1/mm."""
        x = self.scale.normalise(fbp(p, A, window=self.window, frequency_scale=self.frequency_scale))
        k = self.neighbours
        if k and x.shape[1] == 1:
            x = stack_neighbours(x, k)
        if x.shape[1] != 2 * k + 1:
            raise GeometryError(
                f"FBPNet with {k} neighbours expects p with 1 or {2 * k + 1} channels, got {p.shape[1]}; "
                "a channel is a neighbouring slice"
            )
        y = self.net(x).float()
        return self.scale.restore(x[:, k : k + 1] + y if self.residual else y)


def fbp_unet(
    *,
    widths: Sequence[int] = (32, 32, 64, 64, 128),
    skip_channels: int | None = 4,
    norm: str = "batch",
    dims: int = 2,
    neighbours: int = 0,
    unshuffle: int = 1,
    window: FilterWindow = "hann",
    frequency_scale: float = 1.0,
) -> FBPNet:
    """FBP + residual U-Net in 2D, 2.5D (`neighbours`) or 3D (`dims`). It starts as plain FBP: its last layer is zero."""
    net = UNet(2 * neighbours + 1, 1, widths=widths, skip_channels=skip_channels, norm=norm, dims=dims, unshuffle=unshuffle)
    nn.init.zeros_(net.out.weight)  # type: ignore[arg-type]
    nn.init.zeros_(net.out.bias)  # type: ignore[arg-type]
    return FBPNet(net, window=window, frequency_scale=frequency_scale, neighbours=neighbours)


def fbp_redcnn(*, filters: int = 96, window: FilterWindow = "hann", frequency_scale: float = 1.0) -> FBPNet:
    """FBP + RED-CNN. It has shortcuts and a last ReLU of its own, so it sees mu / mu_water: nothing of a body is below 0."""
    scale = MuScale(centre_per_mm=0.0, scale_per_mm=2 * MuScale().scale_per_mm)
    return FBPNet(REDCNN(filters=filters), window=window, frequency_scale=frequency_scale, residual=False, scale=scale)
