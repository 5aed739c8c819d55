"""The recipe by which LoDoPaB-CT was made from CT slices.

Source: Leuschner et al., Sci. Data 8:109 (2021), and its `create_dataset.py`:

    crop the middle 362 x 362 of 512 x 512                     (what the reconstruction circle surely covers)
    HU + U[0, 1)                                               files hold whole HU
    mu = HU (20 - 0.02) / 1000 + 20 per m, clipped to 0..mu_max, mu_max = that of HU 3071
    p  = line integrals of mu resized to 1000 x 1000           the finer grid avoids the inverse crime
    p  = -ln(max(N, 0.1) / 4096),  N ~ Poisson(4096 exp(-p))

The slice always measures 260 mm across, whatever its true pixel spacing. The published arrays have x first and are
divided by mu_max; here arrays are (y, x) and mu is in 1/mm, so a published observation is p / `MU_MAX_PER_M`, and a published
image is (mu / `MU_MAX_PER_MM`).T. The published noise cannot be repeated: its seeds were kept back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, UnitsError
from taskct.core.units import MU_AIR_LODOPAB_PER_MM, MU_WATER_LODOPAB_PER_MM, to_mu
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.presets import lodopab
from taskct.physics.dose import MIN_FLOOR_PHOTONS, Dose
from taskct.physics.projector import Projector
from taskct.simulate.noisy_scan import add_noise, check_seed, noise_streams
from taskct.simulate.resample import onto_grid

HU_MAX = 3071.0
MU_MAX_PER_MM = HU_MAX * (MU_WATER_LODOPAB_PER_MM - MU_AIR_LODOPAB_PER_MM) / 1000 + MU_WATER_LODOPAB_PER_MM
MU_MAX_PER_M = 1000 * MU_MAX_PER_MM
PHOTONS = 4096.0


def _preset_grid() -> Grid:
    return lodopab()[0]


def _preset_beam() -> ParallelBeam:
    return lodopab()[1]


@dataclass(frozen=True)
class LodopabRecipe:
    """The sizes of the recipe; the defaults are those of the data set, others serve tests and quick looks."""

    slice_pixels: int = 512
    fine_pixels: int = 1000
    grid: Grid = field(default_factory=_preset_grid)
    beam: ParallelBeam = field(default_factory=_preset_beam)


def lodopab_scan(
    hu_slice: Tensor,
    *,
    seed: int | torch.Generator,
    photons: float = PHOTONS,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    recipe: LodopabRecipe | None = None,
) -> tuple[Tensor, Tensor]:
    """A LoDoPaB observation and its truth: HU (512, 512) or (B, 512, 512) -> p (B, 1, 1000, 513), mu (B, 1, 362, 362).

    p is dimensionless, mu in 1/mm; both in the dtype of `hu_slice` and for the geometry `geometry.presets.lodopab`.
    `photons` other than 4096 gives the same protocol at another dose. `items` names the slices of a stack (their numbers in
    the case), so that each gets the same noise whichever others are made with it. Raises GeometryError for another slice size,
    UnitsError for NaN or values that are no HU.
    """
    mu = lodopab_image(hu_slice, seed=seed, case_id=case_id, items=items, recipe=recipe)
    p = lodopab_projections(mu, recipe=recipe)
    noisy = add_noise(
        p, Dose(photons), seed=seed, case_id=case_id, items=items, floor_photons=MIN_FLOOR_PHOTONS, unit_known=True
    )
    return noisy, mu


def lodopab_image(
    hu_slice: Tensor,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    recipe: LodopabRecipe | None = None,
) -> Tensor:
    """The ground truth: HU (512, 512) or (B, 512, 512) in array order (y, x) -> mu (B, 1, 362, 362) in 1/mm, 0..mu_max."""
    recipe = recipe or LodopabRecipe()
    check_seed(seed)
    side = recipe.slice_pixels
    if hu_slice.ndim not in (2, 3) or hu_slice.shape[-2:] != (side, side) or not hu_slice.is_floating_point():
        raise GeometryError(
            f"the LoDoPaB recipe expects HU slices of {side} x {side} in floating point, got {hu_slice.dtype} "
            f"{tuple(hu_slice.shape)}; for other sizes use scan_case, which keeps the true pixel spacing"
        )
    if not bool(torch.isfinite(hu_slice).all()):
        raise UnitsError("the LoDoPaB recipe expects finite HU, got NaN or infinite values; mend or mask them first")
    if float(hu_slice.min()) >= 0 and 0 < float(hu_slice.max()) < 1:
        raise UnitsError(
            f"the LoDoPaB recipe expects HU (air about -1000), got values from {float(hu_slice.min()):g} to "
            f"{float(hu_slice.max()):g}, which look like mu; convert them with taskct.to_hu"
        )
    crop = (side - recipe.grid.shape[0]) // 2
    hu = hu_slice.detach().reshape(-1, 1, side, side)[..., crop : side - crop, crop : side - crop]
    if hu.shape[-2:] != recipe.grid.shape:
        raise GeometryError(f"cropping {side} by {crop} leaves {tuple(hu.shape[-2:])}, not {recipe.grid.shape}")
    streams = noise_streams(hu, seed, case_id, items, "cpu", purpose="de-quantisation")
    parts = [_uniform(one, stream) for one, stream in zip(hu, streams, strict=True)]
    mu = to_mu(hu + torch.stack(parts), mu_water_per_mm=MU_WATER_LODOPAB_PER_MM, mu_air_per_mm=MU_AIR_LODOPAB_PER_MM)
    return mu.clamp(0.0, MU_MAX_PER_MM)


def lodopab_projections(mu: Tensor, *, recipe: LodopabRecipe | None = None) -> Tensor:
    """Noise-free observation through the finer grid: mu (B, 1, 362, 362) -> p (B, 1, 1000, 513)."""
    recipe = recipe or LodopabRecipe()
    fine = recipe.grid.resized((recipe.fine_pixels, recipe.fine_pixels))
    A = Projector(fine, recipe.beam)
    with torch.no_grad():  # one by one: the fine images of a whole chest would take gigabytes
        return torch.cat([A(onto_grid(one[None], recipe.grid, fine)) for one in mu])


def _uniform(like: Tensor, stream: torch.Generator) -> Tensor:
    draws = torch.rand(like.shape, dtype=torch.float64, device=stream.device, generator=stream)
    return draws.to(dtype=like.dtype, device=like.device)
