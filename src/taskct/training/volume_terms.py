"""Terms for volumes made of a few radiographs: mean projections as published, the true cone projections, view answers."""

from __future__ import annotations

from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.training.batch import Batch

VIEWS = "views"
"""The task under which a batch carries what the view branches of a network answered."""


class MeanProjections(nn.Module):
    """Mean absolute difference of the volumes' means along each axis, in units of `unit_hu` above air.

        1/3 sum over the axes of  | mean_axis |mu_hat| - mean_axis |mu| |

    Parallel projections, without any of the scan's geometry. (The projection loss of X2CT-GAN and PSCT-Net as published.)
    """

    def __init__(self, *, unit_hu: float = 2500.0, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM) -> None:
        super().__init__()
        if not unit_hu > 0:
            raise ConfigError(f"MeanProjections expects unit_hu > 0, got {unit_hu!r}")
        self.unit_per_mm = unit_hu * mu_water_per_mm / 1000

    def forward(self, batch: Batch) -> Tensor:
        """Scalar."""
        image, truth = batch.image.float().abs(), batch.mu.abs()
        axes = range(2, truth.ndim)
        errors = [(image.mean(axis) - truth.mean(axis)).abs().mean() for axis in axes]
        return sum(errors[1:], errors[0]) / len(errors) / self.unit_per_mm


class RadiographMisfit(nn.Module):
    """Mean absolute difference of the image's own projections through the scan's geometry from the scan, without unit.

    It compares with what was measured, so it needs no truth; on a coarse grid even the truth leaves some misfit.
    """

    def forward(self, batch: Batch) -> Tensor:
        """Scalar; ConfigError for a training whose batches do not say their geometry."""
        if batch.A is None or batch.p is None:
            raise ConfigError("RadiographMisfit needs batches with p and A, as train_on_radiographs makes them")
        return (batch.A(batch.image.float()) - batch.p).abs().mean()


class ViewErrors(nn.Module):
    """Mean absolute error of what the view branches answered, in units of `unit_hu`: for networks with `view_answers`."""

    def __init__(self, *, unit_hu: float = 2500.0, mu_water_per_mm: float = MU_WATER_70KEV_PER_MM) -> None:
        super().__init__()
        if not unit_hu > 0:
            raise ConfigError(f"ViewErrors expects unit_hu > 0, got {unit_hu!r}")
        self.unit_per_mm = unit_hu * mu_water_per_mm / 1000

    def forward(self, batch: Batch) -> Tensor:
        """Scalar; ConfigError for a network without answers of views."""
        if not batch.answers.get(VIEWS):
            raise ConfigError("ViewErrors needs a network with view answers: decoder='fused', view_answers=True")
        errors = [(one.float() - batch.mu).abs().mean() for one in batch.answers[VIEWS]]
        return sum(errors[1:], errors[0]) / len(errors) / self.unit_per_mm
