from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.nets.heads import CentresHead, FindingsHead, SegmentHead
from taskct.nets.pyramids import SmallPyramid
from taskct.nets.shared_net import SharedNet
from taskct.task import Boxes, CentreBoxes, DiceCE, FindingsBCE, FrozenTask, HuWindow, tasks_of
from taskct.testing import check_task
from taskct.testing.check_task import example_image
from taskct.training import Batch, LabelPenalty, Objective

PENALTIES = {"findings": FindingsBCE(), "segment": DiceCE(), "detect": CentreBoxes(stride=4)}


class Counting(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.calls = net, 0
        self.widths, self.strides = net.widths, net.strides

    def forward(self, x: Tensor) -> list[Tensor]:
        self.calls += 1
        return self.net(x)


def reader() -> dict[str, FrozenTask]:
    torch.manual_seed(0)
    encoder = Counting(SmallPyramid(widths=(4, 6, 8)))
    heads = {
        "findings": FindingsHead(encoder, 2),
        "segment": SegmentHead(encoder, 3),
        "detect": CentresHead(encoder, 2, stride=4, rare=0.3),
    }
    return tasks_of(SharedNet(encoder, heads), PENALTIES, prepare=HuWindow(0, 2400))


def targets() -> dict[str, object]:
    _, labels = example_image((32, 32))
    box = Boxes(torch.tensor([[8.0, 9, 20, 22]]), torch.tensor([1]), torch.tensor([True, True]), torch.zeros(0, 4))
    none = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.tensor([True, False]), torch.zeros(0, 4))
    return {"findings": torch.tensor([[1.0, 0.0], [float("nan"), 1.0]]), "segment": labels, "detect": [box, none]}


def calls_of(task: FrozenTask) -> int:
    return task.net.one_pass.net.encoder.calls  # type: ignore[union-attr,return-value]


@pytest.mark.parametrize("head", PENALTIES)
def test_each_head_keeps_the_contract_of_a_task(head: str) -> None:
    mu, _ = example_image((32, 32))
    mu = mu + 2e-4 * torch.rand(
        mu.shape, generator=torch.Generator().manual_seed(1)
    )  # a maximum over equal values has no slope
    check_task(reader()[head], mu, targets()[head]).raise_if_failed()


def test_the_terms_of_an_objective_run_the_encoder_once() -> None:
    tasks, wanted = reader(), targets()
    terms = {head: (1.0, LabelPenalty(task, target=head)) for head, task in tasks.items()}
    mu, _ = example_image((32, 32))
    mu_hat = mu.clone().requires_grad_() * 1.0
    batch = Batch(mu=mu, ids=("a", "b"), mu_hat=mu_hat, targets=wanted)
    total, parts = Objective(terms)(batch)
    (together,) = torch.autograd.grad(total, mu_hat)
    assert calls_of(tasks["segment"]) == 1 and set(parts) == set(PENALTIES)
    apart = torch.zeros_like(mu)
    for head in PENALTIES:
        image = mu.clone().requires_grad_()
        reader()[head](image, wanted[head]).backward()
        apart += image.grad
    assert torch.allclose(together, apart, rtol=1e-4, atol=1e-6 * float(apart.abs().max()))


def test_an_image_that_changed_or_was_propagated_back_is_read_again() -> None:
    tasks, wanted = reader(), targets()
    mu, _ = example_image((32, 32))
    image = mu.clone().requires_grad_()
    for head in ("segment", "detect", "segment"):
        tasks[head](image, wanted[head]).backward()  # a second way back through one graph would fail
    with torch.no_grad():
        before = tasks["segment"].predict(image)
        image.add_(0.01)
        after = tasks["segment"].predict(image)
        again = tasks["findings"].predict(image)
    assert not torch.equal(before, after)
    assert torch.equal(again, copy.deepcopy(tasks)["findings"].predict(image).detach())


def test_a_read_image_is_not_kept_alive_without_a_graph() -> None:
    tasks = reader()
    mu, _ = example_image((32, 32))
    with torch.no_grad():
        tasks["segment"].predict(mu)
    gone = weakref.ref(mu)
    del mu
    gc.collect()
    assert gone() is None


def test_heads_that_the_network_does_not_have_are_refused() -> None:
    encoder = SmallPyramid(widths=(4, 6))
    net = SharedNet(encoder, {"segment": SegmentHead(encoder, 3)})
    with pytest.raises(ConfigError, match="did you mean 'segment'"):
        tasks_of(net, {"segmnt": DiceCE()}, prepare=HuWindow(0, 2400))
