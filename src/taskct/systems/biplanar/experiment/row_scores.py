"""The steps that score: one row under all conditions, alone and after agreement, with volumes kept for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import InputError, unknown_name
from taskct.core.names import plural
from taskct.core.open_files import read_json
from taskct.core.runs import Run
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_hu
from taskct.evaluation.rows import Row
from taskct.evaluation.table import Table
from taskct.evaluation.volumes import (
    TRUTH,
    VolumeCases,
    bone_dice,
    check_against_atlas,
    psnr3d,
    reliability,
    reprojection_rms,
    score_volumes,
    volume_table,
)
from taskct.experiments.made import Made
from taskct.models import open_model
from taskct.models.package_models import shipped_models
from taskct.recon.agree import agree
from taskct.recon.learned import load_reconstructor
from taskct.recon.population import GaussianPopulation
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.biplanar_trainings import one_device
from taskct.systems.biplanar.experiment.conditions import cases_of, conditions
from taskct.systems.biplanar.experiment.plain_rows import PLAIN, Method
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, mean_skull

AGREED = " + agreement"
AGREE_STEPS = 20
_ABOUT = "about.json"


@dataclass(frozen=True)
class RowScores:
    """What a scoring step writes: the table of one row under all conditions, facts about it, and volumes for the page."""

    table: Table
    about: Mapping[str, Any]
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> RowScores:
        """The scores in the folder of a step."""
        return cls(Table.read(folder), read_json(folder / _ABOUT), folder)


def score_truth(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls]) -> None:
    """What the grid itself costs: the truth's own re-projection."""
    cases = cases_of(skulls.folder, settings, "test", settings.views)
    rows = score_volumes(TRUTH, cases.truth, cases)
    write_scores(folder, rows, cases, {"method": TRUTH}, {})


def views_label(label: str, views: int) -> str:
    """The name of a row with another number of views.

    >>> views_label("SIRT", 1), views_label("SIRT", 4), views_label("SIRT", 0)
    ('SIRT, 1 view', 'SIRT, 4 views', 'SIRT')
    """
    return f"{label}, {plural(views, 'view')}" if views else label


def score_plain(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], row: str, views: int = 0) -> None:
    """A row that learns no network; its setting, if it has one, is chosen on validation skulls."""
    drawn, plain = skulls.load(), PLAIN[row]
    population = drawn.radiographs("train", settings).truth
    about: dict[str, Any] = {}
    value = 0.0
    if plain.choice is not None:
        check = cases_of(drawn.folder, settings, "validation", views or settings.views)
        tried = {
            v: float(psnr3d(check.hu(plain.make(population, v)(check.p, check.A)), check.truth_hu).mean())
            for v in plain.choice.values
        }
        value = max(tried, key=lambda v: tried[v])
        about = {plain.choice.name: value, "tried": {f"{v:g}": score for v, score in tried.items()}}
    method = plain.make(population, value)
    if isinstance(method, GaussianPopulation):
        check = cases_of(drawn.folder, settings, "validation", views or settings.views)
        method = method.calibrated(check.truth, check.p, check.A)
    score_method(
        folder,
        settings=settings,
        drawn=drawn,
        label=views_label(plain.label, views),
        method=method,
        views=views,
        about=about,
    )


def score_network(
    folder: Path,
    *,
    settings: BiPlanar,
    skulls: Made[Skulls],
    label: str,
    of: Made[Method],
    seed: int,
    views: int = 0,
) -> None:
    """A network's row; whether it says anything beyond the mean skull stands in its facts."""
    score_method(
        folder, settings=settings, drawn=skulls.load(), label=label, method=of.load(), seed=seed, views=views
    )  # fmt: skip


def score_package(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], name: str) -> None:
    """A network that comes with the package; InputError for a name that none has."""
    method, card = package_method(name), open_model(shipped_models()[name]).card
    learnt_from = 0 if card is None else sum(one.patients for one in card.training_data)
    about = {"package": name, "learnt_from": learnt_from}
    score_method(folder, settings=settings, drawn=skulls.load(), label=name, method=method, about=about)


