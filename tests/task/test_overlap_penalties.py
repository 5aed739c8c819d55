from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.task.overlap_penalties import SEGMENTATION_PENALTIES, FocalCE, GeneralisedDice, SoftDice, Tversky


def example(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.zeros(2, 6, 6, dtype=torch.int64)
    labels[0, 1:4, 1:4], labels[1, 2, 2] = 1, 2
    return torch.randn(2, 4, 6, 6, generator=draw, dtype=torch.float64), labels


@pytest.mark.parametrize("name", SEGMENTATION_PENALTIES)
def test_the_truth_costs_less_than_anything_else_and_the_gradient_is_right(name: str) -> None:
    logits, labels = example()
    penalty = SEGMENTATION_PENALTIES[name]()
    truth = 30.0 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).double()
    assert float(penalty(truth, labels)) < 1e-6 < float(penalty(logits, labels))
    assert torch.autograd.gradcheck(lambda x: penalty(x, labels), logits.requires_grad_())


@pytest.mark.parametrize("name", SEGMENTATION_PENALTIES)
def test_a_batch_without_any_lesion_has_a_finite_penalty(name: str) -> None:
    logits, labels = example()
    assert bool(torch.isfinite(SEGMENTATION_PENALTIES[name]()(logits, torch.zeros_like(labels))))


def test_generalised_dice_is_that_of_its_formula() -> None:
    logits, labels = example()
    labels[0, 5, 5] = 3  # all classes occur
    p, above, below = logits.softmax(1), 0.0, 0.0
    for k in range(4):
        r = (labels == k).double()
        w = 1 / float(r.sum()) ** 2
        above, below = above + w * float((r * p[:, k]).sum()), below + w * float((r + p[:, k]).sum())
    assert float(GeneralisedDice()(logits, labels)) == pytest.approx(1 - 2 * above / below)


def test_generalised_dice_weighs_a_pixel_of_a_small_lesion_more_than_dice_of_all_pixels_does() -> None:
    logits, labels = example()
    gradient = lambda penalty: torch.autograd.grad(penalty(logits.requires_grad_(), labels), logits)[0].abs()
    small, large = (labels == 2), (labels == 0)
    share = lambda g: float(g.sum(1)[small].mean() / g.sum(1)[large].mean())
    assert share(gradient(GeneralisedDice())) > 3


def test_tversky_of_even_weights_is_dice_and_of_others_weighs_what_is_missed() -> None:
    logits, labels = example()
    assert float(Tversky(missed=0.5, false=0.5)(logits, labels)) == pytest.approx(float(SoftDice()(logits, labels)))
    nothing = torch.zeros_like(logits)
    nothing[:, 0] = 9.0
    assert float(Tversky(missed=0.9, false=0.1)(nothing, labels)) > 0.99
    with pytest.raises(ConfigError, match="Tversky"):
        Tversky(missed=0.0, false=0.0)


def test_focal_of_gamma_0_is_cross_entropy() -> None:
    logits, labels = example()
    weights = (1.0, 2.0, 3.0, 4.0)
    plain = torch.nn.functional.cross_entropy(logits, labels, weight=torch.tensor(weights).double())
    assert float(FocalCE(gamma=0.0, weights=weights)(logits, labels)) == pytest.approx(float(plain))
    assert float(FocalCE()(logits, labels)) < float(FocalCE(gamma=0.0)(logits, labels))


@pytest.mark.parametrize("name", SEGMENTATION_PENALTIES)
@pytest.mark.parametrize("sure", [60.0, 1e4])
def test_gradients_are_finite_however_sure_and_however_wrong_the_answer_is(name: str, sure: float) -> None:
    _, labels = example()
    truth = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()
    for logits in (sure * truth, -sure * truth, sure * truth.roll(1, dims=1)):
        answer = logits.requires_grad_()
        (gradient,) = torch.autograd.grad(SEGMENTATION_PENALTIES[name]()(answer, labels), answer)
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0, 1.7, 2.0, 5.0])
def test_focal_has_a_gradient_of_any_gamma_where_the_answer_is_sure(gamma: float) -> None:
    logits, labels = example()
    truth = 60.0 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1)
    for said in (truth.float(), truth.double(), logits):
        answer = said.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(FocalCE(gamma=gamma)(answer, labels), answer)
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_and_exponents_that_are_no_numbers_are_refused(bad: float) -> None:
    for make in (lambda: FocalCE(gamma=bad), lambda: Tversky(missed=bad), lambda: Tversky(false=bad)):
        with pytest.raises(ConfigError, match="finite"):
            make()
