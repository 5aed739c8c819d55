"""An evaluation as a config: which CT, scanned how, reconstructed by what. A run folder holds it for repeats.

schema = 1
inputs = ["patient1/", "patient2.nii.gz", "phantom:abdomen:3"]
slices = "3:9"
[beam]
preset = "clinical_fan"
views = 720
[dose]
photons = 1e5
fractions = [1.0, 0.25, 0.1]
electronic_std = 10.0
[methods.fbp]
[methods.smooth]
method = "fbp"
window = "hann"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from taskct.core.config import from_dict, read_toml, to_dict
from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.files import atomic_folder
from taskct.core.runs import Run, load_run, refuse_run
from taskct.core.workers import Workers
from taskct.data.case import Case
from taskct.data.common_grid import case_on_grid
from taskct.data.shared_scans import refuse_same_ct
from taskct.evaluation import PROTOCOLS, evaluate
from taskct.evaluation.slices import slices_from_text
from taskct.evaluation.storage import TABLE_FILES
from taskct.evaluation.table import Table
from taskct.geometry import Grid
from taskct.geometry.beam_config import beam_from_config, grid_from_config
from taskct.geometry.view_number import sensible_views
from taskct.phantoms.inputs import open_inputs
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import TrainedFor
from taskct.recon.reconstructor_config import methods_from_config
from taskct.simulate.scan_case import PHOTONS


@dataclass(frozen=True, kw_only=True)
class DoseSteps:
    """Photons per detector pixel at full dose, the fractions of it to try, and read-out noise in photons."""

    photons: float = PHOTONS
    fractions: tuple[float, ...] = (1.0, 0.25, 0.1)
    electronic_std: float = 0.0

    def doses(self) -> list[Dose]:
        """One Dose per fraction."""
        return [Dose(self.photons, fraction=f, electronic_std=self.electronic_std) for f in self.fractions]


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """Inputs x methods x doses under one beam. `labels` go with `inputs` one by one, `label_names` are name by number.

    Methods may be trained networks, by name or path. `grid` (shape and spacing_mm of slices) brings every case onto one grid,
    such as that of a network's training. `untilt` shifts the slices of a tilted gantry back (`open_case`).
    """

    inputs: tuple[str, ...]
    methods: Mapping[str, dict[str, Any]]
    labels: tuple[str, ...] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)
    slices: str = ":"
    untilt: bool = False
    seed: int = 0
    refine: int = 2
    protocol: str = "default"
    beam: Mapping[str, Any] = field(default_factory=lambda: {"preset": "clinical_fan"})
    grid: Mapping[str, Any] | None = None
    dose: DoseSteps = DoseSteps()

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("an evaluation needs inputs: CT paths, or phantom:abdomen")
        if self.labels and len(self.labels) != len(self.inputs):
            raise ConfigError(f"expected labels for each of {len(self.inputs)} inputs ('' for none), got {len(self.labels)}")
        if any(not number.isdigit() for number in self.label_names):
            raise ConfigError(f"label_names expects label numbers as keys, got {', '.join(self.label_names)}")
        if self.protocol not in PROTOCOLS:
            raise unknown_name("protocol", self.protocol, PROTOCOLS)


def read_plan(path: Path) -> EvaluationPlan:
    """The plan of a TOML file, or of a run folder that `run_plan` wrote."""
    if path.is_dir():
        config = {k: v for k, v in load_run(path).config.items() if k != "schema"}
        if "inputs" not in config:
            raise InputError(f"{path}: this run does not say how to repeat it; give CT files or a config with inputs")
    else:
        config = read_toml(path)
    try:
        return from_dict(EvaluationPlan, config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def run_plan(
    plan: EvaluationPlan,
    out: Path,
    *,
    cases: Sequence[Case] | None = None,
    model: nn.Module | None = None,
    heard: Callable[[Case], None] | None = None,
    workers: int | Workers = 1,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Table:
    """Open the cases of the plan (or take `cases`), evaluate, and write the run folder `out` in one move at the end.

    What can be told from the plan is refused before any work. `heard` is called with every case as it is opened. `model` is
    the module of networks whose run does not say how to build it.
    """
    methods = methods_from_config(plan.methods, model=model)
    beam = sensible_views(beam_from_config(plan.beam))
    grid = None if plan.grid is None else grid_from_config(plan.grid)
    doses = plan.dose.doses()
    slices = slices_from_text(plan.slices)
    sources = [*plan.inputs, *filter(None, plan.labels), *(str(one.get("method", "")) for one in plan.methods.values())]
    refuse_run(out, overwrite=overwrite, ours=TABLE_FILES, sources=filter(None, sources))
    if cases is None:
        names = {int(number): name for number, name in plan.label_names.items()}
        cases = open_inputs(plan.inputs, labels=plan.labels, label_names=names or None, untilt=plan.untilt, heard=heard)
        refuse_same_ct(cases)  # before a grid changes their values
    table = evaluate(
        methods,
        [_on_grid(case, grid) for case in cases],
        lambda case: Projector(case.slice_grid if beam.planar else case.grid, beam),
        doses,
        seed=plan.seed,
        slices=[slices] if isinstance(slices, int) else slices,
        refine=plan.refine,
        protocol=PROTOCOLS[plan.protocol],
        workers=workers,
        progress=progress,
    )
    with atomic_folder(out, overwrite=overwrite) as part:
        Run.create(part, to_dict(plan), provenance=table.provenance)
        table.save(part)
    return table


def scan_of_training(about: TrainedFor) -> dict[str, Any]:
    """The `beam`, `grid` and `dose` of a plan whose scans are those that a network was trained for."""
    found: dict[str, Any] = {"beam": dict(about.beam)}
    if about.grid is not None:
        found["grid"] = {"shape": list(about.grid.shape), "spacing_mm": list(about.grid.spacing_mm)}
    if about.photons is not None:
        found["dose"] = {"photons": about.photons[1], "electronic_std": about.electronic_std}
    return found


def _on_grid(case: Case, grid: Grid | None) -> Case:
    return case if grid is None else case_on_grid(case, grid)
