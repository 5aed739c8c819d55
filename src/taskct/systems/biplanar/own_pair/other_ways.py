"""Whether a pair fits heads better another way up: no file says for sure how a picture lies."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taskct.evaluation.volumes import reprojection_rms
from taskct.physics.projector import Projector
from taskct.recon.population import GaussianPopulation

_CLEARLY = 0.75  # of the misfit as given: one that is smaller tells
_WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "both pictures upside down": lambda p: p.flip(-2),
    "the frontal and the lateral picture swapped": lambda p: p.flip(2),
    "the lateral picture mirrored": lambda p: torch.cat([p[:, :, :1], p[:, :, 1:].flip(-1)], 2),
}


def fits_better(model: GaussianPopulation, p: Tensor, A: Projector) -> str:
    """A sentence where line integrals p (1, 1, 2, R, C) fit the heads of `model` clearly better another way; else "".

    A frontal picture that is mirrored cannot be told: heads are nearly symmetric.
    """
    with torch.no_grad():
        misfit = lambda q: float(reprojection_rms(model(q, A), q, A))
        given = misfit(p)
        found = {way: misfit(turned(p)) for way, turned in _WAYS.items()}
    way = min(found, key=lambda name: found[name])
    if found[way] >= _CLEARLY * given:
        return ""
    return (
        f"the pair fits the built-in skulls better with {way} (re-projection {found[way]:.2g} in place of {given:.2g}); check "
        "which way the pictures lie and the order of the views"
    )
