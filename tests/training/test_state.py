"""Which weights a training leaves, with and without running mean, best or last, plateau and readers that learn along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import how, make_images, make_model, make_projector, make_task
from torch import Tensor, nn

from taskct.core.errors import FileFormatError
from taskct.physics.dose import Dose
from taskct.simulate.clean_scans import CleanScans
from taskct.training import Batch, DoseRange, ImageError, JointPenalty, TrainSettings, train
from taskct.training.loop import Trained
from taskct.training.scan_source import ScanSource
from taskct.training.state import PlayerState

Weights = dict[str, Tensor]


class Rising(nn.Module):
    """An image error that validation finds least in step 4 of 8, whatever the network does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.validations = ImageError(), 0

    def forward(self, batch: Batch) -> Tensor:
        value = self.inner(batch)
        if torch.is_grad_enabled():
            return value
        self.validations += 1
        return value * 0 + (1.0 if self.validations == 2 else 5.0 + self.validations)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[Trained, list[Weights], list[Weights], Any]:
    """The training, the raw weights and the kept ones after each validation, and the reader that learns along."""
    raw: list[Weights] = []
    kept: list[Weights] = []
    seen = PlayerState.kept

    def noting(self: PlayerState) -> Weights:
        found = seen.fget(self)  # type: ignore[attr-defined]
        raw.append({n: t.clone() for n, t in self.player.model.state_dict().items()})
        kept.append({n: t.clone() for n, t in found.items()})
        return found

    joint = JointPenalty(nn.Conv2d(1, 3, 3, padding=1), make_task().prepare, make_task().penalty)
    objective = {"image": (1.0, Rising()), "joint": (0.1 if more.pop("joint", False) else 0.0, joint)}
    words = {"objective": objective, "A": make_projector(), "dose": Dose(2e4), "run": folder, "refine": 1}
    settings = {"steps": 8, "batch": 4, "lr": 1e-2, "validate_every": 2, "precision": "float32", "warmup_steps": 0, **more}
    checks = make_images(4, seed=1, prefix="check")
    with monkeypatch.context() as patch:
        patch.setattr("taskct.training.state.PlayerState.kept", property(noting))
        done = train(make_model(), make_images(12, seed=0), **how(**words, validation=checks, **settings))
    return done, raw, kept, joint


def same(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_the_best_weights_are_those_that_validation_judged(
    ema: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, raw, kept, _ = run(tmp_path / "run", monkeypatch, ema=ema, keep="best")
    assert done.best_step == 4 and done.best == 1.0
    left = dict(done.model.state_dict())
    at_best = next(k for k in range(len(kept)) if same(kept[k], left))
    assert same(raw[at_best], left) == (ema == 0.0)  # with a running mean the raw weights are others
    assert not same(kept[-1], left)
    saved = done.run.load_tensors("weights.safetensors")[0]
    assert same(saved, left)


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_the_last_weights_are_the_running_means_too(ema: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, raw, kept, _ = run(tmp_path / "run", monkeypatch, ema=ema, keep="last")
    left = dict(done.model.state_dict())
    assert same(kept[-1], left)
    learnt = dict(done.model.named_parameters())
    assert all(torch.equal(raw[-1][n], left[n]) for n in left.keys() - learnt.keys())  # statistics are copied, not averaged
    assert all(torch.equal(raw[-1][n], left[n]) for n in learnt) == (ema == 0.0)


def test_a_plateau_leaves_the_best_running_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, raw, kept, _ = run(tmp_path / "run", monkeypatch, ema=0.9, keep="best", patience=1, steps=40)
    assert done.stopped.startswith("no gain in ") and done.steps == 6 and done.best_step == 4
    left = dict(done.model.state_dict())
    assert any(same(k, left) for k in kept[:-1]) and not any(same(r, left) for r in raw)


def test_a_reader_that_learns_along_is_kept_as_it_was_at_the_best_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {}
    for keep in ("best", "last"):
        torch.manual_seed(0)
        done, _, _, joint = run(tmp_path / keep, monkeypatch, ema=0.9, keep=keep, joint=True, schedule="constant")
        ends[keep] = {n: t.clone() for n, t in joint.state_dict().items()}
        assert same(done.run.load_tensors("joint_joint.safetensors")[0], ends[keep])
    assert not same(ends["best"], ends["last"])


def test_validation_is_at_the_middle_of_the_dose_range() -> None:
    scans = CleanScans(make_images(4, seed=0), make_projector(), refine=1, progress=False)
    checks = CleanScans(make_images(24, seed=1, prefix="check"), make_projector(), refine=1, progress=False)
    doses = DoseRange(Dose(1e6), lowest=0.01, highest=1.0)
    source = ScanSource(scans, checks, doses, TrainSettings(steps=1, batch=8), torch.device("cpu"))
    clean = checks.take(torch.arange(24), torch.device("cpu"))
    noisy = torch.cat([batch.p for batch in source.validation()])  # type: ignore[misc]
    # the log of a Poisson count of mean N exp(-p) has variance exp(p) / N: solved for N it is the dose
    photons = float(((-clean).exp() * (noisy - clean).square()).mean()) ** -1
    assert photons == pytest.approx(1e5, rel=0.03)  # 24 * 24 * 48 rays: a standard deviation of about 1 %
    again = torch.cat([batch.p for batch in source.validation()])  # type: ignore[misc]
    assert torch.equal(noisy, again)


def test_a_state_of_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, *_ = run(tmp_path / "run", monkeypatch)
    done.run.save_tensors("state.safetensors", {"a": torch.zeros(1)}, overwrite=True)
    with pytest.raises(FileFormatError, match="state of a training; delete it to start again"):
        run(tmp_path / "run", monkeypatch)
