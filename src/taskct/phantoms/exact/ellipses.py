"""Ellipses and ellipsoids: phantoms whose line integrals are known exactly for every beam."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError
from taskct.core.seeds import generator
from taskct.geometry import Beam, FanBeam, Grid
from taskct.physics.rays import Frames

_RAYS_AT_ONCE = 2**20


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """A body of constant attenuation. Centre and half axes in mm, in order z, y, x; `rotation_deg` turns x towards y.

    Bodies add: a hole is a body of negative `mu_per_mm` inside another.
    """

    centre_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    mu_per_mm: float
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if len(self.centre_mm) != len(self.half_axes_mm) or not np.isfinite([*self.centre_mm, self.mu_per_mm]).all():
            raise GeometryError(f"{name} expects a finite centre_mm and mu_per_mm, got {self.centre_mm}, {self.mu_per_mm}")
        if not all(h > 0 and math.isfinite(h) for h in self.half_axes_mm) or not math.isfinite(self.rotation_deg):
            raise GeometryError(f"{name} expects half_axes_mm > 0 and a finite rotation, got {self.half_axes_mm}")

    @property
    def flat(self) -> bool:
        """True for an Ellipse, which has no extent of its own along z."""
        return False

    def spread(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centre (3,), the matrix (3, 3) that makes it a unit ball, and the half size of its box (3,); z, y, x."""
        turn = math.radians(self.rotation_deg)
        cos, sin = math.cos(turn), math.sin(turn)
        own = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])  # rows: own z, y, x axes in world z, y, x
        half = np.array(self._half_axes())
        with np.errstate(invalid="ignore"):
            box = np.sqrt(np.nansum((own * half[:, None]) ** 2, axis=0))  # inf * 0 is not an extent
        return np.array(self._centre()), own / half[:, None], box

    def _centre(self) -> tuple[float, ...]:
        return self.centre_mm

    def _half_axes(self) -> tuple[float, ...]:
        return self.half_axes_mm


@dataclass(frozen=True, kw_only=True)
class Ellipse(Ellipsoid):
    """The same in the plane, in order y, x: for slices. Under a beam with several rows it is a cylinder along z."""

    centre_mm: tuple[float, float]  # type: ignore[assignment]
    half_axes_mm: tuple[float, float]  # type: ignore[assignment]

    @property
    def flat(self) -> bool:
        """True: no extent of its own along z."""
        return True

    def _centre(self) -> tuple[float, ...]:
        return (0.0, *self.centre_mm)

    def _half_axes(self) -> tuple[float, ...]:
        return (math.inf, *self.half_axes_mm)


