"""Objectives: named weighted terms, in all the forms in which image and task can be joined."""

from __future__ import annotations

import pytest
import torch
from small_training import make_images, make_task
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError
from taskct.data.images import ImageSet
from taskct.task import DiceCE, FrozenTask
from taskct.training import (
    Batch,
    Constrained,
    FeaturePenalty,
    ImageError,
    JointPenalty,
    LabelPenalty,
    MeanOf,
    Objective,
    TeacherPenalty,
    TurnsOf,
    WarmUp,
    additive,
    convex,
)


class Values(nn.Module):
    """A term with a value of its own that still depends on the image."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, batch: Batch) -> Tensor:
        return batch.image.mean() * 0 + self.value


@pytest.fixture
def batch(images: ImageSet) -> Batch:
    generator = torch.Generator().manual_seed(2)
    mu = images.mu[:4]
    noisy = (mu + 0.002 * torch.randn(mu.shape, generator=generator)).requires_grad_()
    return Batch(mu=mu, labels=images.labels[:4], ids=images.ids[:4], mu_hat=noisy)


def test_an_objective_is_the_sum_of_its_weighted_terms_each_logged_unweighted(batch: Batch) -> None:
    total, parts = Objective({"a": (2.0, Values(3.0)), "b": (0.5, Values(4.0))})(batch)
    assert float(total) == 8.0 and {n: float(v) for n, v in parts.items()} == {"a": 3.0, "b": 4.0}


def test_additive_and_convex_forms_weigh_as_their_formulas_say(batch: Batch) -> None:
    assert float(additive(Values(3.0), Values(5.0), alpha=0.2)(batch)[0]) == pytest.approx(3 + 0.2 * 5)
    assert float(convex(Values(3.0), Values(5.0), alpha=0.2)(batch)[0]) == pytest.approx(0.8 * 3 + 0.2 * 5)


def test_alpha_warms_up_and_the_image_error_gives_way(batch: Batch) -> None:
    objective = convex(Values(3.0), Values(5.0), alpha=WarmUp(0.5, steps=10))
    at = lambda step: float(objective(Batch(mu=batch.mu, ids=batch.ids, mu_hat=batch.mu_hat, step=step))[0])
    assert (at(0), at(5), at(10), at(99)) == (3.0, pytest.approx(0.75 * 3 + 0.25 * 5), 4.0, 4.0)
    assert objective.logged(5) == {"weight/image": 0.75, "weight/task": 0.25}


def test_validation_compares_by_the_final_weights(batch: Batch) -> None:
    objective = convex(Values(3.0), Values(5.0), alpha=WarmUp(0.5, steps=10))
    assert objective.measure(batch, final_step=10) == {"image": 3.0, "task": 5.0, "total": 4.0}


def test_an_image_error_of_its_unit_counts_one(batch: Batch) -> None:
    shifted = Batch(mu=batch.mu, ids=batch.ids, mu_hat=batch.mu + 0.01929 * 25 / 1000)
    assert float(ImageError("mse")(shifted)) == pytest.approx(1.0, rel=1e-4)
    assert float(ImageError("l1")(shifted)) == pytest.approx(1.0, rel=1e-4)
    assert float(ImageError("mse", unit_hu=50)(shifted)) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("kind", [LabelPenalty, TeacherPenalty, FeaturePenalty])
def test_a_frozen_readers_gradient_reaches_the_image_and_its_weights_stay(kind: type, batch: Batch) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))
    task = FrozenTask(net.eval().requires_grad_(False), make_task().prepare, make_task().penalty, "mine")
    term = kind(task, depths=["0", "2"]) if kind is FeaturePenalty else kind(task)
    term.train()  # a training loop does this every step
    before = {n: t.clone() for n, t in net.state_dict().items()}
    term(batch).backward()
    assert batch.mu_hat is not None and batch.mu_hat.grad is not None and float(batch.mu_hat.grad.abs().sum()) > 0
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_label_free_terms_are_zero_at_the_full_dose_image(batch: Batch) -> None:
    same = Batch(mu=batch.mu, ids=batch.ids, mu_hat=batch.mu)
    task = make_task()
    assert float(TeacherPenalty(task)(same)) == pytest.approx(0, abs=1e-6)
    assert float(FeaturePenalty(task, depths=["0"])(same)) == 0
    assert float(FeaturePenalty(task, depths=["0"])(batch)) > 0


def test_a_label_penalty_is_computed_in_float32_even_under_autocast(batch: Batch) -> None:
    full = float(LabelPenalty(make_task())(batch))
    with torch.autocast("cpu", torch.bfloat16):
        half = LabelPenalty(make_task())(batch)
    assert half.dtype == torch.float32 and float(half) == pytest.approx(full, rel=0.02)  # bf16 logits only


def test_a_label_penalty_may_make_a_missed_class_dearer_than_its_reader_does(batch: Batch) -> None:
    task = make_task()
    own, dear = LabelPenalty(task), LabelPenalty(task, penalty=DiceCE(weights=(1.0, 1.0, 8.0)))
    expected = DiceCE(weights=(1.0, 1.0, 8.0))(task.predict(batch.image), batch.labels.long())
    assert float(dear(batch)) == pytest.approx(float(expected)) and float(dear(batch)) != pytest.approx(float(own(batch)))


def test_several_readers_are_averaged_or_take_turns(batch: Batch) -> None:
    one, two = Values(1.0), Values(3.0)
    assert float(MeanOf(one, two)(batch)) == 2.0
    turns = [float(TurnsOf(one, two)(Batch(mu=batch.mu, ids=batch.ids, mu_hat=batch.mu_hat, step=s))) for s in range(3)]
    assert turns == [1.0, 3.0, 1.0]
    assert MeanOf(LabelPenalty(make_task()), one).needs_labels and not MeanOf(one).needs_labels


def test_a_multiplier_grows_while_its_bound_is_broken_and_falls_back_when_it_holds(batch: Batch) -> None:
    task = Values(2.0)
    objective = Constrained(("image", Values(1.0)), {"task": (1.5, task)}, rate=0.1)
    for _ in range(20):
        objective.commit(objective(batch)[1])
    risen = objective.logged(0)["multiplier/task"]
    assert risen == pytest.approx(20 * 0.1 * 0.5, rel=1e-6)
    task.value = 0.5
    for _ in range(200):
        objective.commit(objective(batch)[1])
    assert objective.logged(0)["multiplier/task"] == 0
    assert objective.measure(batch, final_step=1)["total"] == 1.0  # nothing exceeds the bound: the image error alone


def test_a_constraint_finds_the_least_error_on_its_boundary() -> None:
    # min (x - 3)^2 subject to x^2 <= 1: x = 1 with multiplier 2, by hand
    class Term(nn.Module):
        def __init__(self, target: float) -> None:
            super().__init__()
            self.target = target

        def forward(self, batch: Batch) -> Tensor:
            return (batch.image - self.target).square().mean()

    x = nn.Parameter(torch.tensor([[[[3.0]]]]))
    objective = Constrained(("image", Term(3.0)), {"task": (1.0, Term(0.0))}, rate=0.1)
    optimiser = torch.optim.SGD([x], lr=0.02)
    for _ in range(2500):
        optimiser.zero_grad()
        loss, parts = objective(Batch(mu=x.detach(), ids=("x",), mu_hat=x))
        loss.backward()
        optimiser.step()
        objective.commit(parts)
    assert x.item() == pytest.approx(1.0, abs=0.01)
    assert objective.logged(0)["multiplier/task"] == pytest.approx(2.0, rel=0.03)


def test_a_reader_that_learns_along_is_found_by_the_training_and_a_frozen_one_is_not(batch: Batch) -> None:
    task = make_task()
    joint = JointPenalty(nn.Conv2d(1, 3, 1), task.prepare, task.penalty)
    objective = Objective({"image": (1.0, ImageError()), "label": (1.0, LabelPenalty(task)), "joint": (1.0, joint)})
    assert list(objective.trained_terms()) == ["joint"]
    objective(batch)[0].backward()
    assert all(p.grad is not None for p in joint.parameters())
    assert not any(m.training for m in task.net.modules())


def test_a_reader_put_into_training_mode_or_thawed_is_refused_in_the_step(batch: Batch) -> None:
    task = make_task()
    task.net.train()
    with pytest.raises(InputError, match="training mode"):
        LabelPenalty(task)(batch)
    task.net.eval()
    next(task.net.parameters()).requires_grad_(True)
    with pytest.raises(InputError, match="not frozen"):
        LabelPenalty(task)(batch)


def test_a_preparation_that_blocks_the_gradient_is_refused(batch: Batch) -> None:
    good = make_task()
    blocked = FrozenTask(good.net, lambda mu: (mu * 50).round().detach(), good.penalty, "blocked")
    with pytest.raises(InputError, match="'blocked': its prepare step blocks the gradient"):
        LabelPenalty(blocked)(batch)


def test_errors_of_objectives_say_what_they_expect(batch: Batch) -> None:
    with pytest.raises(ConfigError, match="at least one term"):
        Objective({})
    with pytest.raises(ConfigError, match=r"'image' expects \(weight, term\)"):
        Objective({"image": ImageError()})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=r"number of 0 or more, got -1"):
        Objective({"image": (-1.0, ImageError())})
    with pytest.raises(ConfigError, match=r"gave shape .*expected a scalar"):
        Objective({"image": (1.0, lambda b: b.image.mean(-1))})(batch)
    with pytest.raises(ConfigError, match=r"0 <= alpha <= 1, got 3"):
        convex(Values(1.0), Values(1.0), alpha=3.0)
    with pytest.raises(ConfigError, match="did you mean 'mse'"):
        ImageError("mes")
    with pytest.raises(InputError, match="needs labels"):
        LabelPenalty(make_task())(Batch(mu=batch.mu, ids=batch.ids, mu_hat=batch.mu_hat))
    with pytest.raises(InputError, match="all of its weights are frozen; use LabelPenalty"):
        JointPenalty(make_task().net, make_task().prepare, make_task().penalty)


def test_small_images_are_there(images: ImageSet) -> None:
    assert images.labels is not None and images.labels.unique().tolist() == [0, 1, 2]
    assert len(make_images(3, seed=4)) == 3
