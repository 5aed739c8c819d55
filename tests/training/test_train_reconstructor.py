"""`train`: what a reconstruction learns, what it refuses, what it survives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from small_training import how, make_images, make_model, weights_of
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError, UnitsError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import fbp_unet, load_reconstructor, trained_for
from taskct.task import DiceCE, FrozenTask, HuWindow
from taskct.task.readers import load_reader
from taskct.training import FeaturePenalty, ImageError, LabelPenalty, convex, train
from taskct.training.terms import JointPenalty, MeanOf, TeacherPenalty

PLAIN = {"image": (1.0, ImageError())}


SHORT = {"steps": 4, "batch": 4, "validate_every": 2, "precision": "float32", "refine": 1}


def test_training_lowers_the_error_on_patients_it_has_not_seen(
    images: ImageSet, checks: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    done = train(
        make_model(),
        images,
        **how(
            objective=PLAIN,
            A=projector,
            dose=dose,
            run=tmp_path / "run",
            validation=checks,
            steps=60,
            batch=6,
            lr=1e-2,
            validate_every=10,
            refine=1,
        ),
    )
    errors = [m["rmse_hu"] for m in done.run.metrics() if m["kind"] == "validation"]
    assert errors[-1] < 0.75 * errors[0]
    assert done.stopped == "all steps done" and done.skipped == 0
    header = done.run.path("metrics.csv").read_text().splitlines()[0].split(",")
    assert {"kind", "step", "image", "total", "rmse_hu", "learning_rate", "images_per_s"} <= set(header)


class Scaled(nn.Module):
    """FBP, wrong by a factor that is learnt."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, p: Tensor, A: Projector) -> Tensor:
        return self.factor * fbp(p, A, window="hann")


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_training_that_ends_worse_than_fbp_says_so(
    keep: str, images: ImageSet, checks: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    for factor, words in (
        (0.5, r"error on validation is \d+.\d HU, .*back-projection \(Hann window\) \d+.\d HU: train"),
        (1.0, "^$"),
    ):
        noun = {"objective": PLAIN, "A": projector, "dose": Dose(2e4), "run": tmp_path / str(factor), "validation": checks}
        done = train(Scaled(factor), images, **how(**noun, **SHORT, lr=1e-6, ema=0.0, keep=keep))
        assert re.search(words, done.remark)
    without = {"objective": PLAIN, "A": projector, "dose": Dose(2e4), "run": tmp_path / "without"}
    assert train(Scaled(0.5), images, **how(**without, **SHORT)).remark == ""


def test_a_run_comes_back_as_the_reconstructor_it_left(
    images: ImageSet, checks: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    config = {"model": {"kind": "fbp_unet", "widths": [4, 8], "norm": "batch"}}
    done = train(
        make_model(),
        images,
        **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", validation=checks, config=config, **SHORT),
    )
    p = projector(checks.mu)
    assert trained_for(load_reconstructor(done.run)).mu_water_per_mm == images.mu_water_per_mm
    assert not done.model.training
    for again in (load_reconstructor(tmp_path / "run"), load_reconstructor(tmp_path / "run", model=make_model(seed=8))):
        assert all(torch.equal(t, again.state_dict()[n]) for n, t in done.model.state_dict().items())
        # the training's convolutions are channels last, whose sums round otherwise
        assert torch.allclose(again(p, projector), done.model(p, projector), atol=1e-6)


def test_the_frozen_reader_is_the_same_to_the_bit_after_training(
    images: ImageSet, projector: Projector, dose: Dose, task: FrozenTask, tmp_path: Path
) -> None:
    before = weights_of(task.net)
    model = make_model()
    start = weights_of(model)
    train(
        model,
        images,
        **how(
            objective=convex(ImageError(), LabelPenalty(task), alpha=0.5),
            A=projector,
            dose=dose,
            run=tmp_path / "run",
            **SHORT,
        ),
    )
    assert all(torch.equal(before[n], t) for n, t in task.net.state_dict().items())
    assert any(not torch.equal(start[n], t) for n, t in model.state_dict().items())


def test_a_task_loss_serves_its_reader_better_than_the_image_error_alone(
    images: ImageSet, checks: ImageSet, projector: Projector, reader_run: Path, tmp_path: Path
) -> None:
    found, task = {}, load_reader(reader_run)
    for alpha in (0.0, 0.9):
        objective = convex(ImageError(), LabelPenalty(task), alpha=alpha)
        done = train(
            make_model(),
            images,
            **how(
                objective=objective,
                A=projector,
                dose=Dose(2e4),
                run=tmp_path / str(alpha),
                validation=checks,
                steps=40,
                batch=6,
                lr=1e-2,
                validate_every=40,
                keep="last",
                refine=1,
            ),
        )
        found[alpha] = next(m for m in done.run.metrics() if m["kind"] == "validation")
    assert found[0.9]["task"] < found[0.0]["task"] and found[0.9]["image"] > found[0.0]["image"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    ends = [
        weights_of(
            train(
                make_model(), images, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / f"{k}", seed=seed, **SHORT)
            ).model
        )
        for k, seed in enumerate((0, 0, 1))
    ]
    assert all(torch.equal(ends[0][n], ends[1][n]) for n in ends[0])
    assert any(not torch.equal(ends[0][n], ends[2][n]) for n in ends[0])


def test_a_plateau_ends_the_training_and_the_best_weights_are_kept(
    images: ImageSet, checks: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    done = train(
        make_model(),
        images,
        **how(
            objective=PLAIN,
            A=projector,
            dose=dose,
            run=tmp_path / "run",
            validation=checks,
            **{**SHORT, "steps": 400, "lr": 1e-9, "patience": 3, "ema": 0.0, "schedule": "constant"},
        ),
    )
    assert done.steps < 400 and done.stopped.startswith("no gain in 3 validations")


def test_volumes_are_trained_on_like_slices(tmp_path: Path) -> None:
    volume = Projector(Grid((4, 16, 16), 8.0), ParallelBeam(views=8, cols=24, rows=4, pixel_mm=8.0))
    mu = 0.02 * (torch.rand(4, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    data = ImageSet(mu, tuple("abcd"))
    model = fbp_unet(widths=(4, 8), dims=3, norm="none")
    assert (
        train(
            model,
            data,
            **how(objective=PLAIN, A=volume, dose=Dose(1e4), run=tmp_path / "run", **{**SHORT, "batch": 2, "steps": 2}),
        ).steps
        == 2
    )


def test_patients_in_two_parts_are_refused(images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'patient-0' in train and validation.*split by patient"):
        train(
            make_model(),
            images,
            **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", validation=images, **SHORT),
        )
    with pytest.raises(InputError, match="'patient-3' in train and test"):
        train(
            make_model(),
            images,
            **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", held_out=["patient-3"], **SHORT),
        )
    assert not (tmp_path / "run").exists()


def test_labels_that_are_missing_or_all_background_are_refused_before_the_first_step(
    images: ImageSet, projector: Projector, dose: Dose, task: FrozenTask, tmp_path: Path
) -> None:
    objective = convex(ImageError(), LabelPenalty(task), alpha=0.5)
    bare = ImageSet(images.mu, images.patient_ids)
    empty = ImageSet(images.mu, images.patient_ids, torch.zeros_like(images.labels))  # type: ignore[arg-type]
    for part, words in ((bare, "have none; use FeaturePenalty"), (empty, "all background")):
        with pytest.raises(InputError, match=words):
            train(make_model(), part, **how(objective=objective, A=projector, dose=dose, run=tmp_path / "run", **SHORT))
    free = convex(ImageError(), FeaturePenalty(task, depths=["0"]), alpha=0.5)
    assert train(make_model(), bare, **how(objective=free, A=projector, dose=dose, run=tmp_path / "free", **SHORT)).steps == 4


def test_a_task_in_training_mode_is_refused_in_the_first_step(
    images: ImageSet, projector: Projector, dose: Dose, task: FrozenTask, tmp_path: Path
) -> None:
    objective = convex(ImageError(), LabelPenalty(task), alpha=0.5)
    task.net.train()
    with pytest.raises(InputError, match=r"'reader'.*training mode"):
        train(make_model(), images, **how(objective=objective, A=projector, dose=dose, run=tmp_path / "run", **SHORT))


def test_tensorboard_is_asked_for_by_name_when_it_is_missing(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"taskct\[log\]"):
        train(
            make_model(),
            images,
            **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", tensorboard=True, **SHORT),
        )


def test_a_metrics_line_tells_speed_and_learning_rate(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    train(make_model(), images, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", log_every=2, **SHORT))
    line = load_run(tmp_path / "run").metrics()[0]
    assert line["kind"] == "train" and line["step"] == 2 and line["images_per_s"] > 0 and line["learning_rate"] > 0


def test_more_images_than_a_batch_are_not_needed(projector: Projector, dose: Dose, tmp_path: Path) -> None:
    done = train(
        make_model(), make_images(3, seed=2), **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", **SHORT)
    )
    assert done.steps == 4


def other_water(images: ImageSet, mu_water_per_mm: float) -> ImageSet:
    """The same HU, with water of another attenuation."""
    mu = images.mu * mu_water_per_mm / images.mu_water_per_mm
    return ImageSet(mu, images.patient_ids, images.labels, images.ids, mu_water_per_mm=mu_water_per_mm)


def test_images_that_a_reader_of_the_objective_would_misread_are_refused(
    images: ImageSet, projector: Projector, task: FrozenTask, tmp_path: Path
) -> None:
    plain = {"A": projector, "dose": Dose(2e4), "run": tmp_path / "run", **SHORT}
    joint = JointPenalty(nn.Conv2d(1, 3, 3, padding=1), HuWindow(40, 400), DiceCE())
    for term in (LabelPenalty(task), TeacherPenalty(task), MeanOf(LabelPenalty(task)), joint):
        with pytest.raises(UnitsError, match=r"the training images: .* takes 0.01929/mm for water, which is 0.02/mm"):
            train(make_model(), other_water(images, 0.02), **how(objective=convex(ImageError(), term, alpha=0.5), **plain))
    named = FrozenTask(task.net, task.prepare, task.penalty, task.name, classes=("background", "liver", "tumour"))
    swapped = ImageSet(images.mu, images.patient_ids, images.labels, label_names={1: "tumour", 2: "liver"})
    with pytest.raises(InputError, match="'tumour' is class 2, but label 1"):
        train(make_model(), swapped, **how(objective=convex(ImageError(), LabelPenalty(named), alpha=0.5), **plain))
    assert not (tmp_path / "run").exists()
    train(make_model(), swapped, **how(objective=convex(ImageError(), TeacherPenalty(named), alpha=0.5), **plain))


def test_errors_are_in_the_hu_of_the_images(images: ImageSet, checks: ImageSet, projector: Projector, tmp_path: Path) -> None:
    """The same attenuation is half as many HU where water has twice as much of it."""
    found = []
    for water in (0.01929, 2 * 0.01929):
        sets = [ImageSet(part.mu, part.patient_ids, mu_water_per_mm=water) for part in (images, checks)]
        noun = {"objective": PLAIN, "A": projector, "dose": Dose(2e6), "run": tmp_path / str(water), "validation": sets[1]}
        done = train(Scaled(0.9), sets[0], **how(**noun, **SHORT, lr=1e-6, ema=0.0))
        found.append([m["rmse_hu"] for m in done.run.metrics() if m["kind"] == "validation"][-1])
    assert found[0] == pytest.approx(2 * found[1], rel=1e-3)
