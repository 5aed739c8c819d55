"""Spreads that are scaled on the validation skulls."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskct.evaluation.table import Table
from taskct.systems.biplanar.experiment.row_scores import RowScores
from taskct.systems.biplanar.experiment.spread_rows import ensemble_label


def test_two_trainings_are_a_row_whose_spread_is_theirs(answered: Path) -> None:
    done = RowScores.read(answered / "ensemble-2-smear")
    label = ensemble_label("smear", 2)
    assert done.table.methods == [label] and done.about["method"] == label
    each = Table.read(answered / "row-net-smear-s0")
    assert done.table.mean("psnr3d", label, dose=1.0).mean == pytest.approx(each.mean("psnr3d", "smear", dose=1.0).mean, abs=3)
    facts = done.about["spread"]
    assert facts["factor"] > 0 and len(facts["error"]) == 10
    assert list(facts["spread"]) == sorted(facts["spread"])


def test_the_spread_of_the_population_is_scaled_to_each_methods_own_errors(answered: Path) -> None:
    gaussian, smear = (RowScores.read(answered / f"spread-{row}") for row in ("gaussian", "smear"))
    assert gaussian.about["spread"]["factor"] != smear.about["spread"]["factor"]
    ratios = [r.value for r in smear.table.rows if r.metric == "spread_ratio"]
    assert len(ratios) == 4 and all(r > 0 for r in ratios)
    lines = (answered / "report" / "spread.csv").read_text().splitlines()
    assert lines[0].startswith("method,factor") and len(lines) == 1 + 3 * 10
    page = (answered / "report" / "report.html").read_text()
    assert "reliability curves" in page and "<span>spread, axial</span>" in page
