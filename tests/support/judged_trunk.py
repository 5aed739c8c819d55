"""A slice whose regions are known."""

from __future__ import annotations

import numpy as np


def trunk(pixel_mm: float = 1.0) -> np.ndarray:
    """A trunk with fat below the skin, a lung, bone and soft tissue."""
    n = round(220 / pixel_mm)
    rows, cols = (np.arange(n) - (n - 1) / 2) * pixel_mm, (np.arange(n) - (n - 1) / 2) * pixel_mm
    y, x = rows[:, None], cols[None, :]
    hu = np.full((n, n), -1000.0)
    hu[(x / 104) ** 2 + (y / 84) ** 2 < 1] = -100
    hu[(x / 84) ** 2 + (y / 64) ** 2 < 1] = 50
    hu[(x + 50) ** 2 + y**2 < 24**2] = -850
    hu[(x - 62) ** 2 + (y - 10) ** 2 < 16**2] = 700
    return hu.astype(np.float32)
