"""Airways and lung vessels: trees of rods from the hilum to the pleura."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from taskct.phantoms.chest.build import Build
from taskct.phantoms.painting.draws import Draws

Depth = Callable[[np.ndarray], np.ndarray]
_GENERATIONS = 9
_THINNEST_MM = 0.35


@dataclass(frozen=True, eq=False)
class Rods:
    """N tapered rods: `start`, `end` (N, 3) in z, y, x and `radii` (N, 2), all in mm."""

    start: np.ndarray
    end: np.ndarray
    radii: np.ndarray

    def near(self, z_mm: float, margin_mm: float) -> np.ndarray:
        """Numbers of the rods that a slice at `z_mm` may show, thick ones first."""
        low, high = np.minimum(self.start[:, 0], self.end[:, 0]), np.maximum(self.start[:, 0], self.end[:, 0])
        reach = self.radii.max(1) + margin_mm
        shown = np.where((low - reach < z_mm) & (high + reach > z_mm))[0]
        return shown[np.argsort(-self.radii[shown, 0], kind="stable")]


def grow(draws: Draws, roots: list[tuple[np.ndarray, np.ndarray, float]], depth: Depth) -> Rods:
    """A tree from `roots` (place, direction, radius), forking until it is thin or leaves the lung.

    `depth` is the distance to the lung at places (N, 3), negative inside. Radii fall by Murray's law of two even branches
    (2^(-1/3)) with some spread.
    """
    start, end, radii = [], [], []
    front = [(np.asarray(p, float), np.asarray(d, float) / np.linalg.norm(d), r) for p, d, r in roots]
    for generation in range(_GENERATIONS):
        tips = []
        for place, along, radius in front:
            length = (16 if generation else 26) * (radius / 3.2) ** 0.45 * draws.uniform(0.8, 1.25)
            tip = place + length * along
            thinner = radius * draws.uniform(0.84, 0.95)
            start.append(place)
            end.append(tip)
            radii.append((radius, thinner))
            if radius * 0.79 > _THINNEST_MM:
                tips.append((tip, along, thinner))
        if not tips:
            break
        inside = depth(np.array([t for t, _, _ in tips])) < 2.0
        front = []
        for (tip, along, radius), keeps in zip(tips, inside, strict=True):
            if not keeps:
                continue
            across = np.array(draws.direction())
            across -= across @ along * along
            across /= np.linalg.norm(across) + 1e-9
            spread = draws.uniform(0.35, 0.75)
            for sign in (-1, 1):
                turned = along + sign * spread * across
                front.append((tip, turned / np.linalg.norm(turned), radius * draws.uniform(0.7, 0.88)))
    return Rods(np.array(start, np.float32), np.array(end, np.float32), np.array(radii, np.float32))


def grow_vessels(draws: Draws, b: Build, depth: Depth) -> Rods:
    """Arteries and veins of both lungs."""
    roots = []
    for side in (-1, 1):
        for turn in np.linspace(-1.25, 1.25, 7):
            way = np.array([np.sin(turn), draws.uniform(-0.7, 0.8), side * np.cos(turn)])
            place = np.array([b.carina_mm - 34 + 14 * np.sin(turn), 6 + 8 * draws.uniform(-1, 1), side * 30.0])
            roots.append((place, way, draws.uniform(2.7, 4.3)))
    return grow(draws, roots, depth)


def grow_airways(draws: Draws, b: Build, depth: Depth) -> Rods:
    """Trachea, main bronchi and the branches behind them."""
    c = b.carina_mm
    trunk = [((170.0, 2.0, 0.0), (c, 8.0, -1.0), (8.5, 8.0))]
    ends = [((c - 26.0, 10.0, -30.0), 6.6), ((c - 30.0, 12.0, 36.0), 5.8)]
    trunk += [((c, 8.0, -1.0), end, (radius, 0.9 * radius)) for end, radius in ends]
    roots = []
    for (end, radius), side in zip(ends, (-1, 1), strict=True):
        for way in ((0.9, -0.2, side * 0.7), (-0.2, -0.5, side * 1.0), (-1.0, 0.35, side * 0.35)):
            roots.append((np.array(end), np.array(way), 0.62 * radius))
    tree = grow(draws, roots, depth)
    a, e, r = (np.array([t[i] for t in trunk], np.float32) for i in range(3))
    return Rods(np.concatenate([a, tree.start]), np.concatenate([e, tree.end]), np.concatenate([r, tree.radii]))
