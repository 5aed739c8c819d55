"""Qualities with a gradient to the image: what a dose is trained to hold."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.precision import at_least_float32
from taskct.core.units import MU_AIR_PER_MM, MU_WATER_70KEV_PER_MM, to_hu_unchecked
from taskct.evaluation.dose.target import Target
from taskct.evaluation.masks import evaluation_mask
from taskct.evaluation.metrics import noise_sd, psnr, rmse
from taskct.evaluation.protocol import Protocol
from taskct.physics.projector import Projector
from taskct.task import FrozenTask

_HU_UNIT = 0.05  # of the bound: an RMSE or SD 5 % off counts as one dB does
_DICE_UNIT = 0.02


class Surrogate:
    """`surrogate(mu_hat, mu, labels, slices)` -> quality of each patient (B,), differentiable; images of a patient together.

    PSNR, RMSE and noise SD are the metrics of the evaluation themselves, in its conventions; a region is that of class number
    `region_class`. CLASS.dice is the soft Dice of a frozen reader over the patient's images, NaN for patients without the
    class. SSIM has no surrogate here.
    """

    def __init__(
        self,
        target: Target,
        A: Projector,
        *,
        reader: FrozenTask | None = None,
        class_index: int | None = None,
        region_class: int | None = None,
        protocol: Protocol | None = None,
        mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
        mu_air_per_mm: float = MU_AIR_PER_MM,
    ) -> None:
        if target.name == "ssim":
            raise InputError("a dose is not trained for ssim; hold psnr or rmse_hu, and search with taskct dose for ssim")
        if target.class_name and (reader is None or class_index is None):
            raise InputError(f"{target}: training for a task's score needs its reader and the number of its class")
        if target.region and region_class is None:
            raise InputError(f"{target}: training within a region needs the number of its class in the labels")
        self.target, self.A, self.reader = target, A, reader
        self.class_index, self.region_class = class_index, region_class
        self.protocol = protocol or Protocol()
        self.scale = {"mu_water_per_mm": mu_water_per_mm, "mu_air_per_mm": mu_air_per_mm}

    @property
    def unit(self) -> float:
        """How much of the quality counts 1 in a constraint: 1 dB, 5 % of a bound in HU, 0.02 of Dice."""
        if self.target.class_name:
            return _DICE_UNIT
        return 1.0 if self.target.name == "psnr" else _HU_UNIT * (1.0 if self.target.of_full else self.target.bound)

    @property
    def class_number(self) -> int | None:
        """The label that it is measured in; None for whole images."""
        return self.class_index if self.target.class_name else self.region_class if self.target.region else None

    @property
    def needs_labels(self) -> bool:
        """Whether it does."""
        return bool(self.target.class_name or self.target.region)

    def __call__(self, mu_hat: Tensor, mu: Tensor, labels: Tensor | None, slices: int) -> Tensor:
        """Quality of each patient, (B,), float32."""
        with torch.autocast(mu.device.type, enabled=False):
            image, truth = mu_hat.float(), mu.float()
            if self.target.class_name:
                return self._dice(image, labels, slices)
            hu, truth_hu = (to_hu_unchecked(x, **self.scale) for x in (image, truth))
            mask = evaluation_mask(self.protocol.mask, self.A.grid, self.A.beam, truth_hu)
            if self.region_class is not None and self.target.region:
                assert labels is not None
                mask = mask & (labels[:, None] == self.region_class)
            t = self.target
            if t.name == "psnr":
                fixed = t.convention == "fixed range"
                values = psnr(image, truth, data_range=self.protocol.fixed_range_per_mm if fixed else "per-image", mask=mask)
            else:
                values = (rmse if t.name == "rmse_hu" else noise_sd)(hu, truth_hu, mask=mask)
            rows = values.float().reshape(-1, slices)
            seen = torch.isfinite(rows)
            total = torch.where(seen, rows, 0.0).sum(1)
            return torch.where(seen.any(1), total / seen.sum(1).clamp_min(1), torch.nan)

    def _dice(self, image: Tensor, labels: Tensor | None, slices: int) -> Tensor:
        assert labels is not None and self.reader is not None and self.class_index is not None
        chance = (
            at_least_float32(self.reader.predict(image))
            .softmax(1)[:, self.class_index]
            .flatten(1)
            .reshape(-1, slices, image[0].numel())
        )
        true = (labels == self.class_index).flatten(1).reshape(chance.shape).to(chance.dtype)
        overlap, total = (chance * true).sum((1, 2)), (chance + true).sum((1, 2))
        dice = 2 * overlap / total.clamp_min(1e-6)
        return torch.where(true.sum((1, 2)) > 0, dice, torch.nan)
