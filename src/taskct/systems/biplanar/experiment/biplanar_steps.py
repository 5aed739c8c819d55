"""The graph of the bi-planar experiment, in the order in which its results are worth most."""

from __future__ import annotations

from pathlib import Path

from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.biplanar_summary import gather
from taskct.systems.biplanar.experiment.biplanar_trainings import learned, train_bone_reader, train_network
from taskct.systems.biplanar.experiment.network_rows import ROWS, Training
from taskct.systems.biplanar.experiment.plain_rows import PLAIN, Method
from taskct.systems.biplanar.experiment.row_scores import (
    RowScores,
    score_network,
    score_package,
    score_plain,
    score_truth,
)
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, save_skulls
from taskct.task import FrozenTask
from taskct.task.readers import load_reader

_DATA = (
    "train_skulls", "validation_skulls", "test_skulls", "second_skulls", "age_months", "size", "factor", "field_mm", "seed",
)  # fmt: skip
_SCAN = ("views", "source_iso_mm", "source_detector_mm", "detector_mm", "geometries", "photons")
_TRAINED = (*_SCAN, "steps", "batch", "lr")
_SCORED = (*_SCAN, "doses", "pose_errors", "examples")
_STEP_S, _DRAWN_S, _SCORE_S = 0.1, 0.6, 15.0  # of a core: a step of "smear", a skull of 64 voxels, a row, at 32 voxels


def biplanar_steps(settings: BiPlanar) -> list[Step]:
    """All steps: a stop at any time leaves the table of what is done, and more rows or seeds only add to it."""
    plan = _Plan(settings)
    plan.scores.append(
        plan.step(
            "row-truth",
            call(score_truth, settings=settings, skulls=plan.skulls),
            RowScores.read,
            uses=_SCAN,
            about="what the grid itself costs; readers of the radiographs alone",
            cost=plan.volume * _SCORE_S,
        )
    )
    for row in PLAIN:
        if row in settings.plain:
            plan.plain(row)
    for name in settings.package:
        plan.package(name)
    for training in settings.trainings:
        plan.network(training)
    for views in settings.view_counts:
        plan.network(Training(settings.main_nets[0]), views=views)
    plan.step(
        "report",
        call(gather, settings=settings, skulls=plan.skulls, scores=plan.scores),
        Path,
        about="tables, figures, page",
        cost=plan.volume * 5,
        always=True,
    )
    return list(plan.steps.values())


class _Plan(Plan[BiPlanar]):
    """The steps, and handles of what they make."""

    def __init__(self, settings: BiPlanar) -> None:
        super().__init__(settings)
        self.volume = 16.0 * settings.size / 32  # costs are told for 32 voxels, and grow with the cube of the size
        self.scores: list[Made[RowScores]] = []
        count = sum(settings.patients.values()) + settings.second_skulls
        self.skulls = self.step(
            "skulls",
            call(save_skulls, settings=settings),
            Skulls,
            uses=_DATA,
            about="drawing the skulls",
            cost=self.volume * _DRAWN_S * count,
        )

    def plain(self, row: str) -> None:
        """A row without a network."""
        made = self.step(
            f"row-{row}",
            call(score_plain, settings=self.settings, skulls=self.skulls, row=row),
            RowScores.read,
            uses=_SCORED,
            about=f"{PLAIN[row].label} under all conditions",
            cost=self.volume * (_SCORE_S + 6 * PLAIN[row].cost),
        )
        self.scores.append(made)

    def package(self, name: str) -> None:
        """A network of the package."""
        made = self.step(
            f"row-package-{name}",
            call(score_package, settings=self.settings, skulls=self.skulls, name=name),
            RowScores.read,
            uses=_SCORED,
            about=f"{name}, which comes with the package, under all conditions",
            cost=self.volume * _SCORE_S,
        )
        self.scores.append(made)

    def network(self, training: Training, *, views: int = 0) -> None:
        """A training and its row."""
        s, row = self.settings, ROWS[training.row]
        name = f"{training.name}-v{views}" if views else training.name
        trained: Made[Method] = self.step(
            name,
            call(
                train_network,
                settings=s,
                skulls=self.skulls,
                training=training,
                reader=self._reader() if row.objective == "reader" else None,
                views=views,
            ),
            learned,
            uses=_TRAINED,
            about=f"{training.label} learns, {s.steps} steps",
            cost=self.volume * _STEP_S * row.cost * s.steps * s.batch / 4,
        )
        label = f"{training.label}, {views} views" if views else training.label
        made = self.step(
            f"row-{name}",
            call(score_network, settings=s, skulls=self.skulls, label=label, of=trained, seed=training.seed, views=views),
            RowScores.read,
            uses=_SCORED,
            about=f"{label} under all conditions",
            cost=self.volume * _SCORE_S,
        )
        self.scores.append(made)

    def _reader(self) -> Made[FrozenTask]:
        """The bone reader of the losses."""
        return self.step(
            "bone-reader",
            call(train_bone_reader, settings=self.settings, skulls=self.skulls),
            load_reader,
            uses=("reader_steps", "batch", "lr"),
            about=f"a reader learns to tell bone, {self.settings.reader_steps} steps",
            cost=self.volume * 0.2 * self.settings.reader_steps,
        )
