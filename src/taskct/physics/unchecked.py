"""Line integrals of numbers that are not an image, by ours and by anybody's projector."""

from __future__ import annotations

from torch import Tensor

from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors


def project_unchecked(A: Projector | Projectors, x: Tensor) -> Tensor:
    """`A(x)` where x, such as a direction of descent, may look like HU: our projectors do not look, others never did.

    >>> from taskct.geometry import Grid, ParallelBeam
    >>> import torch
    >>> A = Projector(Grid((2, 2), 1.0), ParallelBeam(views=1, cols=2, pixel_mm=1.0))
    >>> project_unchecked(A, torch.full((1, 1, 2, 2), -1000.0))[0, 0, 0]
    tensor([-2000., -2000.])
    """
    return A.project_unchecked(x) if isinstance(A, Projector | Projectors) else A(x)
