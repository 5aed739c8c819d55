"""Cases as subjects: their slices, or their volumes, with noise-free projections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from taskct.core.errors import GeometryError, InputError
from taskct.core.progress import track
from taskct.core.units import MU_AIR_LODOPAB_PER_MM, MU_WATER_LODOPAB_PER_MM
from taskct.core.worker_pool import Pool
from taskct.core.workers import Workers
from taskct.data.case import Case
from taskct.evaluation.slices import Slices, slice_numbers
from taskct.evaluation.subject import Subject
from taskct.physics.projector import Projector
from taskct.simulate.lodopab_recipe import lodopab_image, lodopab_projections
from taskct.simulate.noisy_scan import finer_projection

SPACING_TOLERANCE = 0.01  # grids that differ by more are different patients

Prepare = Callable[[Case, Sequence[int], Projector], Subject]
"""How a case becomes a subject: (case, numbers of its slices, A) -> Subject; for a 3D projector the numbers are all slices."""


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

    def __call__(self, case: Case, slices: Sequence[int], A: Projector) -> Subject:
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
            labels = case.labels[pick] if planar else case.labels[None]
        fine = A.grid.refined(self.refine) if self.refine > 1 else None
        with torch.no_grad():
            p = finer_projection(A, fine)(truth)
        return Subject.of_case(case, slices, A, mu=truth, p=p, labels=labels)

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

    def __call__(self, case: Case, slices: Sequence[int], A: Projector) -> Subject:
        """`slices` of the case in the geometry of the data set."""
        parts = [lodopab_image(case.hu[z], seed=self.seed, case_id=f"{case.case_id}/{z}") for z in slices]
        truth = torch.cat(parts)  # (B, 1, 362, 362)
        if truth.shape[2:] != A.mu_shape:
            raise GeometryError(f"the LoDoPaB recipe gives images of {tuple(truth.shape[2:])}, the projector has {A.mu_shape}")
        labels = None
        if case.labels is not None:
            edge = (case.hu.shape[-1] - truth.shape[-1]) // 2
            labels = case.labels[list(slices), edge:-edge, edge:-edge]
        p = torch.cat([lodopab_projections(mu[None]) for mu in truth])
        return Subject.of_case(
            case,
            slices,
            A,
            mu=truth,
            p=p,
            labels=labels,
            mu_water_per_mm=MU_WATER_LODOPAB_PER_MM,
            mu_air_per_mm=MU_AIR_LODOPAB_PER_MM,
        )

    def __str__(self) -> str:
        return "LoDoPaB recipe: central 362 x 362 pixels taken as 260 mm, de-quantised, projected through a 1000 x 1000 grid"


def subjects_from_cases(
    cases: Sequence[Case],
    A: Projector | Callable[[Case], Projector],
    *,
    slices: Slices = None,
    refine: int = 2,
    prepare: Prepare | None = None,
    pool: Pool | None = None,
    progress: bool | None = None,
) -> list[Subject]:
    """Cases as subjects, each projected once; the truth is projected on a grid `refine` times finer.

    `A` is one projector, or a function of the case where grids differ. Cases of one patient stay apart and share
    the patient's name. A `pool` of workers shares the cases.
    """
    if not cases:
        raise InputError("a dose search expects at least one case, got none")
    project = partial(_subject_of, A=A, slices=slices, prepare=prepare or ProjectCase(refine))
    projected = ""

    def named() -> Iterator[Case]:
        nonlocal projected
        for case in cases:
            projected = case.case_id
            yield case

    sent = (pool or Pool(Workers())).map(project, named())
    return list(track(sent, "projecting", total=len(cases), progress=progress, now=lambda: projected))


def _subject_of(case: Case, *, A: Projector | Callable[[Case], Projector], slices: Slices, prepare: Prepare) -> Subject:
    projector = A if isinstance(A, Projector) else A(case)
    numbers = list(range(len(case.hu))) if projector.grid.ndim == 3 else slice_numbers(case, slices)
    return prepare(case, numbers, projector)


def _mm(steps: Sequence[float]) -> str:
    return " x ".join(f"{s:g}" for s in steps)
