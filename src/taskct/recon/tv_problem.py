"""What a TV reconstruction minimises, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from taskct.recon.checks import check_count, check_number


@dataclass(frozen=True, kw_only=True, eq=False)
class TvProblem:
    """The settings of `tv_min` that its iterations share; see there. InputError for values that cannot be."""

    strength: float = 1.0
    iterations: int = 500
    weights: Tensor | None = None
    noise_std: float | None = None
    nonnegative: bool = True
    start: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", check_number(self.strength, who="tv_min", name="strength", above=0.0))
        check_count(self.iterations, who="tv_min")
