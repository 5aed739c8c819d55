"""A reader that knows the truth scores 1 everywhere, one that says nothing 0; what is kept is what was said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.core.runs import load_run
from taskct.systems.chest.bridge_scans import BridgeScans
from taskct.systems.chest.chest_classes import AREAS, FINDINGS, TRUTHS, WINDOW
from taskct.systems.chest.chest_net import ChestNetConfig
from taskct.systems.chest.chest_scores import scores_of
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.lung_crops import PARTS, PLACE, LungCrops
from taskct.systems.chest.reading_crops import Readings, read_crops
from taskct.task import FoundBoxes


class Knowing:
    """Answers of somebody who knows the marks of the images, which are asked for in order."""

    config = ChestNetConfig(neighbours=0)

    def __init__(self, images: Any) -> None:
        self.images, self.at = images, 0

    def answers(self, mu: Tensor) -> dict[str, Any]:
        rows = range(self.at, self.at + len(mu))
        self.at += len(mu)
        marks = [self.images.marks[i] for i in rows]
        maps = torch.stack([m.class_map(AREAS) for m in marks])
        logits = torch.stack([torch.nan_to_num(m.presence(FINDINGS)) for m in marks]) * 8 - 4
        areas = torch.nn.functional.one_hot(maps, len(AREAS) + 1).movedim(-1, 1).float()
        return {"classify": logits, "segment": areas, "restore": WINDOW(mu), "detect": {"rows": list(rows)}}

    def boxes(self, answer: Any, *, threshold: float = 0.02) -> list[FoundBoxes]:
        truths = [TRUTHS["detect"].of(self.images.marks[i], self.images.mu[i]) for i in answer["rows"]]
        return [FoundBoxes(t.corners, t.classes, 0.9 + 0.001 * t.corners[:, 0]) for t in truths]


class Silent(Knowing):
    def answers(self, mu: Tensor) -> dict[str, Any]:
        found = super().answers(mu)
        found["segment"] = torch.zeros_like(found["segment"])
        return {**found, "classify": torch.zeros_like(found["classify"])}

    def boxes(self, answer: Any, *, threshold: float = 0.02) -> list[FoundBoxes]:
        return [FoundBoxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0)) for _ in answer["rows"]]


def read(kind: type[Knowing], run: Path, settings: ChestExperiment) -> Readings:
    crops = LungCrops(run / "images")
    images = crops.images("test")
    return read_crops(
        kind(images),
        images,
        crops.lesions("test"),
        pixel_mm=settings.pixel_mm,
        slice_mm=settings.slice_mm,  # type: ignore[arg-type]
    )


def test_who_knows_the_truth_scores_1_and_who_is_silent_0(tiny_run: Path, tiny_settings: ChestExperiment) -> None:
    perfect, silent = (scores_of(read(kind, tiny_run, tiny_settings)) for kind in (Knowing, Silent))
    every = np.ones(3)
    for name in (
        "AUC infection",
        "Dice ground glass",
        "pooled Dice nodule",
        "AP10 nodule",
        "AP50 nodule",
        "AP50 infection",
        "FROC nodule, slices",
    ):
        assert perfect[name](every) == pytest.approx(1.0), name
    assert perfect["CPM nodule, reach of a slice"](every) > 0.9  # slices lie further apart than small nodules are wide
    assert perfect["Dice nodules >= 8 mm"](every) == pytest.approx(1.0) and perfect["PSNR"](every) > 60
    assert perfect["SSIM"](every) == pytest.approx(1.0) and perfect["HU bias"](every) == pytest.approx(0.0)
    for name in ("Dice ground glass", "AP10 nodule", "FROC nodule, slices", "CPM nodule", "Dice nodules >= 8 mm"):
        assert silent[name](every) == 0.0, name
    assert silent["AUC infection"](every) == 0.5


def test_weights_leave_patients_out(tiny_run: Path, tiny_settings: ChestExperiment) -> None:
    readings = read(Knowing, tiny_run, tiny_settings)
    only = scores_of(readings)["PSNR"](np.array([1.0, 0.0, 0.0]))
    assert readings.restored is not None and only == pytest.approx(float(readings.restored[readings.owner == 0].mean()))


def test_readings_come_back_as_they_were_kept(tiny_run: Path, tiny_settings: ChestExperiment, tmp_path: Path) -> None:
    readings = read(Knowing, tiny_run, tiny_settings)
    readings.save(tmp_path / "kept")
    again = Readings.read(tmp_path / "kept")
    every = np.ones(3)
    for name, score in scores_of(readings).items():
        assert scores_of(again)[name](every) == pytest.approx(score(every), nan_ok=True), name


def test_crops_lie_where_they_say_and_hold_the_lesions_that_are_recorded(
    tiny_run: Path, tiny_settings: ChestExperiment
) -> None:
    crops = LungCrops(tiny_run / "images")
    images, lesions = crops.images("test"), crops.lesions("test")
    places, pixel = images.targets[PLACE], tiny_settings.pixel_mm
    checked = 0
    for i, marks in enumerate(images.marks):
        assert marks is not None
        for n in marks.numbers(AREAS["nodule"]):
            one = lesions[images.patient_ids[i]][n - 1]
            rows, cols = np.where(marks.instances.numpy() == n)
            y, x = float(places[i][1]) + pixel * rows.mean(), float(places[i][2]) + pixel * cols.mean()
            away = np.hypot(y - one["centre_mm"][1], x - one["centre_mm"][2])
            assert (
                away < 0.75 * one["diameter_mm"] + pixel
                and abs(float(places[i][0]) - one["centre_mm"][0]) < one["diameter_mm"]
            )
            checked += 1
    assert checked > 2 and len(images) == 3 * 2 * tiny_settings.slices
    hu = images.mu[:, 0] / 0.0193 * 1000 - 1000
    assert 0.2 < float((hu < -600).float().mean()) < 0.9


@pytest.mark.parametrize(("step", "of"), [("images", LungCrops), ("bridge-scans", BridgeScans)])
def test_crops_that_are_made_anew_in_their_folder_are_read_anew(
    tiny_run: Path, tmp_path: Path, step: str, of: type[LungCrops | BridgeScans]
) -> None:
    shutil.copytree(tiny_run / step, tmp_path / step)
    run, found = load_run(tmp_path / step), of(tmp_path / step)
    before, parts = found.images("test"), run.read_json(PARTS)
    assert found.images("test") is before
    run.write_json(PARTS, {**parts, "test": parts["test"][1:]}, overwrite=True)
    assert set(before.patient_ids) == set(parts["test"]) and set(found.images("test").patient_ids) == set(parts["test"][1:])
