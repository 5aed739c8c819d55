"""The steps that read tasks: readers learn on skulls of their own what a method makes, and read its test volumes.

The reader of the radiographs themselves learns on the same skulls: a volume made of two radiographs holds no more than
they do.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from taskct.evaluation.rows import Row
from taskct.evaluation.volumes import (
    TRUTH,
    VolumeCases,
    film_rows,
    fit_task_readers,
    skull_targets,
    task_rows,
    vault_features,
)
from taskct.experiments.made import Made
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of
from taskct.systems.biplanar.experiment.method_source import MethodSource
from taskct.systems.biplanar.experiment.row_scores import write_scores
from taskct.systems.biplanar.experiment.shared_skulls import READING, Skulls, save_skulls


def save_reading_skulls(folder: Path, *, settings: BiPlanar) -> None:
    """Draw the skulls that readers learn on."""
    save_skulls(folder, settings=settings, parts=(READING,))


def read_films(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], reading: Made[Skulls]) -> None:
    """The two ends of what can be read: from the radiographs alone, and from the true volumes."""
    learn, test = _cases(settings, skulls, reading)
    targets = [skull_targets(one.load().facts(part)) for one, part in ((reading, READING), (skulls, "test"))]
    rows = film_rows(learn.p, targets[0], targets[1], test)
    rows += _rows(TRUTH, learn.truth, test.truth, learn, test, targets)
    write_scores(folder, rows, test, {"method": TRUTH}, {})


def read_method(
    folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], reading: Made[Skulls], source: MethodSource
) -> None:
    """What readers make of a method's own volumes, without agreement afterwards."""
    learn, test = _cases(settings, skulls, reading)
    targets = [skull_targets(one.load().facts(part)) for one, part in ((reading, READING), (skulls, "test"))]
    method = source.method(skulls.load(), settings)
    with torch.no_grad():
        made, shown = method(learn.p, learn.A), method(test.p, test.A)
    rows = _rows(source.label, made, shown, learn, test, targets, seed=source.seed)
    write_scores(folder, rows, test, {"method": source.label}, {})


def _cases(settings: BiPlanar, skulls: Made[Skulls], reading: Made[Skulls]) -> tuple[VolumeCases, VolumeCases]:
    learn = cases_of(reading.folder, settings, READING, settings.views)
    return learn, cases_of(skulls.folder, settings, "test", settings.views)


def _rows(  # noqa: PLR0917
    label: str,
    made: Tensor,
    shown: Tensor,
    learn: VolumeCases,
    test: VolumeCases,
    targets: list[dict[str, Tensor]],
    *,
    seed: int | None = None,
) -> list[Row]:
    readers = fit_task_readers(vault_features(made, learn), targets[0])
    return task_rows(label, vault_features(shown, test), targets[1], readers, test, seed=seed)
