from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.reading import area_sums, lesion_dice


def test_dice_per_patient_and_pooled_are_two_numbers_with_two_names() -> None:
    true, said = np.zeros((3, 4, 4), int), np.zeros((3, 4, 4), int)
    true[0, 0, :2], said[0, 0, :2] = 1, 1  # patient a, small and perfect
    true[1, :3], said[1, 0] = 1, 1  # patient b, large and mostly missed
    said[2, 0, 0] = 1  # patient b, falsely found
    sums = area_sums(said, true, ["a", "b", "b"], ["lesion", "other"])
    assert sums.per_patient[:, 0].tolist() == [1.0, 2 * 4 / (12 + 5)] and np.isnan(sums.per_patient[:, 1]).all()
    assert sums.pooled()[0] == pytest.approx(2 * 6 / (14 + 7)) and np.isnan(sums.pooled()[1])
    assert sums.pooled(weights=np.array([1.0, 0.0]))[0] == 1.0


def test_samples_that_are_unknown_take_no_part_and_false_areas_are_counted_apart() -> None:
    true, said = np.array([[[-1, 0]], [[1, 1]]]), np.array([[[1, 1]], [[1, 1]]])
    sums = area_sums(said, true, ["a", "b"], ["lesion"])
    assert sums.said[:, 0].tolist() == [1.0, 2.0] and sums.false_where_absent.tolist() == [1.0]
    with pytest.raises(GeometryError, match="one shape"):
        area_sums(said[:1], true, ["a", "b"], ["lesion"])


def test_dice_of_a_lesion_counts_the_pieces_that_touch_it_whole() -> None:
    instances, said = np.zeros((3, 8, 8), int), np.zeros((3, 8, 8), bool)
    instances[1, 1:3, 1:3], instances[1, 1:3, 4:6], instances[0, 6, 6] = 1, 2, 3
    said[1, 1:3, 1:3] = True
    said[2, 2, 2] = True  # the same piece runs on into the next slice
    assert lesion_dice(said, instances, [1, 2, 3, 9]).tolist()[:3] == [pytest.approx(2 * 4 / (4 + 5)), 0.0, 0.0]
    assert np.isnan(lesion_dice(said, instances, [9])[0])
    said[1, 1:3, 1:6] = True  # one piece joins two lesions: it counts against both
    joined = lesion_dice(said, instances, [1, 2])
    assert joined.tolist() == [pytest.approx(2 * 4 / (4 + 11))] * 2


@pytest.mark.parametrize("what", ["said", "true"])
def test_a_class_that_nobody_asked_about_is_refused_and_not_background(what: str) -> None:
    maps = {"said": np.zeros((1, 2, 2), int), "true": np.zeros((1, 2, 2), int)}
    maps[what][0, 0, 0] = 3
    with pytest.raises(InputError, match=f"up to 2, got {what} samples of class 3"):
        area_sums(maps["said"], maps["true"], ["a"], ["lesion", "other"])


@pytest.mark.parametrize("what", ["said", "true"])
@pytest.mark.parametrize("bad", [float("nan"), 0.7, float("inf")])
def test_what_is_no_class_is_refused_and_not_background(what: str, bad: float) -> None:
    maps = {"said": np.ones((1, 2, 2)), "true": np.ones((1, 2, 2))}
    assert area_sums(maps["said"], maps["true"], ["a"], ["lesion"]).pooled()[0] == 1.0
    maps[what][0, 0, 0] = bad
    with pytest.raises(InputError, match=f"got {what} samples of .*{bad:g}"):
        area_sums(maps["said"], maps["true"], ["a"], ["lesion"])
