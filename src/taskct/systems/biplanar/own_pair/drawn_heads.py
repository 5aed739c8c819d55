"""The built-in skulls that an estimate of a user's pair rests on, drawn on the grid of the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from taskct.core.memory import require_memory
from taskct.core.progress import track
from taskct.geometry import Grid
from taskct.phantoms.patient import make_patient
from taskct.phantoms.skull import SkullSettings

_KEPT = 2
_COPIES = 3  # of the volumes at once: as drawn, stacked, and in a method
FINER = 2  # skulls are drawn finer than the answer, and radiographs of them are taken from there


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads to learn from and others to judge by: (N, 1, Z, Y, X) in 1/mm on `grid`; `held_fine` on `fine`, a finer one."""

    known: Tensor
    held: Tensor
    held_fine: Tensor
    grid: Grid
    fine: Grid


def draw_skulls(
    grid: Grid, *, known: int, held: int, settings: SkullSettings, seed: int = 0, progress: bool | None = None
) -> Heads:
    """Draw `known` + `held` skulls about the centre of `grid`; the same for the same seed. The last two sets are kept."""
    key = (grid, known, held, settings, seed)
    if key not in _drawn:
        while len(_drawn) >= _KEPT:
            _drawn.pop(next(iter(_drawn)))
        _drawn[key] = _draw(grid, known, held, settings, seed=seed, progress=progress)
    return _drawn[key]


def _draw(grid: Grid, known: int, held: int, settings: SkullSettings, *, seed: int, progress: bool | None) -> Heads:
    fine = grid.refined(FINER)
    one = 4 * math.prod(grid.shape)
    needed = one * (_COPIES * (known + held) + FINER**3 * (held + _COPIES))
    require_memory(f"{known + held} skulls of {grid.shape} voxels", needed, what="drawing and using them")
    coarse, held_fine = [], []
    for number in track(range(known + held), "drawing skulls", progress=progress):
        patient = make_patient(seed, number, site="skull", shape=fine.shape, spacing_mm=fine.spacing_mm, settings=settings)
        mu = patient.case.mu_volume[0]
        coarse.append(avg_pool3d(mu, FINER))
        held_fine += [mu] if number >= known else []
    every = torch.stack(coarse)
    return Heads(every[:known], every[known:], torch.stack(held_fine), grid, fine)


_drawn: dict[tuple[Grid, int, int, SkullSettings, int], Heads] = {}
