"""Windows over an image: the same answer where windows do not matter, and the gradient of the whole."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets import UNet
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze
from taskct.task.answers import MergedClasses
from taskct.task.grids import OnGrid, Padded
from taskct.task.sliding import SlidingWindow, window_starts


def small_net(dims: int) -> nn.Module:
    """Sees one neighbour on each side."""
    torch.manual_seed(0)
    conv = nn.Conv2d if dims == 2 else nn.Conv3d
    return nn.Sequential(conv(1, 4, 3, padding=1), nn.Softplus(), conv(4, 2, 1))


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 90), window=st.integers(1, 40), overlap=st.floats(0, 0.95))
def test_windows_cover_everything_and_overlap_as_asked(size: int, window: int, overlap: float) -> None:
    starts = window_starts(size, window, overlap)
    covered = {k for s in starts for k in range(s, s + window)}
    assert set(range(size)) <= covered
    assert starts == sorted(set(starts)) and (size <= window or starts[-1] == size - window)
    most = max(1, int(window * (1 - overlap)))
    assert all(b - a <= most + 1 for a, b in itertools.pairwise(starts))  # rounding moves a window by one at most


@pytest.mark.parametrize(("shape", "window"), [((21, 30), (12, 12)), ((9, 13, 11), (6, 8, 8)), ((5, 6), (12, 12))])
def test_a_network_that_looks_at_single_samples_answers_the_same_in_windows(
    shape: tuple[int, ...], window: tuple[int, ...]
) -> None:
    x = torch.randn(2, 1, *shape, dtype=torch.float64)
    for outside in ("edge", "zero"):
        answer = SlidingWindow(nn.Tanh(), window, outside=outside)(x)  # type: ignore[arg-type]
        assert torch.allclose(answer, x.tanh(), rtol=0, atol=1e-12)


def test_away_from_the_borders_of_windows_the_answer_is_that_of_the_whole_image() -> None:
    net, x = small_net(2).double(), torch.randn(1, 1, 60, 60, dtype=torch.float64)
    net.requires_grad_(False)
    whole, found = net(x), SlidingWindow(net, (24, 24), overlap=0.75)(x)
    inner = (..., slice(2, -2), slice(2, -2))
    # a window's border counts 6e-4 beside 0.19 of the next window there (6 samples in): 0.3 % of some standard deviations
    assert float((whole - found)[inner].abs().max()) < 0.02 * float(whole.std())


@pytest.mark.parametrize("dims", [2, 3])
def test_the_gradient_is_that_of_a_difference_and_the_same_when_memory_is_saved(dims: int) -> None:
    shape, window = ((11, 13), (6, 6)) if dims == 2 else ((6, 7, 8), (4, 4, 5))
    net = freeze(small_net(dims)).double()
    x = torch.randn(1, 1, *shape, dtype=torch.float64, requires_grad=True)
    asked: list[int] = []
    net.register_forward_pre_hook(lambda *_: asked.append(1))
    grads = []
    for saving in (True, False):
        asked.clear()
        (grad,) = torch.autograd.grad(SlidingWindow(net, window, memory_saving=saving)(x).square().sum(), x)
        grads.append((grad, len(asked)))
    assert torch.allclose(grads[0][0], grads[1][0], rtol=0, atol=1e-12)
    assert grads[0][1] == 2 * grads[1][1]  # each window once more in the backward pass
    assert torch.autograd.gradcheck(SlidingWindow(net, window), x, fast_mode=True)


def test_a_volume_has_a_frozen_task_whose_gradient_reaches_every_slice() -> None:
    torch.manual_seed(0)
    net = SlidingWindow(UNet(1, 3, widths=(4, 8), dims=3), (8, 16, 16))
    task = FrozenTask(freeze(net), HuWindow(60, 320), DiceCE(), "liver")
    mu = (0.02 + 0.001 * torch.randn(1, 1, 12, 20, 24)).requires_grad_()
    labels = torch.zeros(1, 12, 20, 24, dtype=torch.int64)
    labels[:, 3:9, 5:15, 5:15] = 1
    labels[:, 5:7, 8:11, 8:11] = 2
    assert task.predict(mu).shape == (1, 3, 12, 20, 24)
    task(mu, labels).backward()
    assert mu.grad is not None and bool((mu.grad.abs().sum((0, 1, 3, 4)) > 0).all())
    step = 3e-4 * mu.grad / mu.grad.norm()  # far above the rounding of the penalty
    assert task((mu - step).detach(), labels) < task(mu.detach(), labels)


def test_windows_add_up_in_float32_under_autocast() -> None:
    net = freeze(small_net(2))
    x = torch.randn(1, 1, 40, 40)
    with torch.autocast("cpu", torch.bfloat16):
        answer = SlidingWindow(net, (16, 16), overlap=0.75)(x)
        whole = net(x)
    assert answer.dtype == torch.float32
    # bfloat16 keeps 8 bits: each answer is right to 2^-9 of its size; more windows must not make that worse
    assert float((answer - whole.float())[..., 2:-2, 2:-2].abs().mean()) < 2**-8 * float(whole.float().abs().mean())


def test_windows_of_impossible_kinds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"two or three whole numbers, got \(8,\)"):
        SlidingWindow(nn.Identity(), (8,))
    with pytest.raises(ConfigError, match="overlap from 0"):
        SlidingWindow(nn.Identity(), (8, 8), overlap=1.0)
    with pytest.raises(GeometryError, match="with as many axes"):
        SlidingWindow(nn.Identity(), (8, 8, 8))(torch.zeros(1, 1, 16, 16))
    with pytest.raises(GeometryError, match=r"answers on its window \(8, 8\)"):
        SlidingWindow(nn.MaxPool2d(2), (8, 8))(torch.zeros(1, 1, 16, 16))


# grids of its own -----------------------------------------------------------------------------------------------------


class Remember(nn.Module):
    """The identity, which keeps what it was shown."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return x


