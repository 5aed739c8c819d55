"""A bound that is not held is warned of; the published hinge of a small weight does not hold it, a raised weight does."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from small_training import how, make_images, make_projector

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.evaluation.dose.target import parse_target
from taskct.recon.fbp import fbp
from taskct.systems.alara.learned import (
    Classical,
    Constraint,
    DoseGoal,
    DoseSpec,
    Hinge,
    MeanQuality,
    NotHeldWarning,
    ShareOfPatients,
    TrainedDose,
    train_dose,
)
from taskct.systems.alara.learned.held_check import HELD_FILE, check_held

TARGET = "psnr[fixed range]>=32"  # what twice the fallback dose gives


def trained(folder: Path, constraint: Constraint, *, steps: int = 60) -> TrainedDose:
    return train_dose(
        DoseSpec(lowest_photons=256, fallback_photons=4096, highest_photons=2.0**19, width=4),
        make_images(12, seed=1),
        reconstruct=Classical(fbp),
        goal=DoseGoal(target=TARGET, constraint=constraint, image_weight=0.0),
        A=make_projector(),
        run=folder,
        validation=make_images(6, seed=2, prefix="check"),
        **how(
            steps=steps, batch=4, lr=1e-2, ema=0.0, keep="last", schedule="constant", clip_norm=0.0, precision="float32",
            warmup_steps=0, validate_every=20, checkpoint_every=100, progress=False,
        ),
    )  # fmt: skip


def test_a_hinge_of_small_weight_stays_short_and_says_so_and_one_that_is_raised_holds_the_bound(tmp_path: Path) -> None:
    with pytest.warns(NotHeldWarning, match="fixed weight of 0.3 is below the price of quality"):
        short = trained(tmp_path / "fixed", Hinge(weight=0.3))
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotHeldWarning)
        held = trained(tmp_path / "raised", Hinge(weight=0.3, rate=0.3), steps=120)
    assert short.held is not None and not short.held.held and short.held.shortfall > 0.25
    assert held.held is not None and held.held.held and held.held.dose > 1.5 * short.held.dose
    saved = json.loads((tmp_path / "raised" / HELD_FILE).read_text(encoding="utf-8"))
    assert saved["held"] and saved["target"] == TARGET and "it is not held" not in saved["text"]


def line(run: Run, **parts: float) -> None:
    run.append(kind="validation", step=1, total=1.0, dose=1.0, **parts)


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (Hinge(), {"gap": 0.1, "share": 0.5, "shortfall": 0.2}, {"gap": 0.1, "share": 0.5, "shortfall": 0.3}),
        (MeanQuality(), {"gap": -0.05, "share": 0.4, "shortfall": 2.0}, {"gap": -0.2, "share": 0.9, "shortfall": 0.3}),
        (ShareOfPatients(0.9), {"gap": 1.0, "share": 0.87, "shortfall": 1.0}, {"gap": 3.0, "share": 0.8, "shortfall": 0.1}),
    ],
)
def test_each_way_of_holding_is_judged_by_what_it_promised(
    tmp_path: Path, constraint: Constraint, good: dict[str, float], bad: dict[str, float]
) -> None:
    fine, short = (Run.create(tmp_path / name, {}) for name in ("fine", "short"))
    line(fine, **good)
    line(short, **bad)
    target = parse_target(TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_held(fine, target, constraint, 1.0, keep="best").held  # type: ignore[union-attr]
    with pytest.warns(NotHeldWarning, match="it is not held"):
        check_held(short, target, constraint, 1.0, keep="best")
    assert check_held(Run.create(tmp_path / "none", {}), target, constraint, 1.0, keep="best") is None


def test_a_validation_that_is_not_a_number_holds_nothing_and_is_not_the_best(tmp_path: Path) -> None:
    target, nan = parse_target(TARGET), float("nan")
    first, last = (Run.create(tmp_path / name, {}) for name in ("first", "last"))
    first.append(kind="validation", step=1, total=nan, dose=1.0, gap=nan, share=0.0, shortfall=nan)
    line(first, gap=0.1, share=0.5, shortfall=0.2)
    assert check_held(first, target, Hinge(), 1.0, keep="best").gap == 0.1  # type: ignore[union-attr]
    line(last, gap=0.1, share=0.5, shortfall=0.2)
    last.append(kind="validation", step=2, total=nan, dose=1.0, gap=nan, share=0.0, shortfall=nan)
    with pytest.warns(NotHeldWarning, match="is not a number; it is not held"):
        assert not check_held(last, target, Hinge(), 1.0, keep="last").held  # type: ignore[union-attr]


def some_without_liver(count: int, *, liver: int, prefix: str) -> ImageSet:
    """Images of single slices, of which the last `liver` show one."""
    made = make_images(count, seed=2, prefix=prefix)
    assert made.labels is not None
    labels = made.labels * (torch.arange(count) >= count - liver)[:, None, None]
    names = [f"{prefix}-{k}" for k in range(count)]
    return ImageSet(made.mu, names, labels, names)


@pytest.mark.parametrize("liver", [1, 0])
def test_validation_patients_without_the_region_neither_hold_a_bound_nor_thin_out_who_misses_it(
    tmp_path: Path, liver: int
) -> None:
    goal = DoseGoal(target="noise_sd_hu[liver]<=0.1", constraint=Hinge(weight=1e-3), classes={"liver": 1}, image_weight=0.0)
    with pytest.warns(NotHeldWarning, match="0 % of them reach it" if liver else "is defined for no validation patient"):
        found = train_dose(
            DoseSpec(lowest_photons=256, fallback_photons=4096, highest_photons=2.0**19, width=4),
            make_images(6, seed=1), reconstruct=Classical(fbp), goal=goal, A=make_projector(), run=tmp_path / "run",
            validation=some_without_liver(17, liver=liver, prefix="check"), per_image=True,
            **how(steps=1, batch=2, precision="float32", warmup_steps=0, validate_every=1, checkpoint_every=9, progress=False),
        )  # fmt: skip
    assert found.held is not None and not found.held.held
    if liver:  # the patients of the first batch of validation have none: nothing of theirs is counted
        assert found.held.shortfall == -found.held.gap and found.held.shortfall > 50


def test_a_region_that_no_training_image_shows_is_refused_as_nothing_would_keep_the_dose_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training image has label 3, spleen, so nothing would keep the dose up"):
        train_dose(
            DoseSpec(width=4), make_images(4, seed=1), reconstruct=Classical(fbp), A=make_projector(), run=tmp_path / "run",
            goal=DoseGoal(target="noise_sd_hu[spleen]<=20", constraint=MeanQuality(), classes={"spleen": 3}),
            **how(steps=1, batch=2, progress=False),
        )  # fmt: skip


def test_the_weight_of_a_hinge_follows_the_shortfall_and_is_remembered() -> None:
    hinge = Hinge(weight=1.0, rate=0.5, slack=0.1)
    for _ in range(4):
        hinge.commit({"gap": -1.0, "share": 0.0, "shortfall": 1.1})
    assert hinge.multiplier == pytest.approx(3.0)
    again = Hinge(weight=1.0, rate=0.5)
    again.recall(hinge.memory())
    assert again.multiplier == hinge.multiplier
    for _ in range(200):
        hinge.commit({"gap": 1.0, "share": 1.0, "shortfall": 0.0})
    assert hinge.multiplier == 1.0  # never below what was given
    fixed = Hinge(weight=2.0)
    fixed.commit({"gap": -1.0, "share": 0.0, "shortfall": 5.0})
    assert fixed.multiplier == 2.0 and fixed.memory() == {}
    with pytest.raises(ConfigError, match="rate and slack from 0 on"):
        Hinge(rate=-1.0)
