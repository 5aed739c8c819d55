"""What every reconstructor refuses at the door."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, UnitsError
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.physics.projector import Projector

MAX_P = 100.0  # a ray keeps e^-40 of its photons through two metres of water


def check_scan(p: Tensor, A: Projector, *, who: str) -> None:
    """Refuse projections that do not fit `A` or hold NaN or infinite values; `who` begins the message."""
    keep_to_one_thread_if_forked()
    if p.dtype not in (torch.float32, torch.float64):
        raise GeometryError(f"{who} expects p in float32 or float64, got {p.dtype}; call .float()")
    if p.ndim != 2 + len(A.p_shape) or tuple(p.shape[2:]) != A.p_shape:
        wanted = ", ".join(str(n) for n in A.p_shape)
        raise GeometryError(
            f"{who} expects p of shape (B, 1, {wanted}) from its projector, got {tuple(p.shape)}; "
            "p and A must come from the same beam and grid"
        )
    low, high = (float(end) for end in torch.aminmax(p.detach()))  # one pass; a NaN reaches both
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = int((~torch.isfinite(p.detach())).sum())
        raise UnitsError(
            f"{who} expects finite projections p = -ln(I/I0), got {bad} NaN or infinite values; "
            "correct dead pixels and zero counts first"
        )
    if high > MAX_P:
        raise UnitsError(
            f"{who} expects projections p = -ln(I/I0), got values up to {high:g}: no detector sees exp(-{MAX_P:g}); "
            "these look like counts, take -ln(counts / counts in air) first"
        )


def check_image(mu: Tensor, p: Tensor, A: Projector, *, who: str, name: str = "start") -> Tensor:
    """An image for each scan of `p`: (B or 1, 1, *A.mu_shape) as (B, 1, *A.mu_shape) in p's dtype and on its device."""
    wanted = (*p.shape[:2], *A.mu_shape)
    fits = mu.ndim == len(wanted) and all(n in (1, w) for n, w in zip(mu.shape[:2], wanted[:2], strict=True))
    if not fits or tuple(mu.shape[2:]) != A.mu_shape:
        raise GeometryError(f"{who} expects {name} of shape {wanted}, got {tuple(mu.shape)}; make it on A.grid")
    if not bool(torch.isfinite(mu.detach()).all()):
        raise UnitsError(f"{who} expects a finite {name} in 1/mm, got NaN or infinite values")
    return mu.to(device=p.device, dtype=p.dtype).expand(wanted)


def check_count(value: int, *, who: str, name: str = "iterations", least: int = 1) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{who} expects {name} as a whole number of at least {least}, got {value!r}")
    return value


def check_number(
    value: float, *, who: str, name: str, above: float | None = None, least: float | None = None, below: float = math.inf
) -> float:
    """A finite number inside the open or closed bounds."""
    low = above if above is not None else least
    sign = ">" if above is not None else ">="
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value < below
    if not ok or (above is not None and value <= above) or (least is not None and value < least):
        end = "" if below == math.inf else f" and < {below:g}"
        raise ConfigError(f"{who} expects {name} {sign} {low:g}{end}, got {value!r}")
    return float(value)
