"""An unrolled network that returns to the measured data after each image network, as ItNet does."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from taskct.core.errors import ConfigError
from taskct.nets import UNet
from taskct.physics.filters import FilterWindow
from taskct.physics.projector import Projector
from taskct.recon.checks import MOST_ITERATIONS
from taskct.recon.fbp import fbp
from taskct.recon.learned.scaling import MuScale


class ItNet(nn.Module):
    """`model(p, A)`: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm.

        mu_0 = U(fbp(p)),      mu_k = U(mu_(k-1) - s_k fbp(A mu_(k-1) - p)),      k = 1 ... iterations - 1

    U is a residual U-Net (or `net`, a module from images to the change of an image, in the numbers of `MuScale`), the same
    one in every iteration, or with `shared=False` a copy for each. The step sizes s_k are learned and start at `step`. It
    ends with U, not with the data: noisy projections should have no last word.

    With `weighted` the residual A mu - p is multiplied with each ray's share of its expected counts, exp(-p) over its mean
    over the rays (weighted with p), as weighted least squares would: rays that few photons passed say less.

    A re-implementation of the published idea (Genzel, Macdonald, Maerz, IEEE TPAMI 45:1119 (2023); data consistency by a
    filtered residual), not of its code. `memory_saving` recomputes each iteration in the backward pass.
    """

    def __init__(
        self,
        net: nn.Module | None = None,
        *,
        iterations: int = 4,
        shared: bool = True,
        step: float = 0.5,
        widths: Sequence[int] = (32, 32, 64, 64, 128),
        skip_channels: int | None = 4,
        norm: str = "group",
        unshuffle: int = 1,
        window: FilterWindow = "hann",
        frequency_scale: float = 1.0,
        memory_saving: bool = False,
        weighted: bool = False,
        scale: MuScale | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= iterations <= MOST_ITERATIONS:
            raise ConfigError(f"ItNet expects iterations >= 1 and at most {MOST_ITERATIONS}, got {iterations}")
        if net is None:
            net = UNet(widths=widths, skip_channels=skip_channels, norm=norm, unshuffle=unshuffle)
            nn.init.zeros_(net.out.weight)  # type: ignore[arg-type]
            nn.init.zeros_(net.out.bias)  # type: ignore[arg-type]
        self.iterations, self.window, self.frequency_scale = iterations, window, frequency_scale
        self.memory_saving, self.weighted, self.scale = memory_saving, weighted, scale or MuScale()
        self.nets = nn.ModuleList([net] if shared else [copy.deepcopy(net) for _ in range(iterations)])
        self.steps = nn.Parameter(torch.full((iterations - 1,), float(step)))

    def forward(self, p: Tensor, A: Projector) -> Tensor:
        """p -> mu in 1/mm."""
        mu = self._improve(fbp(p, A, window=self.window, frequency_scale=self.frequency_scale), self.nets[0])
        for k in range(1, self.iterations):
            if self.memory_saving and torch.is_grad_enabled():
                mu = checkpoint(self._iterate, mu, p, A, k, use_reentrant=False, preserve_rng_state=False)
            else:
                mu = self._iterate(mu, p, A, k)
        return mu

    def _iterate(self, mu: Tensor, p: Tensor, A: Projector, k: int) -> Tensor:
        misfit = (A(mu) - p) * _share_of_counts(p) if self.weighted else A(mu) - p
        back = fbp(misfit, A, window=self.window, frequency_scale=self.frequency_scale)
        return self._improve(mu - self.steps[k - 1] * back, self.nets[k % len(self.nets)])

    def _improve(self, mu: Tensor, net: nn.Module) -> Tensor:
        x = self.scale.normalise(mu)
        return self.scale.restore(x + net(x).float())


def _share_of_counts(p: Tensor) -> Tensor:
    """exp(-p) over its mean over the rays, weighted with p so that rays through air hardly enter the mean."""
    through = p.detach().clamp(min=0)
    counts, axes = (-through).exp(), tuple(range(2, p.ndim))
    mean = (counts * through).sum(axes, keepdim=True) / through.sum(axes, keepdim=True).clamp(min=1e-12)
    return counts / mean.clamp(min=1e-12)
