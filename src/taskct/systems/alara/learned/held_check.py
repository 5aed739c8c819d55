"""Does a trained dose hold what it was trained to hold? Said of validation patients, and warned of where it does not."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass

from taskct.core.runs import Run
from taskct.evaluation.dose.target import Target
from taskct.systems.alara.learned.constraints import Constraint, Hinge
from taskct.training.metrics_log import best_validation

HELD_FILE = "held.json"


class NotHeldWarning(UserWarning):
    """A trained dose leaves validation patients short of the bound that it was trained to hold."""


@dataclass(frozen=True)
class HeldCheck:
    """Validation patients at the weights that were kept: mean gap and shortfall in the quality's unit, share above."""

    target: str
    held: bool
    gap: float
    shortfall: float
    share: float
    dose: float
    text: str


def check_held(run: Run, target: Target, constraint: Constraint, unit: float, *, keep: str) -> HeldCheck | None:
    """What validation says of the kept weights, written to held.json; warns where it is not held. None without validation."""
    lines = [line for line in run.metrics() if line.get("kind") == "validation" and "dose" in line]
    if not lines:
        return None
    best = best_validation(run)
    line = best[0] if keep == "best" and best is not None else lines[-1]
    known = {name: line.get(name) for name in ("gap", "share", "shortfall", "dose")}
    parts = {name: math.nan if value is None else float(value) for name, value in known.items()}
    held = constraint.held(parts) and all(math.isfinite(v) for v in parts.values())
    gap, shortfall = parts["gap"] * unit, parts["shortfall"] * unit
    words = (
        f"in the validation at step {line['step']} patients are {abs(gap):.3g} {target.unit}".rstrip()
        + f" {'better' if gap >= 0 else 'worse'} on average than the bound, {target.words}; "
        f"{100 * parts['share']:.0f} % of them reach it, "
        f"with {parts['dose']:.3g} times the reference dose"
    )
    if "gap" not in line:
        words = f"the {target.quality} is defined for no validation patient, as none has it in the labels"
    elif math.isnan(gap):
        words = f"the {target.quality} of the validation patients is not a number"
    if not held:
        words += f"; it is not held: {_advice(constraint)}"
    elif gap < 0:
        words += "; that is within the tolerance"
    found = HeldCheck(str(target), held, gap, shortfall, parts["share"], parts["dose"], words)
    run.write_json(HELD_FILE, asdict(found), overwrite=True)
    if not held:
        warnings.warn(words, NotHeldWarning, stacklevel=3)
    return found


def _advice(constraint: Constraint) -> str:
    more = "train for more steps, or allow more photons (highest_photons)"
    if isinstance(constraint, Hinge) and not constraint.rate:
        return (
            f"the hinge's fixed weight of {constraint.weight:g} is below the price of quality at the bound; give it a rate "
            f"(settings = {{ weight = {constraint.weight:g}, rate = 0.02 }}) or a larger weight; or {more}"
        )
    return more
