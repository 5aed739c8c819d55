"""Spreads that are scaled on the validation skulls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.runs import load_run
from taskct.evaluation.table import Table
from taskct.evaluation.volumes import reliability
from taskct.recon.population import GaussianPopulation
from taskct.systems.biplanar.experiment import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of
from taskct.systems.biplanar.experiment.row_scores import RowScores
from taskct.systems.biplanar.experiment.shared_skulls import Skulls
from taskct.systems.biplanar.experiment.spread_rows import SPREAD, ensemble_label


def test_two_trainings_are_a_row_whose_spread_is_theirs(answered: Path) -> None:
    done = RowScores.read(answered / "ensemble-2-smear")
    label = ensemble_label("smear", 2)
    assert done.table.methods == [label] and done.about["method"] == label
    each = Table.read(answered / "row-net-smear-s0")
    assert done.table.mean("psnr3d", label, dose=1.0).mean == pytest.approx(each.mean("psnr3d", "smear", dose=1.0).mean, abs=3)
    facts = done.about["spread"]
    assert facts["factor"] > 0 and len(facts["error"]) == 10
    assert list(facts["spread"]) == sorted(facts["spread"])


def test_what_is_judged_and_shown_is_the_spread_of_the_model_times_the_factor(answered: Path, asked: BiPlanar) -> None:
    facts = RowScores.read(answered / "spread-smear").about["spread"]
    sigma = RowScores.read(answered / "row-gaussian").about["sigma"]
    drawn = Skulls(answered / "skulls")
    cases = cases_of(drawn.folder, asked, "test", 2)
    plain = GaussianPopulation(drawn.radiographs("train", asked).truth, sigma=sigma).spread(cases.A).expand_as(cases.truth)
    bins = reliability(plain, cases.truth, cases.truth).spread
    assert facts["spread"] == pytest.approx([facts["factor"] * one for one in bins], rel=1e-4)
    kept = load_run(answered / "spread-smear").load_tensors("examples.safetensors")[0][SPREAD]
    assert torch.allclose(kept.float(), 1000 / 0.01929 * facts["factor"] * plain[:1], rtol=2e-3, atol=0.1)
    assert 0.2 < facts["factor"] < 20 and abs(facts["factor"] - 1) > 0.01


def test_the_spread_of_the_population_is_scaled_to_each_methods_own_errors(answered: Path) -> None:
    gaussian, smear = (RowScores.read(answered / f"spread-{row}") for row in ("gaussian", "smear"))
    assert gaussian.about["spread"]["factor"] != smear.about["spread"]["factor"]
    ratios = [r.value for r in smear.table.rows if r.metric == "spread_ratio"]
    assert len(ratios) == 4 and all(r > 0 for r in ratios)
    lines = (answered / "report" / "spread.csv").read_text().splitlines()
    assert lines[0].startswith("method,factor") and len(lines) == 1 + 3 * 10
    page = (answered / "report" / "report.html").read_text()
    assert "reliability curves" in page and "<span>spread, axial</span>" in page
