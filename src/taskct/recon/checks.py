"""Argument checks shared by all reconstructors."""

from __future__ import annotations

import math
import warnings
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.core.tensors import check_dense, check_tensor
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.core.units import LEAST_P, MOST_P, UnitsWarning
from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.kept import outside_the_compiler
from taskct.physics.projector import Projector

MOST_ITERATIONS = 1000  # of a network that repeats itself; published ones have 4 to 20
_LEAST_COUNTS = 100.0  # a maximum below it is not an air scan

_told: WeakSet[Projector] = WeakSet()  # whose scans were warned of: once is enough


@outside_the_compiler
def check_scan(p: Tensor, A: Projector, *, who: str) -> None:
    """Refuse projections that do not fit `A`, hold NaN or infinite values, or are counts; `who` begins the message.

    Projections that are not of attenuation in 1/mm (docs/units.md) are warned of once for each projector (UnitsWarning).
    """
    keep_to_one_thread_if_forked()
    check_order(p, A, who=who)
    advice = "p and A must come from the same beam and grid"
    check_tensor(p, who=who, name="p", shape=tuple(A.p_shape), advice=advice, source=" from its projector")
    check_numbers(p, A, who=who)


def check_order(p: Any, A: Any, *, who: str) -> None:
    """Refuse arguments that changed places, and what is not a projector."""
    if isinstance(p, Projector):
        raise InputError(f"{who} expects the projections first and the projector second; call {who}(p, A)")
    if A is None or isinstance(A, Tensor | np.ndarray | Grid | ParallelBeam | FanBeam | ConeBeam | VectorBeam):
        raise InputError(f"{who} expects A as a taskct.Projector, got a {type(A).__name__}; A = Projector(grid, beam)")


def check_numbers(p: Tensor, A: Projector, *, who: str) -> None:
    """The part of `check_scan` that looks at values."""
    low, high = (float(end) for end in torch.aminmax(p.detach()))  # one pass; a NaN reaches both
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = int((~torch.isfinite(p.detach())).sum())
        raise UnitsError(
            f"{who} expects finite projections p = -ln(I/I0), got {bad} NaN or infinite values; "
            "correct dead pixels and zero counts first"
        )
    if low >= LEAST_P and high <= MOST_P:
        return
    if low >= 0 and high > _LEAST_COUNTS and _are_counts(p.detach()):
        raise UnitsError(
            f"{who} expects projections p = -ln(I/I0), got whole numbers up to {high:g}, the larger at the ends of the rows; "
            "these look like counts, take -ln(counts / counts in air) first"
        )
    if A not in _told:
        _told.add(A)
        warnings.warn(
            f"{who} got projections from {low:.4g} to {high:.4g}, more than those of any body in 1/mm (a detector sees up to "
            f"{MOST_P:g}); they are taken as they are, and the image has their unit per mm. For HU or dose, scale mu to 1/mm "
            "(water is about 0.02); if they are counts, take -ln(counts / counts in air)",
            UnitsWarning,
            stacklevel=4,
        )


def _are_counts(p: Tensor) -> bool:
    """Whole numbers that are not smaller at the ends of the rows, beside the object, than elsewhere."""
    some = p.flatten()[:: max(1, p.numel() // 4096) | 1]
    ends = p[..., [0, -1]]
    return bool((some == some.round()).all()) and float(ends.double().mean()) >= float(some.double().mean())


def check_image(mu: Tensor, p: Tensor, A: Projector, *, who: str, name: str = "start") -> Tensor:
    """An image for each scan of `p`: (B or 1, 1, *A.mu_shape) as (B, 1, *A.mu_shape) in p's dtype and on its device."""
    check_is_tensor(mu, who=who, name=name)
    wanted = (*p.shape[:2], *A.mu_shape)
    fits = mu.ndim == len(wanted) and all(n in (1, w) for n, w in zip(mu.shape[:2], wanted[:2], strict=True))
    if not fits or tuple(mu.shape[2:]) != A.mu_shape:
        raise GeometryError(f"{who} expects {name} of shape {wanted}, got {tuple(mu.shape)}; make it on A.grid")
    if not bool(torch.isfinite(mu.detach()).all()):
        raise UnitsError(f"{who} expects a finite {name} in 1/mm, got NaN or infinite values")
    return mu.to(device=p.device, dtype=p.dtype).expand(wanted)


def check_is_tensor(x: Any, *, who: str, name: str) -> None:
    """Refuse arrays and lists beside the scan, and say what makes a tensor of them."""
    if not isinstance(x, Tensor):
        line = f"torch.from_numpy({name}).float()" if isinstance(x, np.ndarray) else f"torch.as_tensor({name}).float()"
        raise GeometryError(f"{who} expects {name} as a torch tensor, got a {type(x).__name__}; pass {line}")
    check_dense(x, who=who, name=name)


def check_count(value: int, *, who: str, name: str = "iterations", least: int = 1) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{who} expects {name} as a whole number of at least {least}, got {value!r}")
    return value


def check_number(
    value: float,
    *,
    who: str,
    name: str,
    above: float | None = None,
    least: float | None = None,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """A finite number inside the open (above, below) or closed (least, most) bounds."""
    low = above if above is not None else least
    sign = ">" if above is not None else ">="
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ok = ok and value < below and value <= most
    if not ok or (above is not None and value <= above) or (least is not None and value < least):
        end = "" if below == math.inf else f" and < {below:g}"
        end += "" if most == math.inf else f" and <= {most:g}"
        raise ConfigError(f"{who} expects {name} {sign} {low:g}{end}, got {value!r}")
    return float(value)
