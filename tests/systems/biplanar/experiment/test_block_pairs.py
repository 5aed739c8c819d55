"""Pairs of rows that differ in one block."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskct.evaluation.table import Table
from taskct.systems.biplanar.experiment.block_pairs import PAIRS
from taskct.systems.biplanar.experiment.network_rows import ROWS


def test_every_pair_is_of_rows_that_exist_and_differ() -> None:
    assert all(p.with_it in ROWS and p.without in ROWS and p.with_it != p.without for p in PAIRS)
    assert len({(p.with_it, p.without) for p in PAIRS}) == len(PAIRS)


def test_a_pair_is_the_paired_difference_of_its_rows(answered: Path) -> None:
    line = next(one for one in (answered / "report" / "blocks.csv").read_text().splitlines() if ",psnr3d," in one)
    assert line.startswith('"agreement last, after smears","smear, agreement last",smear,psnr3d,')
    means = [
        Table.read(answered / f"row-net-{row}-s0").mean("psnr3d", ROWS[row].label, dose=1.0).mean
        for row in ("smear-agree", "smear")
    ]
    assert float(line.split(",psnr3d,")[1].split(",")[0]) == pytest.approx(
        means[0] - means[1], abs=2
    )  # the means of two seeds
    assert "What each block is worth" in (answered / "report" / "report.html").read_text()


def test_what_is_taken_from_the_small_published_network_is_gone_and_nothing_else() -> None:
    whole = ROWS["psct-small-mse"].config((16, 16, 16), views=2)
    for row, name in (("rays", "lift"), ("attention", "lift"), ("core", "core"), ("plain-decoder", "decoder")):
        part = ROWS[f"psct-small-{row}" if row == "plain-decoder" else f"psct-small-no-{row}"].config((16, 16, 16), views=2)
        assert {k for k in whole if whole[k] != part[k]} == {name}
    assert "rays" not in ROWS["psct-small-no-rays"].config((16, 16, 16), views=2)["lift"]
