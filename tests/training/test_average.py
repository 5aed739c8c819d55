"""The running mean of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from taskct.training.average import WeightAverage


def test_the_running_mean_follows_the_weights_and_forgets_the_first_ones() -> None:
    layer = nn.Linear(1, 1)
    average = WeightAverage(layer, 0.9)
    with torch.no_grad():
        layer.weight.fill_(5.0)
    for taken in range(3):
        average.update(layer, taken)
    assert abs(float(average.tensors["weight"]) - 5.0) < 0.05  # decays 1/10, 2/11, 3/12 so early
    for taken in range(100, 110):
        with torch.no_grad():
            layer.weight.fill_(7.0)
        average.update(layer, taken)
    assert float(average.tensors["weight"]) == pytest.approx(7 - 2 * 0.9**10, abs=0.05)
