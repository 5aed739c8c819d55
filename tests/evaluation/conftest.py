"""Small synthetic patients and simple methods, shared by the tests of evaluation and report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from taskct.data.case import Case
from taskct.geometry import ParallelBeam
from taskct.physics.projector import Projector


def make_patient(number: int, *, size: int = 32, slices: int = 3) -> Case:
    """An elliptic body with a liver and a lesion, a little different for each number."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:size, :size] / size - 0.5
    hu = np.full((slices, size, size), -1000.0, dtype=np.float32)
    labels = np.zeros((slices, size, size), dtype=np.uint8)
    for z in range(slices):
        a, b = 0.44 + 0.02 * rng.random(), 0.34 + 0.04 * rng.random()
        body, liver = (x / a) ** 2 + (y / b) ** 2 < 1, ((x + 0.15) / 0.2) ** 2 + (y / 0.22) ** 2 < 1
        lesion = (x + 0.15) ** 2 + (y - 0.02) ** 2 < 0.07**2
        hu[z][body], hu[z][liver], hu[z][lesion] = 30 + 10 * rng.random(), 60, 20
        labels[z][liver], labels[z][lesion] = 1, 2
    return Case(
        torch.from_numpy(hu),
        (5.0, 10.0, 10.0),
        case_id=f"patient-{number}",
        labels=torch.from_numpy(labels),
        label_names={1: "liver", 2: "lesion"},
        mu_water_per_mm=0.02,
    )


def simple_projector(size: int = 32) -> Projector:
    """Few views of a coarse grid."""
    return Projector(make_patient(0, size=size).slice_grid, ParallelBeam(views=24, cols=size * 3 // 2, pixel_mm=10.0))


def scaled_backprojection(p: torch.Tensor, A: Projector) -> torch.Tensor:
    """A linear method that is cheap and roughly right."""
    mu = A.adjoint(p)
    return mu * (0.012 / mu.mean((1, 2, 3), keepdim=True))


def landweber(p: torch.Tensor, A: Projector, *, iterations: int = 8, step: float = 1.0) -> torch.Tensor:
    """A few steps of gradient descent."""
    mu = torch.zeros(len(p), 1, *A.mu_shape)
    for _ in range(iterations):
        mu = mu + step / A.norm**2 * A.adjoint(p - A(mu))
    return mu


@pytest.fixture(scope="session")
def patient() -> Callable[..., Case]:
    """Function number -> Case."""
    return make_patient


@pytest.fixture(scope="session", name="A")
def projector() -> Projector:
    """The projector of the patients' slices."""
    return simple_projector()


@pytest.fixture(scope="session")
def methods() -> dict[str, Callable[..., torch.Tensor]]:
    """Two methods that really reconstruct."""
    return {"back-projection": scaled_backprojection, "landweber": landweber}
