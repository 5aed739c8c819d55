"""Classification, detection and tasks without a network, end to end: learnt on full dose, frozen, and a guide to the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.geometry import Grid, ParallelBeam
from taskct.nets import UNet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate import simulate_scan
from taskct.task import FrozenTask, HuWindow, freeze
from taskct.task.classification import PresenceBCE, presence
from taskct.task.detection import CentreFocal, Peak, centre_map, find_peaks, hits
from taskct.task.observers.channels import difference_of_gaussians
from taskct.task.observers.observer_penalties import ContrastPenalty, ObserverPenalty
from taskct.testing import check_task

pytestmark = pytest.mark.slow

SIZE = 32


def images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Disks of liver, most with a dark spot of radius 3 pixels, every third with none: mu (N, 1, Y, X), labels (N, Y, X)."""
    draw = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    mu, labels = torch.zeros(count, 1, SIZE, SIZE), torch.zeros(count, SIZE, SIZE, dtype=torch.int64)
    for k in range(count):
        cy, cx = (9 + 14 * torch.rand(2, generator=draw)).tolist()
        body = (y - 15.5) ** 2 + (x - 15.5) ** 2 < 14**2
        spot = ((y - cy) ** 2 + (x - cx) ** 2 < 3**2) & (k % 3 > 0)
        mu[k, 0] = 0.0205 * body - 0.0025 * spot + 0.0003 * torch.randn(SIZE, SIZE, generator=draw) * body
        labels[k] = body.long() + spot.long()
    return mu, labels


def learnt(net: nn.Module, penalty: nn.Module, *, steps: int, prepare: Callable[[Tensor], Tensor]) -> nn.Module:
    """A task network after a short training on full dose."""
    mu, labels = images(36, 0)
    optimiser = torch.optim.Adam(net.parameters(), 4e-3)
    net.train()
    for step in range(steps):
        pick = torch.arange(12) + 12 * (step % 3)
        optimiser.zero_grad()
        penalty(net(prepare(mu[pick])), labels[pick]).backward()
        optimiser.step()
    return freeze(net)


def classifier() -> FrozenTask:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Conv2d(8, 8, 5, padding=2), nn.ReLU(), nn.AdaptiveMaxPool2d(1),
                        nn.Flatten(), nn.Linear(8, 1))  # fmt: skip
    penalty, prepare = PresenceBCE(label=2), HuWindow(20, 320)
    return FrozenTask(learnt(net, penalty, steps=150, prepare=prepare), prepare, penalty, "is there a lesion")


def detector() -> FrozenTask:
    torch.manual_seed(0)
    penalty, prepare = CentreFocal(label=2, sigma_pixels=1.5), HuWindow(20, 320)
    net = UNet(1, 1, widths=(8, 16), skip_channels=None)
    nn.init.constant_(net.out.bias, -2.2)  # type: ignore[arg-type]  # few samples are centres: begin with a tenth
    return FrozenTask(learnt(net, penalty, steps=90, prepare=prepare), prepare, penalty, "where are lesions")


def observer() -> FrozenTask:
    channels = difference_of_gaussians(9, pixel_mm=1.0, channels=3, lowest_per_mm=0.1)
    return FrozenTask(freeze(nn.Identity()), HuWindow(20, 320), ObserverPenalty(channels), "observer")


def contrast() -> FrozenTask:
    return FrozenTask(freeze(nn.Identity()), HuWindow(20, 320), ContrastPenalty(), "contrast")


KINDS = {"classification": classifier, "detection": detector, "observer": observer, "contrast": contrast}


@pytest.fixture(scope="module")
def tasks() -> dict[str, FrozenTask]:
    return {name: make() for name, make in KINDS.items()}


def test_a_classifier_says_of_unseen_images_which_show_a_lesion(tasks: dict[str, FrozenTask]) -> None:
    mu, labels = images(30, 1)
    said = tasks["classification"].predict(mu)[:, 0] > 0
    assert float((said == presence(labels, 2)).float().mean()) > 0.9


