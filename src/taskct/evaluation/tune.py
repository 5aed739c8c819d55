"""Choose one number of a method on validation slices, never on the ones that are reported."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence

from torch import Tensor

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.evaluation.compare_methods import evaluate
from taskct.evaluation.evaluation_record import describe_method, describe_slices
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.protocol import Protocol
from taskct.evaluation.slices import Slices
from taskct.evaluation.table import Table
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector


class TuningWarning(UserWarning):
    """The best value lies at the edge of what was tried, so a better one may lie beyond."""


def tune(  # noqa: PLR0917  (what, then on what: the order of `evaluate`)
    reconstruct: Callable[..., Tensor],
    name: str,
    candidates: Sequence[float],
    cases: Sequence[Case],
    A: Projector | Callable[[Case], Projector],
    dose: Dose,
    *,
    metric: str = "rmse_hu",
    seed: int = 1,
    slices: Slices = None,
    refine: int = 2,
    refinements: int = 1,
    protocol: Protocol | None = None,
    progress: bool | None = None,
) -> tuple[float, Table]:
    """The value of `reconstruct(p, A, name=value)` with the best mean `metric`, and the table of all that was tried.

    `candidates` are positive values, best on a logarithmic grid; each of `refinements` rounds then tries the geometric means
    of the best one and its neighbours. Give validation patients, or at least other slices and another seed than those that
    will be reported. `table.notes["tuning"]` holds the choice in plain values, ready for `evaluate(..., notes=...)`.

    Warns (TuningWarning) when the best value is the smallest or largest tried.
    """
    tried = sorted({float(v) for v in candidates})
    if len(tried) < 2 or not all(0 < v < math.inf for v in tried):
        raise InputError(f"tune expects at least two positive values of {name}, got {list(candidates)!r}")
    wanted = Protocol(metrics=(metric,)) if protocol is None else protocol
    run = functools.partial(
        evaluate,
        cases=cases,
        A=A,
        dose=dose,
        seed=seed,
        slices=slices,
        refine=refine,
        protocol=wanted,
        keep=0,
        noise_free=False,
        progress=progress,
    )
    table = run(methods={_name(name, v): functools.partial(reconstruct, **{name: v}) for v in tried})
    scores = _scores(table, metric, name, tried)
    for _ in range(refinements):
        best = _best(scores, table.label(metric)["better"])
        new = [v for v in _between(best, sorted(scores)) if v not in scores]
        if not new:
            break
        more = run(methods={_name(name, v): functools.partial(reconstruct, **{name: v}) for v in new})
        table = merge_tables([table, more])
        scores |= _scores(more, metric, name, new)
    best = _best(scores, table.label(metric)["better"])
    edge = "smallest" if best == min(scores) else "largest" if best == max(scores) else ""
    if edge:
        warnings.warn(
            f"the best {name} is the {edge} value tried, {best:g}; a better one may lie beyond: widen the candidates",
            TuningWarning,
            stacklevel=2,
        )
    table.notes["tuning"] = {
        name: {
            "method": describe_method(reconstruct),
            "best": best,
            "at_edge": edge or "no",
            "metric": metric,
            "tried": sorted(scores),
            "scores": [scores[v] for v in sorted(scores)],
            "cases": [case.case_id for case in cases],
            "slices": describe_slices(slices),
            "dose_fraction": dose.fraction,
            "photons": dose.photons,
            "seed": seed,
        }
    }
    return best, table


def _name(name: str, value: float) -> str:
    return f"{name}={value:.6g}"


def _scores(table: Table, metric: str, name: str, values: Sequence[float]) -> dict[float, float]:
    means = {s.method: s.interval.mean for s in table.summary(metric)}
    return {v: means[_name(name, v)] for v in values}


def _best(scores: dict[float, float], better: str) -> float:
    loss = {"lower": lambda s: s, "higher": lambda s: -s, "zero": abs}[better]
    defined = {v: loss(s) for v, s in scores.items() if not math.isnan(s)}
    if not defined:
        raise InputError("no value that was tried gave a defined score; look at the metric and the mask")
    return min(defined, key=lambda v: (defined[v], v))


def _between(best: float, tried: Sequence[float]) -> list[float]:
    place = tried.index(best)
    near = [tried[i] for i in (place - 1, place + 1) if 0 <= i < len(tried)]
    return [float(f"{math.sqrt(best * v):.4g}") for v in near]
