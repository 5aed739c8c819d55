"""The objective of a dose training: least dose, a quality held by a constraint, and an image error that keeps R learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import ConfigError
from taskct.evaluation.dose.target import Target
from taskct.systems.alara.learned.constraints import Constraint
from taskct.systems.alara.learned.dose_module import Decision
from taskct.systems.alara.learned.surrogate import Surrogate
from taskct.training.batch import Batch
from taskct.training.objective import Objective
from taskct.training.processes import mean_over_ranks
from taskct.training.terms import ImageError

_OF_QUALITY = ("gap", "share", "shortfall", "forecast")  # parts of patients whose quality is defined


@dataclass(frozen=True, eq=False)
class DoseBatch(Batch):
    """A batch of patients: B S images with noise-free scans `clean`, what is known of the B patients, and what they got.

    `full` (B,) is the quality at full dose for targets that are a share of it. `noise` seeds the scans.
    """

    clean: Tensor | None = None
    prior: Tensor | None = None
    full: Tensor | None = None
    slices: int = 1
    noise: int = 0
    decision: Decision | None = None


class DoseObjective(Objective):
    """L = spent + constraint(gaps) + image_weight * image error + forecast error.

    gap        (Q - q) / unit of each patient, the good side positive (`Surrogate.unit`)
    spent      "photons": E[n0] / reference_photons; "log": E[d] - ln reference_photons
    image      without it the reconstruction has no gradient from patients above the bound (published: "+ small MSE term")
    forecast   error of the module's own forecast of the gap (smooth L1); it moves the forecast only
    """

    def __init__(
        self,
        surrogate: Surrogate,
        constraint: Constraint,
        *,
        reference_photons: float,
        spend: Literal["photons", "log"] = "photons",
        image_weight: float = 0.1,
        unit_hu: float = 25.0,
    ) -> None:
        if not reference_photons > 0 or image_weight < 0 or spend not in ("photons", "log"):
            raise ConfigError(
                f"a dose objective expects reference_photons > 0, image_weight >= 0 and spend photons or log, got "
                f"{reference_photons!r}, {image_weight!r}, {spend!r}"
            )
        image = ImageError(unit_hu=unit_hu)
        super().__init__({"image": (image_weight, image)})
        self.surrogate, self.constraint = surrogate, constraint
        self.reference_photons, self.spend, self.image = reference_photons, spend, image
        self.image_weight = image_weight

    @property
    def target(self) -> Target:
        """What is held."""
        return self.surrogate.target

    @property
    def needs_labels(self) -> bool:
        """Whether the quality does."""
        return self.surrogate.needs_labels

    def gaps(self, batch: DoseBatch) -> Tensor:
        """Distance of each patient's quality to its bound in units, (B,); NaN where it is not defined."""
        t = self.target
        quality = self.surrogate(batch.image, batch.mu, batch.labels, batch.slices)
        bound = t.bound * batch.full.to(quality) if t.of_full and batch.full is not None else t.bound
        return t.sign * (quality - bound) / self.surrogate.unit

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and detached parts."""
        assert isinstance(batch, DoseBatch) and batch.decision is not None
        all_gaps = self.gaps(batch)
        defined = torch.isfinite(all_gaps)
        gaps = all_gaps[defined]
        d, photons = batch.decision.log_photons.mean(1), batch.decision.photons
        relative = photons / self.reference_photons
        spent = relative.mean() if self.spend == "photons" else (d - torch.tensor(self.reference_photons).log()).mean()
        image = self.image(batch)
        total = spent + self.image_weight * image if self.image_weight else spent
        zero = torch.zeros((), device=photons.device)
        forecast, gap, share, shortfall = zero, zero, zero, zero
        if len(gaps):
            forecast = functional.smooth_l1_loss(batch.decision.forecast[defined], gaps.detach())
            total = total + self.constraint.penalty(gaps) + 0.1 * forecast
            held = gaps.detach()
            gap, share, shortfall = held.mean(), (held >= 0).float().mean(), (-held).clamp_min(0).mean()
        parts = {
            "spent": spent, "dose": relative.mean(), "image": image, "gap": gap, "share": share, "shortfall": shortfall,
            "forecast": forecast, "spread_d": d.std(unbiased=False), "patients": defined.float().sum(),
        }  # fmt: skip
        return total, {name: value.detach().float() for name, value in parts.items()}

    def measure(self, batch: Batch, *, final_step: int) -> dict[str, float]:
        """Parts and their merit."""
        with torch.no_grad():
            parts = {name: float(value) for name, value in self.forward(batch)[1].items()}
        return {**parts, "total": self.merit(parts, final_step)}

    def sizes(self, batch: Batch) -> dict[str, int]:
        """How many patients of a batch have the quality: by these the means of what is asked of them are weighted."""
        assert isinstance(batch, DoseBatch)
        with torch.no_grad():
            known = int(torch.isfinite(self.gaps(batch)).sum()) if self.needs_labels else len(batch) // batch.slices
        return dict.fromkeys(_OF_QUALITY, known)

    def merit(self, values: Mapping[str, float], step: int) -> float:
        """Spent dose and what the constraint misses."""
        return values["spent"] + self.constraint.merit(values) + self.image_weight * values["image"]

    def commit(self, parts: Mapping[str, Tensor]) -> None:
        """The constraint learns from the step, from all processes together."""
        names = ("gap", "share", "shortfall", "patients")
        values = mean_over_ranks(torch.stack([parts[n] for n in names])).tolist()
        found = dict(zip(names, values, strict=True))
        if found["patients"] > 0:
            self.constraint.commit(found)

    def logged(self, step: int) -> dict[str, float]:
        """The constraint's numbers."""
        return self.constraint.logged()

    def memory(self) -> dict[str, Any]:
        """What the constraint has learnt."""
        return self.constraint.memory()

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Give it back."""
        self.constraint.recall(memory)
