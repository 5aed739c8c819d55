"""Rows that refine wrong poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taskct.systems.biplanar.experiment import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of, with_wrong_poses, wrong_poses
from taskct.systems.biplanar.experiment.refined_rows import refined_name
from taskct.systems.biplanar.experiment.row_scores import RowScores


def test_the_remaining_errors_of_the_poses_are_stated_beside_the_first(answered: Path, asked: BiPlanar) -> None:
    done = RowScores.read(answered / "refined-gaussian")
    left = done.about[refined_name(3.0)]
    turn, _ = wrong_poses(asked, 3.0)
    assert left["turn_deg"] == pytest.approx(np.sqrt((turn**2).mean())) and 1.5 < left["turn_deg"] < 4.5
    assert left["turn_left_deg"] != left["turn_deg"] and left["shift_left_mm"] < 30
    assert {r.metric for r in done.table.rows} == {"psnr3d", "bone_dice"}
    assert done.table.methods == ["Gaussian model, poses off by 3 deg and mm, refined"]
    line = (answered / "report" / "poses.csv").read_text().splitlines()[1].split(",")
    assert line[:2] == ["Gaussian model", "3"] and float(line[3]) == pytest.approx(left["turn_left_deg"], rel=1e-3)


def test_wrong_poses_belong_to_the_skull_and_to_the_size_of_the_error(answered: Path, asked: BiPlanar) -> None:
    turn, shift = wrong_poses(asked, 3.0)
    assert turn.shape == shift.shape == (4, 2, 3) and not np.allclose(turn[0], turn[1])
    folder = answered / "skulls"
    own, small, large = (
        c.p for c in (cases_of(folder, asked, "test", 2), *(with_wrong_poses(folder, asked, e) for e in (0.01, 5.0)))
    )
    assert float((small - own).abs().mean()) < 0.02 < float((large - own).abs().mean())
