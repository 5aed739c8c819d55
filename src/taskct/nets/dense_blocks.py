"""Dense blocks: each layer sees the outputs of all layers before it."""

from __future__ import annotations

from torch import Tensor, nn

from taskct.nets.blocks import concatenate, conv_layer, norm_layer


class DenseBlock(nn.Module):
    """(B, inputs, ...) -> (B, inputs + layers * growth, ...): each layer adds `growth` channels made of all before it.

    A layer is normalisation, ReLU, 1 x 1 convolution to `bottleneck` * `growth` channels, normalisation, ReLU, 3 x 3
    convolution. (Huang et al., CVPR 2017, arXiv 1608.06993, DenseNet-B.)

    >>> import torch
    >>> DenseBlock(2, 6, layers=3, growth=4)(torch.zeros(1, 6, 8, 8)).shape
    torch.Size([1, 18, 8, 8])
    """

    def __init__(
        self, dims: int, inputs: int, *, layers: int, growth: int = 32, bottleneck: int = 4, norm: str = "instance"
    ) -> None:
        super().__init__()
        self.outputs = inputs + layers * growth
        self.layers = nn.ModuleList(
            nn.Sequential(
                norm_layer(dims, norm, inputs + k * growth),
                nn.ReLU(inplace=norm != "none"),  # without a norm it would overwrite the block's own input
                conv_layer(dims, inputs + k * growth, bottleneck * growth, size=1),
                norm_layer(dims, norm, bottleneck * growth),
                nn.ReLU(inplace=True),
                conv_layer(dims, bottleneck * growth, growth),
            )
            for k in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, ...) -> (B, outputs, ...)."""
        for layer in self.layers:
            x = concatenate(x, layer(x))
        return x
