"""Any task network learns from full dose by any penalty, and comes back frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import load_run
from taskct.nets import UNet
from taskct.task import HuWindow, freeze
from taskct.task.classification import PresenceBCE, presence
from taskct.task.detection import CentreFocal, find_peaks, hits
from taskct.task.saved_weights import load_network
from taskct.testing import check_task
from taskct.training import ImageSet, train_task

WINDOW = HuWindow(20, 320)
SETTINGS = {"batch": 6, "lr": 5e-3, "validate_every": 30, "precision": "float32", "show": False}


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


def test_a_detector_learns_to_point_and_its_weights_come_back(images: ImageSet, checks: ImageSet, tmp_path: Path) -> None:
    penalty = CentreFocal(label=2, sigma_pixels=1.5)
    task = train_task(detector(), WINDOW, penalty, images, tmp_path / "run", validation=checks, steps=90, **SETTINGS)
    losses = [m["task"] for m in load_run(tmp_path / "run").metrics() if m["kind"] == "validation"]
    assert losses[-1] < 0.7 * losses[0]
    assert checks.labels is not None
    check_task(task, checks.mu[:2], checks.labels[:2].long()).raise_if_failed()
    peaks = find_peaks(task.predict(checks.mu), threshold=0.2)
    found = sum(hits(p, one.numpy(), 2)[0] for p, one in zip(peaks, checks.labels, strict=True))
    assert found >= 5  # of six
    again = load_network(detector(), tmp_path / "run" / "weights.safetensors")
    assert all(torch.equal(v, task.net.state_dict()[k]) for k, v in again.state_dict().items())


def test_a_classifier_learns_from_label_maps(images: ImageSet, checks: ImageSet, tmp_path: Path) -> None:
    some, others = without_spots(images), without_spots(checks)
    task = train_task(
        classifier(), WINDOW, PresenceBCE(label=2), some, tmp_path / "run", steps=150, name="spot", ema=0.9, **SETTINGS
    )
    assert others.labels is not None and task.name == "spot"
    assert float(((task.predict(others.mu)[:, 0] > 0) == presence(others.labels, 2)).float().mean()) > 0.8


def test_what_cannot_be_learnt_from_is_refused(images: ImageSet, tmp_path: Path) -> None:
    ask = lambda data, net=None, **more: train_task(
        net or classifier(), WINDOW, PresenceBCE(), data, tmp_path / "run", steps=2, **more
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
