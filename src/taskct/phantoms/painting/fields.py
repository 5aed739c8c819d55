"""Smooth random functions of position in the patient: they deform organs and give tissue its texture.

A field is a cubic B-spline on a lattice of normal numbers that is fixed in the patient (mm), not in the image. A slice
and a volume through the same place, on whatever grid, therefore sample the same function. Lattice planes are drawn one
by one from their own seed, so a single slice costs four planes and not a volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from taskct.core.seeds import generator

if TYPE_CHECKING:
    from scipy.sparse import csr_array

REACH_MM = 330.0  # half extent of every field: beyond it the patient has ended
_UNIT = (151 / 315) ** -0.5  # 1 / RMS over the phase of a cubic B-spline's weights: makes the field's sd 1
_PLANES_KEPT = 12


@dataclass(frozen=True)
class Axes:
    """The pixel centres of a slice in mm: `x_mm` (X,) and `y_mm` (Y,), `pixel_mm` apart (y, x)."""

    y_mm: np.ndarray
    x_mm: np.ndarray
    pixel_mm: tuple[float, float]

    @classmethod
    def centred(cls, shape: tuple[int, int], pixel_mm: tuple[float, float]) -> Axes:
        """Axes of a (Y, X) slice that is centred on the isocentre."""
        y, x = (((np.arange(n) - (n - 1) / 2) * s).astype(np.float32) for n, s in zip(shape, pixel_mm, strict=True))
        return cls(y, x, pixel_mm)


class LatticeField:
    """A random function of (z, y, x) in mm with mean 0, standard deviation `std` and features about 2 `step_mm` wide.

    `pixel_average` takes the mean over each pixel instead of its centre, so that coarse pixels see less of a fine field.
    """

    def __init__(self, seed: int, name: str, *, step_mm: float, std: float = 1.0, pixel_average: bool = False) -> None:
        self.seed, self.name, self.step_mm, self.std = seed, name, step_mm, std
        self.pixel_average = pixel_average
        self._size = int(2 * REACH_MM / step_mm) + 5
        self._planes: dict[int, np.ndarray] = {}
        self._matrices: dict[tuple[float, float, int], csr_array] = {}

    def sample(self, z_mm: float, axes: Axes) -> np.ndarray:
        """The field on one slice: float32 (Y, X)."""
        place = z_mm / self.step_mm
        first = int(np.floor(place)) - 1
        weights = _spline_weights(place - np.floor(place)) * (self.std * _UNIT**3)
        plane = sum(np.float32(w) * self._plane(first + i) for i, w in enumerate(weights))
        along_y = self._matrix(axes.y_mm, axes.pixel_mm[0])  # (Y, L)
        along_x = self._matrix(axes.x_mm, axes.pixel_mm[1])  # (X, L)
        return np.ascontiguousarray((along_x @ (along_y @ plane).T).T)

    def _plane(self, number: int) -> np.ndarray:
        if number not in self._planes:
            drawn = torch.randn(self._size, self._size, generator=generator(self.seed, self.name, number)).numpy()
            while len(self._planes) >= _PLANES_KEPT:
                self._planes.pop(next(iter(self._planes)))
            self._planes[number] = drawn
        return self._planes[number]

    def _matrix(self, centres_mm: np.ndarray, pixel_mm: float) -> csr_array:
        """The few weights of each row, sparse: a dense product would be summed in an order that BLAS's threads decide."""
        from scipy.sparse import csr_array

        key = (float(centres_mm[0]), pixel_mm, len(centres_mm))
        if key not in self._matrices:
            parts = max(1, int(np.ceil(2 * pixel_mm / self.step_mm))) if self.pixel_average else 1
            matrix = np.zeros((len(centres_mm), self._size), np.float32)
            for part in range(parts):
                shift_mm = ((part + 0.5) / parts - 0.5) * pixel_mm
                place = np.clip((centres_mm + shift_mm + REACH_MM) / self.step_mm + 1, 1, self._size - 3.001)
                first = np.floor(place).astype(int)
                weights = _spline_weights(place - first) / parts
                for i in range(4):
                    np.add.at(matrix, (np.arange(len(place)), first - 1 + i), weights[i])
            self._matrices[key] = csr_array(matrix)
        return self._matrices[key]


def _spline_weights(t: np.ndarray | float) -> np.ndarray:
    """Weights of the four lattice points around a place that is `t` (0 to 1) past the second one."""
    t = np.asarray(t)
    return np.stack([(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6])
