"""What a dose search is about: a method or a trained run, and the patients it is scanned on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from taskct.core.errors import InputError
from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.data.common_grid import case_on_grid
from taskct.data.evenly_spaced import evenly_spaced
from taskct.evaluation.slices import Slices, slice_numbers
from taskct.geometry import Beam, Grid
from taskct.geometry.beam_config import beam_from_config
from taskct.models import open_model
from taskct.phantoms.cohort import Cohort
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import TrainedFor, load_reconstructor
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import check_neighbours, neighbours_of
from taskct.systems.alara.learned import load_dose

FULL_PHOTONS = 1e5


@dataclass(frozen=True, eq=False)
class DoseChain:
    """A reconstruction, the beam of its scans, photons at full dose, its training's grid and read-out noise."""

    model: Reconstructor
    beam: Beam
    full_photons: float = FULL_PHOTONS
    grid: Grid | None = None
    electronic_std: float = 0.0


@dataclass(frozen=True, eq=False)
class Setting:
    """A reconstruction, the cases, how they are projected, and full dose."""

    model: Reconstructor
    cases: list[Case]
    projector: Callable[[Case], Projector]
    dose: Dose
    slices: Slices
    ctdi_vol_mgy: float | None


def chain_of(source: Run | str | os.PathLike[str], *, model: nn.Module | None = None) -> DoseChain:
    """The chain of a reconstruction or of a dose, by its run, path or name (`open_model`); `model` is a module of one's own.

    InputError for another kind of network.
    """
    saved = open_model(source, own=model is not None)
    if "beam" not in saved.config:
        raise InputError(f"{saved.where}: not the run of a reconstruction: its config has no [beam]")
    about = TrainedFor.of_config(str(saved.where), saved.config)
    full = about.photons[1] if about.photons else FULL_PHOTONS
    beam = beam_from_config(saved.config["beam"])
    if saved.kind == "dose":
        return DoseChain(load_dose(source, model=model).reconstruct, beam, full, about.grid, about.electronic_std)
    return DoseChain(load_reconstructor(source, model=model), beam, full, about.grid, about.electronic_std)


def setting_of(
    chain: DoseChain,
    *,
    cases: Sequence[Case] = (),
    slices: Slices = None,
    patients: int = 20,
    every: int = 0,
    photons: float | None = None,
    electronic_std: float | None = None,
) -> Setting:
    """The chain on some `slices` of `cases`, or without cases on built-in test `patients`.

    `every` > 0: at most so many slices of each, evenly; `photons` at full dose and `electronic_std` replace those of the
    chain. Cases come onto the grid of a trained chain.
    """
    if cases:
        chosen = list(cases)
        numbers: dict[str, list[int]] | None = {
            case.case_id: [found[k] for k in evenly_spaced(len(found), every)]
            for case in chosen
            for found in (slice_numbers(case, slices),)
        }
    elif neighbours_of(chain.model):
        raise InputError(
            "the network looks at neighbouring slices, and those of the built-in patients lie far apart; give --ct"
        )
    else:
        chosen, numbers = _built_in(chain.grid, patients, max(every, 2)), None
    if chain.grid is not None:
        for case in chosen:  # on the grid they are numbered anew, and would pass for neighbours
            taken = range(len(case.hu)) if numbers is None else numbers[case.case_id]
            check_neighbours(chain.model, taken, who=f"case {case.case_id}")
        chosen, numbers = _onto_grid(chain.grid, chosen, numbers), None
    beam = chain.beam
    projector = lambda case: Projector(case.slice_grid if beam.planar else case.grid, beam)
    read_out = chain.electronic_std if electronic_std is None else electronic_std
    dose = Dose(chain.full_photons if photons is None else photons, electronic_std=read_out)
    return Setting(chain.model, chosen, projector, dose, numbers, _ctdi(chosen))


def _built_in(grid: Grid | None, patients: int, slices: int) -> list[Case]:
    """Test patients of the built-in cohort, whom no training on it has seen."""
    shape = (128, 128) if grid is None else (grid.shape[-2], grid.shape[-1])
    spacing = None if grid is None else (grid.spacing_mm[-2], grid.spacing_mm[-1])
    cohort = Cohort("abdomen", {"test": patients}, shape=shape, spacing_mm=spacing, slices_per_patient=slices)
    return [cohort.patient(number).case for number in cohort.numbers("test")]


def _onto_grid(grid: Grid, cases: Sequence[Case], numbers: dict[str, list[int]] | None) -> list[Case]:
    """Cases on the grid that a network was trained on, their chosen slices only."""
    found = []
    for case in cases:
        chosen = list(range(len(case.hu))) if numbers is None else numbers[case.case_id]
        found.append(case_on_grid(case, grid, chosen))
    return found


def _ctdi(cases: Sequence[Case]) -> float | None:
    """CTDIvol of the scans as their headers state it, when all say the same."""
    found = {case.provenance.get("ctdi_vol_mgy") for case in cases}
    only = found.pop() if len(found) == 1 else None
    return float(only) if isinstance(only, int | float) and 0 < only < 1000 else None
