"""A grid and its poses as one tensor: the form in which geometry goes through `torch.library`, the compiler and export."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.geometry import Grid, Poses

_HEAD = 14  # dim, shape (3), spacing (3), origin (3), rows, cols, curved offset, kind
_KINDS = ("divergent flat", "divergent curved", "parallel")


def pack(grid: Grid, poses: Poses) -> Tensor:
    """(grid, poses) -> float64 CPU tensor (14 + 12 V,): a head of sizes and lengths, then per-view vectors in mm.

    The vectors are detector, column step, row step and source (or the direction of parallel rays), (V, 3) each, z, y, x.

    >>> from taskct.geometry import ParallelBeam
    >>> pack(Grid((4, 6), 1.0), ParallelBeam(views=2, cols=8, pixel_mm=1.0).poses()).shape
    torch.Size([38])
    """
    pad = 3 - grid.ndim
    kind = 2 if poses.parallel else int(poses.curved)
    shape, spacing, origin = (
        [fill] * pad + list(a) for fill, a in ((1, grid.shape), (1.0, grid.spacing_mm), (0.0, grid.origin_mm))
    )
    head = [grid.ndim, *shape, *spacing, *origin, poses.rows, poses.cols, poses.curved_offset_rad, kind]
    ray = poses.direction if poses.source_mm is None else poses.source_mm
    assert ray is not None
    vectors = [poses.detector_mm, poses.col_step_mm, poses.row_step_mm, ray]
    return torch.from_numpy(np.concatenate([np.array(head, dtype=np.float64), *(np.ravel(a) for a in vectors)]))


def unpack(scanner: Tensor) -> tuple[Grid, Poses]:
    """The grid and the poses that `pack` was given, in memory of their own: pickling may move the tensor's elsewhere.

    Raises GeometryError for a tensor that is not of `pack`'s making.
    """
    fits = scanner.dtype == torch.float64 and scanner.ndim == 1
    values = scanner.detach().cpu().numpy().copy() if fits else np.empty(0)
    if len(values) <= _HEAD or (len(values) - _HEAD) % 12 or values[0] not in (2, 3) or values[13] not in range(len(_KINDS)):
        raise GeometryError(
            "a scanner is the float64 tensor that taskct.physics.scanner.pack makes, "
            f"got {scanner.dtype} {tuple(scanner.shape)}"
        )
    axes = slice(3 - int(values[0]), 3)
    shape, spacing, origin = (values[first : first + 3][axes].tolist() for first in (1, 4, 7))
    kind = int(values[13])
    detector, col_step, row_step, ray = values[_HEAD:].reshape(4, -1, 3)
    poses = Poses(
        rows=int(values[10]), cols=int(values[11]), detector_mm=detector, col_step_mm=col_step, row_step_mm=row_step,
        source_mm=None if kind == 2 else ray, direction=ray if kind == 2 else None,
        curved=kind == 1, curved_offset_rad=float(values[12]),
    )  # fmt: skip
    return Grid([int(n) for n in shape], spacing, origin), poses
