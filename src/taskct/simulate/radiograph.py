"""Radiographs of a volume: Beer-Lambert on finer rays than the detector's, scatter, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from taskct.core.errors import ConfigError, GeometryError
from taskct.core.seeds import generator
from taskct.core.units import check_mu
from taskct.geometry import Grid
from taskct.geometry.radiographs import vector_beam
from taskct.physics.dose import Dose
from taskct.physics.noise import log_transform, sample_counts
from taskct.physics.projector import Projector
from taskct.physics.spectrum import Spectrum, split_materials, transmitted
from taskct.simulate.resample import onto_grid


@dataclass(frozen=True)
class Scatter:
    """Scattered photons: `share` of the primary count, spread by a Gaussian of `width_mm` on the detector.

    A plain model (a constant scatter-to-primary ratio): it makes p too small where the object is thick, as scatter does.
    """

    share: float = 0.3
    width_mm: float = 60.0

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 10 and self.width_mm > 0):
            raise ConfigError(f"Scatter expects 0 <= share <= 10 and width_mm > 0, got {self.share!r} and {self.width_mm!r}")


def take_radiographs(
    mu: Tensor,
    A: Projector,
    dose: Dose,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    mu_grid: Grid | None = None,
    oversample: int = 2,
    scatter: Scatter | None = None,
    spectrum: Spectrum | None = None,
) -> Tensor:
    """Radiographs of volumes: mu (B, 1, *shape) in 1/mm -> noisy p (B, 1, V, R, C), p = -ln(counts / air).

    mu lies on `mu_grid`, a finer grid of A's region (the answer's own grid would be an inverse crime); without it mu lies on
    A.grid and is interpolated onto one `oversample` times finer. Each detector pixel averages the intensity (not p) of
    `oversample` x `oversample` rays, so that edges keep their partial-volume bias. Counts are exact Poisson.

    Noise depends on `seed`, `case_id` and the item's name only. The result carries no gradient. Raises GeometryError for a
    grid of another region, UnitsError for HU or NaN.
    """
    with torch.no_grad():
        through = transmission(mu, A, mu_grid=mu_grid, oversample=oversample, scatter=scatter, spectrum=spectrum)
        air = torch.tensor(dose.used_photons, dtype=torch.float64)
        names = range(len(mu)) if items is None else items
        if len(names) != len(mu):
            raise GeometryError(f"items names the {len(mu)} images of the batch, got {len(names)} names")
        counts = torch.stack([
            sample_counts(dose.used_photons * one.double(), generator=generator(seed, case_id, name, "radiograph"),
                          electronic_std=dose.electronic_std)
            for one, name in zip(through, names, strict=True)
        ])  # fmt: skip
        return log_transform(counts, air, floor_photons=dose.floor_photons).to(mu.dtype)


def transmission(
    mu: Tensor,
    A: Projector,
    *,
    mu_grid: Grid | None = None,
    oversample: int = 2,
    scatter: Scatter | None = None,
    spectrum: Spectrum | None = None,
) -> Tensor:
    """Share of the photons that reach each pixel, without noise: mu (B, 1, *shape) in 1/mm -> (B, 1, V, R, C).

    The arguments are those of `take_radiographs`, which adds counts and their noise.
    """
    check_mu(mu, who="take_radiographs")
    if isinstance(oversample, bool) or not isinstance(oversample, int) or oversample < 1:
        raise ConfigError(f"take_radiographs expects oversample as a whole number >= 1, got {oversample!r}")
    if len(A.p_shape) != 3:
        raise GeometryError(f"take_radiographs expects a projector of volumes onto (V, R, C), got p of shape {A.p_shape}")
    with torch.no_grad():
        fine = _finer(A, mu_grid, oversample)
        if mu_grid is None and oversample > 1:
            mu = onto_grid(mu, A.grid, fine.grid)
        through = _transmission(mu, fine, spectrum, oversample)  # (B, 1, V, R, C)
        return through if scatter is None else through + _scattered(through, scatter, A)


def _finer(A: Projector, mu_grid: Grid | None, oversample: int) -> Projector:
    """A's views on a detector that many times finer, from the grid that mu lies on."""
    poses = vector_beam(A.poses)
    beam = type(poses)(
        rows=poses.rows * oversample,
        cols=poses.cols * oversample,
        detector_mm=poses.detector_mm,
        col_step_mm=poses.col_step_mm / oversample,
        row_step_mm=poses.row_step_mm / oversample,
        source_mm=poses.source_mm,
        direction=poses.direction,
    )
    grid = mu_grid if mu_grid is not None else A.grid.refined(oversample) if oversample > 1 else A.grid
    if mu_grid is not None:
        gap = max(abs(a - b) for a, b in zip(mu_grid.size_mm, A.grid.size_mm, strict=True))
        apart = max(abs(a - b) for a, b in zip(mu_grid.centre_mm, A.grid.centre_mm, strict=True))
        if max(gap, apart) > 0.5 * max(A.grid.spacing_mm):
            raise GeometryError(
                f"take_radiographs expects mu_grid to cover the region of A.grid, {A.grid.size_mm} mm about "
                f"{A.grid.centre_mm}, got {mu_grid.size_mm} mm about {mu_grid.centre_mm}"
            )
    return Projector(grid, beam, backend=A.backend)


def _transmission(mu: Tensor, fine: Projector, spectrum: Spectrum | None, oversample: int) -> Tensor:
    if spectrum is None:
        passed = torch.exp(-fine(mu))
    else:
        soft, bone = split_materials(mu, mu_water_per_mm=spectrum.mu_water_per_mm)
        passed = transmitted(fine(soft), fine(bone), spectrum)
    flat = passed.flatten(0, 2)[:, None]  # (B V, 1, R k, C k)
    return avg_pool2d(flat, oversample).reshape(*passed.shape[:3], *[n // oversample for n in passed.shape[3:]])


def _scattered(primary: Tensor, scatter: Scatter, A: Projector) -> Tensor:
    """`share` of the primary counts, blurred: what the object scatters reaches the whole detector."""
    steps = [float(torch.tensor(s).norm(dim=-1).mean()) for s in (A.poses.row_step_mm, A.poses.col_step_mm)]
    made = scatter.share * primary
    for axis, step in zip((-2, -1), steps, strict=True):
        sigma = scatter.width_mm / step
        at = torch.arange(primary.shape[axis], dtype=primary.dtype)
        kernel = torch.exp(-((at[:, None] - at[None]) ** 2) / (2 * sigma**2))
        kernel = (kernel / kernel.sum(1, keepdim=True)).to(primary)
        made = torch.movedim(torch.movedim(made, axis, -1) @ kernel.T, -1, axis)
    return made
