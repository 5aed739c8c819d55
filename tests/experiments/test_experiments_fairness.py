"""What keeps the task-adaptive experiment fair: who is compared with whom, and controls that hold nothing to learn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import torch
from small_task_adaptive import settings

from taskct.evaluation.task import TaskTable
from taskct.experiments.task_adaptive.gather import _baselines
from taskct.experiments.task_adaptive.material import shuffled
from taskct.training import ImageSet

FRESH, ON_FRESH = "FBP + U-Net, label loss .5, fresh patients", "FBP + U-Net, image loss, fresh patients"


def baselines(*methods: str) -> dict[str, str]:
    losses = ("plain", "label-0.5", "label-fresh", "plain-fresh")
    table = cast(TaskTable, SimpleNamespace(methods=methods))
    return _baselines(table, settings(losses=losses))


def test_an_arm_on_fresh_patients_is_compared_with_the_image_loss_on_the_same_patients() -> None:
    plain, label = "FBP + U-Net, image loss", "FBP + U-Net, label loss .5"
    assert baselines(plain, label, FRESH, ON_FRESH) == {label: plain, FRESH: ON_FRESH, ON_FRESH: plain}
    assert FRESH not in baselines(plain, label, FRESH)  # more patients alone may be its gain


def test_shuffled_labels_are_those_of_other_patients() -> None:
    patients = tuple(f"p{i // 6}" for i in range(30))
    labels = torch.arange(30).reshape(30, 1, 1).expand(30, 8, 8).clone()
    images = ImageSet(torch.rand(30, 1, 8, 8) * 0.02, patients, labels, tuple(str(i) for i in range(30)))
    for seed in range(5):
        mixed = shuffled(images, seed=seed)
        assert mixed.labels is not None
        assert all(patients[int(one[0, 0])] != own for one, own in zip(mixed.labels, patients, strict=True))
