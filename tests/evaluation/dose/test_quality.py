"""A reader measures the class that a target names."""

from dataclasses import replace

import pytest
import torch
from dose_subjects import SUBJECTS, reader

from taskct.core.errors import InputError, UnitsError
from taskct.data.images import ImageSet
from taskct.evaluation.dose.quality import TaskDice
from taskct.task import FrozenTask, HuWindow


def test_a_reader_is_asked_for_the_class_by_its_name() -> None:
    five = lambda one: ImageSet(one.mu, one.images.patient_ids, 5 * one.labels, label_names={5: "body"})
    far = [replace(s, images=five(s)) for s in SUBJECTS[:2]]
    quality = TaskDice(reader(), "body")
    with pytest.raises(InputError, match="label 5 of the case, but reader 'threshold' tells only 2 classes apart"):
        quality(far[0], far[0].mu)
    named = reader()
    named.classes = ("background", "body")
    assert TaskDice(named, "body")(far[0], far[0].mu) == quality(SUBJECTS[0], SUBJECTS[0].mu) > 0.9
    named.classes = ("background", "liver")
    with pytest.raises(InputError, match="knows background, liver and no 'body'"):
        TaskDice(named, "body")(far[0], far[0].mu)


def test_a_reader_that_would_misread_the_patient_is_refused() -> None:
    window = replace_prepare(reader(), HuWindow(0, 400))
    one = SUBJECTS[0]
    assert TaskDice(window, "body")(one, one.mu) >= 0
    other = ImageSet(one.mu, one.images.patient_ids, one.labels, label_names={1: "body"}, mu_water_per_mm=0.02)
    with pytest.raises(UnitsError, match=r"images of p0: task 'threshold': takes 0.01929/mm for water"):
        TaskDice(window, "body")(replace(one, images=other), one.mu)


def test_a_reader_that_answers_nan_has_no_dice_of_0() -> None:
    one = SUBJECTS[0]
    overflows = FrozenTask(reader().net, lambda mu: mu * torch.nan, reader().penalty, "half")
    with pytest.raises(InputError, match="images of p0: reader 'half' answers NaN"):
        TaskDice(overflows, "body")(one, one.mu)


def replace_prepare(task: FrozenTask, prepare: HuWindow) -> FrozenTask:
    return FrozenTask(task.net, prepare, task.penalty, task.name)
