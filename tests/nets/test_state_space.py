"""The selective state-space layer, and blocks that mix the tokens of a volume."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets import SelectiveStateSpace, TokenMixer
from taskct.nets.state_space import scan


@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_the_parallel_scan_equals_the_recurrence_one_token_at_a_time(length: int) -> None:
    g = torch.Generator().manual_seed(length)
    keep, add = torch.rand((2, length, 3), generator=g).double(), torch.randn((2, length, 3), generator=g).double()
    h, one_by_one = torch.zeros(2, 3).double(), []
    for t in range(length):
        h = keep[:, t] * h + add[:, t]
        one_by_one.append(h)
    assert torch.allclose(scan(keep, add), torch.stack(one_by_one, 1), rtol=1e-12, atol=0)


def test_a_token_sees_itself_and_those_before_it_and_no_later_one() -> None:
    torch.manual_seed(0)
    layer = SelectiveStateSpace(8)
    u = torch.randn(1, 10, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(u)[0, 5].sum(), u)
    seen = gradient[0].abs().sum(-1)
    assert (seen[:6] > 0).all() and (seen[6:] == 0).all()


def test_the_state_reaches_farther_back_than_the_convolution() -> None:
    torch.manual_seed(0)
    layer = SelectiveStateSpace(4, kernel=2)
    u = torch.randn(1, 40, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(u)[0, 39].sum(), u)
    assert float(gradient[0, 0].abs().sum()) > 0


def test_both_directions_share_one_layer_so_that_a_flipped_volume_gives_the_flipped_answer() -> None:
    torch.manual_seed(0)
    mixer = TokenMixer(8).eval()
    x = torch.randn(2, 8, 2, 3, 4)
    flipped = mixer(x.flip(2, 3, 4)).flip(2, 3, 4)
    assert torch.allclose(flipped, mixer(x), atol=1e-5)
    turned = mixer(x.flip(4)).flip(4)  # another order of tokens is another answer
    assert not torch.allclose(turned, mixer(x), atol=1e-3)


def test_attention_in_its_place_knows_no_order_at_all() -> None:
    torch.manual_seed(0)
    mixer = TokenMixer(8, kind="attention", heads=2).eval()
    x = torch.randn(1, 8, 2, 3, 4)
    assert torch.allclose(mixer(x.flip(4)).flip(4), mixer(x), atol=1e-5)


def test_an_unknown_mixer_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'state-space'"):
        TokenMixer(8, kind="state-spaces")
    with pytest.raises(ConfigError, match="whole numbers >= 1"):
        SelectiveStateSpace(8, state=0)