def package_method(name: str) -> Method:
    """A network that comes with the package, as a method; InputError for a name that none has."""
    models = shipped_models()
    if name not in models:
        raise unknown_name("network of the package", name, models, InputError)
    return one_device(load_reconstructor(models[name]))


def score_method(
    folder: Path,
    *,
    settings: BiPlanar,
    drawn: Skulls,
    label: str,
    method: Method,
    seed: int | None = None,
    views: int = 0,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write table.csv, about.json and examples.safetensors of one method under all conditions."""
    rows: list[Row] = []
    facts: dict[str, Any] = {"method": label, "seed": seed, **(about or {})}
    kept: dict[str, Tensor] = {}
    main: VolumeCases | None = None
    for condition in conditions(drawn.folder, settings, views=views):
        cases = condition.cases
        with torch.no_grad():
            mu = method(cases.p, cases.A)
        finished = {label: mu, label + AGREED: agree(mu, cases.p, cases.A, steps=AGREE_STEPS)}
        for name, volumes in finished.items():
            scored = score_volumes if condition.full else score_briefly
            rows += scored(condition.method(name), volumes, cases, seed=seed)
        if condition.full:
            main = cases
            facts |= _facts(method, mu, cases, mean_skull(drawn, settings))
            for name, volumes in finished.items():
                kept[name] = to_hu(volumes[: settings.examples]).half()
        elif condition.name and mu.shape == main.truth.shape:  # type: ignore[union-attr]
            kept[f"{condition.name}@{label}"] = to_hu(mu[: settings.examples]).half()
    assert main is not None
    write_scores(folder, rows, main, facts, kept)


def score_briefly(method: str, mu: Tensor, cases: VolumeCases, *, seed: int | None = None) -> list[Row]:
    """Rows of the metrics that tell conditions apart: PSNR3D, bone Dice, re-projection."""
    hu = cases.hu(mu)
    values = {
        "psnr3d": psnr3d(hu, cases.truth_hu, window=cases.window),
        "bone_dice": bone_dice(hu, cases.truth_hu),
        "reprojection_rms": reprojection_rms(mu, cases.p, cases.A),
    }
    return [row for name, found in values.items() for row in cases.rows(method, name, found.tolist(), seed=seed)]


def _facts(method: object, mu: Tensor, cases: VolumeCases, atlas: Tensor) -> dict[str, Any]:
    """Whether the method is the atlas, and how its spread agrees with its error where it has one."""
    check = check_against_atlas(mu, cases.truth, atlas, cases.case_ids, mu_water_per_mm=MU_WATER_70KEV_PER_MM)
    facts: dict[str, Any] = {"atlas": check.text, "equals_atlas": check.equals_atlas}
    if isinstance(method, GaussianPopulation):
        spread = method.spread(cases.A).expand_as(mu)
        curve = reliability(spread, mu, cases.truth)
        facts["spread"] = {
            "ratio": curve.ratio, "within": list(curve.within), "spread": list(curve.spread), "error": list(curve.error)
        }  # fmt: skip
    return facts


def write_scores(
    folder: Path, rows: Sequence[Row], cases: VolumeCases, about: Mapping[str, Any], kept: Mapping[str, Tensor]
) -> None:
    """Write table.csv, about.json, and examples.safetensors where volumes are kept."""
    plain = {k: v for k, v in about.items() if v is not None}
    run = Run.create(folder, {"row": plain["method"]}, overwrite=folder.exists())
    volume_table(rows, cases).save(run.folder, overwrite=True)
    run.write_json(_ABOUT, about, overwrite=True)
    if kept:
        run.save_tensors("examples.safetensors", kept, metadata={"names": json.dumps(list(kept))}, overwrite=True)
