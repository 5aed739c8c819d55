"""What a training begins with: the weights of another run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import how, make_model

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.core.units import to_hu
from taskct.data.images import ImageSet
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import FBPNet, fbp_unet, load_reconstructor
from taskct.recon.learned.seen_images import SeenImages
from taskct.task.readers import READERS
from taskct.training import ImageError, train
from taskct.training.begin import note_seen_images, to_channels_last

PLAIN = {"image": (1.0, ImageError())}


SHORT = {"steps": 4, "batch": 4, "validate_every": 2, "precision": "float32", "refine": 1}


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


def test_a_warm_start_has_seen_the_images_of_both_trainings(images: ImageSet, checks: ImageSet, tmp_path: Path) -> None:
    first, second = (Run.create(tmp_path / name, {"training": {}}) for name in ("first", "second"))
    note_seen_images(first, images)
    note_seen_images(second, checks, first)
    alone, both = SeenImages.read(first), SeenImages.read(second)
    assert alone.patients == set(images.patient_ids) and both.patients == {*images.patient_ids, *checks.patient_ids}
    for part in (images, checks):
        hu = to_hu(part.mu, mu_water_per_mm=part.mu_water_per_mm, mu_air_per_mm=part.mu_air_per_mm)
        assert both.among(part.patient_ids[0], hu).startswith(f"it learnt from {len(hu)} of the {len(hu)} slices")


def test_weights_of_another_network_are_refused(images: ImageSet, projector: Projector, dose: Dose, tmp_path: Path) -> None:
    train(make_model(), images, **how(objective=PLAIN, A=projector, dose=dose, run=tmp_path / "run", **SHORT))
    other: FBPNet = fbp_unet(widths=(4, 6))
    with pytest.raises(ConfigError, match=r"run: these weights are of another network: \d+ of another shape"):
        load_reconstructor(tmp_path / "run", model=other)
    with pytest.raises(InputError, match="does not say how its model was made"):
        load_reconstructor(tmp_path / "run")


@pytest.mark.parametrize("name", sorted(READERS))
def test_gradients_in_bfloat16_are_finite_and_those_of_float32_in_the_memory_order_of_a_training(name: str) -> None:
    torch.manual_seed(0)
    net = READERS[name](3)
    to_channels_last(net)
    images, labels = torch.randn(4, 1, 32, 32), torch.randint(0, 3, (4, 32, 32))
    found = []
    for rounded in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            loss = torch.nn.functional.cross_entropy(net(images).float(), labels)
        loss.backward()
        found.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    exact, rounded_ones = found
    assert rounded_ones.isfinite().all()
    assert torch.cosine_similarity(exact, rounded_ones, dim=0) > 0.98


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"dose": Dose(1e6)}, "began with dose.photons = 20000.0, now it is 1000000.0"),
        ({"config": {"objective": {"task": "label"}}}, "began with objective.task = None, now it is 'label'"),
        ({"A": Projector(Grid((32, 32), 3.0), ParallelBeam(views=9, cols=48, pixel_mm=3.0))}, "began with beam.views = "),
        ({"refine": 2}, "began with data.refine = 1, now it is 2"),
        ({"steps": 5}, "began with steps = 4, now it is 5"),
    ],
)
def test_a_run_is_neither_resumed_nor_handed_back_under_another_config(
    other: dict[str, Any], words: str, images: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    plain = {"objective": PLAIN, "A": projector, "dose": Dose(2e4), "run": tmp_path / "run", **SHORT}
    first = train(make_model(), images, **how(**plain))
    again = train(make_model(), images, **how(**plain))  # the same one is handed back
    assert all(torch.equal(t, first.model.state_dict()[n]) for n, t in again.model.state_dict().items())
    with pytest.raises(ConfigError, match=re.escape(words) + ".*train into another folder"):
        train(make_model(), images, **how(**(plain | other)))


def test_a_run_that_goes_on_with_other_images_says_so(images: ImageSet, projector: Projector, tmp_path: Path) -> None:
    plain = {"objective": PLAIN, "A": projector, "dose": Dose(2e4), "run": tmp_path / "run", **SHORT}
    train(make_model(), images, **how(**plain))
    other = ImageSet(images.mu * 1.01, images.patient_ids, images.labels, images.ids, spacing_mm=images.spacing_mm)
    with pytest.warns(UserWarning, match="are not those that it began with, bit by bit"):
        train(make_model(), other, **how(**plain))
