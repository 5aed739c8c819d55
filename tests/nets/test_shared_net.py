from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets.heads import FindingsHead, SegmentHead
from taskct.nets.pyramids import SmallPyramid
from taskct.nets.shared_net import ENCODER, SharedNet


def two_heads() -> SharedNet:
    encoder = SmallPyramid(widths=(4, 6))
    return SharedNet(encoder, {"findings": FindingsHead(encoder, 2), "segment": SegmentHead(encoder, 3)}).eval()


def test_a_head_that_is_not_asked_for_is_not_run() -> None:
    net, x = two_heads(), torch.randn(1, 1, 8, 8)
    whole, part = net(x), net(x, heads=("segment",))
    assert set(part) == {"segment", ENCODER} and torch.equal(part["segment"], whole["segment"])
    assert [m.shape[1] for m in whole[ENCODER]] == [4, 6]


def test_unknown_heads_and_nets_without_any_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'segment'"):
        two_heads()(torch.zeros(1, 1, 8, 8), heads=("segments",))
    with pytest.raises(ConfigError, match="at least one head"):
        SharedNet(SmallPyramid(), {})
    with pytest.raises(ConfigError, match="another name"):
        SharedNet(SmallPyramid(), {ENCODER: torch.nn.Identity()})
