"""A learned dose as a strategy: the decision for a patient, the check whether the patient may have one, and the fallback."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from taskct.evaluation.dose.target import Target
from taskct.evaluation.subject import Subject
from taskct.geometry import Beam, Grid
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.modulation import ScannerLimits
from taskct.simulate.scout import view_angles_rad
from taskct.systems.alara.learned.dose_module import DoseModule


@dataclass(frozen=True, eq=False)
class Advice:
    """What the module says of one patient: photons of every view (S, V), and whether it may be followed.

    `outside` patients get the fallback. `distance` is that of the domain check, `limit` its bound. `forecast` is the quality
    expected, NaN outside. `limited` says which limits of the scanner changed the course, `reason` why the module was
    not asked.
    """

    photons: Tensor
    outside: bool
    distance: float
    limit: float
    forecast: float
    limited: tuple[str, ...] = ()
    reason: str = ""

    @property
    def mean_photons(self) -> float:
        """Mean over slices and views."""
        return float(self.photons.mean())

    @property
    def text(self) -> str:
        """In words."""
        if self.reason:
            return f"{self.reason}: fixed dose of {self.mean_photons:.4g} photons"
        if self.outside:
            return (
                f"outside what the dose was learnt from (distance {self.distance:.1f}, limit {self.limit:.1f}): fixed dose of "
                f"{self.mean_photons:.4g} photons"
            )
        held = f"; the scanner's limits changed it: {', '.join(self.limited)}" if self.limited else ""
        return f"{self.mean_photons:.4g} photons (distance {self.distance:.1f}, limit {self.limit:.1f}){held}"


@dataclass(frozen=True, eq=False)
class LearnedDose:
    """`strategy(subject)` -> photons (S, V) as `compare_strategies` wants them; `forecast(subject)` -> expected quality.

    `target` and `unit` are those of the training (`TrainedDose`), `beam` and `grid` too: with another one the module has
    nothing to say, and the fixed dose is given with the reason; None is not checked. With `fallback` False the domain
    check is not obeyed.
    """

    module: DoseModule
    target: Target
    unit: float = 1.0
    limits: ScannerLimits | None = None
    fallback: bool = True
    beam: Beam | None = None
    grid: Grid | None = None

    def __call__(self, subject: Subject) -> Tensor:
        """Photons of every view."""
        return self.advise(subject).photons

    def forecast(self, subject: Subject) -> float:
        """Quality expected before the scan; a gap from the bound for targets that are a share of full dose."""
        return self.advise(subject).forecast

    @lru_cache(maxsize=512)  # noqa: B019  (a frozen object with few subjects)
    def advise(self, subject: Subject) -> Advice:
        """The decision for one patient, after the domain check and the limits of the scanner."""
        spec = self.module.spec
        reason = self._foreign(subject)
        if reason:
            fixed = torch.full((len(subject.p), subject.p.shape[2]), spec.fallback_photons, dtype=torch.float64)
            given, nothing = subject.driven(fixed, self.limits), float("nan")
            limited = () if self.limits is None else tuple(self.limits.breaches(fixed))
            return Advice(given, True, nothing, float(self.module.domain.limit), nothing, limited, reason)
        prior = spec.prior.take(subject.p, subject.mu, subject.A, patient_id=subject.patient_id, items=subject.items)
        slices, views = len(subject.p), subject.p.shape[2]
        self.module.eval()
        with torch.no_grad():
            device = next(self.module.parameters()).device
            seen = spec.prior.describe(prior[None].to(device))
            distance = float(self.module.domain.distance(seen))
            outside = bool(self.module.domain.outside(seen))
            decision = self.module(prior[None].to(device), slices=slices, angles_rad=view_angles_rad(subject.A))
            level = decision.log_air(views).double().cpu()
        wanted = (level if level.ndim == 2 else level[:, None].expand(slices, views)).exp()
        if outside and self.fallback:
            wanted = torch.full_like(wanted, spec.fallback_photons)
        given = wanted if self.limits is None else self.limits.hold(wanted)
        limited = () if self.limits is None else tuple(self.limits.breaches(wanted))
        t = self.target
        gap = float(decision.forecast[0]) * self.unit * t.sign
        forecast = float("nan") if outside else (gap if t.of_full else t.bound + gap)
        return Advice(given, outside, distance, float(self.module.domain.limit), forecast, limited)

    def _foreign(self, subject: Subject) -> str:
        """Why the scan is none that the module was trained for, '' if it is one."""
        if self.beam is not None:
            then, now = beam_to_config(self.beam), beam_to_config(subject.A.beam)
            for name in dict.fromkeys([*then, *now]):
                if then.get(name) != now.get(name):
                    return f"the dose was learnt with a beam of {name} = {then.get(name)}, not {now.get(name)}"
        own = subject.A.grid
        if self.grid is not None and (own.shape != self.grid.shape or not _close(own.spacing_mm, self.grid.spacing_mm)):
            return (
                f"the dose was learnt on a grid of {self.grid.shape} pixels of {self.grid.spacing_mm} mm, not {own.shape} of "
                f"{own.spacing_mm} mm"
            )
        return ""


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(one, other, strict=True))
