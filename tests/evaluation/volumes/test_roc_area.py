"""AUC as a mean over patients, with DeLong's standard error."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from taskct.evaluation.reading import auc
from taskct.evaluation.rows import ALL, Row
from taskct.evaluation.table import Table
from taskct.evaluation.volumes.roc_area import auc_values
from taskct.evaluation.volumes.volume_metrics import about_metric


def test_the_auc_counts_pairs_with_ties_half() -> None:
    scores, yes = torch.tensor([1.0, 1.0, 2.0, 0.0]), torch.tensor([True, False, True, False])
    assert float(auc_values(scores, yes).mean()) == 0.875 == auc(scores.numpy(), yes.numpy())
    assert len(auc_values(torch.tensor([1.0, 2.0]), torch.tensor([True, True]))) == 0


def test_the_spread_of_the_values_is_delongs_standard_error() -> None:
    g = torch.Generator().manual_seed(0)
    yes = torch.arange(60) < 20
    scores = torch.randn(60, generator=g) + 0.8 * yes
    values = auc_values(scores, yes)
    wins = (scores[yes][:, None] > scores[~yes][None]).double().numpy()
    expected = wins.mean(1).var(ddof=1) / 20 + wins.mean(0).var(ddof=1) / 40
    assert math.isclose(float(values.mean()), float(wins.mean()), rel_tol=1e-12)
    # the mean's variance over patients; n and n - 1 differ in the two classes by a few per cent
    assert math.isclose(float(values.var()) / 60, expected, rel_tol=0.06)
    again = np.random.default_rng(0)
    drawn = []
    for _ in range(4000):
        a, b = again.choice(20, 20), again.choice(40, 40)
        drawn.append(wins[a][:, b].mean())
    assert math.isclose(math.sqrt(float(values.var()) / 60), float(np.std(drawn)), rel_tol=0.1)


def test_the_interval_of_an_auc_ends_at_zero_and_one_and_that_of_a_difference_at_one_either_way() -> None:
    scores = torch.arange(40.0)
    yes = (scores > 35) | (scores == 30)
    row = lambda method, k, value: Row(method, f"c{k}", f"c{k}", None, 1.0, 1e5, "auc: open", ALL, value)
    sharp, wide = auc_values(scores, yes).tolist(), auc_values(-scores, yes).tolist()
    rows = [row(m, k, v) for m, values in (("a", sharp), ("b", wide)) for k, v in enumerate(values)]
    about = {"auc: open": about_metric("auc: open")}
    free = Table(rows).mean("auc: open", "a", dose=1.0)
    ended = Table(rows, {"metrics": about}).mean("auc: open", "a", dose=1.0)
    assert free.high > 1 and (ended.mean, ended.low, ended.high) == (free.mean, free.low, 1.0)
    gap = [Table(rows, s).paired("auc: open", "a", "b", dose=1.0) for s in ({}, {"metrics": about})]
    assert gap[0].high > 1 and gap[0].within(-1.0, 1.0) == gap[1]
    back = Table(rows, {"metrics": about}).paired("auc: open", "b", "a", dose=1.0)
    assert (back.low, back.high) == (-gap[1].high, pytest.approx(-gap[1].low)) and back.high < 0
