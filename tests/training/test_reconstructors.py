"""The training of a reconstruction: what it learns, what it refuses, what it survives."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import how, make_images, make_model, weights_of
from torch import Tensor, nn

from taskct.core.config import from_dict
from taskct.core.errors import ConfigError, DataError, GeometryError, InputError, UnitsError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import FBPNet, fbp_unet, load_reconstructor
from taskct.simulate.clean_scans import CleanScans
from taskct.task import FrozenTask
from taskct.task.readers import load_reader
from taskct.training import Augmentation, DoseRange, FeaturePenalty, ImageError, LabelPenalty, convex, train
from taskct.training.average import WeightAverage
from taskct.training.reconstructors import ScanSource
from taskct.training.train_settings import TrainSettings

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


def test_a_warm_start_begins_where_the_other_run_ended(
    images: ImageSet, checks: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    first = train(make_model(), images, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "first", **SHORT))
    model = make_model(seed=7)
    train(
        model,
        images,
        **how(
            objective=PLAIN,
            A=projector,
            dose=dose,
            run=tmp_path / "second",
            validation=checks,
            warm_start=tmp_path / "first",
            **{**SHORT, "steps": 1, "lr": 1e-12, "ema": 0.0},
        ),
    )
    gap = [float((a - b).abs().max().detach()) for a, b in zip(first.model.parameters(), model.parameters(), strict=True)]
    assert max(gap) < 1e-9


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
    assert done.steps < 400 and done.stopped.startswith("plateau: no gain in 3 validations")


def test_each_image_gets_a_dose_of_its_own_from_the_range(images: ImageSet, projector: Projector) -> None:
    doses = DoseRange(Dose(1e5), lowest=0.01, highest=1.0)
    clean = CleanScans(images, projector, refine=1)
    source = ScanSource(clean, None, doses, TrainSettings(steps=9, batch=12), torch.device("cpu"))
    batch = source.batch(0)
    numbers = torch.tensor([images.ids.index(i) for i in batch.ids])
    assert batch.p is not None
    spread = (batch.p - clean.take(numbers, torch.device("cpu"))).flatten(1).std(1)
    assert float(spread.max() / spread.min()) > 2  # 10 between the ends of the range
    photons = doses.draw_photons(20000, torch.Generator().manual_seed(0))
    assert float(photons.min()) >= 1e3 * 0.999 and float(photons.max()) <= 1e5 * 1.001
    assert float(photons.log().mean()) == pytest.approx(torch.tensor(1e4).log().item(), abs=0.05)  # even in the logarithm


def test_images_are_each_seen_once_before_any_comes_again(images: ImageSet, projector: Projector) -> None:
    settings = TrainSettings(steps=9, batch=4)
    source = ScanSource(
        CleanScans(images, projector, refine=1), None, DoseRange(Dose(1e5), 1.0), settings, torch.device("cpu")
    )
    seen = [name for step in range(3) for name in source.batch(step).ids]
    assert sorted(seen) == sorted(images.ids)


def test_a_network_that_sees_neighbours_gets_those_of_the_same_patient(
    images: ImageSet, checks: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    assert images.patient_ids[:3] == ("patient-0", "patient-0", "patient-1")
    assert images.beside(torch.tensor([0, 1, 2]), 2).tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [2, 2, 2, 3, 3]]
    clean = CleanScans(images, projector, refine=1)
    p = clean.take(torch.tensor([1]), torch.device("cpu"), neighbours=1)
    assert torch.equal(p[0], clean.take(torch.tensor([0, 1, 1]), torch.device("cpu"))[:, 0])
    model = fbp_unet(widths=(4, 8), neighbours=1)
    for augment in (None, Augmentation()):
        where = tmp_path / str(augment is None)
        assert (
            train(
                model,
                images,
                **how(objective=PLAIN, A=projector, dose=dose, run=where, validation=checks, augment=augment, **SHORT),
            ).steps
            == 4
        )


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


def test_augmented_images_are_projected_anew(images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path) -> None:
    done = train(
        make_model(),
        images,
        **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", augment=Augmentation(), **SHORT),
    )
    assert done.steps == 4


class SometimesNan(nn.Module):
    """A network that a bright image breaks before its first normalisation, as a numerical accident would."""

    def __init__(self, brightest: float) -> None:
        super().__init__()
        self.inner, self.brightest = make_model().net, brightest

    def forward(self, x: Tensor) -> Tensor:
        broken = (x.flatten(1).mean(1) > self.brightest)[:, None, None, None]
        return self.inner(torch.where(broken, torch.full_like(x, float("nan")), x))


def test_a_step_without_a_finite_loss_is_skipped_counted_and_leaves_no_trace_in_the_statistics(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    mu = images.mu.clone()
    mu[5] *= 1.5
    odd = ImageSet(mu, images.patient_ids, images.labels, images.ids)
    means = ((mu - 0.01929) / 0.009645).flatten(1).mean(1)
    model = FBPNet(SometimesNan(float(means.sort().values[-2:].mean())))
    done = train(model, odd, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", **{**SHORT, "steps": 6}))
    skipped = [m for m in done.run.metrics() if m["kind"] == "skipped"]
    assert done.skipped == len(skipped) == 2  # six steps of four from twelve images
    assert all(images.ids[5] in m["images"] for m in skipped)
    assert all(bool(torch.isfinite(t).all()) for t in model.state_dict().values())


def test_several_bad_steps_in_a_row_end_it_with_the_image_named(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    mu = images.mu[:4].clone()
    mu[2] *= 1.5
    odd = ImageSet(mu, images.patient_ids[:4], ids=images.ids[:4])
    means = ((mu - 0.01929) / 0.009645).flatten(1).mean(1)
    model = FBPNet(SometimesNan(float(means.sort().values[-2:].mean())))
    words = (
        rf"^{odd.ids[2]}: 3 steps in a row gave no finite loss \(in image\); the reconstruction of these images is not finite"
    )
    with pytest.raises(DataError, match=words):
        train(model, odd, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", most_bad_steps=3, **SHORT))


def test_a_loss_that_is_not_finite_on_finite_images_names_the_images_of_the_last_step(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    class Broken(nn.Module):
        def forward(self, batch: Any) -> Tensor:
            return batch.image.sum() * math.nan

    few = ImageSet(images.mu[:7], images.patient_ids[:7], ids=images.ids[:7])
    settings = how(
        objective={"mine": (1.0, Broken())}, A=projector, dose=dose, run=tmp_path / "run", most_bad_steps=2, **SHORT
    )
    settings["settings"] = replace(settings["settings"], batch=7)
    with pytest.raises(DataError) as caught:
        train(make_model(), few, **settings)
    named, rest = str(caught.value).split(": ", 1)
    listed, more = named.split(" and ")
    assert set(listed.split(", ")) < set(few.ids) and len(listed.split(", ")) == 5 and more == "2 more"
    assert rest.startswith(
        "2 steps in a row gave no finite loss (in mine); these images were in the last of them; look at them"
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


def test_image_sets_refuse_labels_on_another_grid_hu_nan_and_lists_of_another_length() -> None:
    mu, names = torch.full((2, 1, 8, 8), 0.02), ("a", "b")
    with pytest.raises(GeometryError, match=r"labels on the grid of its images \(2, 8, 8\), got \(2, 4, 4\); resample"):
        ImageSet(mu, names, torch.zeros(2, 4, 4, dtype=torch.uint8))
    with pytest.raises(UnitsError, match=r"image-1: ImageSet expects mu in 1/mm.*look like HU"):
        ImageSet(torch.cat([mu[:1], mu[:1] * 0 - 1000]), names)
    with pytest.raises(UnitsError, match=r"image-0: .*NaN"):
        ImageSet(mu * float("nan"), names)
    with pytest.raises(InputError, match="patient_ids for each of the 2 images, got 1"):
        ImageSet(mu, ("a",))
    with pytest.raises(InputError, match="at least one image"):
        ImageSet(mu[:0], ())
    with pytest.raises(InputError, match="whole numbers"):
        ImageSet(mu, names, torch.zeros(2, 8, 8))


def test_images_of_another_grid_than_the_projectors_are_refused(projector: Projector) -> None:
    with pytest.raises(GeometryError, match=r"expects images of shape \(32, 32\), got \(16, 16\)"):
        CleanScans(ImageSet(torch.zeros(1, 1, 16, 16), ("a",)), projector)


def test_clean_scans_are_the_same_from_memory_and_made_in_the_step(images: ImageSet, projector: Projector) -> None:
    numbers, cpu = torch.tensor([3, 1]), torch.device("cpu")
    kept, made = (CleanScans(images, projector, cache_gib=g).take(numbers, cpu) for g in (1.0, 0.0))
    assert torch.allclose(kept, made, atol=1e-6)
    coarse = CleanScans(images, projector, refine=1).take(numbers, cpu)
    assert 0 < float((kept - coarse).abs().max()) < 0.5  # another grid, the same body


def test_settings_that_cannot_be_are_refused_by_name(
    images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="'patients'; did you mean 'patience'"):
        from_dict(TrainSettings, {"steps": 3, "patients": 2})
    with pytest.raises(ConfigError, match="lack steps"):
        from_dict(TrainSettings, {})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"batch": 0}, "batch >= 1, got 0"),
        ({"lr": math.inf}, "finite lr, got inf"),
        ({"lr": math.nan}, "finite lr, got nan"),
        ({"lr": 1e30}, "lr above 0 and at most 1000"),
        ({"reader_lr": math.inf}, "finite reader_lr"),
        ({"weight_decay": math.nan}, "finite weight_decay"),
        ({"clip_norm": math.inf}, "finite clip_norm"),
        ({"least_gain": math.nan}, "finite least_gain"),
        ({"ema": math.nan}, "finite ema"),
        ({"betas": (0.9, math.nan)}, "finite betas"),
        ({"betas": (0.9, 1.0)}, "betas of two numbers"),
        ({"schedule": "linear"}, "schedule cosine or constant"),
        ({"precision": "fp16"}, "precision auto, bf16 or float32"),
        ({"keep": "all"}, "keep best or last"),
    ]
    for settings, words in wrong:
        with pytest.raises(ConfigError, match=words):
            TrainSettings(steps=3, **settings)
    with pytest.raises(ConfigError, match=r"expects settings=TrainSettings\(steps=...\), got dict"):
        train(make_model(), images, objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", settings={"steps": 3})  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=re.escape("nothing to train")):
        train(
            make_model().requires_grad_(False),
            images,
            **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", steps=1),
        )


def test_weights_of_another_network_are_refused(images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path) -> None:
    train(make_model(), images, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", **SHORT))
    other: FBPNet = fbp_unet(widths=(4, 6))
    with pytest.raises(ConfigError, match=r"run: these weights are of another network: \d+ of another shape"):
        load_reconstructor(tmp_path / "run", model=other)
    with pytest.raises(InputError, match="does not say how its model was made"):
        load_reconstructor(tmp_path / "run")


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


def test_the_running_mean_follows_the_weights_and_forgets_the_first_ones() -> None:
    layer = nn.Linear(1, 1)
    average = WeightAverage(layer, 0.9)
    with torch.no_grad():
        layer.weight.fill_(5.0)
    for taken in range(3):
        average.update(layer, taken)
    assert abs(float(average.tensors["weight"]) - 5.0) < 0.05  # decays 1/10, 2/11, 3/12 so early
    for taken in range(100, 110):
        with torch.no_grad():
            layer.weight.fill_(7.0)
        average.update(layer, taken)
    assert float(average.tensors["weight"]) == pytest.approx(7 - 2 * 0.9**10, abs=0.05)


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
