"""Signed distances of simple shapes (negative inside), and how they are joined: all elementwise on arrays that broadcast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Point = tuple[float, float, float]  # z, y, x


def ellipsoid(  # noqa: PLR0917 - a place comes as three arrays
    x: Array, y: Array, z: Array | float, centre: Point, semi: Point, tilt_rad: float = 0.0
) -> Array:
    """Distance to an ellipsoid with `centre` and semi-axes `semi` (z, y, x), turned by `tilt_rad` in the slice.

    First-order distance k0 (k0 - 1) / k1 with k0 = |p / semi|, k1 = |p / semi^2|: exact at the surface of a sphere,
    and of the right sign and scale elsewhere.
    """
    dx, dy, dz = x - np.float32(centre[2]), y - np.float32(centre[1]), z - np.float32(centre[0])
    if tilt_rad:
        c, s = np.float32(np.cos(tilt_rad)), np.float32(np.sin(tilt_rad))
        dx, dy = c * dx + s * dy, c * dy - s * dx
    az, ay, ax = (np.float32(1 / a) for a in semi)
    dx, dy, dz = dx * ax, dy * ay, dz * az
    k0 = np.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx * ax, dy * ay, dz * az
    k1 = np.sqrt(dx * dx + dy * dy + dz * dz) + np.float32(1e-6)
    return np.asarray(k0 * (k0 - 1) / k1)


def ellipse(x: Array, y: Array, centre: tuple[float, float], semi: tuple[float, float], tilt_rad: float = 0.0) -> Array:
    """Distance to an ellipse with `centre` and semi-axes (y, x): an elliptic cylinder along z."""
    return ellipsoid(x, y, 0.0, (0.0, *centre), (1e6, *semi), tilt_rad)


def capsule(  # noqa: PLR0917 - a place comes as three arrays
    x: Array, y: Array, z: Array | float, start: Point, end: Point, radii: tuple[float, float]
) -> Array:
    """Distance to a rod from `start` to `end` (z, y, x) whose radius runs from radii[0] to radii[1]."""
    bz, by, bx = (np.float32(e - s) for s, e in zip(start, end, strict=True))
    px, py, pz = x - np.float32(start[2]), y - np.float32(start[1]), z - np.float32(start[0])
    along = np.clip((px * bx + py * by + pz * bz) / (bx * bx + by * by + bz * bz + np.float32(1e-6)), 0, 1)
    px, py, pz = px - along * bx, py - along * by, pz - along * bz
    reach = np.sqrt(px * px + py * py + pz * pz)
    return np.asarray(reach - (np.float32(radii[0]) + along * np.float32(radii[1] - radii[0])))


def chain(x: Array, y: Array, z: Array | float, points: Sequence[Point], radii: Sequence[float]) -> Array:
    """Distance to a bent rod through `points`."""
    parts = [
        capsule(x, y, z, a, b, (ra, rb)) for a, b, ra, rb in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    ]
    return np.asarray(np.minimum.reduce(parts))


def join(a: Array, b: Array, blend_mm: float) -> Array:
    """Union of two shapes with a rounded seam (polynomial smooth minimum)."""
    h = np.clip(0.5 + (b - a) * np.float32(0.5 / blend_mm), 0, 1)
    return np.asarray(b + (a - b) * h - np.float32(blend_mm) * h * (1 - h))


def carve(a: Array, b: Array, blend_mm: float) -> Array:
    """Shape a without shape b, with a rounded edge."""
    return -join(-a, b, blend_mm)


def oval(x: Array, y: Array, *, half_width: float, half_front: float, half_back: float) -> tuple[Array, Array]:
    """Radial distance to a superellipse (exponent 2.5) with its own front and back depth, and its degree-1 form (1 on it)."""
    t = np.abs(x) * np.float32(1 / half_width)
    s = np.where(y < 0, y * np.float32(-1 / half_front), y * np.float32(1 / half_back))
    form = np.exp(np.float32(0.4) * np.log(t * t * np.sqrt(t) + s * s * np.sqrt(s) + np.float32(1e-9)))
    return np.asarray(np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(form, np.float32(1e-3)))), form
