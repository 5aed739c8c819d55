"""Steps without a finite loss."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import how, make_model
from torch import Tensor, nn

from taskct.core.errors import DataError
from taskct.data.images import ImageSet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import FBPNet
from taskct.training import ImageError, train

PLAIN = {"image": (1.0, ImageError())}


SHORT = {"steps": 4, "batch": 4, "validate_every": 2, "precision": "float32", "refine": 1}


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
