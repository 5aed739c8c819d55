"""Any task network learns from full dose by any penalty, and comes back frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_training import how, make_model, weights_of
from torch import nn

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import load_run
from taskct.data.images import ImageSet
from taskct.nets import UNet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate import simulate_scan
from taskct.task import FrozenTask, HuWindow, freeze
from taskct.task.classification import PresenceBCE, presence
from taskct.task.detection import CentreFocal, find_peaks, hits
from taskct.task.saved_weights import load_network
from taskct.testing import check_task
from taskct.training import ImageError, LabelPenalty, convex, train, train_task

pytestmark = pytest.mark.slow

WINDOW = HuWindow(20, 320)
SETTINGS = {"batch": 6, "lr": 5e-3, "validate_every": 30, "precision": "float32", "progress": False}


def detector() -> UNet:
    torch.manual_seed(0)
    net = UNet(1, 1, widths=(8, 16), skip_channels=None)
    nn.init.constant_(net.out.bias, -2.2)  # type: ignore[arg-type]
    return net


def classifier() -> nn.Module:
    torch.manual_seed(0)
    features = [nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 8, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*features, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 1))


def without_spots(images: ImageSet) -> ImageSet:
    """Every other image without its spot, the others with a darker one."""
    mu, labels = images.mu.clone(), images.labels.clone()  # type: ignore[union-attr]
    for k in range(len(images)):
        spot = labels[k] == 2
        mu[k, 0][spot] += 0.001 if k % 2 == 0 else -0.004
        labels[k][spot] = 1 if k % 2 == 0 else 2
    return ImageSet(mu, images.patient_ids, labels, images.ids)


@pytest.fixture(scope="module")
def detection(images: ImageSet, checks: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[FrozenTask, Path]:
    folder = tmp_path_factory.mktemp("tasks") / "run"
    penalty = CentreFocal(label=2, sigma_pixels=1.5)
    return train_task(
        detector(), images, **how(prepare=WINDOW, penalty=penalty, run=folder, validation=checks, steps=90, **SETTINGS)
    ), folder


@pytest.fixture(scope="module")
def classification(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> FrozenTask:
    more = {**SETTINGS, "steps": 150, "ema": 0.9}
    folder = tmp_path_factory.mktemp("tasks") / "run"
    return train_task(
        classifier(),
        without_spots(images),
        **how(prepare=WINDOW, penalty=PresenceBCE(label=2), run=folder, name="spot", **more),
    )


def test_a_detector_learns_to_point_and_its_weights_come_back(detection: tuple[FrozenTask, Path], checks: ImageSet) -> None:
    task, run = detection
    losses = [m["task"] for m in load_run(run).metrics() if m["kind"] == "validation"]
    assert losses[-1] < 0.7 * losses[0]
    assert checks.labels is not None
    check_task(task, checks.mu[:2], checks.labels[:2].long()).raise_if_failed()
    peaks = find_peaks(task.predict(checks.mu), threshold=0.2)
    found = sum(hits(p, one.numpy(), 2)[0] for p, one in zip(peaks, checks.labels, strict=True))
    assert found >= 5  # of six
    again = load_network(detector(), run / "weights.safetensors")
    assert all(torch.equal(v, task.net.state_dict()[k]) for k, v in again.state_dict().items())


def test_a_classifier_learns_from_label_maps(classification: FrozenTask, checks: ImageSet) -> None:
    others = without_spots(checks)
    assert others.labels is not None and classification.name == "spot"
    assert float(((classification.predict(others.mu)[:, 0] > 0) == presence(others.labels, 2)).float().mean()) > 0.8


@pytest.mark.parametrize("kind", ["detection", "classification"])
def test_a_reconstruction_is_trained_for_it_and_it_stays_as_it_was(
    kind: str, request: pytest.FixtureRequest, images: ImageSet, projector: Projector, tmp_path: Path
) -> None:
    task = request.getfixturevalue(kind)
    task = task[0] if isinstance(task, tuple) else task
    data = images if kind == "detection" else without_spots(images)
    before = weights_of(task.net)
    short = {"batch": 6, "lr": 5e-3, "precision": "float32", "ema": 0.0, "progress": False}
    dose, image = Dose(300.0), ImageError()
    p = simulate_scan(data.mu, projector, dose, seed=1)
    truth = data.labels.long()  # type: ignore[union-attr]
    penalty = lambda model: float(task(model(p, projector), truth).detach())
    start = train(
        make_model(),
        data,
        **how(objective={"image": (1.0, image)}, A=projector, dose=dose, run=tmp_path / "base", steps=15, **short),
    )
    plain = penalty(start.model)
    objective = convex(image, LabelPenalty(task), alpha=0.8)
    done = train(
        make_model(),
        data,
        **how(objective=objective, A=projector, dose=dose, run=tmp_path / "run", warm_start=start.run, steps=30, **short),
    )
    assert penalty(done.model) < 0.9 * plain
    assert all(torch.equal(v, before[k]) for k, v in task.net.state_dict().items())


def test_what_cannot_be_learnt_from_is_refused(images: ImageSet, tmp_path: Path) -> None:
    ask = lambda data, net=None, **more: train_task(
        net or classifier(), data, **how(prepare=WINDOW, penalty=PresenceBCE(), run=tmp_path / "run", steps=2, **more)
    )
    with pytest.raises(InputError, match="training images with labels, these have none"):
        ask(ImageSet(images.mu, images.patient_ids))
    with pytest.raises(InputError, match="these have none but background"):
        ask(ImageSet(images.mu, images.patient_ids, torch.zeros_like(images.labels)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="in train and validation"):
        ask(images, validation=images)
    with pytest.raises(ConfigError, match="all of its weights are frozen"):
        ask(images, net=freeze(classifier()))
    assert not (tmp_path / "run").exists()
