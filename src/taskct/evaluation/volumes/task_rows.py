"""Tasks that are read from a result by a linear reader, and the same reader of the radiographs themselves as the control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.evaluation.rows import Row
from taskct.evaluation.volumes.linear_reader import LinearReader, film_features
from taskct.evaluation.volumes.roc_area import auc_values
from taskct.evaluation.volumes.volume_metrics import CLASS, NUMBER
from taskct.evaluation.volumes.volume_table import VolumeCases

FILM_READER = "reader of the radiographs"
_FEWEST = 3  # of each class, among the cases to learn from


def vault_features(mu: Tensor, cases: VolumeCases) -> Tensor:
    """Volumes (N, 1, Z, Y, X) in 1/mm as features (N, F): the maps of their vaults."""
    return torch.stack([m.features for m in cases.maps_of(mu)])


def fit_task_readers(features: Tensor, targets: Mapping[str, Tensor]) -> dict[str, LinearReader]:
    """A reader for each target: bool (N,) for a class (a suture that is open), numbers (N,) for a size.

    A class with fewer than three cases on one side has no reader: it is left out, and its rows with it. A NaN target leaves
    that case out.
    """
    readers = {}
    for name, target in targets.items():
        if len(target) != len(features):
            raise InputError(f"task {name!r} expects a target for each of {len(features)} cases, got {len(target)}")
        values = target.double()
        known = torch.isfinite(values)
        if target.dtype == torch.bool and min(int(target.sum()), int((~target).sum())) < _FEWEST:
            continue
        if bool((values[known] == values[known][:1]).all()):
            continue
        readers[name] = LinearReader.fit(features[known], values[known])
    return readers


def task_rows(
    method: str,
    features: Tensor,
    targets: Mapping[str, Tensor],
    readers: Mapping[str, LinearReader],
    cases: VolumeCases,
    *,
    seed: int | None = None,
) -> list[Row]:
    """Rows of what the readers make of a method's features (N, F) of the test cases.

    Classes give rows `auc: NAME` (values per case whose mean is the AUC), numbers `read: NAME` (absolute errors). A class that
    the test cases do not have on both sides gives none.
    """
    rows: list[Row] = []
    for name, reader in readers.items():
        answer, target = reader(features), targets[name]
        if target.dtype == torch.bool:
            values = auc_values(answer, target)
            if len(values):
                rows += cases.rows(method, CLASS + name, values.tolist(), seed=seed)
            continue
        rows += cases.rows(method, NUMBER + name, (answer - target.double()).abs().tolist(), seed=seed)
    return rows


def film_rows(
    p_train: Tensor, targets_train: Mapping[str, Tensor], targets: Mapping[str, Tensor], cases: VolumeCases
) -> list[Row]:
    """The control: rows of `FILM_READER`, fitted on radiographs p_train (N, 1, V, R, C) and scored on those of `cases`."""
    readers = fit_task_readers(film_features(p_train), targets_train)
    return task_rows(FILM_READER, film_features(cases.p), targets, readers, cases)


def skull_targets(facts: Sequence[Mapping[str, object]]) -> dict[str, Tensor]:
    """What skulls of `Cohort("skull")` are labelled with, from their `facts`, as targets of readers.

    Classes: each suture open, craniosynostosis of any kind, fontanelle open. Numbers: cranial index in percent, asymmetry in
    percent, fontanelle in mm2, age in months.
    """
    numbers = lambda name, scale=1.0: torch.tensor([scale * float(f[name]) for f in facts])  # type: ignore[arg-type]
    sutures = ("sagittal", "coronal left", "coronal right", "lambdoid left", "lambdoid right", "metopic")
    open_ = {f"{s} suture open": torch.tensor([s in f["sutures_mm"] for f in facts]) for s in sutures}  # type: ignore[operator]
    fused = torch.tensor([f["kind"] not in ("none", "positional") for f in facts])
    return open_ | {
        "craniosynostosis": fused,
        "fontanelle open": numbers("fontanelle_mm2") > 0,
        "cranial index": numbers("cranial_index", 100.0),
        "asymmetry": numbers("asymmetry", 100.0),
        "fontanelle mm2": numbers("fontanelle_mm2"),
        "age months": numbers("age_months"),
    }
