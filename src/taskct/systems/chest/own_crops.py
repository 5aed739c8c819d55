"""Crops of the lungs of a CT as in training: pixels of the size of the network, neighbours at the distance of its slices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.units import to_mu
from taskct.data.case import Case
from taskct.data.lungs import Lungs
from taskct.systems.chest.chest_classes import SLICE_MM

CROP = (96, 80)  # pixels of one lung there, rows and columns
_THIN_MM = 2.0  # thinner slices are averaged with their neighbours to about this


@dataclass(frozen=True)
class LungWindow:
    """Where the crop of one lung lies: `first` (y, x) its first pixel in mm from the case's first sample, and its pixels."""

    side: int
    first_mm: tuple[float, float]
    shape: tuple[int, int]
    from_mm: float
    to_mm: float

    def inside(self, x_mm: float) -> bool:
        """Whether an x belongs to this lung's half of the chest."""
        return self.from_mm <= x_mm < self.to_mm


@dataclass(frozen=True, eq=False)
class OwnCrops:
    """The crops of a case: `windows` of its lungs, `heights_mm` (N,) of their slices above the case's first slice."""

    case: Case
    pixel_mm: float
    windows: tuple[LungWindow, ...]
    heights_mm: np.ndarray
    apart: int  # steps of `heights_mm` between a slice and the neighbours that the network sees

    @classmethod
    def of(cls, case: Case, lungs: Lungs, *, pixel_mm: float, slice_mm: float = SLICE_MM) -> OwnCrops:
        """Windows about each lung, as large as in training or as the lung needs, and heights half a slice apart."""
        _, dy, dx = case.spacing_mm
        middles = {side: (box[2] + box[5] - 1) / 2 * dx for side, box in lungs.boxes.items()}
        border = sum(middles.values()) / 2 if len(middles) == 2 else None
        windows = []
        for side, (_, y0, x0, _, y1, x1) in sorted(lungs.boxes.items()):
            shape = tuple(
                _pixels(span, pixel_mm, least) for span, least in zip(((y1 - y0) * dy, (x1 - x0) * dx), CROP, strict=True)
            )
            middle = ((y0 + y1 - 1) / 2 * dy, (x0 + x1 - 1) / 2 * dx)
            first = tuple(m - (n - 1) / 2 * pixel_mm for m, n in zip(middle, shape, strict=True))
            low, high = -np.inf, np.inf
            if border is not None:
                low, high = (low, border) if middles[side] < border else (border, high)
            windows.append(LungWindow(side, first, shape, low, high))  # type: ignore[arg-type]
        z0, z1 = lungs.slices
        apart = 2 if case.spacing_mm[0] <= slice_mm / 2 * 1.5 else 1
        step = slice_mm / apart
        start, end = z0 * case.spacing_mm[0], (z1 - 1) * case.spacing_mm[0]
        count = max(1, int(np.floor((end - start) / step)) + 1)
        first_mm = start + (end - start - (count - 1) * step) / 2
        return cls(case, pixel_mm, tuple(windows), first_mm + step * np.arange(count), apart)

    @property
    def step_mm(self) -> float:
        """Between heights."""
        return float(self.heights_mm[1] - self.heights_mm[0]) if len(self.heights_mm) > 1 else self.case.spacing_mm[0]

    def stack(self, window: LungWindow, numbers: list[int], neighbours: int) -> Tensor:
        """mu (B, 2 neighbours + 1, rows, cols) of some heights; beyond the CT its last slices are repeated."""
        heights = self.heights_mm[numbers]
        step = self.apart * self.step_mm
        return torch.stack([self._plane(window, heights + k * step) for k in range(-neighbours, neighbours + 1)], 1)

    def _plane(self, window: LungWindow, heights_mm: np.ndarray) -> Tensor:
        """mu (B, rows, cols) at heights, averaged over about 2 mm along z and over a pixel in the slice."""
        planes = torch.stack([self._slice(float(z)) for z in heights_mm])[:, None]
        places = []
        for axis in (0, 1):
            at = window.first_mm[axis] + self.pixel_mm * torch.arange(window.shape[axis])
            places.append((at / self.case.spacing_mm[1 + axis] + 0.5) / self.case.hu.shape[1 + axis] * 2 - 1)
        y, x = torch.meshgrid(*places, indexing="ij")
        where = torch.stack([x, y], -1)[None].expand(len(planes), -1, -1, -1).to(planes)
        return functional.grid_sample(planes, where, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]

    def _slice(self, z_mm: float) -> Tensor:
        """mu (Y, X) at a height, averaged over about one pixel of the crops."""
        spacing = self.case.spacing_mm
        reach = max(spacing[0], _THIN_MM)
        count = len(self.case.hu)
        z_mm = min(max(z_mm, 0.0), (count - 1) * spacing[0])
        weights = np.clip(1 - np.abs(np.arange(count) * spacing[0] - z_mm) / reach, 0, None)
        near = np.flatnonzero(weights)
        share = torch.tensor(weights[near] / weights[near].sum(), dtype=torch.float32)
        mu = (self._mu(tuple(near.tolist())) * share[:, None, None]).sum(0)
        for axis in (0, 1):
            width = 2 * int(self.pixel_mm / spacing[1 + axis] // 2) + 1
            if width > 1:
                size = (width, 1) if axis == 0 else (1, width)
                pad = (width // 2, 0) if axis == 0 else (0, width // 2)
                mu = functional.avg_pool2d(mu[None, None], size, stride=1, padding=pad, count_include_pad=False)[0, 0]
        return mu

    def _mu(self, slices: tuple[int, ...]) -> Tensor:
        found = [self._kept.get(k) for k in slices]
        for n, (k, mu) in enumerate(zip(slices, found, strict=True)):
            if mu is None:
                found[n] = to_mu(self.case.hu[k], mu_water_per_mm=self.case.mu_water_per_mm).clamp_min(0)
                if len(self._kept) > 64:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[k] = found[n]  # type: ignore[assignment]
        return torch.stack(found)  # type: ignore[arg-type]

    @cached_property
    def _kept(self) -> dict[int, Tensor]:
        return {}


def _pixels(span_mm: float, pixel_mm: float, least: int) -> int:
    """Pixels of a side: those of training, or of the lung with a margin of 8 mm, rounded up to a multiple of 8."""
    return max(least, int(np.ceil((span_mm + 16) / pixel_mm / 8)) * 8)
