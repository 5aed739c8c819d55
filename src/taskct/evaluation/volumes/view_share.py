"""What the views say of a volume: its re-projection beside the radiographs, and the part of an error that they could show."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from taskct.core.units import UnitsWarning
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.cgls import cgls

_ITERATIONS = 60


def reprojection_rms(mu: Tensor, p: Tensor, A: Projector | Projectors) -> Tensor:
    """Root mean square of A mu - p over all rays of a case: (B, 1, Z, Y, X), (B, 1, V, R, C) -> (B,).

    Read it beside that of the truth on the same grid, which is not zero: rays of a coarse grid are not those of the object.
    Whatever lies below that floor was fitted to the error of the grid.
    """
    with torch.no_grad():
        return (A(mu) - p).double().square().flatten(1).mean(1).sqrt()


def seen_part(volume: Tensor, A: Projector | Projectors, *, iterations: int = _ITERATIONS) -> Tensor:
    """The part of `volume` that its projections determine, same shape: its projection onto the row space of A, by CGLS.

    The iterations reach the whole of the row space in the limit: what the views hardly see comes last, so that the share is
    measured from below. What is left, volume - seen_part, is (nearly) in the null space.
    """
    if isinstance(A, Projectors):
        parts = [seen_part(volume[i : i + 1], one, iterations=iterations) for i, one in enumerate(A.each)]
        return torch.cat(parts)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)  # a difference of volumes may be of any size
        return cgls(A(volume), A, iterations=iterations, progress=False)


def seen_share(error: Tensor, A: Projector | Projectors, *, iterations: int = _ITERATIONS) -> Tensor:
    """Share of the energy of `error` (B, 1, Z, Y, X), mu - truth, that the views could have shown: (B,), from 0 to 1.

    NaN for an error of zero.
    """
    part = seen_part(error, A, iterations=iterations)
    return part.double().square().flatten(1).sum(1) / error.double().square().flatten(1).sum(1)
