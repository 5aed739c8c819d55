"""Pitches of a film's pixels, and how its pixels are shared among larger or smaller ones: exact areas along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def pixel_shares(before: int, after: int, width: float) -> torch.Tensor:
    """(after, before): what each old pixel gives to new ones of `width` old pixels about the same middle; rows add up to 1.

    >>> pixel_shares(4, 2, 2.0).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    old = np.arange(before + 1) - before / 2
    old[0], old[-1] = -np.inf, np.inf  # beyond the film its outermost pixels go on
    new = (np.arange(after + 1) - after / 2) * width
    overlap = np.minimum(new[1:, None], old[None, 1:]) - np.maximum(new[:-1, None], old[None, :-1])
    return torch.from_numpy(np.clip(overlap, 0, None) / width)


def pitches_mm(steps_mm: Any) -> np.ndarray:
    """Distance of rows, or of columns, in each view: steps (V, 3) in mm -> (V,)."""
    return np.asarray(np.linalg.norm(np.asarray(steps_mm, dtype=float), axis=-1))
