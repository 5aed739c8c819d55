"""Words of the command line -> studies: run folders, folders of runs, experiments, CT and built-in patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from taskct.core.config import from_dict
from taskct.core.each_input import SETTINGS, SUMMARY
from taskct.core.errors import InputError
from taskct.core.files import existing_path
from taskct.core.runs import Run, is_run, load_run
from taskct.data.case import Case
from taskct.data.common_grid import case_on_grid
from taskct.evaluation.evaluation_config import EvaluationPlan, scan_of_training
from taskct.evaluation.slices import slice_numbers, slices_from_text
from taskct.evaluation.table import Table
from taskct.geometry.beam_config import beam_from_config, grid_from_config
from taskct.geometry.view_number import sensible_views
from taskct.models.model_folder import kind_of_config
from taskct.phantoms.inputs import open_inputs
from taskct.recon.learned import TrainedFor, common_scan
from taskct.recon.reconstructor_config import methods_from_config
from taskct.recon.slice_stacks import neighbours_of
from taskct.viewer.ct_study import CtStudy, Simulation, beside_one_another
from taskct.viewer.experiment_study import experiment_studies
from taskct.viewer.run_study import studies_of_table
from taskct.viewer.study import Study

FRACTIONS = (1.0, 0.5, 0.25, 0.1, 0.05, 0.025, 0.01)
_DOSE_SEARCH = "dose_search"


@dataclass(frozen=True, kw_only=True)
class ViewPlan:
    """What is opened: run folders as they are; and CT, with how slices of them are scanned and reconstructed.

    `scanned` has the CT, labels, methods, beam, grid and doses, with the meaning that `taskct evaluate` gives them; None
    without CT. `model` is the module of networks whose run does not build it, `trained` the network whose scan was taken over.
    """

    runs: tuple[Path, ...] = ()
    scanned: EvaluationPlan | None = None
    model: nn.Module | None = None
    trained: TrainedFor | None = None


def plan_view(inputs: Sequence[str], config: Mapping[str, Any], *, model: nn.Module | None = None) -> ViewPlan:
    """Sort inputs into runs and CT; `config` holds the further values of an EvaluationPlan.

    Where no beam is stated and the networks among the methods share a training's scan, the CT is resampled onto its
    pixels and scanned by its beam.
    """
    runs = tuple(Path(text) for text in inputs if not text.startswith("phantom:") and is_opened_as_run(Path(text)))
    cts = [text for text in inputs if text.startswith("phantom:") or Path(text) not in runs]
    if not cts:
        return ViewPlan(runs=runs)
    labels = config.get("labels") or ()
    if labels and len(labels) != len(cts):
        raise InputError(f"--labels: expected one for each of {len(cts)} CT in the same order, got {len(labels)}")
    about = None
    if "beam" not in config:
        about = common_scan(methods_from_config(config["methods"], model=model).values())
    scan = {} if about is None else scan_of_training(about)
    dose = {**scan.get("dose", {}), **config.get("dose", {})}
    plan = from_dict(EvaluationPlan, {**scan, **config, "inputs": cts, "dose": dose})
    return ViewPlan(runs=runs, scanned=plan, model=model, trained=about)


def open_studies(plan: ViewPlan, *, heard: Callable[[Case], None] | None = None) -> list[Study]:
    """The studies of a plan, runs first; CT on the same samples are one study, the first of them its reference.

    `heard` is called with every case as it is opened. Raises InputError for a run that has no images, with what to do.
    """
    found: list[Study] = []
    for folder in plan.runs:
        found += _studies_of_folder(folder)
    if plan.scanned is None:
        return found
    asked = plan.scanned
    simulation = Simulation(
        methods=methods_from_config(asked.methods, model=plan.model),
        doses=tuple(asked.dose.doses()),
        beam=sensible_views(beam_from_config(asked.beam)),
        seed=asked.seed,
        refine=asked.refine,
    )
    names = {int(number): name for number, name in asked.label_names.items()}
    cases = open_inputs(asked.inputs, labels=asked.labels, label_names=names or None, untilt=asked.untilt, heard=heard)
    for group in beside_one_another(_told_apart(cases)):
        numbers = _numbers(group[0], asked)
        first, *others = (_asked_part(case, asked) for case in group)
        apart = len(numbers) < len(group[0].hu) and any(map(neighbours_of, simulation.methods.values()))
        around = _on_grid(group[0], asked) if apart else None
        found.append(CtStudy(first, simulation, beside=others, numbers=numbers, around=around))
    return found


def is_opened_as_run(path: Path) -> bool:
    """Whether a path is a run folder, or a folder of runs that --each wrote."""
    return existing_path(path, what="run or CT").is_dir() and (is_run(path) or (path / SETTINGS).is_file())


def _studies_of_folder(folder: Path) -> list[Study]:
    if is_run(folder):
        return _studies_of_run(load_run(folder))
    children = sorted(child for child in folder.iterdir() if child.is_dir() and (child / "table.csv").is_file())
    waiting = (
        "" if (folder / SUMMARY).is_file() else "unfinished: some CT of this folder were not evaluated; repeat the command"
    )
    found: list[Study] = []
    for child in children:
        if child.name != "all-cases":
            found += studies_of_table(Table.read(child), title=child.name, unfinished=waiting)
    if not found:
        raise InputError(f"{folder}: no CT of this folder was evaluated yet; repeat the command that began it")
    return found


def _studies_of_run(run: Run) -> list[Study]:
    folder = run.folder
    if "experiment" in run.config:
        return list(experiment_studies(run))
    if run.path("table.csv").exists():
        table = Table.read(folder)
        if not table.images:
            raise InputError(f"{folder}: this run kept no images; evaluate it again (keep=2 is the default)")
        return list(studies_of_table(table, title=folder.resolve().name))
    if _DOSE_SEARCH in run.config:
        raise InputError(
            f"{folder}: a dose search keeps numbers, not images; its page is report.html, and taskct view CT --methods METHOD "
            "shows the CT as dose falls"
        )
    if kind_of_config(run.config):
        ended = (folder / "weights.safetensors").exists()
        state = "a training, without images of its own" if ended else "a training that is unfinished: let it end"
        reads = "reader" in run.config
        how = (
            f"--reader {folder} shows what it marks in a CT"
            if reads
            else f"--methods fbp,net={folder} shows what it makes of a CT"
        )
        raise InputError(f"{folder}: {state}; taskct view CT {how}")
    raise InputError(f"{folder}: a run without images; give the run of an evaluation, an experiment, a demo, or a CT")


def _told_apart(cases: Sequence[Case]) -> list[Case]:
    """Cases whose names are all different: of several with one name, all but the first are numbered."""
    found: list[Case] = []
    for k, case in enumerate(cases):
        before = sum(one.case_id == case.case_id for one in cases[:k])
        found.append(replace(case, case_id=f"{case.case_id} ({before + 1})") if before else case)
    return found


def _numbers(case: Case, asked: EvaluationPlan) -> list[int]:
    """The numbers of the slices that were asked for."""
    wanted = slices_from_text(asked.slices)
    return slice_numbers(case, [wanted % len(case.hu)] if isinstance(wanted, int) else wanted)


def _asked_part(case: Case, asked: EvaluationPlan) -> Case:
    """The slices that were asked for, on the grid of the networks where there is one."""
    wanted = slices_from_text(asked.slices)
    return _on_grid(case if wanted == slice(None) else case.take(wanted), asked)


def _on_grid(case: Case, asked: EvaluationPlan) -> Case:
    """The case on the grid of the networks, where there is one."""
    return case if asked.grid is None else case_on_grid(case, grid_from_config(asked.grid))
