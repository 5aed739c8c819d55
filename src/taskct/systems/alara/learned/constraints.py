"""Ways to hold a quality while dose falls: the published hinge, an augmented Lagrangian, a promised share of patients.

A constraint sees the gaps of a batch, (B,): distance of each patient's quality to its bound in its unit, 0 or more where it is
reached. What it learns on the way is saved with the training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import ConfigError

_MEMORY = 0.9  # of the smoothed excess by which multipliers move: about ten batches
_MERIT_WEIGHT = 10.0  # of what is missing at validation against the spent dose
_HINGE_ALLOWS, _MEAN_ALLOWS, _SHARE_ALLOWS = 0.25, 0.1, 0.05  # short of the bound, in units or shares, and still held


class Constraint(ABC):
    """A penalty of the gaps, weighed by a multiplier that moves after each step by rate * the smoothed excess.

    The multiplier begins at `first` and stays between `least` and `largest`. With a rate of 0 it stays `first`, and nothing is
    remembered: a fixed penalty.
    """

    def __init__(self, *, first: float, rate: float, least: float, largest: float) -> None:
        self.first, self.rate, self.least, self.largest = first, rate, least, largest
        self.start()

    @abstractmethod
    def penalty(self, gaps: Tensor) -> Tensor:
        """Scalar that is added to the spent dose."""

    @abstractmethod
    def excess(self, parts: Mapping[str, float]) -> float:
        """By how much the constraint is broken, from the mean parts of batches; 0 or less when it holds."""

    @abstractmethod
    def held(self, parts: Mapping[str, float]) -> bool:
        """Whether validation patients are served as was asked, up to a small tolerance; if not, a user is warned."""

    def merit(self, parts: Mapping[str, float]) -> float:
        """What validation adds to the spent dose, comparable while multipliers move."""
        return _MERIT_WEIGHT * max(0.0, self.excess(parts))

    def start(self) -> None:
        """Begin with the first multiplier, whatever another training has taught."""
        self.multiplier = self.first
        self.smoothed: float | None = None

    def commit(self, parts: Mapping[str, float]) -> None:
        """Move the multiplier by a step's parts: `gap`, `share`, `shortfall`."""
        now = self.excess(parts)
        self.smoothed = now if self.smoothed is None else _MEMORY * self.smoothed + (1 - _MEMORY) * now
        self.multiplier = min(self.largest, max(self.least, self.multiplier + self.rate * self.smoothed))

    def logged(self) -> dict[str, float]:
        """The multiplier and the smoothed excess, for the metrics; nothing where the multiplier is fixed."""
        return {"multiplier": self.multiplier, "excess": self.smoothed or 0.0} if self.rate else {}

    def memory(self) -> dict[str, Any]:
        """What was learnt, as plain values; nothing where the multiplier is fixed."""
        return {"multiplier": self.multiplier, "smoothed": self.smoothed} if self.rate else {}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back what `memory` gave."""
        self.multiplier = float(memory.get("multiplier", self.first))
        smoothed = memory.get("smoothed")
        self.smoothed = None if smoothed is None else float(smoothed)


class Hinge(Constraint):
    """weight * mean max(0, -gap), as published: each patient is pulled up to the bound, none is pulled down.

    A fixed weight holds the bound only if it is above the price of quality there, in reference doses for a unit (1 dB): below
    it the least of dose and penalty lies short of the bound, and nothing in the loss says so. With a `rate` the weight is a
    multiplier: it grows by rate * (shortfall - slack) of the smoothed shortfall, and falls again, never below `weight`, so
    that it finds that price. `slack` is the mean shortfall that is left, in units, since a hinge has no pull at the bound.

    >>> float(Hinge(weight=2.0).penalty(torch.tensor([-1.0, 3.0])))
    1.0
    """

    def __init__(self, *, weight: float = 1.0, rate: float = 0.0, slack: float = 0.1, largest: float = 1000.0) -> None:
        if not weight > 0 or rate < 0 or slack < 0 or not largest >= weight:
            raise ConfigError(
                f"Hinge expects a weight above 0, rate and slack from 0 on and largest >= weight, got {weight!r}, {rate!r}, "
                f"{slack!r} and {largest!r}"
            )
        super().__init__(first=weight, rate=rate, least=weight, largest=largest)
        self.weight, self.slack = weight, slack

    def penalty(self, gaps: Tensor) -> Tensor:
        """Mean shortfall, weighted."""
        return self.multiplier * (-gaps).clamp_min(0).mean()

    def excess(self, parts: Mapping[str, float]) -> float:
        """The shortfall beyond the slack that a moving weight leaves."""
        return parts["shortfall"] - (self.slack if self.rate else 0.0)

    def merit(self, parts: Mapping[str, float]) -> float:
        """The penalty itself; for a weight that moves, as for other multipliers."""
        return super().merit(parts) if self.rate else self.weight * parts["shortfall"]

    def held(self, parts: Mapping[str, float]) -> bool:
        """Whether the mean shortfall is within a quarter of a unit (0.25 dB)."""
        return parts["shortfall"] <= _HINGE_ALLOWS


class _Multiplied(Constraint):
    """Augmented Lagrangian of one inequality g <= 0: (max(0, l + rho g)^2 - l^2) / (2 rho), l <- max(0, l + rate g).

    `first` is l at the beginning. Where training begins near its end (a rule), l = 0 would let the dose fall with nothing to
    weigh it against; spent dose over quality at equal change of dose is about right.
    """

    def __init__(self, *, rho: float, rate: float, largest: float, first: float) -> None:
        if not (rho > 0 and rate > 0 and largest > 0 and first >= 0):
            raise ConfigError(
                f"a constraint expects rho, rate, largest above 0 and first >= 0, got {rho}, {rate}, {largest}, {first}"
            )
        super().__init__(first=first, rate=rate, least=0.0, largest=largest)
        self.rho = rho

    def _augmented(self, g: Tensor) -> Tensor:
        return ((self.multiplier + self.rho * g).clamp_min(0).square() - self.multiplier**2) / (2 * self.rho)


class MeanQuality(_Multiplied):
    """The mean gap is 0 or more, by an augmented Lagrangian (Nocedal and Wright, Numerical Optimization, section 17.4).

    Patients may exchange quality: dose goes where it gains most.
    """

    def __init__(self, *, rho: float = 1.0, rate: float = 0.05, largest: float = 100.0, first: float = 0.0) -> None:
        super().__init__(rho=rho, rate=rate, largest=largest, first=first)

    def penalty(self, gaps: Tensor) -> Tensor:
        """Of minus the mean gap."""
        return self._augmented(-gaps.mean())

    def excess(self, parts: Mapping[str, float]) -> float:
        """Minus the mean gap."""
        return -parts["gap"]

    def held(self, parts: Mapping[str, float]) -> bool:
        """Whether the mean is at most a tenth of a unit short."""
        return parts["gap"] >= -_MEAN_ALLOWS


class ShareOfPatients(_Multiplied):
    """A promised share of patients reaches the bound: P(gap >= 0) >= share, a chance constraint.

    For the gradient, reaching is a sigmoid of gap / softness; the multiplier moves by the share that really reaches it, so the
    promise is about patients and not about the sigmoid.
    """

    def __init__(
        self,
        share: float = 0.9,
        *,
        softness: float = 0.5,
        rho: float = 5.0,
        rate: float = 0.5,
        largest: float = 200.0,
        first: float = 0.0,
    ) -> None:
        super().__init__(rho=rho, rate=rate, largest=largest, first=first)
        if not 0 < share < 1 or not softness > 0:
            raise ConfigError(f"ShareOfPatients expects 0 < share < 1 and softness above 0, got {share!r} and {softness!r}")
        self.share, self.softness = share, softness

    def penalty(self, gaps: Tensor) -> Tensor:
        """Of the promised share minus the smooth one."""
        return self._augmented(self.share - torch.sigmoid(gaps / self.softness).mean())

    def excess(self, parts: Mapping[str, float]) -> float:
        """The promised share minus that of the patients who reach it."""
        return self.share - parts["share"]

    def held(self, parts: Mapping[str, float]) -> bool:
        """Whether the share is at most 0.05 below the promise."""
        return parts["share"] >= self.share - _SHARE_ALLOWS


CONSTRAINTS: dict[str, type[Constraint]] = {"hinge": Hinge, "mean": MeanQuality, "share": ShareOfPatients}
