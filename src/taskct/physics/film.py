"""What a film tells of line integrals: all of them, up to an unknown gain and offset, or eight bits between its extremes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.seeds import generator


def as_film(
    p: Tensor, *, mode: Literal["line integral", "gain", "8-bit"] = "line integral", seed: int = 0, spread: float = 0.1
) -> Tensor:
    """What one is given instead of p (B, 1, V, R, C): the same shape.

    "line integral"   p itself
    "gain"            gain * p + offset with an unknown gain and offset for each film: gain from exp(Normal(0, spread)), offset
                      from Normal(0, spread)
    "8-bit"           each film scaled from its own least to its largest value and rounded to 0..255, divided by 255: the input
                      of published work, which forgets how much the object attenuates
    """
    if mode == "line integral":
        return p
    if mode == "gain":
        stream = generator(seed, "film")
        draws = torch.randn((2, *p.shape[:3], 1, 1), generator=stream).to(p)
        return p * (spread * draws[0]).exp() + spread * draws[1]
    if mode == "8-bit":
        low, high = p.amin((-1, -2), keepdim=True), p.amax((-1, -2), keepdim=True)
        return ((p - low) / (high - low).clamp_min(1e-9) * 255).round() / 255
    raise InputError(f"as_film expects mode 'line integral', 'gain' or '8-bit', got {mode!r}")


def fit_film(film: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset of each film by least squares: film ~ gain * p + offset, (B, 1, V, 1, 1) each.

    With p the projections of an estimate, (film - offset) / gain are line integrals again.
    """
    mean_p, mean_f = p.mean((-1, -2), keepdim=True), film.mean((-1, -2), keepdim=True)
    around = p - mean_p
    gain = (around * (film - mean_f)).sum((-1, -2), keepdim=True) / around.square().sum((-1, -2), keepdim=True).clamp_min(
        1e-12
    )
    return gain, mean_f - gain * mean_p
