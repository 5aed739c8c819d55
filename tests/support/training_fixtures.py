"""Small things to train, as fixtures; `small_training` makes them, for subprocesses too."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_once import made_once
from small_training import make_images, make_model, make_projector, make_task

from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import FBPNet
from taskct.task import FrozenTask
from taskct.task.readers import ReaderSpec
from taskct.training import TrainSettings, train_reader


@pytest.fixture(scope="session")
def images() -> ImageSet:
    return make_images(12, seed=0)


@pytest.fixture(scope="session")
def checks() -> ImageSet:
    return make_images(6, seed=1, prefix="check")


@pytest.fixture(scope="session")
def projector() -> Projector:
    return make_projector()


@pytest.fixture(scope="session")
def reader_run(images: ImageSet, checks: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader trained for a few seconds on full dose."""
    settings = TrainSettings(steps=60, batch=6, lr=5e-3, validate_every=20)
    spec = ReaderSpec(net="unet_fast")
    return made_once(
        tmp_path_factory,
        "reader",
        lambda folder: train_reader(spec, images, run=folder, validation=checks, settings=settings),
    )


@pytest.fixture
def dose() -> Dose:
    return Dose(2e4)


@pytest.fixture
def model() -> FBPNet:
    return make_model()


@pytest.fixture
def task() -> FrozenTask:
    return make_task()
