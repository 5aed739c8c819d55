"""Trainings on image sets that are streamed: the same to the bit as on images in memory, also after they were stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import make_model, weights_of

from taskct.core.errors import FileFormatError, InputError
from taskct.data.case import Case
from taskct.data.image_source import Pixels
from taskct.data.image_store import StoredImages
from taskct.data.images import ImageSet
from taskct.data.prepared_store import prepare_store
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.task.readers import ReaderSpec
from taskct.training import ImageError, TrainSettings, train, train_reader

SETTINGS = TrainSettings(steps=9, batch=4, checkpoint_every=1, log_every=3, validate_every=9, precision="float32")

Weights = dict[str, torch.Tensor]


def make_cases() -> list[Case]:
    made = []
    for number in range(4):
        hu = (torch.rand((3, 32, 32), generator=torch.Generator().manual_seed(number)) * 200 - 100).round()
        labels = torch.zeros((3, 32, 32), dtype=torch.uint8)
        labels[:, 8:20, 10:22], labels[:, 12:16, 12:16] = 1, 2
        made.append(Case(hu, (3.0, 2.0, 2.0), f"case-{number}", labels=labels))
    return made


@pytest.fixture
def stored(tmp_path: Path) -> ImageSet:
    return prepare_store(make_cases(), tmp_path / "store", progress=False)


def reconstruct(
    images: ImageSet, run: Path, *, validation: ImageSet | None = None, workers: int = 0
) -> dict[str, torch.Tensor]:
    A = Projector(Grid((32, 32), 2.0), ParallelBeam(views=24, cols=36, pixel_mm=2.0))
    model = make_model()
    terms = {"image": (1.0, ImageError())}
    train(
        model,
        images,
        objective=terms,
        A=A,
        dose=Dose(1e5),
        run=run,
        settings=SETTINGS,
        validation=validation,
        refine=1,
        workers=workers,
        progress=False,
    )
    return weights_of(model)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_reconstruction_learns_the_same_from_a_store_as_from_memory(stored: ImageSet, tmp_path: Path, workers: int) -> None:
    parts = [stored.of_patients(p) for p in (("case-0", "case-1", "case-3"), ("case-2",))]
    streamed = reconstruct(parts[0], tmp_path / "streamed", validation=parts[1], workers=workers)
    kept = reconstruct(parts[0].to_memory(), tmp_path / "kept", validation=parts[1].to_memory())
    assert same(streamed, kept)


class Breaks(StoredImages):
    """A store whose disk fails after some reads."""

    left = 5

    def read(self, rows: list[int]) -> Pixels:  # type: ignore[override]
        self.left -= 1
        if self.left < 0:
            raise FileFormatError("the disk is gone")
        return super().read(rows)


def test_a_training_that_a_broken_disk_ended_resumes_to_equal_bits(stored: ImageSet, tmp_path: Path) -> None:
    whole = reconstruct(stored, tmp_path / "whole")
    about = stored.storage
    assert isinstance(about, StoredImages)
    broken = ImageSet(
        Breaks(about.folder, about.cases, about.shape, str(about.label_dtype)), stored.patient_ids, ids=stored.ids
    )
    with pytest.raises(FileFormatError, match="the disk is gone"):
        reconstruct(broken, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "weights.safetensors").exists()
    assert same(reconstruct(stored, tmp_path / "stopped"), whole)


def test_a_reader_learns_the_same_from_a_store_as_from_memory(stored: ImageSet, tmp_path: Path) -> None:
    spec = ReaderSpec(net="unet_thin")
    read = lambda images, name: train_reader(spec, images, run=tmp_path / name, settings=SETTINGS, progress=False)
    assert same(read(stored, "streamed").net.state_dict(), read(stored.to_memory(), "kept").net.state_dict())


def test_images_without_a_map_are_left_out_of_what_a_reader_learns(tmp_path: Path) -> None:

    cases = make_cases()
    partly = prepare_store(
        [replace(c, labels=None) if k == 1 else c for k, c in enumerate(cases)], tmp_path / "s", progress=False
    )
    other = partly.to_memory()
    assert other.labels is not None and partly.take([3]).labels is None
    wrong = other.labels.clone()
    wrong[3:6] = 2  # what stands in the place of a map that is not known must not matter
    maps = [None if 3 <= k < 6 else wrong[k] for k in range(12)]
    spec = ReaderSpec(net="unet_thin")
    read = lambda images, name: train_reader(spec, images, run=tmp_path / name, settings=SETTINGS, progress=False)
    assert same(read(partly, "a").net.state_dict(), read(other.with_labels(maps), "b").net.state_dict())


def test_targets_that_augmentation_would_have_to_move_are_refused(stored: ImageSet, tmp_path: Path) -> None:
    kept = stored.to_memory().with_targets({"age": list(range(12))})
    train_reader(ReaderSpec(net="unet_thin"), kept, run=tmp_path / "a", settings=SETTINGS, progress=False)
    boxes = kept.with_targets({"boxes": [torch.zeros(k, 4) for k in range(12)]})
    with pytest.raises(InputError, match="target 'boxes' may be a place in the image"):
        train_reader(ReaderSpec(net="unet_thin"), boxes, run=tmp_path / "b", settings=SETTINGS, progress=False)
