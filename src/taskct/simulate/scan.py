"""A noisy scan of an image, with exact counting statistics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.core.seeds import generator
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.core.units import check_mu
from taskct.geometry import Grid, TruncationWarning
from taskct.physics.bowtie import Bowtie, transmission
from taskct.physics.dose import Dose
from taskct.physics.noise import log_transform, relative_air, sample_counts
from taskct.physics.projector import Projector
from taskct.simulate.resample import check_same_region, onto_grid

_LOWEST_P = -50.0  # e^50 times more photons behind the patient than in air: no image does that


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
    check_seed(seed)
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
) -> Tensor:
    """The noise of `simulate_scan` on noise-free line integrals: p of any scan shape -> the same shape, no gradient.

    For many doses of one image: project once, then call this for each dose. One seed gives coupled noise at all doses:
    each ray keeps its draw, so curves over dose are smooth and dose searches are monotone.
    """
    keep_to_one_thread_if_forked()
    check_seed(seed)
    with torch.no_grad():
        low, high = (float(v) for v in torch.aminmax(p))
        if not (low > _LOWEST_P and high < float("inf")):
            raise UnitsError(
                f"a scan needs finite line integrals above {_LOWEST_P:g}, got {low:g} to {high:g}; is mu in 1/mm, and not NaN?"
            )
        air = dose.used_photons * relative_air(p, modulation=modulation, bowtie=bowtie)
        floor = dose.floor_photons if floor_photons is None else checked_floor(floor_photons)
        expected = air * torch.exp(-p.double())
        counts = torch.empty_like(expected)
        for i, stream in enumerate(noise_streams(p, seed, case_id, items, noise_device)):
            counts[i] = sample_counts(expected[i], generator=stream, electronic_std=dose.electronic_std)
        return log_transform(counts, air, floor_photons=floor).to(p.dtype)


def finer_projection(A: Projector, on_grid: Grid | None) -> Callable[[Tensor], Tensor]:
    """mu on A's grid -> p, through `on_grid` (built once) when it is given."""
    if on_grid is None or on_grid == A.grid:
        return A
    check_same_region(A.grid, on_grid)
    with warnings.catch_warnings():  # A has said already what its detector does not see
        warnings.simplefilter("ignore", TruncationWarning)
        fine = Projector(on_grid, A.beam, backend=A.backend)
    if len(A.views) != A.beam.views or (A.views != range(A.beam.views)).any():
        fine = fine.subset(A.views)
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
