"""Learned queries that ask a flat map for a volume."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets.learned_queries import QueryVolume, sine_positions


@pytest.mark.parametrize("positions", [True, False])
def test_only_with_positions_does_it_matter_where_a_token_stands(positions: bool) -> None:
    torch.manual_seed(0)
    ask = QueryVolume(6, 16, heads=2, positions=positions).eval()
    with torch.no_grad():
        ask.queries.mul_(50)  # so that attention is not even
    x = torch.randn(1, 6, 4, 4)
    moved = x.flatten(2)[:, :, torch.randperm(16)].reshape(x.shape)
    same = torch.allclose(ask(x), ask(moved), atol=1e-5)
    assert same is not positions


def test_there_is_one_query_for_each_voxel_and_larger_maps_are_pooled_to_its_tokens() -> None:
    ask = QueryVolume(6, 16, shape=(2, 3, 4), tokens=2, heads=4).eval()
    assert ask.queries.shape == (24, 16)
    x = torch.randn(2, 6, 2, 2)
    assert ask(x).shape == (2, 16, 2, 3, 4)
    assert torch.allclose(ask(x.repeat_interleave(3, 2).repeat_interleave(3, 3)), ask(x), atol=1e-5)


def test_every_place_has_a_code_of_its_own() -> None:
    code = sine_positions((4, 4, 4), 24)
    apart = torch.cdist(code, code) + 10 * torch.eye(64)
    assert code.shape == (64, 24) and float(apart.min()) > 0.1


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads that divide"):
        QueryVolume(6, 20, heads=8)
    with pytest.raises(ConfigError, match="width of 6 or more"):
        sine_positions((2, 2, 2), 4)
