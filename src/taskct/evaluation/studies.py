"""A case made ready for evaluation: the truth, its noise-free projections, and what HU mean in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.core.units import MU_AIR_LODOPAB_PER_MM, MU_AIR_PER_MM, MU_WATER_LODOPAB_PER_MM
from taskct.data.case import Case
from taskct.physics.projector import Projector
from taskct.simulate.lodopab_recipe import lodopab_image, lodopab_projections
from taskct.simulate.noisy_scan import finer_projection


@dataclass(frozen=True)
class Study:
    """Truth mu (B, 1, *A.mu_shape) in 1/mm, noise-free p (B, 1, *A.p_shape), labels of the truth's shape or None."""

    truth_mu: Tensor
    p: Tensor
    mu_water_per_mm: float
    mu_air_per_mm: float = MU_AIR_PER_MM
    labels: Tensor | None = None


SPACING_TOLERANCE = 0.01  # grids that differ by more are different patients

Prepare = Callable[[Case, Sequence[int], Projector], Study]


@dataclass(frozen=True)
class ProjectCase:
    """Project the case itself: its slices under a 2D projector, the whole volume under a 3D one.

    `refine` projects the truth, interpolated linearly, on a grid of that many times as many samples along each axis, so that
    no method profits from reconstructing on the pixels that were projected (the inverse crime). 1 switches it off.
    """

    refine: int = 2

    def __post_init__(self) -> None:
        if isinstance(self.refine, bool) or not isinstance(self.refine, int) or self.refine < 1:
            raise GeometryError(f"refine expects a whole number from 1 (no finer grid), got {self.refine!r}")

    def __call__(self, case: Case, slices: Sequence[int], A: Projector) -> Study:
        """`slices` of the case, or the volume when A is 3D."""
        planar = A.grid.ndim == 2
        have = case.slice_grid.shape if planar else case.grid.shape
        if A.mu_shape != have:
            raise GeometryError(
                f"case {case.case_id} has {'slices' if planar else 'a volume'} of {have}, the projector {A.mu_shape}; "
                "give A as a function: lambda case: Projector(case.slice_grid, beam)"
            )
        steps = case.slice_grid.spacing_mm if planar else case.grid.spacing_mm
        if any(abs(a - b) > SPACING_TOLERANCE * b for a, b in zip(A.grid.spacing_mm, steps, strict=True)):
            raise GeometryError(
                f"case {case.case_id} has samples {_mm(steps)} mm apart, the projector {_mm(A.grid.spacing_mm)} mm; "
                "give A as a function: lambda case: Projector(case.slice_grid, beam)"
            )
        pick = torch.as_tensor(list(slices), dtype=torch.long)
        truth = case.mu[pick] if planar else case.mu_volume
        labels = None
        if case.labels is not None:
            labels = case.labels[pick][:, None] if planar else case.labels[None, None]
        fine = A.grid.refined(self.refine) if self.refine > 1 else None
        with torch.no_grad():
            p = finer_projection(A, fine)(truth)
        return Study(truth, p, case.mu_water_per_mm, labels=labels)

    def __str__(self) -> str:
        if self.refine == 1:
            return "truth projected on the grid of the reconstruction (an inverse crime: scores are optimistic)"
        return f"truth interpolated linearly and projected on a grid {self.refine} times finer along each axis"


@dataclass(frozen=True)
class PrepareLodopab:
    """The LoDoPaB recipe: 512 x 512 slices cropped to 362 x 362, de-quantised, projected through a 1000 x 1000 grid.

    Goes with `Projector(*geometry.presets.lodopab())`, Dose(4096) and the protocol "lodopab". Labels are cropped alike.
    """

    seed: int = 0

    def __call__(self, case: Case, slices: Sequence[int], A: Projector) -> Study:
        """`slices` of the case in the geometry of the data set."""
        parts = [lodopab_image(case.hu[z], seed=self.seed, case_id=f"{case.case_id}/{z}") for z in slices]
        truth = torch.cat(parts)  # (B, 1, 362, 362)
        if truth.shape[2:] != A.mu_shape:
            raise GeometryError(f"the LoDoPaB recipe gives images of {tuple(truth.shape[2:])}, the projector has {A.mu_shape}")
        labels = None
        if case.labels is not None:
            edge = (case.hu.shape[-1] - truth.shape[-1]) // 2
            labels = case.labels[list(slices), edge:-edge, edge:-edge][:, None]
        p = torch.cat([lodopab_projections(mu[None]) for mu in truth])
        return Study(truth, p, MU_WATER_LODOPAB_PER_MM, MU_AIR_LODOPAB_PER_MM, labels)

    def __str__(self) -> str:
        return "LoDoPaB recipe: central 362 x 362 pixels taken as 260 mm, de-quantised, projected through a 1000 x 1000 grid"


def _mm(steps: Sequence[float]) -> str:
    return " x ".join(f"{s:g}" for s in steps)
