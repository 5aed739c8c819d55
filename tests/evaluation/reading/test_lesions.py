from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.reading.lesions import Bins, MatchRule, TrueLesion, find_lesions, froc, match


def labels_with_lesions() -> np.ndarray:
    """Two slices of an organ with three lesions in all: 4 x 4 and 3 x 3 pixels, and 2 x 2 in the same place of the other."""
    labels = np.zeros((2, 40, 40), dtype=np.int64)
    labels[:, 4:36, 4:36] = 1
    labels[0, 8:12, 8:12] = 2
    labels[0, 25:28, 25:28] = 2
    labels[1, 8:10, 8:10] = 2
    return labels


def test_lesions_are_counted_per_image_with_size_and_contrast():
    labels = labels_with_lesions()
    hu = np.where(labels == 2, 60.0, 100.0) + np.where(labels == 0, -500.0, 0.0)
    found = find_lesions(labels, 2, spacing_mm=(2.0, 2.0), truth_hu=hu, organ_index=1)
    assert [(one.item, one.pixels) for one in found.lesions] == [(0, 16), (0, 9), (1, 4)]
    assert found.lesions[0].radius_mm == pytest.approx(np.sqrt(16 * 4 / np.pi))
    assert [one.contrast_hu for one in found.lesions] == pytest.approx([-40, -40, -40])  # air round the organ takes no part


def test_a_lesion_of_a_volume_is_one_lesion():
    labels = labels_with_lesions()[None]  # one volume of two slices
    found = find_lesions(labels, 2, spacing_mm=(3.0, 2.0, 2.0))
    assert [one.pixels for one in found.lesions] == [20, 9]
    assert found.lesions[0].radius_mm == pytest.approx((0.75 * 20 * 12 / np.pi) ** (1 / 3))


def test_recorded_size_and_contrast_are_taken_where_they_are_given():
    found = find_lesions(labels_with_lesions(), 2, spacing_mm=(1, 1), facts=lambda item, mask: (7.5, -22.0))
    assert {(one.radius_mm, one.contrast_hu) for one in found.lesions} == {(7.5, -22.0)}


def test_a_perfect_reader_finds_all_and_a_silent_one_none():
    labels = labels_with_lesions()
    truth = find_lesions(labels, 2, spacing_mm=(1, 1))
    hits, alarms = match(labels == 2, truth)
    assert hits.all() and not alarms.any()
    hits, alarms = match(np.zeros(labels.shape, bool), truth)
    assert not hits.any() and not alarms.any()


def test_a_mark_on_nothing_is_a_false_alarm_in_its_image():
    labels = labels_with_lesions()
    truth = find_lesions(labels, 2, spacing_mm=(1, 1))
    marked = labels == 2
    marked[1, 30:32, 30:32] = marked[1, 20, 20] = True
    hits, alarms = match(marked, truth)
    assert hits.all() and alarms.tolist() == [0, 2]


def test_marking_everything_is_a_false_alarm_and_no_find():
    labels = labels_with_lesions()
    truth = find_lesions(labels, 2, spacing_mm=(1, 1))
    hits, alarms = match(labels > 0, truth)
    assert not hits.any() and alarms.tolist() == [1, 1]
    naive, _ = match(labels > 0, truth, MatchRule(min_precision=0.0))
    assert naive.all()  # what the rule guards against


@pytest.mark.parametrize(("rule", "found"), [(MatchRule(), True), (MatchRule("iou", min_iou=0.3), False)])
def test_the_matching_rule_is_the_one_that_is_stated(rule, found):
    labels = labels_with_lesions()
    truth = find_lesions(labels, 2, spacing_mm=(1, 1))
    marked = np.zeros(labels.shape, bool)
    marked[0, 8, 8:10] = True  # 2 of 16 pixels
    hits, alarms = match(marked, truth, rule)
    assert hits[0] == found and alarms[0] == (not found)
    assert ("share 1 pixel" in str(rule)) == (rule.kind == "overlap")


def test_the_free_response_curve_of_a_good_score_beats_that_of_a_poor_one_at_every_rate():
    labels = labels_with_lesions()
    truth = find_lesions(labels, 2, spacing_mm=(1, 1))
    rng = np.random.default_rng(0)
    noise = rng.normal(size=labels.shape)
    good, poor = (froc(gain * (labels == 2) + noise, truth) for gain in (6.0, 1.0))
    rates = (0.125, 0.5, 1, 4, 8)
    assert [good.sensitivity_at(r) for r in rates] == sorted(good.sensitivity_at(r) for r in rates)
    assert good.sensitivity_at(0.5) == 1
    assert sum(good.sensitivity_at(r) for r in rates) > sum(poor.sensitivity_at(r) for r in rates)


def test_the_free_response_curve_sees_ranks_only():
    labels = labels_with_lesions()
    truth = find_lesions(labels, 2, spacing_mm=(1, 1))
    score = 2.0 * (labels == 2) + np.random.default_rng(1).normal(size=labels.shape)
    one, other = froc(score, truth), froc(np.tanh(score / 5) - 3, truth)
    assert (one.hits == other.hits).all() and (one.alarms == other.alarms).all()


def test_bins_divide_by_size_and_by_either_sign_of_contrast():
    bins = Bins(radius_mm=(4.0, 8.0), contrast_hu=(15.0, 30.0))
    assert bins.of(TrueLesion(0, 5, 4.0, 40.0)) == ("radius 4 to 8 mm", "contrast from 30 HU")
    assert bins.of(TrueLesion(0, 5, 9.0)) == ("radius from 8 mm",)


def test_impossible_arguments_are_refused():
    with pytest.raises(InputError, match="unknown match rule 'dice'"):
        MatchRule("dice")
    with pytest.raises(GeometryError, match="one spacing per axis"):
        find_lesions(labels_with_lesions(), 2, spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="marks and lesions differ"):
        match(np.zeros((1, 4, 4), bool), find_lesions(labels_with_lesions(), 2, spacing_mm=(1, 1)))
