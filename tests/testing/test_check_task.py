"""check_task passes what is right, and each of its questions can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import InputError
from taskct.nets import UNet
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze
from taskct.testing import CheckFailedError, check_task


def unet() -> nn.Module:
    torch.manual_seed(0)
    return UNet(1, 3, widths=(4, 8))


def right(**change: Any) -> FrozenTask:
    parts: dict[str, Any] = {
        "net": freeze(unet()),
        "prepare": HuWindow(60, 320),
        "penalty": DiceCE(),
        "name": "organ",
        **change,
    }
    return FrozenTask(**parts)


def test_a_right_task_passes_every_question_in_two_and_three_dimensions() -> None:
    found = check_task(right())
    found.raise_if_failed()
    assert all(f.verdict == "pass" for f in found.lines) and len(found.lines) >= 10
    torch.manual_seed(0)
    check_task(right(net=freeze(UNet(1, 3, widths=(4, 8), dims=3))), shape=(8, 24, 24)).raise_if_failed()


def test_a_task_with_a_target_of_its_own_is_asked_with_it() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    mu = 0.02 + 0.001 * torch.randn(2, 1, 32, 32)
    task = right(net=freeze(net), penalty=nn.CrossEntropyLoss())
    check_task(task, mu, torch.tensor([1, 4])).raise_if_failed()


class Moving(FrozenTask):
    """Lets training mode through, so that statistics of normalisation follow the images."""

    def train(self, mode: bool = True) -> FrozenTask:
        self.net.train(mode)
        return self

    def check_frozen(self) -> None:
        pass


class Counting(nn.Module):
    """A statistic that moves even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = unet()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.mean.mul_(0.9).add_(0.1 * x.detach().mean())  # type: ignore[operator]
        return self.net(x)


class Dropping(nn.Module):
    """Dropout that does not ask for the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = unet()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(functional.dropout(x, 0.2, training=True))


def loose() -> FrozenTask:
    task = Moving(freeze(unet()), HuWindow(60, 320), DiceCE(), "organ")
    nn.Module.requires_grad_(task.net, True)
    return task


def straight_through(mu: Tensor) -> Tensor:
    x = HuWindow(60, 320)(mu)
    return x + (x.detach().clamp(0.4, 0.7) - x.detach())


def edits(mu: Tensor) -> Tensor:
    if not mu.requires_grad:
        mu.mul_(1.01)
    return HuWindow(60, 320)(mu)


@pytest.mark.parametrize(
    ("broken", "question"),
    [
        (lambda: Moving(freeze(unet()), HuWindow(60, 320), DiceCE(), "organ"), "weights and statistics stay"),
        (lambda: Moving(freeze(unet()), HuWindow(60, 320), DiceCE(), "organ"), "same image, same bytes"),
        (lambda: right(net=freeze(Counting())), "weights and statistics stay"),
        (loose, "no weight asks for a gradient"),
        (loose, "weights and statistics stay"),
        (lambda: right(net=freeze(Dropping())), "same image, same bytes"),
        (lambda: right(net=freeze(Dropping())), "no global random numbers"),
        (lambda: right(prepare=lambda mu: HuWindow(60, 320)(mu).detach()), "the gradient reaches the image"),
        (lambda: right(prepare=lambda mu: HuWindow(60, 320)(mu) * 0 + 0.5), "the gradient reaches the image"),
        (lambda: right(prepare=straight_through), "the gradient is that of differences"),
        (lambda: right(prepare=edits), "mu is not edited"),
        (lambda: right(penalty=lambda logits, labels: DiceCE()(logits, labels) / 0), "the penalty is one finite number"),
        (lambda: right(penalty=lambda logits, labels: logits), "the penalty is one finite number"),
        (lambda: right(net=freeze(UNet(1, 2, widths=(4, 8)))), "answers an image in 1/mm"),
    ],
)
def test_each_fault_is_caught_by_its_question(broken: Callable[[], FrozenTask], question: str) -> None:
    found = check_task(broken())
    assert question in [f.question for f in found.failures], str(found)
    with pytest.raises(CheckFailedError):
        found.raise_if_failed()


def test_what_is_no_task_is_refused_with_the_way_to_one() -> None:
    with pytest.raises(InputError, match=r"expects a FrozenTask, got UNet; see docs/tutorial-task.md"):
        check_task(unet())  # type: ignore[arg-type]
