"""The graph of the bi-planar experiment, in the order in which its results are worth most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taskct.experiments.made import Call, Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.biplanar_summary import gather
from taskct.systems.biplanar.experiment.biplanar_trainings import learned, train_bone_reader, train_network
from taskct.systems.biplanar.experiment.learning_curves import read_curve
from taskct.systems.biplanar.experiment.method_source import MethodSource
from taskct.systems.biplanar.experiment.network_rows import ROWS, Training
from taskct.systems.biplanar.experiment.plain_rows import PLAIN, Method
from taskct.systems.biplanar.experiment.reading_rows import read_films, read_method, save_reading_skulls
from taskct.systems.biplanar.experiment.refined_rows import score_refined
from taskct.systems.biplanar.experiment.row_scores import (
    RowScores,
    score_network,
    score_package,
    score_plain,
    score_truth,
    views_label,
)
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, save_skulls
from taskct.systems.biplanar.experiment.spread_rows import score_ensemble, score_population_spread
from taskct.systems.biplanar.pages.biplanar_story import Curve
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
    plan.truth()
    for row in PLAIN:
        if row in settings.plain:
            plan.plain(row)
    for name in settings.package:
        plan.package(name)
    for training in settings.trainings:
        plan.network(training)
    plan.spreads()
    plan.refined()
    plan.readings()
    for views in settings.view_counts:
        for row in settings.few_view_plain:
            plan.plain(row, views=views)
        plan.network(Training(settings.main_nets[0]), views=views)
    plan.step(
        "report",
        call(gather, settings=settings, skulls=plan.skulls, scores=plan.scores, more=plan.more, curves=plan.curves),
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
        self.scores: list[Made[RowScores]] = []  # of rows under all conditions
        self.more: list[Made[RowScores]] = []  # what is added to these rows: readings, spreads, refined poses
        self.curves: dict[str, Made[Curve]] = {}
        self.sources: dict[tuple[str, int], MethodSource] = {}  # by row and seed
        count = sum(settings.patients.values()) + settings.second_skulls
        self.skulls = self.step(
            "skulls",
            call(save_skulls, settings=settings),
            Skulls,
            uses=_DATA,
            about="drawing the skulls",
            cost=self.volume * _DRAWN_S * count,
        )

    def truth(self) -> None:
        """What the grid itself costs."""
        self.scores.append(
            self.step(
                "row-truth",
                call(score_truth, settings=self.settings, skulls=self.skulls),
                RowScores.read,
                uses=_SCAN,
                about="what the grid itself costs",
                cost=self.volume * _SCORE_S,
            )
        )

    def plain(self, row: str, *, views: int = 0) -> None:
        """A row without a network; with another number of views on the test skulls alone."""
        name = f"row-{row}-v{views}" if views else f"row-{row}"
        made = self.step(
            name,
            call(score_plain, settings=self.settings, skulls=self.skulls, row=row, views=views),
            RowScores.read,
            uses=_SCORED,
            about=f"{views_label(PLAIN[row].label, views)} on the test skulls"
            if views
            else f"{PLAIN[row].label} under all conditions",
            cost=self.volume * (_SCORE_S + (1 if views else 6) * PLAIN[row].cost),
        )
        self.scores.append(made)
        if not views:
            self.sources[row, 0] = MethodSource(PLAIN[row].label, made, plain=row)

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
        self.sources[name, 0] = MethodSource(name, made, package=name)

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
        label = views_label(training.label, views)
        made = self.step(
            f"row-{name}",
            call(score_network, settings=s, skulls=self.skulls, label=label, of=trained, seed=training.seed, views=views),
            RowScores.read,
            uses=_SCORED,
            about=f"{label} under all conditions",
            cost=self.volume * _SCORE_S,
        )
        self.scores.append(made)
        self.curves[f"{label}, seed {training.seed}"] = trained.read_as(read_curve)
        if not views:
            self.sources[training.row, training.seed] = MethodSource(label, made, trained=trained, seed=training.seed)

    def spreads(self) -> None:
        """Whether spreads mean what they say: of the Gaussian model, for each main row; of several trainings."""
        s, apart = self.settings, self._reading()
        gaussian = self.sources.get(("gaussian", 0))
        for row in ("gaussian", *s.package, *s.main_nets):
            source = self.sources.get((row, 0))
            if source is not None and gaussian is not None:
                work = call(
                    score_population_spread, settings=s, skulls=self.skulls, apart=apart, source=source, gaussian=gaussian
                )
                self._more(f"spread-{row}", work, about=f"the population's spread for {source.label}")
            members = [found for (of, _), found in self.sources.items() if of == row]
            if len(members) > 1:
                work = call(score_ensemble, settings=s, skulls=self.skulls, apart=apart, members=members)
                self._more(f"ensemble-{len(members)}-{row}", work, about=f"{len(members)} trainings of {members[0].label}")

    def refined(self) -> None:
        """Rows that refine wrong poses themselves."""
        s = self.settings
        for row in s.refined:
            source = self.sources.get((row, 0))
            if source is not None and s.pose_errors:
                work = call(score_refined, settings=s, skulls=self.skulls, source=source)
                self._more(f"refined-{row}", work, about=f"{source.label} refines the poses", cost=5, uses=_SCORED)

    def readings(self) -> None:
        """What readers make of radiographs and volumes."""
        s, reading = self.settings, self._reading()
        if reading is None:
            return
        work = call(read_films, settings=s, skulls=self.skulls, reading=reading)
        self._more("reading-radiographs", work, about="readers of the radiographs alone, and of the truth")
        for (row, seed), source in self.sources.items():
            if seed == 0 and (row not in PLAIN or PLAIN[row].sees):
                work = call(read_method, settings=s, skulls=self.skulls, reading=reading, source=source)
                self._more(f"reading-{row}", work, about=f"readers of {source.label}")

    def _reading(self) -> Made[Skulls] | None:
        """Skulls that no method learns from; None where none are asked for."""
        s = self.settings
        if not s.reading_skulls:
            return None
        return self.step(
            "reading-skulls",
            call(save_reading_skulls, settings=s),
            Skulls,
            uses=(*_DATA, "reading_skulls"),
            about="drawing skulls that no method learns from",
            cost=self.volume * _DRAWN_S * s.reading_skulls,
        )

    def _more(
        self, name: str, work: Call, *, about: str, cost: float = 1.0, uses: Sequence[str] = (*_SCAN, "examples")
    ) -> None:
        made = self.step(name, work, RowScores.read, uses=uses, about=about, cost=self.volume * _SCORE_S * cost)
        self.more.append(made)

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
