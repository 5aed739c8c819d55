"""Terms for volumes made of a few radiographs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.geometry import Grid, bi_planar
from taskct.physics.projector import Projector
from taskct.training import Batch
from taskct.training.volume_terms import VIEWS, MeanProjections, RadiographMisfit, ViewErrors

WATER = 0.01929


def batch(mu: Tensor, mu_hat: Tensor, **more: object) -> Batch:
    return Batch(mu=mu, ids=tuple("ab"[: len(mu)]), mu_hat=mu_hat, **more)  # type: ignore[arg-type]


def test_mean_projections_count_a_plate_by_its_share_of_each_axis() -> None:
    truth, image = torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)
    image[:, :, 1] = WATER  # a plate across z: its mean along z is 1/4 everywhere, along y and x 1 on a quarter
    assert float(MeanProjections(unit_hu=1000)(batch(truth, image))) == pytest.approx(0.25)
    moved = image.roll(1, 2)  # the mean along z knows nothing of where the plate is, the others do
    assert float(MeanProjections(unit_hu=1000)(batch(image, moved))) == pytest.approx(2 / 3 * 2 / 4)


def test_errors_that_cancel_along_every_axis_are_not_seen_by_mean_projections() -> None:
    sign = torch.tensor([1.0, -1.0])
    checks = 0.005 * sign[:, None, None] * sign[:, None] * sign
    truth = torch.full((1, 1, 2, 2, 2), 0.02)
    assert float(MeanProjections()(batch(truth, truth + checks))) < 1e-6


def test_the_radiographs_misfit_is_that_of_the_scans_own_geometry() -> None:
    beam = bi_planar(cols=8, rows=8, pixel_mm=48.0, source_iso_mm=1000, source_detector_mm=1500)
    A = Projector(Grid((8, 8, 8), 24.0), beam)
    mu = 0.02 * torch.rand(1, 1, 8, 8, 8)
    p = A(mu)
    term = RadiographMisfit()
    assert float(term(batch(mu, mu, p=p, A=A))) == 0
    image = mu.clone().requires_grad_()
    value = term(batch(mu, image, p=p + 0.3, A=A))
    assert float(value.detach()) == pytest.approx(0.3, rel=1e-5)
    value.backward()
    assert image.grad is not None and float(image.grad.abs().max()) > 0
    with pytest.raises(ConfigError, match="p and A"):
        term(batch(mu, mu))


def test_view_errors_are_the_mean_over_the_views() -> None:
    mu = torch.zeros(2, 1, 2, 2, 2)
    answers = {VIEWS: (mu + WATER, mu - 3 * WATER)}
    assert float(ViewErrors(unit_hu=1000)(batch(mu, mu, answers=answers))) == pytest.approx(2.0)
    with pytest.raises(ConfigError, match="view_answers=True"):
        ViewErrors()(batch(mu, mu))


@pytest.mark.parametrize("term", [MeanProjections, ViewErrors])
def test_units_that_are_not_above_zero_are_refused(term: type) -> None:
    with pytest.raises(ConfigError, match="unit_hu > 0"):
        term(unit_hu=0.0)
