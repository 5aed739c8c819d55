"""The vault of a skull seen from its middle: outer radius and densest bone along rays, and what is measured on that map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from taskct.core.errors import InputError
from taskct.data.case import AIR_HU
from taskct.evaluation.volumes.bone_surfaces import BONE_ABOVE_HU

ELEVATIONS, AZIMUTHS = 22, 72
_LOWEST_DEG = 5.0
_LEAST_STEP_MM = 1.0
_INNER, _OUTER = 0.55, 1.6  # of the half width of the head: where along a ray the vault is looked for
_SKIN_HU = -300.0
_SOFT_HU = 50.0
_BAND = 4  # elevations from the lowest on that make the outline of the vault
_FONTANELLE_DEG = 65.0  # elevation of the anterior fontanelle seen from the middle of the vault, to the front
_FONTANELLE_MM = 34.0


@dataclass(frozen=True, eq=False)
class VaultMap:
    """Maps (elevation, azimuth) of one skull, seen from `centre_mm` (z, y, x).

    `radius_mm` is the outermost distance at which bone is crossed, NaN where there is none; `peak_hu` the largest value along
    the ray through the vault. Azimuth 0 looks to the left (+x), 90 degrees to the back (+y).
    """

    radius_mm: Tensor
    peak_hu: Tensor
    elevation_rad: Tensor
    azimuth_rad: Tensor
    centre_mm: tuple[float, float, float]

    @cached_property
    def outline_mm(self) -> Tensor:
        """(azimuths, 2): y, x of the outline of the vault's widest part, holes bridged; NaN without any bone."""
        level = _bridged(torch.nanmedian(self.radius_mm[:_BAND], dim=0).values)  # rays that hardly rise
        return torch.stack([level * self.azimuth_rad.sin(), level * self.azimuth_rad.cos()], 1)

    @property
    def cranial_index(self) -> float:
        """Width over length in percent, of the ellipse with the second moments of the outline."""
        moments = _second_moments(self.outline_mm)
        if not bool(torch.isfinite(moments).all()):
            return math.nan
        low, high = torch.linalg.eigvalsh(moments).tolist()
        return 100 * math.sqrt(low / high)

    @property
    def asymmetry(self) -> float:
        """Cranial vault asymmetry in percent: difference of the diagonals at 30 degrees to the midline over the longer one.

        Positive where the diagonal from the front on the left to the back on the right is the longer.
        """
        outline = self.outline_mm
        if not bool(torch.isfinite(outline).all()):
            return math.nan
        middle = outline.mean(0)
        y, x = (outline - middle).T
        at = torch.atan2(y, x)
        radius = (y**2 + x**2).sqrt()

        def along(degrees: float) -> float:
            gap = torch.remainder(at - math.radians(degrees) + math.pi, 2 * math.pi) - math.pi
            weight = torch.exp(-0.5 * (gap / math.radians(5)) ** 2)
            return float((weight * radius).sum() / weight.sum())

        left_front, right_front = along(-60) + along(120), along(-120) + along(60)
        return 100 * (left_front - right_front) / max(left_front, right_front)

    @property
    def fontanelle_mm2(self) -> float:
        """Area in mm2 about the place of the anterior fontanelle whose rays meet less than half the usual bone."""
        radius = self.radius_mm.nanmedian()
        bone = self.peak_hu.median()
        if not bool(torch.isfinite(radius)) or float(bone) <= _SOFT_HU:
            return math.nan
        open_ = self.peak_hu < _SOFT_HU + 0.5 * (bone - _SOFT_HU)
        e, a = self.elevation_rad[:, None], self.azimuth_rad[None]
        up, y = e.sin(), e.cos() * a.sin()
        place = math.radians(_FONTANELLE_DEG)
        away = torch.arccos((up * math.sin(place) - y * math.cos(place)).clamp(-1, 1)) * radius
        step = (self.elevation_rad[1] - self.elevation_rad[0]) * (self.azimuth_rad[1] - self.azimuth_rad[0])
        area = radius**2 * e.cos() * step
        return float((area * (open_ & (away < _FONTANELLE_MM))).sum())

    @property
    def features(self) -> Tensor:
        """(2 * elevations * azimuths,): densest bone, and radius with holes bridged, for a linear reader; 0 without bone."""
        rows = torch.stack([_bridged(row) for row in self.radius_mm])
        return torch.nan_to_num(torch.cat([self.peak_hu.clamp(-100, 1500).flatten() / 500, rows.flatten() / 20]))


