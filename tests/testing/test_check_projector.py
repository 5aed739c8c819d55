"""check_projector passes what is right, and each of its questions can fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.testing import CheckFailedError, adjoint_error, check_projector

PARALLEL = ParallelBeam(views=12, cols=70, pixel_mm=1.0)
FAN = FanBeam(views=12, cols=95, pixel_mm=1.5, source_iso_mm=150, source_detector_mm=300, curved=True)
CONE = ConeBeam(views=6, cols=40, rows=32, pixel_mm=2.0, source_iso_mm=60, source_detector_mm=120)


@pytest.mark.parametrize(
    ("grid", "beam", "tolerance"),
    [
        (Grid((48, 48), 1.0), PARALLEL, 0.02),
        (Grid((48, 48), 1.0), FAN, 0.02),
        (Grid((14, 14, 14), 2.0), CONE, 0.04),  # a ball of 3 voxels' radius: partial volume alone costs 2.5 %
    ],
    ids=["parallel", "fan", "cone"],
)
def test_the_projector_of_each_beam_passes(grid: Grid, beam: Any, tolerance: float) -> None:
    check_projector(Projector(grid, beam), geometry_tolerance=tolerance).raise_if_failed()


class Wrapped:
    """A projector that a test can break in one place."""

    def __init__(self, beam: Any = PARALLEL) -> None:
        self.inside = Projector(Grid((48, 48), 1.0), beam)
        self.grid, self.poses = self.inside.grid, self.inside.poses
        self.mu_shape, self.p_shape = self.inside.mu_shape, self.inside.p_shape

    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu)

    def adjoint(self, p: Tensor) -> Tensor:
        return self.inside.adjoint(p)

    def __repr__(self) -> str:
        return type(self).__name__


class AdjointOff(Wrapped):
    def adjoint(self, p: Tensor) -> Tensor:
        return self.inside.adjoint(p) * 1.0026


class AdjointOffInOnePixel(Wrapped):
    def adjoint(self, p: Tensor) -> Tensor:
        mu = self.inside.adjoint(p)
        return torch.cat([mu[..., :1] * 1.01, mu[..., 1:]], dim=-1)


class AdjointFlipped(Wrapped):
    def adjoint(self, p: Tensor) -> Tensor:
        return self.inside.adjoint(p.flip(-1))


class Affine(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu) + 0.01


class EditsItsInput(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        p = self.inside(mu)
        if not mu.requires_grad:
            mu.mul_(1.5)
        return p


class WrongDtype(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu).float()


class WrongShape(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu)[..., :-1]


class MixesTheBatch(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu.mean(0, keepdim=True).expand_as(mu))


class Noisy(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        p = self.inside(mu)
        return p * (1 + 1e-6 * torch.randn_like(p))


class NoGradient(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu.detach()) + 0 * mu.sum()


class GivesNan(Wrapped):
    def __call__(self, mu: Tensor) -> Tensor:
        return self.inside(mu) * float("nan")


class HalfPixelOff(Wrapped):
    """Right in everything but the geometry: the dot test cannot see it."""

    def __init__(self) -> None:
        super().__init__()
        self.poses = Projector(self.grid, ParallelBeam(views=12, cols=70, pixel_mm=1.0, col_offset_mm=0.5)).poses


class TurnsTheOtherWay(Wrapped):
    def __init__(self) -> None:
        super().__init__()
        self.poses = self.poses.take(np.arange(self.poses.views)[::-1])


@pytest.mark.parametrize(
    ("broken", "question"),
    [
        (AdjointOff, "exact adjoint (float32)"),
        (AdjointOff, "exact adjoint (float64)"),
        (AdjointOffInOnePixel, "exact adjoint (float32)"),
        (AdjointFlipped, "exact adjoint (float32)"),
        (Affine, "linear (float64)"),
        (EditsItsInput, "inputs are not edited (float32)"),
        (WrongDtype, "shape, dtype and device of A(mu) (float64)"),
        (WrongShape, "shape, dtype and device of A(mu) (float32)"),
        (MixesTheBatch, "a batch is treated one by one (float64)"),
        (Noisy, "same input, same bytes (float32)"),
        (NoGradient, "gradcheck of A"),
        (GivesNan, "A(mu) is finite (float32)"),
        (HalfPixelOff, "line integrals of an off-centre body"),
        (TurnsTheOtherWay, "line integrals of an off-centre body"),
    ],
)
def test_each_fault_is_caught_by_its_question(broken: type[Wrapped], question: str) -> None:
    # a gradcheck that fails takes the full Jacobian for its message, so it is only run where it is asked about
    found = check_projector(broken(), gradients="grad" in question)
    assert question in [f.question for f in found.failures], str(found)
    with pytest.raises(CheckFailedError, match=broken.__name__):
        found.raise_if_failed()


def test_only_the_geometry_question_sees_a_wrong_geometry() -> None:
    assert [f.question for f in check_projector(HalfPixelOff()).failures] == ["line integrals of an off-centre body"]


def test_the_error_of_an_adjoint_is_measured_on_the_inner_product_itself() -> None:
    assert adjoint_error(AdjointOff()) == pytest.approx(0.0026, rel=1e-3)
    assert adjoint_error(Wrapped()) < 1e-12


def test_what_was_not_asked_is_said() -> None:
    found = check_projector(Wrapped(), geometry_tolerance=None, gradients=False, dtypes=(torch.float32,))
    assert found.passed and [f.verdict for f in found.lines].count("skip") == 2
    assert "all checks passed" in str(found)
