"""Penalties stay right in half precision, and where nothing that they weigh occurs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from taskct.core.errors import InputError
from taskct.task import CentreFocal, DiceCE, FeatureDistance, FrozenTask, PresenceBCE, SoftTeacher, freeze, soft_dice
from taskct.task.observers.observer_penalties import ContrastPenalty, ObserverPenalty

HALVES = [torch.float16, torch.bfloat16]


def labels_of(size: int, classes: int = 3) -> Tensor:
    """Background with a large square of class 1 and a small one of class 2."""
    labels = torch.zeros(2, size, size, dtype=torch.int64)
    labels[:, size // 8 : -size // 8, size // 8 : -size // 8] = 1
    labels[:, : size // 16, : size // 16] = classes - 1
    return labels


def logits_of(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    noise = torch.randn(len(labels), classes, *labels.shape[1:], generator=torch.Generator().manual_seed(0))
    hint = nn.functional.one_hot(labels, 3).movedim(-1, 1)[:, -classes:].float()
    return (hint + 0.5 * noise).to(dtype)


PENALTIES: dict[str, tuple[int, Callable[[Tensor, Tensor], Tensor]]] = {
    "DiceCE": (3, DiceCE()),
    "DiceCE, weighted": (3, DiceCE(weights=(1.0, 1.0, 5.0))),
    "soft_dice": (3, lambda logits, labels: soft_dice(logits.softmax(1), labels)[0].sum()),
    "SoftTeacher": (3, lambda logits, labels: SoftTeacher()(logits, logits_of(labels, 3, logits.dtype).flip(-1))),
    "CentreFocal": (1, CentreFocal(label=2)),
    "ContrastPenalty": (1, ContrastPenalty()),
    "ObserverPenalty": (1, ObserverPenalty(torch.ones(2, 3, 3) * torch.tensor([1.0, -1.0])[:, None, None])),
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", PENALTIES)
def test_half_precision_answers_of_large_images_give_the_value_and_gradient_of_float32(name: str, dtype: torch.dtype) -> None:
    classes, penalty = PENALTIES[name]
    labels = labels_of(384)  # 2 * 384^2 samples: far above 65,504, the largest float16
    half = logits_of(labels, classes, dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    value, expected = penalty(half, labels), penalty(full, labels)
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-3)
    value.backward()
    expected.backward()
    assert half.grad is not None and full.grad is not None and bool(torch.isfinite(half.grad).all())
    large = full.grad.abs() > 1e-3 * full.grad.abs().max()
    close = (half.grad.float() - full.grad)[large].abs() <= 0.02 * full.grad[large].abs() + 6e-8  # the least float16
    assert bool(close.all())


def test_a_classifier_in_half_precision_is_judged_as_in_float32() -> None:
    labels = labels_of(16).repeat(40, 1, 1)
    logits = torch.linspace(-8, 8, 80)[:, None].half()
    for term in (PresenceBCE(), PresenceBCE(positive_weight=5.0)):
        assert float(term(logits, labels)) == pytest.approx(float(term(logits.float(), labels)), rel=1e-6)


@pytest.mark.parametrize("weights", [(0.0, 1.0, 5.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("only", [0, 1, 2])
def test_a_batch_of_which_no_class_counts_is_penalised_by_nothing(weights: tuple[float, ...], only: int) -> None:
    logits = logits_of(labels_of(16), 3, torch.float32).requires_grad_()
    value = DiceCE(weights=weights)(logits, torch.full((2, 16, 16), only))
    value.backward()
    assert logits.grad is not None and bool(torch.isfinite(logits.grad).all()) and math.isfinite(float(value.detach()))
    if weights[only] == 0:
        assert float(value.detach()) == 0 and float(logits.grad.abs().max()) == 0
    else:
        assert float(value.detach()) > 0


def test_a_reader_that_computes_in_float16_inside_leaves_a_finite_penalty() -> None:
    class HalfInside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(1, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.float16):
                return self.head(x).half()

    torch.manual_seed(0)
    task = FrozenTask(freeze(HalfInside()), nn.Identity(), DiceCE(), "half")
    mu = torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(1)).requires_grad_()
    value = task(mu, labels_of(512)[:1])
    value.backward()
    assert math.isfinite(float(value.detach())) and mu.grad is not None and bool(torch.isfinite(mu.grad).all())
    assert value.dtype == torch.float32


def test_maps_that_do_not_vary_do_not_make_the_feature_loss_endless() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(1, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x).clamp_min(0)

    net = Dead()
    with torch.no_grad():
        net.a.weight.fill_(1.0)
        net.a.bias.fill_(-1.0)  # silent for the full-dose image, not for the other
    distance = FeatureDistance(FrozenTask(freeze(net), nn.Identity(), lambda a, b: a.mean(), "dead"), depths=[""])
    mu = torch.full((1, 1, 8, 8), 1.2).requires_grad_()
    value = distance(mu, torch.full((1, 1, 8, 8), 0.5))
    value.backward()
    assert float(value.detach()) < 1e9 and mu.grad is not None and bool(torch.isfinite(mu.grad).all())


def test_a_network_without_scales_is_told_the_layers_that_can_be_named() -> None:
    from taskct.task.features import layer_names

    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.ReLU(), nn.Conv2d(2, 3, 1)))
    assert layer_names(net) == ["0", "1", "1.0", "1.1"]
    task = FrozenTask(freeze(net), nn.Identity(), DiceCE(), "mine")
    with pytest.raises(InputError, match=r"no scales\(\).*depths=\['1.1'\].*its layers: 0, 1, 1.0, 1.1"):
        FeatureDistance(task)
    with pytest.raises(InputError, match=r"no layer '2'; its layers: 0, 1, 1.0, 1.1"):
        FeatureDistance(task, depths=["2"])
    with pytest.raises(InputError, match="names or numbers, not both"):
        FeatureDistance(task, depths=["0", 1])
    assert float(FeatureDistance(task, depths=["0"])(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4))) > 0


def test_numbers_beyond_the_scales_of_a_network_are_refused() -> None:
    from taskct.nets import UNet

    task = FrozenTask(freeze(UNet(1, 3, widths=(4, 8))), nn.Identity(), DiceCE(), "unet")
    with pytest.raises(InputError, match=r"has 3 scales, got depths \[7\]"):
        FeatureDistance(task, depths=[7])(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_teacher_without_temperature_is_refused(temperature):
    with pytest.raises(InputError, match="temperature > 0"):
        SoftTeacher(temperature=temperature)
    SoftTeacher(temperature=1e-3)


def test_images_that_show_the_class_count_as_often_as_they_are_weighed():
    labels = torch.zeros((3, 4, 4), dtype=torch.int64)
    labels[1, 0, :3], labels[2, 0, 0] = 2, 2  # three pixels, and one of two that are wanted
    logits = torch.tensor([[0.5], [-1.0], [2.0]])
    found = float(PresenceBCE(label=2, min_pixels=2, positive_weight=5.0)(logits, labels))
    losses = [math.log1p(math.exp(0.5)), 5 * math.log1p(math.exp(1.0)), math.log1p(math.exp(2.0))]
    assert found == pytest.approx(sum(losses) / 3, rel=1e-6)
