"""Learning curves."""

from __future__ import annotations

import math
from pathlib import Path

from taskct.systems.biplanar.experiment.learning_curves import read_curve
from taskct.systems.biplanar.pages.biplanar_story import Curve


def test_the_curve_of_a_training_reaches_its_last_step(answered: Path) -> None:
    curve = read_curve(answered / "net-smear-s1")
    assert curve.steps[-1] == 2 and len(curve.psnr3d) == len(curve.steps)
    lines = (answered / "report" / "curves.csv").read_text().splitlines()
    assert f'"smear, seed 1",{curve.steps[-1]},{curve.psnr3d[-1]:.4f}' in lines
    assert any(line.startswith('"smear, 1 view, seed 0"') for line in lines)


def test_what_the_last_quarter_brought_is_measured_from_the_best_before() -> None:
    assert math.isclose(Curve((1, 2, 3, 4), (20.0, 25.0, 24.0, 25.5)).last_gain_db, 0.5)
    assert math.isnan(Curve((4,), (20.0,)).last_gain_db)
