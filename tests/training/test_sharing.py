from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.nets.heads import FindingsHead, SegmentHead
from taskct.nets.pyramids import SmallPyramid
from taskct.nets.shared_net import ENCODER, SharedNet
from taskct.task import DiceCE, FindingsBCE
from taskct.training import Balanced, Batch, Uncertain, preload, shared_objective

PENALTIES = {"findings": FindingsBCE(), "segment": DiceCE()}


def net(seed: int = 0) -> SharedNet:
    torch.manual_seed(seed)
    encoder = SmallPyramid(widths=(4, 6))
    return SharedNet(encoder, {"findings": FindingsHead(encoder, 2), "segment": SegmentHead(encoder, 3)})


def batch(labelled: bool = True) -> Batch:
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    targets = {"findings": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "segment": torch.ones(2, 8, 8, dtype=torch.int64)}
    known = {name: torch.full((2,), labelled) for name in targets}
    return Batch(mu=x, ids=("a", "b"), targets=targets, labelled=known)


def test_weights_of_0_and_1_switch_heads_on_and_off() -> None:
    answered = batch().with_answers(net()(batch().mu))
    both = shared_objective(PENALTIES)(answered)
    one = shared_objective(PENALTIES, weights={"segment": 0})
    assert set(both[1]) == {"findings", "segment"} and set(one(answered)[1]) == {"findings"}
    assert float(both[0].detach()) == pytest.approx(float(both[1]["findings"] + both[1]["segment"]))
    with pytest.raises(ConfigError, match="nothing to train"):
        shared_objective(PENALTIES, weights={"segment": 0, "findings": 0})
    with pytest.raises(ConfigError, match="did you mean 'segment'"):
        shared_objective(PENALTIES, weights={"segmnt": 1})
    with pytest.raises(ConfigError, match="finds the weights itself"):
        shared_objective(PENALTIES, weights={"segment": 2.0}, sharing="uncertainty")


def test_a_batch_of_which_nothing_is_labelled_has_no_loss() -> None:
    unlabelled = batch(labelled=False)
    total, parts = shared_objective(PENALTIES)(unlabelled.with_answers(net()(unlabelled.mu)))
    assert float(total) == 0.0 and parts == {}


def test_gradients_are_balanced_at_the_maps_of_the_encoder() -> None:
    objective = shared_objective(PENALTIES, sharing="gradients", share=0.5)
    assert isinstance(objective, Balanced) and isinstance(shared_objective(PENALTIES, sharing="uncertainty"), Uncertain)
    answered = batch().with_answers(net().eval()(batch().mu))
    objective(answered)[0].backward(retain_graph=True)
    objective.commit({})

    def pull(head: str) -> float:
        value = objective.terms[head](answered)
        assert value is not None
        found = torch.autograd.grad(value, answered.answers[ENCODER], retain_graph=True, allow_unused=True)
        return float(torch.stack([g.norm() for g in found if g is not None]).norm())

    weight = objective.logged(0)["weight/segment"]
    assert weight * pull("segment") == pytest.approx(pull("findings"), rel=1e-3)


def test_weights_of_another_task_are_loaded_by_parts_or_refused(tmp_path: Path) -> None:
    other, mine = net(1), net(2)
    run = Run.create(tmp_path / "other", {})
    run.save_tensors("weights.safetensors", other.state_dict())
    before = mine.state_dict()["heads.segment.out.weight"].clone()
    names = preload(mine, run.folder)
    assert names and all(name.startswith("encoder.") for name in names)
    assert torch.equal(mine.state_dict()[names[0]], other.state_dict()[names[0]])
    assert torch.equal(mine.state_dict()["heads.segment.out.weight"], before)
    preload(mine, other.state_dict(), parts=("segment",))
    assert torch.equal(mine.state_dict()["heads.segment.out.weight"], other.state_dict()["heads.segment.out.weight"])
    with pytest.raises(InputError, match=r"hold no heads\.segment"):
        preload(mine, {k: v for k, v in other.state_dict().items() if "segment" not in k}, parts=("segment",))
    with pytest.raises(InputError, match="the networks differ"):
        preload(SharedNet(SmallPyramid(widths=(5, 6)), {"x": torch.nn.Identity()}), other.state_dict())
    with pytest.raises(ConfigError, match="part of the network"):
        preload(mine, other.state_dict(), parts=("segments",))
