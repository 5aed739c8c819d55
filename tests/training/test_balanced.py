"""Weights that follow from the size of gradients, or are learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import how, make_model, make_task
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.training import Balanced, Batch, ImageError, LabelPenalty, Uncertain, train


class Values(nn.Module):
    """A term with a value of its own that still depends on the image."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, batch: Batch) -> Tensor:
        return batch.image.mean() * 0 + self.value


@pytest.fixture
def batch(images: ImageSet) -> Batch:
    mu = images.mu[:4]
    noisy = (mu + 0.002 * torch.randn(mu.shape, generator=torch.Generator().manual_seed(2))).requires_grad_()
    assert images.labels is not None
    return Batch(mu=mu, labels=images.labels[:4], ids=images.ids[:4], mu_hat=noisy)


def test_balancing_gives_the_task_its_share_of_the_gradient(batch: Batch) -> None:
    image, task = ImageError(), LabelPenalty(make_task())
    objective = Balanced({"image": image, "task": task}, share=0.25)
    objective(batch)[0].backward()
    assert batch.mu_hat is not None
    size = lambda term: torch.autograd.grad(term(batch), batch.mu_hat)[0].norm()
    objective.commit({})
    weight = objective.logged(0)["weight/task"]
    assert float(weight * size(task) / size(image)) == pytest.approx(0.25 / 0.75, rel=1e-4)
    again = Balanced({"image": image, "task": task}, share=0.25)
    again.recall(objective.memory())
    assert again.logged(0) == objective.logged(0)


def test_gradients_may_be_balanced_where_the_heads_of_a_network_meet() -> None:
    shared = torch.ones(2, 3, requires_grad=True)
    terms = {"a": lambda batch: batch.answers["shared"].sum(), "b": lambda batch: 10 * batch.answers["shared"].sum()}
    objective = Balanced(terms, share=0.5, at=lambda batch: batch.answers["shared"])
    objective(Batch(mu=torch.zeros(2, 1, 1, 1), ids=("a", "b"), answers={"shared": shared}))
    objective.commit({})
    assert objective.logged(0)["weight/b"] == pytest.approx(0.1)


def test_balancing_waits_while_its_reference_or_its_task_has_nothing_to_judge(batch: Batch) -> None:
    objective = Balanced({"image": ImageError(), "task": LabelPenalty(make_task())}, share=0.25)
    total, parts = objective(replace(batch, labelled={"labels": torch.zeros(4, dtype=torch.bool)}))
    objective.commit(parts)
    assert list(parts) == ["image"] and float(total) == float(parts["image"]) and objective.logged(0) == {}
    other = Balanced({"task": LabelPenalty(make_task()), "image": ImageError()}, share=0.25)
    total, parts = other(replace(batch, labelled={"labels": torch.zeros(4, dtype=torch.bool)}))
    assert list(parts) == ["image"] and other.logged(0) == {} and torch.isfinite(total)


def test_learnt_uncertainties_end_where_each_term_counts_the_same(batch: Batch) -> None:
    # the sum of (exp(-s) L + s) / 2 is least at s = ln L, by hand
    objective = Uncertain({"small": Values(0.1), "large": Values(20.0)})
    adam = torch.optim.Adam(objective.parameters(), lr=0.05)
    for _ in range(400):
        adam.zero_grad()
        objective(batch)[0].backward()
        adam.step()
    weights = objective.logged(0)
    assert weights["weight/small"] * 0.1 == pytest.approx(0.5, rel=0.01)
    assert weights["weight/large"] * 20.0 == pytest.approx(0.5, rel=0.01)
    assert objective.measure(batch, final_step=1)["total"] == pytest.approx(20.1)
    with pytest.raises(ConfigError, match="two terms or more"):
        Uncertain({"one": Values(1.0)})


def test_uncertainties_are_trained_saved_and_resumed(
    images: ImageSet, projector: Projector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: Path, *, steps_at_most: int = 99) -> Tensor:
        objective = Uncertain({"image": ImageError(), "task": LabelPenalty(make_task())})
        own = Uncertain.commit

        def commit(self, parts):  # type: ignore[no-untyped-def]
            calls.append(1)
            if len(calls) > steps_at_most:
                raise KeyboardInterrupt
            own(self, parts)

        calls: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(Uncertain, "commit", commit)
            words = {"objective": objective, "A": projector, "dose": Dose(2e4), "run": folder, "refine": 1}
            train(make_model(), images, **how(**words, steps=6, batch=4, checkpoint_every=2, reader_lr=1e-2))
        return torch.stack(list(objective.log_variances.values()))

    whole = run(tmp_path / "whole")
    assert float(whole.abs().min()) > 1e-3
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", steps_at_most=3)
    assert torch.equal(run(tmp_path / "parts"), whole)
    assert "joint_uncertainty.safetensors" in {p.name for p in load_run(tmp_path / "whole").folder.iterdir()}
