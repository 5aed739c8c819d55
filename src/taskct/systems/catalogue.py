"""The experiments that `taskct reproduce` knows, and doing one: settings checked, steps done, a page at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from taskct.core.config import from_dict, list_settings, to_dict
from taskct.core.errors import ConfigError, InputError, OutputExistsError, unknown_name
from taskct.core.files import atomic_path, existing_path, refuse_sources
from taskct.core.runs import Run, is_run, load_run
from taskct.core.workers import Workers, as_workers
from taskct.core.write_locks import one_writer
from taskct.experiments.engine import do_last, run_steps
from taskct.experiments.folder_records import Records
from taskct.experiments.steps import Step


class ExperimentKind(NamedTuple):
    """An experiment: the dataclass of its settings, named sets of them, and the function that makes its steps.

    The last step writes report.html. `data_preset` is the size that is meant when the settings' `data`, a folder of a public
    data set, is given and no other size is: "" for experiments that know the built-in patients only.
    """

    settings: Callable[..., Any]
    presets: Mapping[str, Mapping[str, Any]]
    steps: Callable[[Any], Sequence[Step]]
    data_preset: str = ""


def _task_adaptive() -> ExperimentKind:
    from taskct.systems.adaptive.experiment import PRESETS, TaskAdaptive, task_adaptive_steps

    return ExperimentKind(TaskAdaptive, PRESETS, task_adaptive_steps, data_preset="lits")


def _dose() -> ExperimentKind:
    from taskct.systems.alara.experiment import DoseExperiment, dose_steps
    from taskct.systems.alara.experiment.alara_presets import PRESETS

    return ExperimentKind(DoseExperiment, PRESETS, dose_steps, data_preset="lodopab")


def _biplanar() -> ExperimentKind:
    from taskct.systems.biplanar.experiment import PRESETS, BiPlanar, biplanar_steps

    return ExperimentKind(BiPlanar, PRESETS, biplanar_steps)


def _task_adaptive_demo() -> ExperimentKind:
    from taskct.systems.adaptive.experiment import TaskAdaptive
    from taskct.systems.adaptive.network_demo import DEMO, network_demo_steps

    return ExperimentKind(TaskAdaptive, {"full": DEMO}, network_demo_steps)


def _dose_demo() -> ExperimentKind:
    from taskct.systems.alara.dose_demo import DEMO, dose_demo_steps
    from taskct.systems.alara.experiment import DoseExperiment

    return ExperimentKind(DoseExperiment, {"full": DEMO}, dose_demo_steps)


def _biplanar_demo() -> ExperimentKind:
    from taskct.systems.biplanar.experiment import BiPlanar, biplanar_steps
    from taskct.systems.biplanar.experiment.biplanar_presets import DEMO

    return ExperimentKind(BiPlanar, {"full": DEMO}, biplanar_steps)


def _chest_demo() -> ExperimentKind:
    from taskct.systems.chest.chest_demo import DEMO, chest_demo_steps
    from taskct.systems.chest.chest_settings import ChestExperiment

    return ExperimentKind(ChestExperiment, {"full": DEMO}, chest_demo_steps)


def _chest() -> ExperimentKind:
    from taskct.systems.chest.chest_presets import PRESETS
    from taskct.systems.chest.chest_settings import ChestExperiment
    from taskct.systems.chest.chest_steps import chest_steps

    return ExperimentKind(ChestExperiment, PRESETS, chest_steps)


def _real_ct() -> ExperimentKind:
    from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
    from taskct.systems.real_ct.real_ct_steps import PRESETS, real_ct_steps

    return ExperimentKind(RealCTExperiment, PRESETS, real_ct_steps)


EXPERIMENTS: dict[str, tuple[str, Callable[[], ExperimentKind]]] = {
    "task-adaptive": (
        "reconstructions trained for a frozen reader, judged by readers never used in training",
        _task_adaptive,
    ),
    "task-adaptive-demo": (
        "the networks of the package on built-in patients that no training saw: two minutes",
        _task_adaptive_demo,
    ),
    "dose": ("a dose for each patient: learned, fixed, tube-current modulation and an oracle at one quality", _dose),
    "biplanar": ("skulls from two radiographs: networks of blocks beside what any network has to beat", _biplanar),
    "dose-demo": ("a dose search, and the learned dose of the package beside a fixed one: two minutes", _dose_demo),
    "chest-demo": ("the network of the package reads built-in chests that no training saw: two minutes", _chest_demo),
    "chest": ("chest CT by one network with four heads: alone, together, and in the loss of a reconstruction", _chest),
    "real-ct": ("a reconstructor for real CT, trained for image error and for lesions, beside TV on CT never seen", _real_ct),
    "biplanar-demo": ("unseen skulls from two radiographs by the network of the package: two minutes", _biplanar_demo),
}


def reproduce(
    name: str,
    folder: str | os.PathLike[str],
    *,
    preset: str = "",
    data: str | os.PathLike[str] | None = None,
    changes: Mapping[str, Any] | None = None,
    workers: int | Workers = 0,
    overwrite: bool = False,
    only_report: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Do an experiment of EXPERIMENTS in `folder`, or resume it -> its page.

    `preset` is one of the experiment's sets of settings ("full" unless `data` is given), `changes` replaces some of them; one
    value stands for a list of one. `data` is the folder of a public data set that takes the place of the built-in patients:
    LiTS or MSD Task03 for task-adaptive, LoDoPaB-CT for dose.
    More arms or seeds in the same folder add to what is there; other values of what a finished step depends on are refused.
    `overwrite` begins anew. `workers`: a number of processes (0: one for each core, several need Dask), or `Workers` of a
    cluster; each step has one thread. `only_report` makes the page of what is done already, and does nothing else.
    Raises BusyError for a folder at which another process works.
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENTS)
    experiment = EXPERIMENTS[name][1]()
    given = dict(changes or {})
    if data is not None:
        if not experiment.data_preset:
            raise InputError(f"{name} knows the built-in patients only and takes no data; those that do: {_with_data()}")
        given["data"] = str(existing_path(data, what="data set").resolve())
    preset = preset or (experiment.data_preset if given.get("data") else "full")
    if preset not in experiment.presets:
        raise unknown_name("preset", preset, experiment.presets)
    given = parse_changes(experiment.settings, given)
    settings = from_dict(experiment.settings, {**experiment.presets[preset], **given})
    target = Path(folder)
    if only_report and not is_run(target):
        raise InputError(f"{target}: not the folder of an experiment, so there is nothing to report; leave out --only-report")
    with nullcontext() if only_report else one_writer(target):  # a page of what is done may be had at any time
        sources = [given["data"]] if given.get("data") else []
        _open_folder(target, name, to_dict(settings), overwrite=overwrite and not only_report, sources=sources)
        if only_report:
            made = do_last(experiment.steps(settings), target) / "report.html"
        else:
            folders = run_steps(experiment.steps, settings, target, workers=_possible(as_workers(workers), say), say=say)
            made = folders[list(folders)[-1]] / "report.html"
        for one in sorted(made.parent.glob("*.html")):  # with the pages that it links to
            with atomic_path(target / one.name, overwrite=True) as part:
                shutil.copyfile(one, part)
    return target / "report.html"


def _with_data() -> str:
    return ", ".join(name for name, (_, make) in EXPERIMENTS.items() if make().data_preset)


def _possible(workers: Workers, say: Callable[[str], None]) -> Workers:
    """The workers that were asked for; where no number was asked for and Dask is missing, this process, which is said."""
    if workers.count or workers.cluster or workers.here or find_spec("distributed"):
        return workers
    say("Dask is not installed, so this process does everything on one core; pip install 'taskct[dask]' to use all of them")
    return replace(workers, count=1)


def _open_folder(
    folder: Path, name: str, settings: Mapping[str, Any], *, overwrite: bool, sources: Sequence[str | os.PathLike[str]] = ()
) -> None:
    """A new folder, or one that this experiment began; its config.toml states the settings of the first call.

    With `overwrite` an experiment is replaced, no other run, and none that is or holds one of `sources`.
    """
    facts = {"experiment": {"name": name, **settings}}
    if is_run(folder):
        experiment = load_run(folder).config.get("experiment")
        if not isinstance(experiment, Mapping):
            raise OutputExistsError(f"{folder}: is a run of another kind, not of {name}; choose another name")
        if not overwrite and experiment.get("name") != name:
            raise OutputExistsError(
                f"{folder}: is a run of {experiment.get('name')}, not of {name}; choose another name, or --overwrite it"
            )
        if not overwrite:
            return
        refuse_sources(folder, sources)
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder}: is a file, and a folder is to be written; choose another name")
    if not is_run(folder) and folder.is_dir() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder}: exists already and is not a run folder; choose another name")
    Run.create(folder, facts, overwrite=overwrite)
    Records(folder)


def parse_changes(kind: Callable[..., Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for `kind` as the command line gives them: one value where a list is wanted stands for a list of one.

    >>> def settings(models: tuple[str, ...], seeds: int): ...
    >>> parse_changes(settings, {"models": "unet", "seeds": 3})
    {'models': ['unet'], 'seeds': 3}
    """
    lists = list_settings(kind)
    return {k: [v] if k in lists and not isinstance(v, list | tuple) else v for k, v in changes.items()}


def describe(names: Mapping[str, tuple[str, Any]] = EXPERIMENTS) -> str:
    """The experiments, a line each."""
    if not names:
        raise ConfigError("there is no experiment")
    width = max(map(len, names))
    return "\n".join(f"{name:<{width}}  {about}" for name, (about, _) in names.items())


def check_name(name: str | None) -> str:
    """The name that was given; InputError, with those there are, when none was."""
    if name is None:
        raise InputError(f"which experiment? one of {', '.join(EXPERIMENTS)} (taskct reproduce --list)")
    return name
