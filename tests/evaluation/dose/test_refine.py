"""Doses between octaves: how many it takes, how closely they tell the answer, and what is printed of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dose_subjects import NOISE, SUBJECTS, smooth

from taskct.core.names import known_digits
from taskct.evaluation.dose import DoseSearch, optimise_dose
from taskct.evaluation.dose.quality_curves import Curves, contrast, held
from taskct.evaluation.dose.refine import bracket, joined, refined
from taskct.evaluation.dose.target import parse_target
from taskct.evaluation.reading.task_curves import crossing
from taskct.physics.dose import Dose

LOWEST = 1 / 4096
TARGET = parse_target("noise_sd_hu<=25")


def law(photons: float, *, needed: float, rough: float = 0.0) -> Curves:
    """Two patients whose SD goes as 1 / sqrt(photons), 25 HU on average at `needed`; `rough` shakes it from dose to dose."""
    shaken = 1 + rough * math.sin(37 * math.log(photons))
    sd = 25 * math.sqrt(needed / photons) * shaken
    return Curves(np.array([photons]), np.full((2, 1), photons), {TARGET.key: np.array([[0.8 * sd], [1.2 * sd]])}, ("a", "b"))


def octaves(needed: float, rough: float = 0.0) -> Curves:
    found = law(2.0**10, needed=needed, rough=rough)
    for k in range(11, 21):
        found = joined(found, law(2.0**k, needed=needed, rough=rough))
    return found


@pytest.mark.parametrize("needed", [5e3, 66_000.0, 131_072.0, 700_123.0])
def test_the_answer_lies_between_doses_that_differ_by_less_than_asked_and_few_scans_are_enough(needed: float) -> None:
    scans: list[float] = []

    def scan(photons: float) -> Curves:
        scans.append(photons)
        return law(photons, needed=needed)

    before = octaves(needed)
    found = refined(before, [TARGET], "mean", 0.02, scan)
    place = bracket(found.levels, held(contrast(TARGET, found.values[TARGET.key], found.values[TARGET.key][:, -1:]), "mean"))
    assert place is not None and place.below < needed <= place.above * (1 + 1e-9) and place.width < 0.02
    assert place.photons == pytest.approx(needed, rel=0.01) and len(scans) <= 6
    octave = bracket(before.levels, held(contrast(TARGET, before.values[TARGET.key]), "mean"))
    between = abs(math.log2(needed) % 1 - 0.5) < 0.4
    assert octave is not None and (octave.photons > 1.01 * needed or not between)  # a chord lies above the law


def test_a_criterion_that_is_rough_or_never_met_ends_the_search() -> None:
    rough = lambda photons: law(photons, needed=66_000.0, rough=0.05)
    found = refined(octaves(66_000.0, 0.05), [TARGET], "mean", 0.02, rough)
    assert len(found.levels) <= 11 + 12 and list(found.levels) == sorted(found.levels)
    never = octaves(1e9)
    assert refined(never, [TARGET], "mean", 0.02, rough) is never
    at_once = octaves(10.0)
    assert refined(at_once, [TARGET], "mean", 0.02, rough) is at_once  # "at most": nothing lies below


@pytest.mark.parametrize("undefined", [(), (0,), (1,), (2,), (3,), (0, 1), (2, 3), (0, 1, 2, 3)])
def test_doses_stand_about_an_answer_exactly_where_there_is_one(undefined: tuple[int, ...]) -> None:
    levels, asked = np.array([1.0, 2.0, 4.0, 8.0]), np.array([-1.0, -0.5, 0.5, 1.0])
    asked[list(undefined)] = math.nan
    place, photons = bracket(levels, asked), crossing(levels, asked, 0.0)
    assert (place is not None) == (not math.isnan(photons)) == (undefined in ((), (0,)))  # what lies about it is defined
    assert place is None or (place.photons == photons and (place.below, place.above) == (2.0, 4.0))


def test_a_search_prints_no_more_digits_than_it_knows() -> None:
    plain, fine = (
        optimise_dose(
            smooth, SUBJECTS[:1], None, Dose(1e6), keep=NOISE, search=DoseSearch(within=within, lowest=LOWEST), progress=False
        )
        for within in (0.0, 0.02)
    )
    one = fine.targets[0]
    place = bracket(one.levels, one.gap[0])
    assert place is not None and place.width < 0.02 and place.below < fine.photons <= place.above
    assert len(plain.targets[0].levels) == 13 < len(one.levels) <= 19
    assert one.digits == fine.digits == 2 and plain.digits == 1  # between octaves one digit is all that is known
    first = fine.text.split("\n")[0].split(" photons")[0].replace("\u202f", "")
    assert len(first.strip("0")) <= 2 and float(first) == pytest.approx(fine.photons, rel=0.05)


def test_the_interval_over_patients_decides_the_digits_where_it_is_wider() -> None:
    answer = optimise_dose(smooth, SUBJECTS, None, Dose(1e6), keep=NOISE, search=DoseSearch(lowest=LOWEST), progress=False)
    one = answer.targets[0]
    assert one.high - one.low > one.between and one.digits == known_digits(one.photons, one.high - one.low) == 1


def test_digits_follow_the_width_of_what_is_open() -> None:
    assert known_digits(24_670.0, 160.0) == 3 and known_digits(24_670.0, 300.0) == 2
    assert known_digits(5.0, math.nan) == 4 and known_digits(5.0, 100.0) == 1
