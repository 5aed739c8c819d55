"""AUC as a mean over patients, with DeLong's standard error."""

from __future__ import annotations

import math

import numpy as np
import torch

from taskct.evaluation.reading import auc
from taskct.evaluation.volumes.roc_area import auc_values


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
