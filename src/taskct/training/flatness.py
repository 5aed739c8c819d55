"""Is a training at its plateau? A stated rule on validation errors, so that the word is used only where it was measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from taskct.core.runs import Run
from taskct.training.training_end import Plateau

PATIENCE, LEAST_GAIN = 5, 0.005
_RISING_PAIRS = 5 / 6  # of validations, the later one above the earlier: without a trend few curves have so many


@dataclass(frozen=True)
class Flatness:
    """How flat the validation error of a training is at its end.

    steps        that were trained; `validations` of them were judged, the best at `best_step`
    window       steps since an error that no later one undercut by `least_gain` (relative) or more
    gain         relative gain of the best error over that window
    rise         relative rise of the last error above the best, where errors rise steadily over the window by `least_gain` or
                 more; else 0
    reached      the plateau: the window holds `patience` validations that do not rise, and the learning rate did not fall;
                 where it falls to nothing every curve ends flat, whatever more steps at the first rate would bring
    """

    steps: int
    validations: int
    best_step: int
    window: int
    gain: float
    reached: bool
    patience: int
    least_gain: float
    constant_rate: bool
    rise: float = 0.0

    @property
    def rule(self) -> str:
        """The rule in words."""
        return (
            f"the best validation error fell by less than {self.least_gain:.1%} over {self.patience} validations in a row, "
            "which did not rise steadily, at a constant learning rate"
        )

    def __str__(self) -> str:
        if self.validations < 2:
            return f"{self.steps} steps; not judged: fewer than two validations"
        if self.reached:
            return f"{self.steps} steps; plateau: {self.gain:.2%} gained in the last {self.window} steps"
        if self.rise > 0:
            return (
                f"{self.steps} steps; no plateau: the error rises, by {self.rise:.2%} since its best at step {self.best_step}"
            )
        if not self.constant_rate:
            return (
                f"{self.steps} steps; no plateau shown: the learning rate fell, so the end is flat whatever more steps bring"
            )
        if self.best_step < self.steps:  # it does not fall, but not for long enough
            return (
                f"{self.steps} steps; no plateau by the rule: no gain for {self.steps - self.best_step} steps, too few to tell"
            )
        return f"{self.steps} steps; still falling: no plateau by the rule"


def flatness(run: Run, *, patience: int = PATIENCE, least_gain: float = LEAST_GAIN) -> Flatness:
    """The rule on the validation lines of a run's metrics: patience in validations, gain relative.

    A training's own settings decide when it stops (`TrainSettings.patience`); this judges any training by one rule.
    """
    curve = validation_curve(run)
    plateau = Plateau(patience=max(patience, 1), least_gain=least_gain)
    began = 0
    since: list[float] = []
    for step, error in curve:
        plateau.improves(error, step)
        if plateau.waited == 0:
            began, since = step, []
        else:
            since.append(error)
    training = run.config.get("training", {})
    constant = training.get("schedule", "cosine") == "constant"
    last = curve[-1][0] if curve else 0
    fell, mark = plateau.mark - plateau.best, abs(plateau.mark)  # as Plateau: an error of 0 or below has a gain as well
    gain = math.nan if not math.isfinite(fell) else fell / mark if mark > 0 else 0.0
    rise = _steady_rise(since, plateau.best, least_gain)
    return Flatness(
        steps=last,
        validations=len(curve),
        best_step=plateau.best_step,
        window=last - began,
        gain=gain,
        reached=bool(plateau.reached and constant and not rise),
        patience=patience,
        least_gain=least_gain,
        constant_rate=constant,
        rise=rise,
    )


def _steady_rise(errors: Sequence[float], best: float, least: float) -> float:
    """Relative rise of the last error above the best, if it is `least` or more and nearly all later errors are higher; else 0.

    >>> [round(_steady_rise(errors, 1.0, 0.005), 3) for errors in ([1.01, 1.03, 1.02, 1.05], [1.02, 1.01, 1.03, 1.01])]
    [0.05, 0.0]
    """
    if not errors or best == 0:
        return 0.0
    rise = (errors[-1] - best) / abs(best)
    pairs = [later > earlier for earlier, later in itertools.combinations(errors, 2)]
    return rise if rise >= least and sum(pairs) >= _RISING_PAIRS * len(pairs) else 0.0


def validation_curve(run: Run) -> tuple[tuple[int, float], ...]:
    """(step, validation error) in order; empty without validation."""
    lines = [line for line in run.metrics() if line.get("kind") == "validation" and line.get("total") is not None]
    return tuple((int(line["step"]), float(line["total"])) for line in lines)
