from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.reading import match_boxes, match_points, merged_points


def test_of_several_points_at_a_lesion_the_surest_counts_and_the_others_neither_way() -> None:
    points = np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 9], [5, 5, 5]])
    found = match_points(points, np.array([0.4, 0.9, 0.8, 0.1]), np.array([[0.0, 0, 0]]), np.array([2.0]))
    assert found.scores.tolist() == [0.9, 0.8, 0.1] and found.found.tolist() == [0, -1, -1] and found.lesions == 1


def test_a_point_on_the_radius_does_not_find_and_one_at_what_is_ignored_counts_neither_way() -> None:
    points, scores = np.array([[2.0, 0.0], [10.0, 0.0], [20.0, 0.0]]), np.array([0.5, 0.6, 0.7])
    ignored = (np.array([[10.5, 0.0]]), np.array([1.0]))
    found = match_points(points, scores, np.array([[0.0, 0.0]]), np.array([2.0]), ignored=ignored)
    assert found.found.tolist() == [-1, -1] and found.scores.tolist() == [0.5, 0.7]


def test_each_lesion_is_found_once_by_the_surest_box_that_overlaps_enough() -> None:
    lesions = np.array([[0.0, 0, 4, 4], [0, 4, 4, 8]])
    boxes = np.array([[0.0, 0, 4, 4], [0, 0, 4, 5], [0, 4, 4, 8], [20, 20, 22, 22]])
    found = match_boxes(boxes, np.array([0.5, 0.9, 0.3, 0.1]), lesions, iou=0.5)
    assert found.found.tolist() == [-1, 0, 1, -1]
    assert match_boxes(boxes[:1], np.array([1.0]), lesions, iou=0.5, ignored=lesions[:1]).found.tolist() == [0]
    nothing = match_boxes(boxes[3:], np.array([1.0]), lesions, iou=0.5, ignored=np.array([[20.0, 20, 22, 21]]))
    assert nothing.found.tolist() == []


@pytest.mark.parametrize("dims", [2, 3])
def test_where_regions_to_ignore_overlap_they_cover_a_box_once(dims: int) -> None:
    # their shares were added: a false box a third of which lay in two regions counted neither way
    rng = np.random.default_rng(3)
    corners = lambda n: np.sort(rng.integers(0, 9, (n, 2, dims)), axis=1)
    boxes, regions = (np.concatenate([c[:, 0], c[:, 1] + 1], axis=1).astype(float) for c in (corners(200), corners(3)))
    covered = np.zeros((10,) * dims, bool)
    window = lambda box: tuple(slice(int(a), int(b)) for a, b in zip(box[:dims], box[dims:], strict=True))
    for one in regions:
        covered[window(one)] = True
    false = [float(covered[window(box)].mean()) < 0.5 for box in boxes]
    scores = np.linspace(1.0, 0.1, len(boxes))
    found = match_boxes(boxes, scores, np.zeros((0, 2 * dims)), iou=0.5, ignored=regions)
    assert found.scores.tolist() == scores[false].tolist() and 20 < sum(false) < 190
    flat = np.concatenate([regions[:1, :dims], regions[:1, :dims]], axis=1)  # no inside: no half of it is ignored
    assert len(match_boxes(flat, np.ones(1), np.zeros((0, 2 * dims)), iou=0.5, ignored=regions).scores) == 1


def test_no_findings_and_no_lesions_are_counted() -> None:
    none = match_points(np.zeros((0, 3)), np.zeros(0), np.array([[0.0, 0, 0]]), np.array([1.0]))
    assert len(none.scores) == 0 and none.lesions == 1
    healthy = match_boxes(np.array([[0.0, 0, 1, 1]]), np.array([0.5]), np.zeros((0, 4)), iou=0.1)
    assert healthy.found.tolist() == [-1] and healthy.lesions == 0


def test_points_of_neighbouring_slices_become_one_finding() -> None:
    points = np.array([[0.0, 0, 0], [4.0, 1, 0], [8.0, 0, 0], [30, 0, 0]])
    assert merged_points(points, np.array([0.3, 0.9, 0.5, 0.1]), within_mm=6.0).tolist() == [1, 3]
    assert merged_points(points, np.array([0.3, 0.9, 0.5, 0.1]), within_mm=0.5).tolist() == [1, 2, 0, 3]


def test_scores_that_are_no_numbers_and_boxes_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match="a score each"):
        match_points(np.zeros((1, 3)), np.array([np.nan]), np.zeros((0, 3)), np.zeros(0))
    with pytest.raises(GeometryError, match="as many numbers"):
        match_boxes(np.zeros((1, 6)), np.zeros(1), np.zeros((1, 4)), iou=0.5)
    with pytest.raises(InputError, match="iou"):
        match_boxes(np.zeros((1, 4)), np.zeros(1), np.zeros((1, 4)), iou=0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["findings", "lesions", "ignored"])
def test_places_that_are_no_numbers_are_refused_and_not_missed(bad: float, what: str) -> None:
    place = lambda name, size: np.full((1, size), bad) if name == what else np.arange(size, dtype=float)[None]
    with pytest.raises(InputError, match="finite"):
        match_points(
            place("findings", 3), np.ones(1), place("lesions", 3), np.ones(1), ignored=(place("ignored", 3), np.ones(1))
        )
    with pytest.raises(InputError, match="finite"):
        match_boxes(place("findings", 4), np.ones(1), place("lesions", 4), iou=0.5, ignored=place("ignored", 4))


@pytest.mark.parametrize("radius", [0.0, -2.0, np.nan, np.inf])
def test_lesions_that_no_point_could_find_are_refused(radius: float) -> None:
    at = np.zeros((1, 3))
    with pytest.raises(InputError, match=f"radii above 0, got {radius:g}:"):
        match_points(at, np.ones(1), np.zeros((3, 3)), np.array([5.0, radius, 3.0]))
    with pytest.raises(InputError, match="radii above 0"):
        match_points(at, np.ones(1), at, np.ones(1), ignored=(at, np.array([radius])))
    with pytest.raises(GeometryError, match="a radius each"):
        match_points(at, np.ones(1), at, np.ones(2))


@pytest.mark.parametrize("what", ["findings", "lesions", "ignored"])
def test_boxes_whose_edges_are_turned_round_are_refused(what: str) -> None:
    box = lambda name: np.array([[4.0, 0, 2, 3]] if name == what else [[0.0, 0, 2, 3]])
    with pytest.raises(InputError, match="low edges, then high edges"):
        match_boxes(box("findings"), np.ones(1), box("lesions"), iou=0.5, ignored=box("ignored"))
