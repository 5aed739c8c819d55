"""What a dose search is about: a method or a run, and the patients it is scanned on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.core.errors import InputError

if TYPE_CHECKING:
    from taskct.core.runs import Run
    from taskct.data.case import Case
    from taskct.geometry import Beam
    from taskct.physics.dose import Dose
    from taskct.physics.projector import Projector

_FULL = 1e5


@dataclass(frozen=True, eq=False)
class Setting:
    """A reconstruction, the cases, how they are projected, and full dose."""

    name: str
    model: Callable[..., Any]
    cases: list[Case]
    projector: Callable[[Case], Projector]
    dose: Dose
    slices: Any
    ctdi_vol_mgy: float | None


def setting_of(
    what: str,
    *,
    ct: list[str],
    labels: list[str],
    label_name: list[str],
    patients: int,
    slices: str | None,
    every: int,
    beam: str,
    views: int | None,
    photons: float | None,
    electronic_std: float,
    setting: list[str],
    seed: int,
) -> Setting:
    """Everything that the options of `taskct dose` ask for."""
    from taskct.cli.words import method_from_words, parse_beam
    from taskct.core.runs import is_run, load_run
    from taskct.physics.dose import Dose
    from taskct.physics.projector import Projector
    from taskct.simulate.case import is_planar

    trained = Path(what).is_dir() and is_run(Path(what))
    run = load_run(Path(what)) if trained else None
    own: Beam
    if run is not None:
        if setting or views is not None:
            raise InputError(f"{what}: a trained run takes no --set and no --views; it has its own")
        model, own, full = _of_run(run)
    else:
        model, own, full = method_from_words(what, setting), parse_beam(beam, views=views), _FULL
    if ct:
        cases, numbers = _cases(ct, labels, label_name, slices, every)
    else:
        cases, numbers = _built_in(run, patients, max(every, 2)), None
    if run is not None:
        cases, numbers = _onto_grid(run, cases, numbers), None
    dose = Dose(photons or full, electronic_std=electronic_std)
    projector = lambda case: Projector(case.slice_grid if is_planar(own) else case.grid, own)
    return Setting(what, model, cases, projector, dose, numbers, _ctdi(cases))


def _of_run(run: Run) -> tuple[Callable[..., Any], Beam, float]:
    from taskct.geometry.config import beam_from_config
    from taskct.recon.learned import load_reconstructor

    if "beam" not in run.config:
        raise InputError(f"{run.folder}: is no run of a reconstruction (its config has no [beam])")
    own = beam_from_config(run.config["beam"])
    if "dose_module" in run.config:
        from taskct.systems.alara.learned import load_dose

        return load_dose(run).reconstruct, own, float(run.config["dose_module"]["highest_photons"])
    dose = run.config.get("dose", {})
    return load_reconstructor(run), own, float(dose.get("photons", _FULL)) * float(dose.get("highest", 1.0))


def _cases(
    ct: list[str], labels: list[str], label_name: list[str], slices: str | None, every: int
) -> tuple[list[Case], dict[str, list[int]]]:
    """The CTs, and the slices of each that are scanned."""
    from taskct.cli.scanning import show_notes
    from taskct.cli.words import parse_label_names, parse_slices
    from taskct.evaluation.slices import slice_numbers
    from taskct.phantoms.inputs import open_inputs

    if labels and len(labels) != len(ct):
        raise InputError(f"--labels: expected one for each of {len(ct)} CTs in the same order, got {len(labels)}")
    cases = open_inputs(ct, labels=labels, label_names=parse_label_names(label_name), heard=show_notes)
    chosen = parse_slices(slices)
    numbers: dict[str, list[int]] = {}
    for case in cases:
        found = slice_numbers(case, [chosen] if isinstance(chosen, int) else chosen)
        if every and len(found) > every:
            found = [found[round(k * (len(found) - 1) / max(every - 1, 1))] for k in range(every)]
        numbers[case.case_id] = found
    return cases, numbers


def _built_in(run: Run | None, patients: int, slices: int) -> list[Case]:
    """Test patients of the built-in cohort, whom no training on it has seen."""
    from taskct.phantoms.cohort import Cohort

    shape, spacing = (128, 128), None
    if run is not None and "grid" in run.config:
        rows, cols = run.config["grid"]["shape"][-2:]
        shape, spacing = (int(rows), int(cols)), tuple(run.config["grid"]["spacing_mm"][-2:])
    cohort = Cohort("abdomen", {"test": patients}, shape=shape, spacing_mm=spacing, slices_per_patient=slices)
    return [cohort.patient(number).case for number in cohort.numbers("test")]


def _onto_grid(run: Run, cases: Sequence[Case], numbers: dict[str, list[int]] | None) -> list[Case]:
    """Cases on the grid that a network was trained on, their chosen slices only."""
    from dataclasses import replace

    from taskct.core.units import to_hu
    from taskct.data.common_grid import onto_common_grid
    from taskct.geometry import Grid

    grid = Grid(tuple(run.config["grid"]["shape"]), tuple(run.config["grid"]["spacing_mm"]))
    found = []
    for case in cases:
        chosen = list(range(len(case.hu))) if numbers is None else numbers[case.case_id]
        mu, labels = onto_common_grid(case, grid, chosen)
        hu = to_hu(mu[:, 0], mu_water_per_mm=case.mu_water_per_mm)
        found.append(
            replace(
                case,
                hu=hu,
                labels=labels,
                spacing_mm=(case.spacing_mm[0], grid.spacing_mm[-2], grid.spacing_mm[-1]),
                affine_mm=None,
            )
        )
    return found


def _ctdi(cases: Sequence[Case]) -> float | None:
    """CTDIvol of the scans as their headers state it, when all say the same."""
    found = {case.provenance.get("ctdi_vol_mgy") for case in cases}
    only = found.pop() if len(found) == 1 else None
    return float(only) if isinstance(only, int | float) and 0 < only < 1000 else None
