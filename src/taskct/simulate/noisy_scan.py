"""A noisy scan of an image, with exact counting statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.seeds import generator
from taskct.core.tensors import check_tensor
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.core.units import check_mu, check_photons_pass
from taskct.geometry import Grid
from taskct.physics.bowtie import Bowtie, transmission
from taskct.physics.dose import Dose
from taskct.physics.noise import Air, noisy_projections
from taskct.physics.projector import Projector
from taskct.simulate.resample import check_same_region, onto_grid


def simulate_scan(
    mu: Tensor,
    A: Projector,
    dose: Dose,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    modulation: Tensor | None = None,
    bowtie: Bowtie | None = None,
    on_grid: Grid | None = None,
    floor_photons: float | None = None,
    noise_device: torch.device | str = "cpu",
) -> Tensor:
    """Scan an image: mu (B, 1, *A.mu_shape) in 1/mm -> noisy p (B, 1, *A.p_shape), dtype and device of mu.

    Counts are Poisson(photons) + Normal(0, electronic_std), then p = -ln(max(counts, floor) / air); `physics.noise` has the
    model, docs/dose.md its consequences. `floor_photons` defaults to `dose.floor_photons`.

    `modulation` is the tube current per view relative to its mean, (V,) or (B, V); `bowtie` the transmission of a
    filter, (C,) or (R, C), or a function of the beam (`physics.bowtie`). With `on_grid`, another grid of the same region
    (`A.grid.refined(2)`), mu is interpolated and projected there: no inverse crime.

    The noise depends on `seed`, `case_id` and the item's name only. `items` names the images of the batch, 0 to B - 1 if
    not given: image 7 of a batch and that image alone with `items=[7]` get the same noise. With a `torch.Generator` as
    seed the batch takes what comes next from it. Draws are made on `noise_device`: on the CPU they are the same whatever
    device mu is on; "cuda" is faster there, and another stream.

    The result carries no gradient; `simulate_scan_differentiable` does. Raises UnitsError for HU or NaN, InputError and
    GeometryError for the other arguments.

    >>> from taskct.geometry import ParallelBeam
    >>> A = Projector(Grid((8, 8), 10.0), ParallelBeam(views=2, cols=8, pixel_mm=10.0))
    >>> p = simulate_scan(torch.full((1, 1, 8, 8), 0.02), A, Dose(1e6), seed=0)
    >>> p.shape, bool((p - 1.6).abs().max() < 0.02)
    (torch.Size([1, 1, 2, 8]), True)
    """
    keep_to_one_thread_if_forked()
    if not hasattr(A, "mu_shape"):
        raise InputError(f"simulate_scan(mu, A, dose, seed=0) expects A as a taskct.Projector, got a {type(A).__name__}")
    if not isinstance(dose, Dose):
        raise InputError(f"simulate_scan(mu, A, dose, seed=0) expects dose as a taskct.Dose, got a {type(dose).__name__}")
    check_seed(seed)
    check_tensor(mu, who="Projector", name="mu", shape=A.mu_shape, advice="resample it, or build the Projector from case.grid")
    check_mu(mu, who="simulate_scan")
    with torch.no_grad():
        p = finer_projection(A, on_grid)(mu)
    return add_noise(
        p,
        dose,
        seed=seed,
        case_id=case_id,
        items=items,
        modulation=modulation,
        bowtie=transmission(bowtie, A.beam),
        floor_photons=floor_photons,
        noise_device=noise_device,
    )


def add_noise(
    p: Tensor,
    dose: Dose,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    modulation: Tensor | None = None,
    bowtie: Tensor | None = None,
    floor_photons: float | None = None,
    noise_device: torch.device | str = "cpu",
    unit_known: bool = False,
) -> Tensor:
    """The noise of `simulate_scan` on noise-free line integrals: p of any scan shape -> the same shape, no gradient.

    For many doses of one image: project once, then call this for each dose. One seed gives coupled noise at all doses:
    each ray keeps its draw, so curves over dose are smooth and dose searches are monotone. UnitsError for rays so long that
    mu cannot be in 1/mm, unless its unit is known (`unit_known`), as that of a case in HU is.
    """
    keep_to_one_thread_if_forked()
    if not unit_known:
        check_photons_pass(p, who="a simulated scan")
    check_seed(seed)
    floor = dose.floor_photons if floor_photons is None else checked_floor(floor_photons)
    with torch.no_grad():
        air = Air(p, modulation=modulation, bowtie=bowtie)
        return noisy_projections(p, dose, air, noise_streams(p, seed, case_id, items, noise_device), floor_photons=floor)


def finer_projection(A: Projector, on_grid: Grid | None) -> Callable[[Tensor], Tensor]:
    """mu on A's grid -> p, through `on_grid` (built once) when it is given."""
    if on_grid is None or on_grid == A.grid:
        return A
    check_same_region(A.grid, on_grid)
    fine = A.on_grid(on_grid)
    return lambda mu: fine(onto_grid(mu, A.grid, on_grid))


def noise_streams(
    p: Tensor,
    seed: int | torch.Generator,
    case_id: str,
    items: Sequence[int | str] | None,
    device: torch.device | str,
    *,
    purpose: str = "noise",
) -> list[torch.Generator]:
    """One generator per image of the batch, from seed, case, name and purpose; or the caller's own generator B times."""
    names = range(len(p)) if items is None else items
    if len(names) != len(p):
        raise GeometryError(f"items names the {len(p)} images of the batch, got {len(names)} names")
    return [generator(seed, case_id, name, purpose, device=device) for name in names]


def checked_floor(floor_photons: float) -> float:
    """A floor above 0, or InputError: the logarithm of no photons is infinite."""
    if not 0 < floor_photons < float("inf"):
        raise InputError(f"floor_photons expects a number of photons above 0, got {floor_photons!r}")
    return float(floor_photons)


def check_seed(seed: int | torch.Generator) -> None:
    """InputError for a seed that is neither a whole number nor a generator: rounding one would repeat noise in silence."""
    if isinstance(seed, bool) or not (isinstance(seed, torch.Generator) or hasattr(seed, "__index__")):
        raise InputError(f"seed expects a whole number or a torch.Generator, got {seed!r}")