def test_an_image_is_continued_to_sizes_that_divide_and_cut_back() -> None:
    net = Remember()
    x = torch.randn(1, 2, 17, 40)
    assert torch.equal(Padded(net, 16)(x), x) and net.seen.shape == (1, 2, 32, 48)
    assert torch.equal(Padded(net, (1, 32))(x), x) and net.seen.shape == (1, 2, 17, 64)
    assert bool((net.seen[..., 40:] == x[..., -1:]).all())
    with pytest.raises(GeometryError, match="as many axes"):
        Padded(net, (2, 2, 2))(x)
    with pytest.raises(ConfigError, match="a multiple of 1 or more"):
        Padded(net, 0)


def test_an_image_reaches_a_network_in_its_spacing_orientation_and_order_and_the_answer_comes_back() -> None:
    net = Remember()
    ramp = torch.linspace(0, 1, 24).reshape(1, 1, 1, 1, 24).expand(1, 1, 6, 10, 24).clone()
    ramp[..., 0:2, :] += 1.0  # the front (y is small there) is brighter
    grid = OnGrid(net, spacing_mm=(4.0, 2.0, 1.0), its_spacing_mm=(2.0, 2.0, 2.0), orientation="RAS")
    answer = grid(ramp)
    assert net.seen.shape == (1, 1, 12, 10, 12)
    assert net.seen[0, 0, 0, 5, 0] > net.seen[0, 0, 0, 5, -1] and net.seen[0, 0, 0, -1, 5] > 1  # x and y are turned round
    assert answer.shape == ramp.shape
    assert float((answer - ramp)[..., 3:, 2:-2].abs().max()) < 1e-5  # a ramp survives linear interpolation
    turned = OnGrid(net, spacing_mm=(4.0, 2.0, 1.0), its_spacing_mm=(1.0, 4.0, 2.0), order=(2, 0, 1))
    assert torch.equal(turned(ramp), ramp) and torch.equal(net.seen, ramp.permute(0, 1, 4, 2, 3))
    with pytest.raises(ConfigError, match="unknown orientation 'LAS'"):
        OnGrid(net, spacing_mm=(1, 1), its_spacing_mm=(1, 1), orientation="LAS")
    with pytest.raises(ConfigError, match="two spacings above 0"):
        OnGrid(net, spacing_mm=(1, 1), its_spacing_mm=(1, 1, 1))


def test_merged_classes_add_their_probabilities_and_keep_the_gradient() -> None:
    logits = torch.randn(2, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    merged = MergedClasses(nn.Identity(), [[4], [1, 3]])
    p, q = logits.softmax(1), merged(logits).softmax(1)
    assert torch.allclose(q, torch.stack([p[:, [0, 2, 5]].sum(1), p[:, 4], p[:, [1, 3]].sum(1)], 1), atol=1e-12)
    assert torch.autograd.gradcheck(merged, logits, fast_mode=True)
    with pytest.raises(ConfigError, match="each number once"):
        MergedClasses(nn.Identity(), [[1], [1]])
    with pytest.raises(GeometryError, match="expect more classes than the network's 6"):
        MergedClasses(nn.Identity(), [[6]])(logits)


@pytest.mark.parametrize(("outside", "beyond"), [("edge", 5.0), ("zero", 0.0)])
def test_an_image_smaller_than_its_window_is_continued_as_asked(outside: str, beyond: float) -> None:
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x

    x = torch.full((1, 1, 4, 3), 5.0)
    assert torch.equal(SlidingWindow(Spy(), (8, 3), outside=outside)(x), x)
    (grown,) = seen
    assert grown.shape == (1, 1, 8, 3) and torch.equal(grown[:, :, 2:6], x)
    assert float(grown[:, :, :2].unique()) == float(grown[:, :, 6:].unique()) == beyond
