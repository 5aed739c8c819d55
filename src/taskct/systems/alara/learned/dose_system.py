"""Dose module and reconstruction as one system: decide, scan, reconstruct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.core.seeds import generator
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of
from taskct.simulate.differentiable import simulate_scan_differentiable
from taskct.simulate.post_log import simulate_scan_post_log
from taskct.simulate.scout import view_angles_rad
from taskct.systems.alara.learned.dose_module import DoseModule
from taskct.systems.alara.learned.dose_objective import DoseBatch
from taskct.training.batch import Batch
from taskct.training.doses import noisy_scans

Noise = Literal["pre-log", "post-log"]


class Classical(nn.Module):
    """A reconstructor without weights, any callable (p, A) -> mu that gradients pass through (`fbp`), as a module."""

    def __init__(self, reconstruct: Reconstructor) -> None:
        super().__init__()
        self.reconstruct = reconstruct

    def forward(self, p: Tensor, A: Projector) -> Tensor:
        """p -> mu in 1/mm."""
        return self.reconstruct(p, A)


class DoseSystem(nn.Module):
    """`dose` and `reconstruct`; `system(batch, A)` -> the batch with its decision, its scan and its image.

    In training mode the scan is the differentiable twin (`noise` "pre-log"; "post-log" as a warning), in evaluation mode
    it has exact Poisson counts.
    """

    def __init__(
        self, dose: DoseModule, reconstruct: nn.Module, *, noise: Noise = "pre-log", electronic_std: float = 0.0
    ) -> None:
        super().__init__()
        if noise not in ("pre-log", "post-log"):
            raise ConfigError(f"a dose is trained with noise 'pre-log' or 'post-log', got {noise!r}")
        if neighbours_of(reconstruct):
            raise ConfigError(
                "a dose is trained with a reconstruction that treats each slice alone; this network looks at neighbouring "
                "slices (neighbours = 0 makes one that does not)"
            )
        self.dose, self.reconstruct = dose, reconstruct
        self.noise, self.electronic_std = noise, electronic_std

    def forward(self, batch: Batch, A: Projector) -> DoseBatch:
        """Decide, scan, reconstruct."""
        assert isinstance(batch, DoseBatch) and batch.clean is not None and batch.prior is not None
        clean = batch.clean
        decision = self.dose(batch.prior, slices=batch.slices, angles_rad=view_angles_rad(A))
        level = decision.log_air(clean.shape[2])  # (B S,) or (B S, V)
        with torch.autocast(clean.device.type, enabled=False):
            if self.training:
                simulate = simulate_scan_differentiable if self.noise == "pre-log" else simulate_scan_post_log
                p = simulate(clean, level, seed=batch.noise, items=list(range(len(clean))), electronic_std=self.electronic_std)
            else:
                p = exact_scans(clean, level, seed=batch.noise, items=batch.ids, electronic_std=self.electronic_std)
        image = self.reconstruct(p, A)
        return replace(batch, p=p, mu_hat=image, decision=decision)


def exact_scans(clean: Tensor, log_air: Tensor, *, seed: int, items: Sequence[str], electronic_std: float = 0.0) -> Tensor:
    """Noise-free p (B, 1, V, C) -> scans with exact Poisson counts, fast; `log_air` (B,) or (B, V): ln of photons."""
    shift = torch.zeros((), device=clean.device)
    level = log_air.to(clean)
    if log_air.ndim == 2:  # the course over views stands in for less or more attenuation
        mean = level.mean(1)
        shift = (level - mean[:, None]).reshape(len(clean), 1, -1, *[1] * (clean.ndim - 3))
        level = mean
    streams = [generator(seed, "exact", item, device=clean.device) for item in items]
    with torch.no_grad():
        return noisy_scans(clean - shift, level.exp(), streams, electronic_std=electronic_std) + shift
