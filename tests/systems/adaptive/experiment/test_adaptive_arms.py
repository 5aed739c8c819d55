"""What keeps the task-adaptive experiment fair: who is compared with whom, and controls that hold nothing to learn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from small_task_adaptive import settings

from taskct.core.errors import InputError
from taskct.data.images import ImageSet
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import images_of
from taskct.systems.adaptive.experiment.adaptive_summary import _baselines
from taskct.systems.adaptive.experiment.experiment_scans import PARTS, save_images, shuffled

PLAIN, LABEL, UNROLLED = "FBP + U-Net, image loss", "FBP + U-Net, label loss .5", "ItNet, image loss"


def baselines(*methods: str) -> dict[str, str]:
    table = cast(Table, SimpleNamespace(methods=methods))
    return _baselines(table, settings(models=("unet", "unrolled"), losses=("plain", "label-0.5")))


def test_an_arm_is_compared_with_the_image_loss_of_its_own_model_and_models_by_their_image_losses() -> None:
    assert baselines(PLAIN, LABEL, UNROLLED) == {LABEL: PLAIN, UNROLLED: PLAIN}
    assert baselines(LABEL, UNROLLED) == {}  # nothing to compare with


def test_no_reader_knows_a_patient_of_the_reconstructions_or_of_the_test(tmp_path: Path) -> None:
    small = settings(reader_patients=3, train_patients=2, bound_patients=4)
    save_images(tmp_path / "images", settings=small)
    patients = {part: set(images_of(tmp_path / "images", part).patient_ids) for part in PARTS}
    assert {part: len(names) for part, names in patients.items()} == {
        "readers": 3, "train": 2, "bounds": 4, "validation": 2, "test": 5
    }  # fmt: skip
    assert len(set().union(*patients.values())) == 16
    save_images(tmp_path / "fewer", settings=settings(reader_patients=3, train_patients=2))
    assert set(images_of(tmp_path / "fewer", "train").patient_ids) == patients["train"]  # bounds take nothing from the others
    assert not (tmp_path / "fewer" / "bounds.safetensors").exists()


def test_shuffled_labels_are_those_of_other_patients() -> None:
    patients = tuple(f"p{i // 6}" for i in range(30))
    labels = torch.arange(30).reshape(30, 1, 1).expand(30, 8, 8).clone()
    images = ImageSet(torch.rand(30, 1, 8, 8) * 0.02, patients, labels, tuple(str(i) for i in range(30)))
    for seed in range(5):
        mixed = shuffled(images, seed=seed)
        assert mixed.labels is not None
        assert all(patients[int(one[0, 0])] != own for one, own in zip(mixed.labels, patients, strict=True))


def test_patients_on_whom_nothing_can_be_tuned_or_scored_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    one = {"reader_patients": 1, "train_patients": 1, "slices": 2, "size": 32}
    for seed, wanting in ((2, "validation"), (3, "test")):
        small = settings(**one, validation_patients=1, test_patients=1, seed=seed)
        with pytest.raises(InputError, match=f"none of the {wanting} patients .1 of seed {seed}. shows a tumour"):
            save_images(tmp_path / f"{seed}", settings=small)
        assert not (tmp_path / f"{seed}").exists()
    with pytest.raises(InputError, match="takes the labels of other patients"):
        save_images(tmp_path / "control", settings=settings(**one, losses=("plain", "shuffled-labels")))
