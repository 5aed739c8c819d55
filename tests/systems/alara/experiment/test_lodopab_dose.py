"""The dose experiment on a folder in the layout of LoDoPaB-CT: one command, both readings of the bound, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from taskct.core.errors import ConfigError, InputError
from taskct.data.sets.lodopab import write_lodopab
from taskct.systems.alara.experiment import DoseExperiment
from taskct.systems.alara.experiment.comparing import read_comparisons
from taskct.systems.alara.learned import load_dose
from taskct.systems.catalogue import reproduce

TINY: dict[str, Any] = {
    "train_patients": 6, "validation_patients": 2, "test_patients": 2, "views": 12, "arms": ["unet-psnr-hinge"],
    "psnr_bound": 12.0, "base_steps": 1, "unet_steps": 1, "batch": 2, "width": 4, "unet_widths": [4, 8],
    "curve_photons": [1024.0, 65536.0],
}  # fmt: skip


def body(seed: int) -> torch.Tensor:
    axis = torch.linspace(-1, 1, 362)
    radius = 0.5 + 0.05 * (seed % 7)
    return 0.02 * ((axis[:, None] / radius) ** 2 + (axis / (radius + 0.2)) ** 2 < 1).float()[None] + 1e-5 * seed


def lodopab_folder(folder: Path, *, copied: bool = False) -> Path:
    """Six training slices, two of validation, two of test; with `copied` the first test slice is one of training."""
    for part, count, first in (("train", 6, 0), ("validation", 2, 10), ("test", 2, 20)):
        seeds = [0 if copied and part == "test" and k == 0 else first + k for k in range(count)]
        write_lodopab(folder, part, [(torch.zeros(1, 1000, 513), body(s)) for s in seeds], patient_ids=list(range(count)))
    return folder


def test_one_command_trains_and_compares_doses_on_its_slices(tmp_path: Path) -> None:
    folder = lodopab_folder(tmp_path / "LoDoPaB")
    out = tmp_path / "out"
    page = reproduce("dose", out, data=folder, changes=TINY, workers=1, say=lambda text: None)
    found = read_comparisons(out / "compared-unet-psnr-hinge-0")
    mean = found.comparisons[0]
    assert str(mean.target) == "psnr[image range]>=12" and mean.patients == ("test-0", "test-1")
    assert {"fixed", "modulation a=0.5", "learned", "learned, as deployed"} <= {o.strategy for o in mean.outcomes} | set(
        mean.unreached
    )
    assert mean.notes["scout_photons_per_view"] == 2 * 65536 / 12
    saved = load_dose(out / "dose-unet-psnr-hinge-0")
    assert "in the validation at step 1 patients are" in found.values["held"] and found.values["is_held"] is False
    assert "it is not held" in page.read_text(encoding="utf-8")
    assert saved.dose.spec.prior.smooth_cols > 1
    assert "spread of dose (SD)" in page.read_text(encoding="utf-8")


def test_a_test_slice_that_was_seen_in_training_is_refused_by_its_content(tmp_path: Path) -> None:
    folder = lodopab_folder(tmp_path / "LoDoPaB", copied=True)
    with pytest.raises(InputError, match="in test has the same pixels as 'train-00000' in train"):
        reproduce("dose", tmp_path / "out", data=folder, changes=TINY, workers=1, say=lambda text: None)


def test_the_bound_in_the_wrong_convention_is_said_and_arms_that_need_labels_are_refused() -> None:
    common = {"data": "LoDoPaB", "size": 362, "slices": 1, "reader_patients": 0, "seeds_for": ()}
    for arm, quality in (("unet-psnr-hinge", "psnr"), ("unet-psnr-fr-hinge", "psnr-fr")):
        from taskct.systems.alara.experiment.alara_arms import QUALITIES, arm_named

        assert arm_named(arm).quality == quality and QUALITIES[quality].endswith("range]")
        DoseExperiment(**common, arms=(arm,))
    with pytest.raises(ConfigError, match="arm fbp-noise-views needs labels, and the images of LoDoPaB"):
        DoseExperiment(**common, arms=("fbp-noise-views",))
    with pytest.raises(ConfigError, match="size = 362, slices = 1 and reader_patients = 0 are expected, got 128"):
        DoseExperiment(**{**common, "size": 128}, arms=("unet-psnr-hinge",))
    with pytest.raises(ConfigError, match="psnr_bound is expected in dB"):
        DoseExperiment(psnr_bound=0.95)


def test_too_few_training_slices_or_patients_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    folder = lodopab_folder(tmp_path / "LoDoPaB")
    write_lodopab(folder, "train", [(torch.zeros(1, 1000, 513), body(s)) for s in range(4)], overwrite=True)
    (folder / "patient_ids_rand_train.csv").unlink()
    with pytest.raises(InputError, match="has 4 training slices, and a dose is learnt from 5 or more"):
        reproduce("dose", tmp_path / "out", data=folder, changes=TINY, workers=1, say=lambda text: None)
    with pytest.raises(ConfigError, match=r"learnt from 5 patients or more, got train_patients = 8, of whom 4 .* 4"):
        DoseExperiment(train_patients=8, reader_patients=4)
