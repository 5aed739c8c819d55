"""The networks of the package, judged on built-in patients that no training saw: the experiment without its trainings.

Patients, their number and the seed were fixed before any of these networks had read them: patients of another seed than
those of all trainings and of the figures on the cards. The page says whatever comes out. Forty patients are those of the
published table, whose intervals at the lower dose (0.025 on each side of 0.070 for Learned Primal-Dual with the label loss,
0.031 on each side of 0.043 for FBP + U-Net with the feature loss) give a power of more than 0.99 and of 0.78 for such gains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from taskct.core.errors import InputError
from taskct.core.files import make_folder, write_text
from taskct.core.open_files import read_json
from taskct.core.runs import Run, is_run, load_run
from taskct.evaluation.reading import UNTRAINED
from taskct.experiments.cohort_images import DrawnPatients, cohort_of, keep_images
from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.models import open_model
from taskct.recon.learned import load_reconstructor
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.adaptive.experiment.adaptive_arms import Arm
from taskct.systems.adaptive.experiment.adaptive_presets import NETWORKS
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.adaptive_steps import FBP
from taskct.systems.adaptive.experiment.adaptive_summary import gathered, write_story
from taskct.systems.adaptive.experiment.adaptive_trainings import smooth_fbp
from taskct.systems.adaptive.experiment.scoring import FULL_DOSE, Method, Scores, score
from taskct.task import FrozenTask
from taskct.task.readers import load_reader

READERS_OF_PACKAGE: Mapping[str, str] = {
    "unet_small": "abdomen-reader", "unet_thin": "abdomen-reader-thin", "residual_fast": "abdomen-reader-residual",
}  # fmt: skip
"""Of READERS -> the network that comes with the package; the first one was in the losses."""

NETWORKS_OF_PACKAGE: Mapping[Arm, str] = {
    Arm("unet", "plain"): "abdomen-unet",
    Arm("lpd", "plain"): "abdomen-lpd",
    Arm("unet", "feature"): "abdomen-unet-feature",
    Arm("lpd", "label-0.9"): "abdomen-lpd-label",
}

DEMO: Mapping[str, Any] = {**NETWORKS, "test_patients": 40, "seed": 1}
_NOTED = "networks.json"
_DATA = ("validation_patients", "test_patients", "slices", "size", "width_mm", "views", "photons", "seed")


def network_demo_steps(settings: TaskAdaptive) -> list[Step]:
    """Draw the patients, score every network, and gather the page."""
    plan = Plan(settings)
    images = plan.step(
        "images", call(save_unseen, settings=settings), DrawnPatients, uses=_DATA, about="drawing unseen patients",
        cost=60,
    )  # fmt: skip
    networks = plan.step("networks", call(note_networks), Path, about="looking up the networks of the package", cost=1)
    readers = {net: networks.read_as(partial(_reader, READERS_OF_PACKAGE[net])) for net in settings.readers}
    scores: list[Made[Scores]] = []

    def scored(step: str, method: str, of: Method, seed: int = UNTRAINED) -> None:
        work = call(score, settings=settings, images=images, readers=readers, method=method, of=of, own=None, seed=seed)
        made = plan.step(
            f"scores-{step}", work, Scores.read, uses=("audit", "photons"), about=f"{method} is read by all readers", cost=80
        )
        scores.append(made)

    for arm, name in NETWORKS_OF_PACKAGE.items():
        scored(name, arm.method, networks.read_as(partial(_network, name)), arm.seed)
    scored("fbp", FBP, smooth_fbp)
    scored("full-dose", FULL_DOSE, None)
    plan.step(
        "report",
        call(gather_demo, settings=settings, images=images, networks=networks, scores=scores),
        Path,
        about="tables, figures, page",
        cost=20,
        always=True,
    )
    return list(plan.steps.values())


def save_unseen(folder: Path, *, settings: TaskAdaptive) -> None:
    """Draw the patients of validation, who tune one bias per reader, and of the test."""
    run = load_run(folder) if is_run(folder) else Run.create(folder, {"patients": settings.patients})
    for part in ("validation", "test"):
        keep_images(run, part, cohort_of(settings).images(part, progress=False))


def note_networks(folder: Path) -> None:
    """Write down which networks are judged: names, commits and hashes of their weights."""
    make_folder(folder)
    write_text(folder / _NOTED, json.dumps(_networks_now(), indent=1) + "\n", overwrite=True)


def _networks_now() -> dict[str, dict[str, str]]:
    found = {}
    for name in (*READERS_OF_PACKAGE.values(), *NETWORKS_OF_PACKAGE.values()):
        card = open_model(name).card
        found[name] = {} if card is None else {"commit": card.commit, "weights_sha256": card.weights_sha256}
    return found


def gather_demo(
    folder: Path,
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    networks: Made[Path],
    scores: Sequence[Made[Scores]],
) -> None:
    """Write report.html and the tables from the scores that are there; InputError where those are of other networks."""
    noted = read_json(networks.folder / _NOTED)
    other = [name for name, facts in _networks_now().items() if noted.get(name) != facts]
    if other:
        raise InputError(
            f"{folder.parent}: was begun with other networks than this taskct has ({', '.join(other[:3])}); choose another "
            "folder, or --overwrite it"
        )
    story, spectra = gathered(settings=settings, images=images, trained=(), scores=scores, bounds=())
    shown = [FULL_DOSE, FBP, *(arm.method for arm in NETWORKS_OF_PACKAGE)]
    notes = {
        **{name: words for name, words in story.notes.items() if name not in ("joint, sequential", "controls")},
        "readers": f"{settings.reader} in the losses; never seen by a training: {', '.join(settings.readers[1:])}; "
        f"{settings.reader_steps} steps on full dose each",
        "controls": "in the panel a random reader and shuffled labels",
        "patients": f"{settings.test_patients} built-in abdomens of seed {settings.seed}, {settings.slices} slices each, "
        f"{settings.size} x {settings.size} pixels; all trainings had patients of other seeds; fixed before any reading",
        "networks": "those that come with the package (taskct models show NAME): "
        + ", ".join((*READERS_OF_PACKAGE.values(), *NETWORKS_OF_PACKAGE.values())),
    }
    write_story(
        folder,
        replace(story, shown=shown, notes=notes),
        spectra,
        title="Are tumours outlined better after task-aware training?",
    )


def _network(name: str, folder: Path) -> Reconstructor:
    return load_reconstructor(name)


def _reader(name: str, folder: Path) -> FrozenTask:
    return load_reader(name)