@dataclass(frozen=True)
class Phantom:
    """A sum of ellipses or ellipsoids, on any grid (`rasterise`) and under any beam (`line_integrals`).

    >>> from taskct.geometry import ParallelBeam
    >>> body = disk(10.0, mu_per_mm=0.02)
    >>> body.line_integrals(ParallelBeam(views=1, cols=1, pixel_mm=1.0)).item()
    0.4000000059604645
    """

    bodies: tuple[Ellipsoid, ...]
    name: str = "phantom"

    def rasterise(self, grid: Grid, *, supersample: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
        """Mean attenuation of each sample of a grid: (1, 1, Y, X) or (1, 1, Z, Y, X) in 1/mm.

        Each sample is the mean of `supersample` points along each axis. On a 2D grid ellipsoids show their section at z = 0.
        """
        image = np.zeros(grid.shape)
        for body in self.bodies:
            _add(image, body, grid, supersample)
        return torch.from_numpy(image).to(dtype)[None, None]

    def line_integrals(self, beam: Beam, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Exact integrals along the ray to each pixel's centre: (1, 1, V, C) for slices, else (1, 1, V, R, C).

        Chord of a ray o + t d through the unit ball (after a linear map): 2 |d| sqrt((1 - |o_perp|^2) / |d'|^2).
        """
        frames = Frames(beam.poses(), torch.device("cpu"))
        poses = frames.poses
        total = poses.views * poses.rows * poses.cols
        p = torch.zeros(total, dtype=torch.float64)
        for first in range(0, total, _RAYS_AT_ONCE):
            point, direction = frames.rays(first, min(first + _RAYS_AT_ONCE, total))
            length = direction.norm(dim=1)
            for body in self.bodies:
                centre, to_ball, _ = (torch.from_numpy(a) for a in body.spread())
                w, v = (point - centre) @ to_ball.T, direction @ to_ball.T
                vv = (v * v).sum(1)
                nearest = w - v * ((w * v).sum(1) / vv)[:, None]
                chord = 2 * ((1 - (nearest * nearest).sum(1)).clamp_min(0) / vv).sqrt() * length
                p[first : first + len(point)] += body.mu_per_mm * chord
        flat = isinstance(beam, FanBeam) or (poses.rows == 1 and all(b.flat for b in self.bodies))
        shape = (poses.views, poses.cols) if flat else (poses.views, poses.rows, poses.cols)
        return p.to(dtype).view(1, 1, *shape)


def disk(radius_mm: float, *, mu_per_mm: float = 0.02, centre_mm: tuple[float, float] = (0.0, 0.0)) -> Phantom:
    """One disk in the plane."""
    return Phantom((Ellipse(centre_mm=centre_mm, half_axes_mm=(radius_mm, radius_mm), mu_per_mm=mu_per_mm),), "disk")


def ball(radius_mm: float, *, mu_per_mm: float = 0.02, centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Phantom:
    """One ball."""
    return Phantom((Ellipsoid(centre_mm=centre_mm, half_axes_mm=(radius_mm,) * 3, mu_per_mm=mu_per_mm),), "ball")


def ellipses(*, seed: int | torch.Generator, count: int = 12, radius_mm: float = 100.0, mu_per_mm: float = 0.02) -> Phantom:
    """A disk of `mu_per_mm` with `count` random ellipses inside, each changing it by up to 20 %: training by the million."""
    draw = torch.rand((count, 6), generator=generator(seed, "ellipses"), dtype=torch.float64).tolist()
    bodies: list[Ellipsoid] = [Ellipse(centre_mm=(0, 0), half_axes_mm=(radius_mm, radius_mm), mu_per_mm=mu_per_mm)]
    for far, turn, long, short, rotation, change in draw:
        half = radius_mm * (0.03 + 0.27 * long)
        out = (radius_mm - half) * math.sqrt(far)
        centre = (out * math.sin(2 * math.pi * turn), out * math.cos(2 * math.pi * turn))
        bodies.append(
            Ellipse(
                centre_mm=centre,
                half_axes_mm=(half * (0.3 + 0.7 * short), half),
                mu_per_mm=mu_per_mm * 0.4 * (change - 0.5),
                rotation_deg=180 * rotation,
            )
        )
    return Phantom(tuple(bodies), "ellipses")


def _add(image: np.ndarray, body: Ellipsoid, grid: Grid, supersample: int) -> None:
    """Add one body to the part of the image that its box covers."""
    centre, to_ball, box = body.spread()
    first = 3 - grid.ndim
    places: list[slice] = []
    fine: list[np.ndarray] = []
    for axis in range(grid.ndim):
        low = (centre[first + axis] - box[first + axis] - grid.origin_mm[axis]) / grid.spacing_mm[axis]
        high = (centre[first + axis] + box[first + axis] - grid.origin_mm[axis]) / grid.spacing_mm[axis]
        size = grid.shape[axis]
        start = 0 if math.isinf(low) else int(np.clip(math.floor(low), 0, size))
        stop = size if math.isinf(high) else int(np.clip(math.ceil(high) + 1, 0, size))
        if start >= stop:
            return
        places.append(slice(start, stop))
        sub = (np.arange((stop - start) * supersample) + 0.5) / supersample - 0.5 + start
        fine.append(grid.origin_mm[axis] + sub * grid.spacing_mm[axis])
    points = [np.zeros(1)] * first + fine
    part = _share_inside(points, centre, to_ball, supersample, first)
    image[tuple(places)] += body.mu_per_mm * part


def _share_inside(
    points: Sequence[np.ndarray], centre: np.ndarray, to_ball: np.ndarray, supersample: int, first: int
) -> np.ndarray:
    """Share of each sample's points that lie in the unit ball, one plane of samples at a time to bound memory."""
    z, y, x = (np.asarray(a) - c for a, c in zip(points, centre, strict=True))
    across = to_ball[1, 1] * y[:, None] + to_ball[1, 2] * x[None, :]
    along = to_ball[2, 1] * y[:, None] + to_ball[2, 2] * x[None, :]
    in_plane = across**2 + along**2
    pool = lambda a: a.reshape(len(y) // supersample, supersample, len(x) // supersample, supersample).mean((1, 3))
    planes = [pool((in_plane + (to_ball[0, 0] * height) ** 2 <= 1).astype(np.float64)) for height in z]
    if first == 1:
        return planes[0]
    return np.stack(planes).reshape(len(z) // supersample, supersample, *planes[0].shape).mean(1)