def vault_map(hu: Tensor, spacing_mm: tuple[float, float, float], *, above_hu: float = BONE_ABOVE_HU) -> VaultMap:
    """The map of one head, hu (Z, Y, X) with z rising to the crown, y to the back, x to the left.

    The middle is half a head's width below the crown, at the centre of the head's slice there: found in the image itself, so
    that what is measured needs no landmark. InputError for an image without a head.
    """
    if hu.ndim != 3:
        raise InputError(f"vault_map expects one volume (Z, Y, X), got {tuple(hu.shape)}")
    centre, half_width = _middle(hu, spacing_mm)
    elevation, azimuth = _directions()
    e, a = torch.meshgrid(elevation, azimuth, indexing="ij")
    way = torch.stack([e.sin(), e.cos() * a.sin(), e.cos() * a.cos()], -1)  # (E, A, 3): z, y, x
    step_mm = max(_LEAST_STEP_MM, min(spacing_mm) / 4)
    steps = torch.arange(_INNER * half_width, _OUTER * half_width, step_mm)
    points = torch.tensor(centre) + steps[:, None, None, None] * way  # (S, E, A, 3) in mm from the centre of voxel 0
    values = _sampled(hu, points, spacing_mm)
    return VaultMap(_outermost(values, steps, above_hu), values.amax(0), elevation, azimuth, centre)


def result_vault_map(hu: Tensor, spacing_mm: tuple[float, float, float]) -> VaultMap:
    """`vault_map` of what a method made, which may show no head at all: a map without bone then, whose measures are NaN."""
    if bool((hu > _SKIN_HU).any()):
        return vault_map(hu, spacing_mm)
    elevation, azimuth = _directions()
    shape = (len(elevation), len(azimuth))
    return VaultMap(torch.full(shape, math.nan), torch.full(shape, AIR_HU), elevation, azimuth, (0.0, 0.0, 0.0))


def _directions() -> tuple[Tensor, Tensor]:
    """Elevations and azimuths of the rays in radians."""
    elevation = torch.deg2rad(_LOWEST_DEG + (torch.arange(ELEVATIONS) + 0.5) * (90 - _LOWEST_DEG) / ELEVATIONS)
    return elevation, torch.arange(AZIMUTHS) * (2 * math.pi / AZIMUTHS)


def _middle(hu: Tensor, spacing_mm: tuple[float, float, float]) -> tuple[tuple[float, float, float], float]:
    head = hu > _SKIN_HU
    per_slice = head.flatten(1).sum(1) * spacing_mm[1] * spacing_mm[2]
    whole = per_slice > 0.1 * per_slice.max().clamp_min(1)  # specks above the crown do not count
    if not bool(whole.any()):
        raise InputError("vault_map expects a head, got an image without anything above -300 HU")
    crown = int(whole.nonzero().max()) * spacing_mm[0]
    wide = head.any(1).sum(1).double() * spacing_mm[2]  # of each slice, along x
    half_width = float(wide.max()) / 2
    level = round(max(0.0, crown - half_width) / spacing_mm[0])
    places = head[level].nonzero().double()
    if len(places) == 0:
        places = head.any(0).nonzero().double()
    y, x = places.mean(0).tolist()
    return (max(0.0, crown - half_width), y * spacing_mm[1], x * spacing_mm[2]), half_width


def _sampled(hu: Tensor, points: Tensor, spacing_mm: tuple[float, float, float]) -> Tensor:
    """hu at points in mm (..., 3), trilinear; air outside."""
    size = torch.tensor([max(n - 1, 1) * s for n, s in zip(hu.shape, spacing_mm, strict=True)])
    place = (2 * points / size - 1).flip(-1).float()  # grid_sample wants x, y, z
    found = grid_sample((hu.float() + 1000)[None, None], place[None], align_corners=True, padding_mode="zeros")
    return (found - 1000).reshape(points.shape[:-1])


def _outermost(values: Tensor, steps: Tensor, above: float) -> Tensor:
    """Distance at which each ray leaves bone for the last time, between samples; NaN where it meets none."""
    inside = values > above
    number = torch.arange(len(values))[:, None, None]
    last = torch.where(inside, number, -1).amax(0)
    at = last.clamp(0, len(values) - 2)
    here, after = (values.gather(0, (at + k)[None])[0] for k in (0, 1))
    part = ((here - above) / (here - after).clamp_min(1e-6)).clamp(0, 1)
    return torch.where(last >= 0, steps[at] + part * (steps[1] - steps[0]), torch.nan)


def _bridged(values: Tensor) -> Tensor:
    """A closed line with its NaN places filled from both neighbours; all NaN stays so."""
    good = torch.isfinite(values)
    if not bool(good.any()) or bool(good.all()):
        return values
    n = len(values)
    places = np.flatnonzero(good.numpy())
    filled = np.interp(np.arange(n), places, values[good].numpy(), period=n)
    return torch.from_numpy(filled).to(values)


def _second_moments(outline: Tensor) -> Tensor:
    """(2, 2) central second moments of the area inside a closed outline (n, 2)."""
    a, b = outline.double(), outline.double().roll(-1, 0)
    cross = a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]
    area = cross.sum() / 2
    centre = ((a + b) * cross[:, None]).sum(0) / (6 * area)
    second = torch.einsum("n,ni,nj->ij", cross, a, a) + torch.einsum("n,ni,nj->ij", cross, b, b)
    second = second + (torch.einsum("n,ni,nj->ij", cross, a + b, a + b))
    return second / (24 * area) - torch.outer(centre, centre)
