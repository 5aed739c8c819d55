"""FROC and average precision against implementations that share nothing with the ones under test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from taskct.core.errors import ConfigError, InputError
from taskct.evaluation.reading import ScanMatches, box_average_precision, competition_metric, detector_curve, found_by

RATES = (0.125, 0.25, 0.5, 1, 2, 4, 8)


def some_scans(seed: int, *, count: int = 6, ties: bool = True) -> list[ScanMatches]:
    rng = np.random.default_rng(seed)
    scans = []
    for k in range(count):
        lesions = int(rng.integers(0, 4))
        found = list(rng.permutation(lesions)[: rng.integers(0, lesions + 1)]) + [-1] * int(rng.integers(0, 12))
        scores = rng.integers(0, 9, len(found)) / 9 if ties else rng.random(len(found))
        scans.append(ScanMatches(np.array(scores, float), np.array(found, int), lesions, f"p{k % 3}"))
    return scans


def points_by_thresholds(scans: list[ScanMatches]) -> list[tuple[float, float, float]]:
    """(false per scan, sensitivity, precision) at every threshold, each counted anew."""
    lesions = sum(s.lesions for s in scans)
    points = [(0.0, 0.0, 1.0)]
    for threshold in sorted({float(v) for s in scans for v in s.scores}, reverse=True):
        hits = false = 0
        for scan in scans:
            for score, found in zip(scan.scores, scan.found, strict=True):
                if score >= threshold:
                    hits, false = hits + (found >= 0), false + (found < 0)
        points.append((false / len(scans), hits / lesions, hits / (hits + false)))
    return points


def linear(points: list[tuple[float, float, float]], rate: float) -> float:
    """Between the two points about a rate; the last of several at one rate; beyond the end the last."""
    before = [p for p in points if p[0] <= rate][-1]
    after = next((p for p in points if p[0] > rate), None)
    if after is None:
        return before[1]
    return before[1] + (after[1] - before[1]) * (rate - before[0]) / (after[0] - before[0])


@pytest.mark.parametrize("seed", range(12))
def test_froc_by_both_rules_is_that_of_counting_at_every_threshold(seed: int) -> None:
    scans = some_scans(seed)
    points = points_by_thresholds(scans)
    curve = detector_curve(scans)
    for rate in RATES:
        assert curve.at(rate) == pytest.approx(linear(points, rate))
        assert curve.at(rate, interpolation="step") == pytest.approx(max(s for f, s, _ in points if f <= rate))
    assert competition_metric(scans) == pytest.approx(np.mean([linear(points, rate) for rate in RATES]))


@pytest.mark.parametrize("seed", range(12))
def test_average_precision_is_the_area_under_the_best_precision_from_each_sensitivity_on(seed: int) -> None:
    scans = some_scans(seed, ties=seed % 2 == 0)
    points = points_by_thresholds(scans)
    steps = sorted({s for _, s, _ in points})
    area = sum((high - low) * max(p for _, s, p in points if s >= high) for low, high in itertools.pairwise(steps))
    assert box_average_precision(scans) == pytest.approx(area)


def test_weights_count_scans_of_a_patient_as_copies_would() -> None:
    scans = some_scans(3)
    weights = {"p0": 2.0, "p1": 0.0, "p2": 1.0}
    copies = [s for s in scans for _ in range(int(weights[s.patient]))]
    assert competition_metric(scans, weights=weights) == pytest.approx(competition_metric(copies))
    assert box_average_precision(scans, weights=weights) == pytest.approx(box_average_precision(copies))


def test_a_perfect_detector_scores_1_a_silent_one_0_and_one_without_lesions_is_not_defined() -> None:
    perfect = [ScanMatches(np.array([0.9, 0.8]), np.array([0, 1]), 2, "a"), ScanMatches(np.zeros(0), np.zeros(0, int), 0, "b")]
    assert competition_metric(perfect) == 1.0 and box_average_precision(perfect) == 1.0
    silent = [ScanMatches(np.zeros(0), np.zeros(0, int), 3, "a")]
    assert competition_metric(silent) == 0.0 and box_average_precision(silent) == 0.0
    healthy = [ScanMatches(np.array([0.3]), np.array([-1]), 0, "a")]
    assert math.isnan(competition_metric(healthy)) and math.isnan(box_average_precision(healthy))
    with pytest.raises(InputError, match="at least one scan"):
        detector_curve(perfect, weights={"c": 1.0})
    with pytest.raises(ConfigError, match="interpolation"):
        detector_curve(perfect).at(1.0, interpolation="cubic")


def test_lesions_found_at_a_rate_are_those_of_the_lowest_threshold_it_allows() -> None:
    scans = [
        ScanMatches(np.array([0.9, 0.5, 0.4, 0.2]), np.array([0, -1, 1, -1]), 3, "a"),
        ScanMatches(np.array([0.3]), np.array([-1]), 0, "b"),
    ]
    assert [f.tolist() for f in found_by(scans, false_per_scan=0.5)] == [[True, True, False], []]
    assert [f.tolist() for f in found_by(scans, false_per_scan=0.0)] == [[True, False, False], []]
