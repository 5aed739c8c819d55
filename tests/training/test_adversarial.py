"""A reconstruction and a discriminator train against each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_training import how, make_model
from torch import nn

from taskct.core.errors import ConfigError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.nets import PatchDiscriminator
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.training import Batch, DescentSettings, ImageError, Objective, Player, train
from taskct.training.adversarial import FoolPenalty, RealOrMade, discriminator_player


def judge_of(norm: str = "batch") -> PatchDiscriminator:
    torch.manual_seed(3)
    return PatchDiscriminator(dims=2, width=4, layers=1, norm=norm)


@pytest.fixture
def batch(images: ImageSet) -> Batch:
    return Batch(mu=images.mu[:2], ids=("a", "b"), mu_hat=(0.5 * images.mu[:2]).requires_grad_())


def test_least_squares_are_those_of_the_paper(batch: Batch) -> None:
    said = {"judge": {"real": torch.tensor([[0.5]]), "made": torch.tensor([[0.2]])}}
    assert float(RealOrMade("judge")(batch.with_answers(said))) == pytest.approx(0.5 * 0.25 + 0.5 * 0.04)
    steady = nn.Sequential(nn.Conv2d(1, 1, 1))
    nn.init.zeros_(steady[0].weight)  # type: ignore[arg-type]
    nn.init.constant_(steady[0].bias, 0.2)  # type: ignore[arg-type]
    assert float(FoolPenalty(steady)(batch)) == pytest.approx(0.5 * 0.64)


def test_to_fool_a_discriminator_moves_the_image_and_nothing_of_the_discriminator(batch: Batch) -> None:
    judge = judge_of().train()
    before = {n: t.clone() for n, t in judge.state_dict().items()}
    term = FoolPenalty(judge)
    assert not list(term.parameters())  # so no training of the reconstruction can take its weights for its own
    term(batch).backward()
    assert batch.mu_hat is not None and batch.mu_hat.grad is not None and float(batch.mu_hat.grad.abs().sum()) > 0
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())
    assert all(torch.equal(before[n], t) for n, t in judge.state_dict().items())


def test_what_the_discriminator_learns_leaves_the_reconstruction_alone(batch: Batch) -> None:
    player = discriminator_player(judge_of())
    loss, parts, answered = player(batch.detached())
    loss.backward()
    assert all(p.grad is not None for p in player.model.parameters()) and list(parts) == ["lsgan"]
    assert not answered.image.requires_grad


def test_the_pair_trains_and_leaves_the_weights_and_metrics_of_both(
    images: ImageSet, checks: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    judge = judge_of()
    first = {n: t.clone() for n, t in judge.state_dict().items()}
    player = discriminator_player(judge, descent=DescentSettings(lr=5e-3, betas=(0.5, 0.999), ema=0.0, warmup_steps=0))
    objective = Objective({"image": (1.0, ImageError()), "fool": (0.1, FoolPenalty(judge))})
    words = {"objective": objective, "A": projector, "dose": Dose(2e4), "run": tmp_path / "run", "validation": checks}
    model = make_model()
    done = train(model, images, **how(**words, others=[player], steps=40, batch=6, lr=5e-3, validate_every=20, log_every=20))
    lines = done.run.metrics()
    learnt = [line["discriminator/lsgan"] for line in lines if line["kind"] == "train"]
    assert learnt[-1] < 0.8 * learnt[0]  # it tells them apart better than at first
    checked = [line for line in lines if line["kind"] == "validation"][-1]
    assert {"image", "fool", "total", "discriminator/lsgan", "discriminator/total", "rmse_hu"} <= checked.keys()
    saved = load_run(tmp_path / "run").load_tensors("discriminator.safetensors")[0]
    assert saved.keys() == first.keys() and any(not torch.equal(first[n], t) for n, t in saved.items())
    assert all(torch.equal(judge.state_dict()[n], t) for n, t in saved.items()) and not judge.training
    # the discriminator's weights did not enter the file of the reconstruction, nor its optimiser
    assert done.run.load_tensors("weights.safetensors")[0].keys() == model.state_dict().keys()


def test_a_discriminator_may_rest_and_begin_later(images: ImageSet, projector: Projector, tmp_path: Path) -> None:
    ends = {}
    for name, more in (("late", {"start": 4}), ("never", {"start": 99}), ("every", {"every": 2})):
        judge = judge_of()
        start = [p.detach().clone() for p in judge.parameters()]
        objective = {"image": (1.0, ImageError()), "fool": (0.1, FoolPenalty(judge))}
        words = {"objective": objective, "A": projector, "dose": Dose(2e4), "run": tmp_path / name, "refine": 1}
        train(
            make_model(), images, **how(**words, others=[discriminator_player(judge, **more)], steps=6, batch=4, log_every=1)
        )
        moved = any(not torch.equal(a, b) for a, b in zip(start, judge.parameters(), strict=True))
        ends[name] = (moved, ["discriminator/lsgan" in m for m in load_run(tmp_path / name).metrics() if m["kind"] == "train"])
    assert ends["late"] == (True, [False] * 4 + [True] * 2)
    assert ends["never"] == (False, [False] * 6)
    assert ends["every"] == (True, [True, False] * 3)


def test_players_need_names_of_their_own_and_the_same_ones_to_resume(
    images: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    judge = judge_of()
    begin = lambda others, steps=2: train(
        make_model(),
        images,
        **how(objective={"image": (1.0, ImageError())}, A=projector, dose=Dose(2e4), run=tmp_path / "run", refine=1,
              others=others, steps=steps, batch=4),
    )  # fmt: skip
    for names in (["", ""], ["judge", "judge"], ["state"], ["a/b"]):
        with pytest.raises(ConfigError, match="expect names of their own"):
            begin([discriminator_player(judge, name=name) for name in names])
    assert not (tmp_path / "run").exists()
    begin([discriminator_player(judge)])
    with pytest.raises(ConfigError, match="began with the players the main one, discriminator, got the main one; resume"):
        begin([])
    with pytest.raises(ConfigError, match="every >= 1 and start >= 0"):
        Player(judge, Objective({"image": (1.0, ImageError())}), lambda net, batch: batch, every=0)
