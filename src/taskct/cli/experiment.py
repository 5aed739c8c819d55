"""What `taskct evaluate` does, as a config: which CT, scanned how, reconstructed by what. A run folder holds it for repeats.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.cli.scanning import PHOTONS, show_notes
from taskct.cli.words import methods_from_config, parse_label_names, parse_slices
from taskct.core.config import from_dict, read_toml, to_dict
from taskct.core.errors import ConfigError, InputError, OutputExistsError
from taskct.core.files import atomic_folder, refuse_existing
from taskct.core.runs import Run, is_run, load_run
from taskct.core.writers import claim

if TYPE_CHECKING:
    from taskct.data.case import Case
    from taskct.evaluation.table import Table


@dataclass(frozen=True, kw_only=True)
class DosePlan:
    """Photons per detector pixel at full dose, the fractions of it to try, and read-out noise in photons."""

    photons: float = PHOTONS
    fractions: tuple[float, ...] = (1.0, 0.25, 0.1)
    electronic_std: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Inputs x methods x doses under one beam. `labels` go with `inputs` one by one, `label_names` are name by number."""

    inputs: tuple[str, ...]
    methods: Mapping[str, dict[str, Any]]
    labels: tuple[str, ...] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)
    slices: str = ":"
    seed: int = 0
    refine: int = 2
    protocol: str = "default"
    beam: Mapping[str, Any] = field(default_factory=lambda: {"preset": "clinical_fan"})
    dose: DosePlan = DosePlan()

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("an experiment needs inputs: CT paths, or phantom:abdomen")
        if self.labels and len(self.labels) != len(self.inputs):
            raise ConfigError(f"expected labels for each of {len(self.inputs)} inputs ('' for none), got {len(self.labels)}")


def read_experiment(path: Path) -> Experiment:
    """The experiment of a TOML file or of a run folder that `taskct evaluate` wrote."""
    if path.is_dir():
        config = {k: v for k, v in load_run(path).config.items() if k != "schema"}
        if "inputs" not in config:
            raise InputError(f"{path}: this run does not say how to repeat it; give CT files or a config with inputs")
    else:
        config = read_toml(path)
    try:
        return from_dict(Experiment, config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def run_experiment(experiment: Experiment, out: Path, *, overwrite: bool = False) -> Table:
    """Do it: open the cases, evaluate, and write the run folder in one move at the end."""
    from taskct.core.errors import unknown_name
    from taskct.evaluation import PROTOCOLS, evaluate
    from taskct.geometry.config import beam_from_config
    from taskct.physics.dose import Dose
    from taskct.physics.projector import Projector
    from taskct.simulate.case import is_planar

    if experiment.protocol not in PROTOCOLS:
        raise unknown_name("protocol", experiment.protocol, PROTOCOLS)
    methods = methods_from_config(experiment.methods)
    beam = beam_from_config(experiment.beam)
    plan = experiment.dose
    doses = [Dose(plan.photons, fraction=f, electronic_std=plan.electronic_std) for f in plan.fractions]
    refuse_run(out, overwrite=overwrite)
    slices = parse_slices(experiment.slices)
    table = evaluate(
        methods,
        open_inputs(experiment.inputs, experiment.labels, experiment.label_names),
        lambda case: Projector(case.slice_grid if is_planar(beam) else case.grid, beam),
        doses,
        seed=experiment.seed,
        slices=[slices] if isinstance(slices, int) else slices,
        refine=experiment.refine,
        protocol=PROTOCOLS[experiment.protocol],
    )
    save_run(table, out, to_dict(experiment), overwrite=overwrite)
    return table


def open_inputs(inputs: Sequence[str], labels: Sequence[str] = (), label_names: Mapping[str, str] | None = None) -> list[Case]:
    """The cases of paths and of `phantom:NAME:SEED`; cases of one name are told apart by their folder."""
    from taskct.data.open import open_cases

    names = parse_label_names([f"{number}={name}" for number, name in (label_names or {}).items()])
    cases: list[Case] = []
    for number, text in enumerate(inputs):
        own = (labels[number] or None) if labels else None
        found = [_phantom(text)] if text.startswith("phantom:") else open_cases(text, labels=own, label_names=names)
        for case in found:
            show_notes(case)
            twin = case.case_id in [c.case_id for c in cases]
            folder = Path(text).resolve().parent.name
            cases.append(replace(case, case_id=f"{folder}/{case.case_id}") if twin else case)
    return cases


def refuse_run(out: Path, *, overwrite: bool) -> None:
    """Refuse, before the work, a folder that exists; only a run is ever replaced."""
    claim(out)
    if out.exists() and overwrite and not is_run(out) and not (out.is_dir() and not any(out.iterdir())):
        raise OutputExistsError(f"{out}: exists and is no run folder, so it is not overwritten; choose another name")
    refuse_existing(out, overwrite=overwrite, folder=True)


def save_run(table: Table, out: Path, config: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """A table and the config that made it as a run folder, whole or not at all."""
    with atomic_folder(out, overwrite=overwrite) as part:
        Run.create(part, config, provenance=table.provenance)
        table.save(part)


def _phantom(text: str) -> Case:
    from taskct.phantoms import phantom_case

    _, name, *seed = text.split(":")
    if len(seed) > 1 or not all(s.isdigit() for s in seed):
        raise InputError(f"expected phantom:NAME or phantom:NAME:SEED, got {text!r}; for example phantom:abdomen:3")
    return phantom_case(name or "abdomen", seed=int(seed[0]) if seed else 0)
