"""Joint and sequential training, as published: the reader moves."""

from __future__ import annotations

from pathlib import Path

import torch
from small_training import how, make_model, weights_of

from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.task.readers import ReaderSpec, load_reader
from taskct.training import ImageError, Objective, TrainSettings, train, train_in_sequence, train_jointly
from taskct.training.baselines import joint_penalty

SPEC = ReaderSpec(net="unet_fast")
SHORT = {"steps": 4, "batch": 4, "validate_every": 4, "refine": 1}


def test_in_joint_training_model_and_reader_both_move_and_the_reader_comes_back(
    reader_run: Path, images: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    old, model = load_reader(reader_run), make_model()
    before, start = weights_of(old.net), weights_of(model)
    own = train_jointly(
        model,
        images,
        **how(spec=SPEC, A=projector, dose=Dose(2e4), run=tmp_path / "joint", reader=old, reader_lr=1e-3, **SHORT),
    )
    assert any(not torch.equal(start[n], t) for n, t in model.state_dict().items())
    assert any(not torch.equal(before[n], t) for n, t in own.net.state_dict().items())
    assert all(torch.equal(before[n], t) for n, t in old.net.state_dict().items())
    mu = images.mu[:2]
    again = load_reader(tmp_path / "joint-reader")
    assert again.name == own.name == "joint-reader"
    assert torch.allclose(again.predict(mu), own.predict(mu), atol=1e-5)  # channels last sums round otherwise


def test_model_and_reader_have_learning_rates_of_their_own(images: ImageSet, projector: Projector, tmp_path: Path) -> None:
    moved = {}
    for lr in (1e-6, 1e-2):
        term = joint_penalty(SPEC)
        first = [p.detach().clone() for p in term.parameters()]
        objective = Objective({"image": (1.0, ImageError()), "task": (1.0, term)})
        train(
            make_model(),
            images,
            **how(objective=objective, A=projector, dose=Dose(2e4), run=tmp_path / f"{lr}", reader_lr=lr, **SHORT),
        )
        moved[lr] = max(
            float((a - b).abs().max()) for a, b in zip(first, [p.detach() for p in term.parameters()], strict=True)
        )
    assert moved[1e-6] < 1e-5 and moved[1e-2] > 1e-3  # Adam moves a weight by about its learning rate a step


def test_in_sequence_the_model_stays_while_its_reader_learns(
    reader_run: Path, images: ImageSet, checks: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    model = make_model()
    own = train_in_sequence(
        model,
        images,
        **how(
            spec=SPEC,
            A=projector,
            dose=Dose(2e3),
            run=tmp_path / "seq",
            reader=load_reader(reader_run),
            validation=checks,
            reader_settings=TrainSettings(steps=4, lr=1e-3),
            **SHORT,
        ),
    )
    kept = {n: t for n, t in model.state_dict().items()}
    alone = make_model()
    train(
        alone,
        images,
        **how(
            objective={"image": (1.0, ImageError())},
            A=projector,
            dose=Dose(2e3),
            run=tmp_path / "alone",
            validation=checks,
            **SHORT,
        ),
    )
    assert all(torch.equal(kept[n], t) for n, t in alone.state_dict().items())
    assert torch.allclose(load_reader(tmp_path / "seq-reader").predict(images.mu[:1]), own.predict(images.mu[:1]), atol=1e-5)
