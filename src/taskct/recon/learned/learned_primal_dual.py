"""Learned Primal-Dual: networks in image and projections by turns, joined by the projector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from taskct.core.errors import ConfigError
from taskct.nets.blocks import conv_layer
from taskct.physics.filters import FilterWindow
from taskct.physics.kept import outside_the_compiler
from taskct.physics.projector import Projector
from taskct.physics.unchecked import project_unchecked
from taskct.recon.checks import MOST_ITERATIONS, check_scan
from taskct.recon.fbp import fbp
from taskct.recon.learned.scaling import MuScale


class LearnedPrimalDual(nn.Module):
    """`model(p, A)`: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm.

    With K = A / |A|, g the projections in its unit, f the primal memory (B, 5, image) and h the dual one (B, 5, scan):

        h += Gamma_i([h, K f[1], g]),      f += Lambda_i([f, K^T h[0]]),      i = 1 ... 10,      mu = f[0]

    Each Gamma and Lambda is three 3x3 convolutions with a PReLU of slope 0 per channel between them, Xavier weights and
    biases 0. f starts as the FBP (`start="fbp"`, with `window` and `frequency_scale`) or as 0. |A| is `A.norm`, so a model
    may be used with another projector, though it was trained for one.

    Source: Adler and Oektem, IEEE TMI 37:1322 (2018), in the shape DIVal used for LoDoPaB-CT (Leuschner et al., J. Imaging
    7:44 (2021)): 874,980 weights. `memory_saving` recomputes each iteration in the backward pass: about a tenth of the
    memory for a third more time.
    """

    def __init__(
        self,
        *,
        iterations: int = 10,
        primal: int = 5,
        dual: int = 5,
        width: int = 64,
        start: str = "fbp",
        window: FilterWindow = "hann",
        frequency_scale: float = 0.7,
        memory_saving: bool = False,
        dims: int = 2,
        scale: MuScale | None = None,
    ) -> None:
        super().__init__()
        if iterations < 1 or primal < 2 or dual < 1:
            raise ConfigError(
                f"LearnedPrimalDual expects iterations >= 1, primal >= 2 and dual >= 1, got {iterations}, {primal}, {dual}"
            )
        if iterations > MOST_ITERATIONS:
            raise ConfigError(f"LearnedPrimalDual expects at most {MOST_ITERATIONS} iterations, got {iterations}")
        if start not in ("fbp", "zero"):
            raise ConfigError(f"LearnedPrimalDual starts from 'fbp' or 'zero', got {start!r}")
        self.primal, self.dual, self.start = primal, dual, start
        self.window, self.frequency_scale, self.memory_saving = window, frequency_scale, memory_saving
        self.scale_per_mm = (scale or MuScale(centre_per_mm=0.0, scale_per_mm=2 * MuScale().scale_per_mm)).scale_per_mm
        self.duals = nn.ModuleList(_block(dims, dual + 2, width, dual) for _ in range(iterations))
        self.primals = nn.ModuleList(_block(dims, primal + 1, width, primal) for _ in range(iterations))

    def forward(self, p: Tensor, A: Projector) -> Tensor:
        """p -> mu in 1/mm."""
        check_scan(p, A, who="LearnedPrimalDual")
        g = p / (_norm_mm(A) * self.scale_per_mm)
        if self.start == "fbp":
            x = fbp(p, A, window=self.window, frequency_scale=self.frequency_scale) / self.scale_per_mm
        else:
            x = p.new_zeros((len(p), 1, *A.mu_shape))
        f = x.repeat(1, self.primal, *[1] * len(A.mu_shape))  # (B, primal, image)
        h = p.new_zeros((len(p), self.dual, *A.p_shape))
        for i in range(len(self.duals)):
            if self.memory_saving and torch.is_grad_enabled():
                f, h = checkpoint(self._iterate, f, h, g, A, i, use_reentrant=False, preserve_rng_state=False)
            else:
                f, h = self._iterate(f, h, g, A, i)
        return f[:, :1] * self.scale_per_mm

    def _iterate(self, f: Tensor, h: Tensor, g: Tensor, A: Projector, i: int) -> tuple[Tensor, Tensor]:
        """One turn: the dual memory sees the projected image, then the image sees the back-projected dual."""
        h = h + self.duals[i](torch.cat([h, project_unchecked(A, f[:, 1:2]) / _norm_mm(A), g], dim=1)).float()
        f = f + self.primals[i](torch.cat([f, A.adjoint(h[:, :1]) / _norm_mm(A)], dim=1)).float()
        return f, h


@outside_the_compiler
def _norm_mm(A: Projector) -> float:
    """|A|, by power iterations that no compiler should unroll."""
    return A.norm


def _block(dims: int, inputs: int, width: int, outputs: int) -> nn.Sequential:
    layers: list[Any] = []
    for a, b in ((inputs, width), (width, width), (width, outputs)):
        conv = conv_layer(dims, a, b)
        nn.init.xavier_uniform_(conv.weight)  # type: ignore[arg-type]
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, nn.PReLU(b, init=0.0)]
    return nn.Sequential(*layers[:-1])
