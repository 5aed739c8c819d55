"""A case scanned as a machine would scan it: true pixel spacing, any beam, slice by slice or as a volume."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.provenance import provenance
from taskct.data.case import Case
from taskct.data.scan import Scan
from taskct.geometry import Beam
from taskct.physics.bowtie import Bowtie, transmission
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate.noisy_scan import add_noise, check_seed, finer_projection

PHOTONS = 1e5  # per pixel in air at full dose; clinical scanners work between 1e4 and 1e6


def scan_case(
    case: Case,
    beam: Beam,
    dose: Dose | None,
    *,
    slices: slice | int | None = None,
    seed: int = 0,
    refine: int = 2,
    modulation: Tensor | None = None,
    bowtie: Bowtie | None = None,
    progress: bool | None = None,
) -> Scan:
    """Scan a case, or some slices of it: hu (Z, Y, X) -> p (slices, 1, V, C) under a 2D beam, (1, 1, V, R, C) under a 3D one.

    A fan or a single-row parallel beam goes slice by slice, any other beam through the volume, centred on the isocentre.
    Lengths are those of the patient. `refine` projects an image interpolated to that many times as many samples along each
    axis, so that no reconstruction can profit from having the same pixels (the inverse crime); 1 switches it off.
    `dose=None` leaves the noise out. A slice gets the same noise whichever others are scanned with it.

    >>> from taskct.geometry import ParallelBeam
    >>> case = Case(torch.zeros(3, 8, 8), (2.0, 10.0, 10.0), case_id="water")
    >>> scan = scan_case(case, ParallelBeam(views=4, cols=8, pixel_mm=10.0), Dose(1e5), slices=1)
    >>> scan.p.shape, scan.slices
    (torch.Size([1, 1, 4, 8]), (1,))
    """
    check_seed(seed)
    if isinstance(refine, bool) or not isinstance(refine, int) or refine < 1:
        raise InputError(f"refine expects a whole number from 1 (no finer grid), got {refine!r}")
    part = case if slices is None else case.take(slices)
    numbers = numbers_of_slices(case, slices)
    planar = beam.planar
    grid = part.slice_grid if planar else part.grid
    A = Projector(grid, beam)
    project = finer_projection(A, grid.refined(refine) if refine > 1 else None)
    filtered = transmission(bowtie, beam)

    def noisy(mu: Tensor, name: int | str) -> Tensor:
        with torch.no_grad():
            p = project(mu)
        if dose is None:
            return p
        return add_noise(
            p, dose, seed=seed, case_id=case.case_id, items=[name], modulation=modulation, bowtie=filtered, unit_known=True
        )

    if planar:
        images = track(list(zip(part.mu, numbers, strict=True)), f"scanning {case.case_id}", progress=progress)
        p = torch.cat([noisy(mu[None], number) for mu, number in images])
    else:
        p = noisy(part.mu_volume, "volume")
    assert part.affine_mm is not None
    return Scan(
        p=p,
        beam=beam,
        grid=grid,
        dose=dose,
        mu_water_per_mm=case.mu_water_per_mm,
        case_id=case.case_id,
        patient_id=case.patient_id,
        affine_mm=part.affine_mm,
        spacing_mm=part.spacing_mm,
        slices=numbers,
        modulation=modulation,
        bowtie=filtered,
        provenance={"case": dict(case.provenance), "simulation": provenance(seed=seed, refine=refine)},
    )


def numbers_of_slices(case: Case, slices: slice | int | None) -> tuple[int, ...]:
    """The slices of a case that are meant, all for None."""
    every = range(len(case.hu))
    if slices is None:
        return tuple(every)
    if isinstance(slices, int):
        return (every[slices],)
    return tuple(every[slices])
