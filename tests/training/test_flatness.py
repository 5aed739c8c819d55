"""Whether a training is at its plateau, by the stated rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskct.core.runs import Run
from taskct.training.flatness import flatness, validation_curve


def run_of(folder: Path, errors: list[float], *, schedule: str = "constant", every: int = 200) -> Run:
    made = Run.create(folder, {"training": {"schedule": schedule}})
    for k, error in enumerate(errors, start=1):
        made.append(kind="train", step=k * every, total=9.0)
        made.append(kind="validation", step=k * every, total=error)
    return made


def test_a_curve_is_flat_when_so_many_validations_in_a_row_gain_less_than_the_rule_says(tmp_path: Path) -> None:
    falling = [2.0, 1.8, 1.656, 1.63, 1.611, 1.59, 1.576]  # each validation gains about 1 %
    flat = [1.6, 1.5, 1.498, 1.497, 1.4969, 1.4968, 1.4965]
    going, done = (run_of(tmp_path / n, errors) for n, errors in (("a", falling), ("b", flat)))
    still = flatness(going, patience=5, least_gain=0.005)
    assert not still.reached and "still falling" in str(still) and still.steps == 1400
    found = flatness(done, patience=5, least_gain=0.005)
    assert found.reached and found.window == 1000 and found.best_step == 1400
    assert found.gain == pytest.approx(1 - 1.4965 / 1.5) and "plateau: 0.23% gained in the last 1000 steps" in str(found)
    assert "less than 0.5% over 5 validations" in found.rule
    assert not flatness(done, patience=6, least_gain=0.005).reached  # only five of them follow the last gain
    assert validation_curve(done)[0] == (200, 1.6)


def test_a_falling_learning_rate_shows_no_plateau_however_flat_the_end_looks(tmp_path: Path) -> None:
    found = flatness(run_of(tmp_path / "a", [1.5] * 9, schedule="cosine"))
    assert not found.reached and "the learning rate fell" in str(found)


def test_a_training_without_validations_is_not_judged(tmp_path: Path) -> None:
    found = flatness(run_of(tmp_path / "a", []))
    assert not found.reached and "not judged" in str(found)


def test_an_error_that_rises_steadily_is_at_no_plateau_and_one_that_only_shakes_is(tmp_path: Path) -> None:
    rising = flatness(run_of(tmp_path / "a", [1.6, 1.5, 1.51, 1.53, 1.52, 1.55, 1.59]))
    assert not rising.reached and rising.rise == pytest.approx(1.59 / 1.5 - 1)
    assert str(rising) == "1400 steps; no plateau: the error rises, by 6.00% since its best at step 400"
    shaken = flatness(run_of(tmp_path / "b", [1.6, 1.5, 1.53, 1.51, 1.54, 1.52, 1.53]))
    assert shaken.reached and shaken.rise == 0
    slightly = flatness(run_of(tmp_path / "c", [1.6, 1.5, 1.501, 1.502, 1.503, 1.504, 1.505]))
    assert slightly.reached  # by less than a gain that would count
    falling = flatness(run_of(tmp_path / "d", [1.5, 1.6, 1.7, 1.8, 1.9, 2.0], schedule="cosine"))
    assert "the error rises" in str(falling)  # whatever the learning rate did
    below = flatness(run_of(tmp_path / "e", [-1.0, -0.9, -0.8, -0.7, -0.6, -0.5]))
    assert not below.reached and below.rise == pytest.approx(0.5)


def test_errors_of_0_and_below_have_a_gain_and_what_does_not_fall_is_not_called_falling(tmp_path: Path) -> None:
    below = flatness(run_of(tmp_path / "a", [-1.0, -1.002, -1.0, -1.0, -1.0, -1.0]))
    assert below.reached and below.gain == pytest.approx(0.002) and "plateau: 0.20% gained" in str(below)
    assert flatness(run_of(tmp_path / "b", [0.0] * 6)).gain == 0.0
    short = flatness(run_of(tmp_path / "c", [1.0] * 5))
    assert not short.reached and "no gain for 800 steps, too few to tell" in str(short)
