"""The rule of regions and places, and the scores, on slices whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from judged_trunk import trunk

from taskct.physics.dose import Dose
from taskct.systems.real_ct.judged_ct import JUDGED, body_of, distance_mm, lesion_places, regions_of, with_lesions
from taskct.systems.real_ct.judging import FBP, HANN, Subject, classical_methods, judge_slice, scores_of, tuned_strength


def test_regions_are_where_they_were_drawn_whatever_the_pixel() -> None:
    for pixel_mm in (0.8, 1.0):
        hu = trunk(pixel_mm)
        found = regions_of(hu, pixel_mm)
        assert {"lung", "fat", "soft tissue", "bone"} <= set(found)
        for name, value in (("lung", -850), ("fat", -100), ("soft tissue", 50), ("bone", 700)):
            assert abs(float(np.median(hu[found[name]])) - value) < 1
        assert np.all(hu[found["soft tissue"]] == 50) and np.all(hu[found["fat"]] == -100)
        assert body_of(hu)[hu == -850].all() and not body_of(hu)[hu == -1000].any()


def test_noise_of_the_full_dose_moves_no_region_far() -> None:
    hu = trunk()
    noisy = regions_of(hu + np.random.default_rng(0).normal(0, 12, hu.shape).astype(np.float32), 1.0)
    for name, mask in noisy.items():
        assert (mask & regions_of(hu, 1.0)[name]).sum() > 0.8 * mask.sum()


def test_lesions_lie_apart_in_soft_tissue_and_have_their_size_and_contrast() -> None:
    hu = trunk()
    places = lesion_places(hu, 1.0)
    assert len(places) >= 6 and {d for *_, d in places} == {4.0, 8.0, 12.0} and places == lesion_places(hu, 1.0)
    change = with_lesions(hu, 1.0, places) - hu
    for y, x, diameter in places:
        near = distance_mm(hu.shape, 1.0, y, x) < 11
        assert hu[near].min() == 50 and change[y, x] == -30
        assert change[near].sum() == pytest.approx(-30 * np.pi * diameter**2 / 4, rel=0.12)
        assert all((y, x) == (a, b) or np.hypot(y - a, x - b) > 20 for a, b, _ in places)


def test_scores_of_an_image_with_known_error_are_those() -> None:
    hu = trunk()
    subject = Subject("t", hu, 1.0)
    rng = np.random.default_rng(1)
    noise, again = (rng.normal(0, 10, hu.shape).astype(np.float32) for _ in range(2))
    kept = 0.5 * (with_lesions(hu, 1.0, subject.places) - hu)
    found = {
        (s.metric, s.region): s.value for s in scores_of("m", subject, hu + 3 + noise, hu + 3 + noise + kept, hu + 3 + again)
    }
    assert found["rmse_hu", "body"] == pytest.approx(np.hypot(3, 10), rel=0.03)
    assert found["bias_hu", "soft tissue"] == pytest.approx(3, abs=0.3)
    assert found["noise_hu", "soft tissue"] == pytest.approx(10, rel=0.1)
    for size in ("4 mm", "8 mm", "12 mm"):
        assert found["contrast_share", size] == pytest.approx(0.5, abs=1e-4)
    assert found["snr", "12 mm"] > found["snr", "4 mm"]
    assert found["snr", "8 mm"] == pytest.approx(15 / (10 * np.sqrt(1 / 50 + 1 / 151)), rel=0.5)  # noise of some 20 places
    assert found["change_far_hu", "rms"] == 0


def test_methods_are_judged_on_the_same_scans_and_more_photons_give_less_error() -> None:
    subject = Subject("t", trunk(), 1.0)
    methods = {name: classical_methods(1.0)[name] for name in (FBP, HANN)}
    rmse = {}
    for fraction in (1.0, 0.1):
        for scores, image in judge_slice(subject, Dose(1e5, fraction), methods):
            assert image.shape == subject.hu.shape
            rmse[scores[0].method, fraction] = scores[0].value
    assert rmse[FBP, 0.1] > rmse[FBP, 1.0] and rmse[HANN, 0.1] < rmse[FBP, 0.1]
    p = subject.scans(Dose(1e5))
    assert not torch.equal(p[0], p[2]) and float((p[0] - p[1]).abs().max()) < 0.1


def test_the_strength_is_chosen_by_the_error() -> None:
    subject = Subject("t", trunk(2.0), 2.0)
    assert tuned_strength(subject, Dose(3e4), (0.001, 0.7), weighted=False) == 0.7


@pytest.mark.real_data
def test_the_judged_ct_are_there_with_regions_and_places(real_data: Path) -> None:
    for name, about in JUDGED.items():
        for number in (*about.slices, *about.tuned_on):
            hu, pixel_mm = about.slice_of(real_data, number)
            assert body_of(hu).mean() > 0.05 and hu.min() >= -1000, name
        assert regions_of(hu, pixel_mm)
        if not about.seen:
            assert len(lesion_places(*about.slice_of(real_data, about.slices[-1]))) >= 5
