"""The size of a network that a config asks for is known before there is memory for it."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError, ResourceError
from taskct.recon.learned import check_model, saved


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ({"kind": "fbp_unet", "widths": [8] * 18}, ConfigError, "at most 17 widths"),
        ({"kind": "itnet", "iterations": 10**9}, ConfigError, "at most 1000, got 1000000000"),
        ({"kind": "itnet", "shared": False, "iterations": 1001}, ConfigError, "at most 1000, got 1001"),
        ({"kind": "primal_dual", "iterations": 10**9}, ConfigError, "at most 1000 iterations"),
        (
            {"kind": "primal_dual", "iterations": 1000, "width": 10**4},
            ResourceError,
            "training its more than .* weights takes about",
        ),
        ({"kind": "fbp_redcnn", "filters": 10**6}, ResourceError, "GiB of memory"),
        ({"kind": "fbp_unet", "widths": [2**40, 2**40]}, (ConfigError, ResourceError), r"\[model\]"),
    ],
    ids=str,
)
def test_a_network_that_is_too_large_is_refused_before_it_is_built(config, error, words):
    with pytest.raises(error, match=words):
        check_model(config)


def test_so_is_one_of_too_many_layers_and_the_next_network_is_not_counted_with_it(monkeypatch):
    config = {"kind": "fbp_unet", "widths": [4, 8]}
    weights = check_model(config)
    monkeypatch.setattr(saved, "_MOST_PARTS", 10)
    with pytest.raises(ConfigError, match="more than 10 layers; take fewer scales, blocks or iterations"):
        check_model(config)
    for _ in range(20):
        torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3))
    monkeypatch.undo()
    assert check_model(config) == weights == sum(p.numel() for p in saved.make_model(config).parameters())
