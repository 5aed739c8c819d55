"""The focal penalty of lesion centres term by term, and what a peak finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError
from taskct.task.detection import CentreFocal, Peak, centre_map, find_peaks, hits


def _by_hand(logits: torch.Tensor, labels: torch.Tensor, *, sigma: float, alpha: float, beta: float) -> float:
    """The formula of the class, one pixel after the other."""
    wanted, total = centre_map(labels, 2, sigma_pixels=sigma), 0.0
    for x, y in zip(logits.flatten().tolist(), wanted.flatten().double().tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        total += (1 - p) ** alpha * math.log(p) if y == 1 else (1 - y) ** beta * p**alpha * math.log(1 - p)
    return -total / max(1, int((wanted == 1).sum()))


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 4.0), (3.0, 1.0), (0.5, 2.0)])
def test_the_penalty_is_that_of_the_paper(alpha, beta):
    labels = torch.zeros((2, 12, 10), dtype=torch.int64)
    labels[0, 2:4, 3:5] = 2
    labels[0, 8:11, 6:9] = 2
    logits = torch.randn((2, 1, 12, 10), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = CentreFocal(sigma_pixels=1.5, alpha=alpha, beta=beta)(logits, labels)
    assert float(found) == pytest.approx(_by_hand(logits, labels, sigma=1.5, alpha=alpha, beta=beta), rel=1e-6)
    nothing = CentreFocal(sigma_pixels=1.5, alpha=alpha, beta=beta)(logits[1:], labels[1:])  # no lesion: divided by one
    assert float(nothing) == pytest.approx(_by_hand(logits[1:], labels[1:], sigma=1.5, alpha=alpha, beta=beta), rel=1e-6)


@pytest.mark.parametrize("wrong", [{"label": 0}, {"sigma_pixels": 0.0}, {"alpha": -1.0}, {"beta": -0.5}])
def test_settings_outside_their_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="CentreFocal expects label >= 1, sigma_pixels > 0, alpha and beta >= 0"):
        CentreFocal(**wrong)
    CentreFocal(label=1, sigma_pixels=0.1, alpha=0.0, beta=0.0)


def test_a_map_of_another_size_is_refused():
    with pytest.raises(GeometryError, match=r"\(1, 1, 4, 4\), got \(1, 2, 4, 4\)"):
        CentreFocal()(torch.zeros(1, 2, 4, 4), torch.zeros((1, 4, 4), dtype=torch.int64))


def test_the_centre_map_is_a_gaussian_round_each_piece():
    labels = torch.zeros((1, 9, 9), dtype=torch.int64)
    labels[0, 4, 4] = labels[0, 0, 0] = 2
    found = centre_map(labels, 2, sigma_pixels=2.0)[0, 0]
    assert float(found[4, 4]) == float(found[0, 0]) == 1.0
    assert float(found[4, 6]) == pytest.approx(math.exp(-4 / 8)) and float(found[2, 5]) == pytest.approx(math.exp(-5 / 8))
    corner = torch.zeros((1, 5, 5), dtype=torch.int64)
    corner[0, 1, 1] = corner[0, 2, 2] = 2  # pieces that touch at a corner are one
    assert int((centre_map(corner, 2, sigma_pixels=1.0) == 1).sum()) == 1


def test_peaks_are_ranked_and_a_score_at_the_threshold_counts():
    logits = torch.full((1, 1, 8, 8), -9.0)
    logits[0, 0, 1, 1], logits[0, 0, 5, 5], logits[0, 0, 5, 6], logits[0, 0, 1, 6] = 0.0, 2.0, 1.0, -1.0
    (found,) = find_peaks(logits, threshold=0.5)
    assert [peak.at for peak in found] == [(5, 5), (1, 1)] and found[1].score == 0.5
    assert [peak.at for peak in find_peaks(logits, threshold=0.1, most=2)[0]] == [(5, 5), (1, 1)]
    assert len(find_peaks(logits[:, :, None], threshold=0.1)[0]) == 3  # a volume of one slice
    for wrong in (torch.zeros(1, 2, 8, 8), torch.zeros(1, 8, 8)):
        with pytest.raises(GeometryError, match="find_peaks expects"):
            find_peaks(wrong)


def test_a_peak_finds_the_piece_within_its_reach_and_two_peaks_in_one_piece_find_one():
    labels = np.zeros((12, 12), np.uint8)
    labels[2:4, 2:4] = labels[8:10, 8:10] = 2
    inside, again, near, far = Peak((2, 2), 0.9), Peak((3, 3), 0.8), Peak((8, 6), 0.7), Peak((2, 11), 0.6)
    assert hits([inside, again, near, far], labels, 2) == (2, 2, 1)
    assert hits([near], labels, 2, reach_pixels=1.9) == (0, 2, 1)
    assert hits([far], labels, 1) == (0, 0, 1) and hits([], labels, 2) == (0, 2, 0)
