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


def grow(
    draws: Draws, roots: list[tuple[np.ndarray, np.ndarray, float]], depth: Depth, *, length_mm: float = 16.0, tries: int = 1
) -> Rods:
    """A tree from `roots` (place, direction, radius), forking until it is thin or finds no way on in the lung.

    `depth` is the distance to the lung at places (N, 3), negative inside. Radii fall by Murray's law of two even branches
    (2^(-1/3)) with some spread. A branch of radius 3.2 mm is about `length_mm` long; of `tries` directions that a branch
    draws, it takes the first whose tip lies in the lung, so that more of them fill the lung to the pleura.
    """
    start, end, radii = [], [], []
    front = []
    for p, d, r in roots:
        way = np.asarray(d, float) / np.linalg.norm(d)
        front.append((np.asarray(p, float), way[None], 26 * (r / 3.2) ** 0.45 * draws.uniform(0.8, 1.25), r))
    for generation in range(_GENERATIONS):
        tips = np.concatenate([place + length * ways for place, ways, length, _ in front])
        inside = np.split(depth(tips) < (2.0 if tries == 1 else -1.0), np.cumsum([len(w) for _, w, _, _ in front])[:-1])
        grown = []
        for (place, ways, length, radius), keeps in zip(front, inside, strict=True):
            if tries > 1 and generation and not keeps.any():
                continue
            along = ways[int(np.argmax(keeps))]
            thinner = radius * draws.uniform(0.84, 0.95)
            start.append(place)
            end.append(place + length * along)
            radii.append((radius, thinner))
            if radius * 0.79 > _THINNEST_MM and (keeps.any() or not generation):
                grown.append((place + length * along, along, thinner))
        front = []
        for tip, along, radius in grown:
            turns = [_across(draws, along) for _ in range(tries)]
            spread = draws.uniform(0.35, 0.75)
            for sign in (-1, 1):
                thin = radius * draws.uniform(0.7, 0.88)
                wider = [spread * (1 + 0.5 * k) for k in range(tries)]  # the later ones turn off more, along the pleura
                ways = np.array([along + sign * w * across for w, across in zip(wider, turns, strict=True)])
                ways /= np.linalg.norm(ways, axis=1, keepdims=True)
                front.append((tip, ways, length_mm * (thin / 3.2) ** 0.45 * draws.uniform(0.8, 1.25), thin))
        if not front:
            break
    return Rods(np.array(start, np.float32), np.array(end, np.float32), np.array(radii, np.float32))


def _across(draws: Draws, along: np.ndarray) -> np.ndarray:
    """A direction at right angles to another."""
    across = np.array(draws.direction())
    across -= across @ along * along
    return np.asarray(across / (np.linalg.norm(across) + 1e-9))


def grow_vessels(draws: Draws, b: Build, depth: Depth) -> Rods:
    """Arteries and veins of both lungs, from the large ones of the hilum to the pleura."""
    roots = []
    for side in (-1, 1):
        for turn in np.linspace(-1.35, 1.3, 9):
            for front in (-0.75, 0.55):  # towards the breastbone, and towards the back
                way = np.array([np.sin(turn), front + draws.uniform(-0.35, 0.35), side * np.cos(turn)])
                place = np.array([b.carina_mm - 34 + 16 * np.sin(turn), 6 + 8 * draws.uniform(-1, 1), side * 30.0])
                roots.append((place, way, draws.uniform(2.4, 4.0)))
    tree = grow(draws, roots, depth, length_mm=29.0, tries=3)
    hilum = []
    for side in (-1, 1):
        c, x = b.carina_mm - 22, side * draws.uniform(40, 46)
        low = (c - draws.uniform(38, 52), 16.0, x + side * 8)
        hilum += [((c, 8.0, x), low, (draws.uniform(6.5, 8.0), 4.5))]  # the artery to the lower lobe
        hilum += [((c, 4.0, x), (c + draws.uniform(18, 28), -4.0, x + side * 10), (draws.uniform(5.0, 6.5), 3.5))]
        hilum += [((c - 14, -2.0, side * 26.0), (c - 20, -14.0, x + side * 14), (draws.uniform(4.5, 6.0), 3.5))]  # veins
        hilum += [((c - 34, 8.0, side * 22.0), (c - 42, 24.0, x + side * 12), (draws.uniform(4.5, 6.0), 3.5))]
    a, e, r = (np.array([t[i] for t in hilum], np.float32) for i in range(3))
    return Rods(np.concatenate([a, tree.start]), np.concatenate([e, tree.end]), np.concatenate([r, tree.radii]))


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
