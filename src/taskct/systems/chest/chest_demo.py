"""The network of the package reads built-in chests that no training saw: findings, boxes, areas, and how right they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.models import open_model
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import TASKS
from taskct.systems.chest.chest_net import ChestReader, load_reader
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_steps import DATA
from taskct.systems.chest.chest_summary import gather
from taskct.systems.chest.lung_crops import LungCrops, draw_crops
from taskct.systems.chest.reading_crops import Readings, read_crops

CHEST_OF_PACKAGE = "chest-four-heads"
DEMO: Mapping[str, Any] = {
    "train_patients": 0,
    "validation_patients": 0,
    "test_patients": 8,
    "steps": 0,
    "bridge_steps": 0,
    "seed": 1,
}


def chest_demo_steps(settings: ChestExperiment) -> list[Step]:
    """Paint the patients, read them, gather the page."""
    plan = Plan(settings)
    patients = sum(settings.part_sizes.values())
    images = plan.step(
        "images",
        call(draw_crops, settings=settings),
        LungCrops,
        uses=DATA,
        about=f"painting {patients} unseen chests",
        cost=40,
    )
    readings = plan.step(
        "readings",
        call(read_package, settings=settings, images=images),
        Readings.read,
        about=f"{CHEST_OF_PACKAGE} reads them",
        cost=30,
    )
    arm = Arm(TASKS, steps=trained_steps(), name="package")
    work = call(
        gather,
        settings=settings,
        readings={"package": readings},
        arms={"package": arm},
        bridge={},
        images=images,
        first=readings.read_as(_network),
    )
    plan.step("report", work, Path, about="page", cost=10, always=True)
    return list(plan.steps.values())


def read_package(folder: Path, *, settings: ChestExperiment, images: Made[LungCrops]) -> None:
    """What the network of the package says of the test patients."""
    crops = images.load()
    found = read_crops(
        load_reader(CHEST_OF_PACKAGE),
        crops.images("test"),
        crops.lesions("test"),
        pixel_mm=settings.pixel_mm,
        slice_mm=settings.slice_mm,
    )
    found.save(folder)


def trained_steps() -> int:
    """Steps of the training of the network of the package, by its card; 0 where it has none."""
    card = open_model(CHEST_OF_PACKAGE).card
    return 0 if card is None else card.steps


def _network(folder: Path) -> ChestReader:
    return load_reader(CHEST_OF_PACKAGE)