def test_a_detector_points_at_the_lesions_of_unseen_images_and_seldom_beside_them(tasks: dict[str, FrozenTask]) -> None:
    mu, labels = images(30, 1)
    peaks = find_peaks(tasks["detection"].predict(mu))
    found, lesions, beside = np.sum([hits(p, one.numpy(), 2) for p, one in zip(peaks, labels, strict=True)], axis=0)
    assert lesions == 20 and found >= 17 and beside <= 6


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task_keeps_the_contract(kind: str, tasks: dict[str, FrozenTask]) -> None:
    mu, labels = images(3, 2)
    check_task(tasks[kind], mu[1:], labels[1:]).raise_if_failed()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_guides_an_image_through_the_projector(kind: str, tasks: dict[str, FrozenTask]) -> None:
    """After descent on the data alone, descent on data and task serves the task better than more of the former."""
    task = tasks[kind]
    mu, labels = images(3, 3)
    mu, labels = mu[1:], labels[1:]
    A = Projector(Grid((SIZE, SIZE), 2.0), ParallelBeam(views=40, cols=48, pixel_mm=2.0))
    p = simulate_scan(mu, A, Dose(photons=3e3), seed=0)

    def descend(start: Tensor, weight: float, steps: int) -> tuple[Tensor, float]:
        image = start.clone().requires_grad_()
        optimiser = torch.optim.Adam([image], 5e-4)
        for _ in range(steps):
            optimiser.zero_grad()
            misfit = (A(image) - p).square().mean()
            (misfit + weight * task(image, labels) if weight else misfit).backward()
            optimiser.step()
        return image.detach(), float((A(image) - p).detach().square().mean())

    warm, _ = descend(torch.full_like(mu, 0.01), 0.0, 40)
    ends = {}
    for weight in (0.0, 0.02):
        image, misfit = descend(warm, weight, 20)
        ends[weight] = (float(task(image, labels)), misfit)
    assert ends[0.02][0] < ends[0.0][0] - 0.02 * abs(ends[0.0][0])
    assert ends[0.02][1] < 1.5 * ends[0.0][1] + 0.02  # and the scan is still explained


def test_presence_counts_pixels_and_its_penalty_is_small_for_the_right_answer() -> None:
    labels = torch.zeros(3, 4, 4, dtype=torch.int64)
    labels[0, 0, 0] = labels[1, :2, 0] = 2
    assert presence(labels, 2).tolist() == [True, True, False]
    assert presence(labels, 2, min_pixels=2).tolist() == [False, True, False]
    right = torch.tensor([[9.0], [9.0], [-9.0]])
    assert PresenceBCE()(right, labels) < 1e-3 and PresenceBCE()(-right, labels) > 5
    one_wrong = torch.tensor([[-9.0], [9.0], [-9.0]])
    assert PresenceBCE(positive_weight=3)(one_wrong, labels) == pytest.approx(
        3 * float(PresenceBCE()(one_wrong, labels)), rel=1e-2
    )
    with pytest.raises(GeometryError, match=r"a logit for each image, \(3, 1\), got \(3,\)"):
        PresenceBCE()(right[:, 0], labels)
    with pytest.raises(InputError, match="label maps"):
        PresenceBCE()(right, labels.float())
    with pytest.raises(ConfigError, match="label and min_pixels"):
        PresenceBCE(label=0)


def test_the_wanted_map_has_a_peak_per_lesion_and_the_right_map_is_not_penalised() -> None:
    labels = torch.zeros(2, 20, 24, dtype=torch.int64)
    labels[0, 3:6, 4:7] = labels[0, 12:17, 15:18] = 2
    wanted = centre_map(labels, 2, sigma_pixels=1.5)
    assert (wanted == 1).nonzero().tolist() == [[0, 0, 4, 5], [0, 0, 14, 16]]
    assert float(wanted[0, 0, 4, 7]) == pytest.approx(np.exp(-0.5 * (2 / 1.5) ** 2))
    logits = torch.where(wanted == 1, 12.0, -12.0)
    penalty = CentreFocal(sigma_pixels=1.5)
    assert penalty(logits, labels) < 1e-3 and penalty(-logits, labels) > 1
    assert penalty(logits[1:], labels[1:]) < 1e-3  # none there, none said
    assert [[peak.at for peak in one] for one in find_peaks(logits)] == [[(4, 5), (14, 16)], []]
    assert hits([Peak((4, 5), 0.9), Peak((0, 20), 0.5)], labels[0].numpy(), 2) == (1, 2, 1)
    assert hits([Peak((1, 1), 0.9)], labels[1].numpy(), 2) == (0, 0, 1)
    volume = labels[:1, None].repeat(1, 5, 1, 1)
    assert int((centre_map(volume, 2, sigma_pixels=1.0) == 1).sum()) == 2
    with pytest.raises(GeometryError, match="a map on the grid of the labels"):
        penalty(logits[..., ::2], labels)
    with pytest.raises(ConfigError, match="sigma_pixels > 0"):
        CentreFocal(sigma_pixels=0)


def test_a_task_with_class_numbers_of_its_own_needs_no_class_of_ours() -> None:
    torch.manual_seed(0)
    net = freeze(nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    task = FrozenTask(net, HuWindow(20, 320), nn.CrossEntropyLoss(), "which disease")
    mu = images(2, 0)[0].requires_grad_()
    task(mu, torch.tensor([0, 2])).backward()
    assert mu.grad is not None and float(mu.grad.abs().sum()) > 0
