"""Where the field of view cuts a body: lungs that lie open at its edge are closed there, as the wall outside would."""

from __future__ import annotations

import numpy as np

from taskct.data.convex_hull import convex_hull

_SQUARE = np.ones((3, 3), bool)
_MOST_MISSING = 0.12  # of a circle: pixels at its edge; an outline of a body lacks a quarter or more


def field_of_view(hu: np.ndarray) -> np.ndarray:
    """Bool (Y, X): the pixels of slices (Z, Y, X) that were reconstructed, all of them where no circle was padded.

    Padding has one value, that of all corners, outside of a circle about the middle. Other air of one value, as of a phantom,
    is none. Pixels at the edge of the circle hold some of it and are left out.
    """
    from scipy.ndimage import binary_erosion

    shape = hu.shape[1:]
    corners = hu[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    seen = (hu != corners[0, 0]).any(0)
    if corners.min() < corners.max() or not seen.any():
        return np.ones(shape, bool)
    y, x = np.ogrid[: shape[0], : shape[1]]
    radius = np.sqrt((y - (shape[0] - 1) / 2) ** 2 + (x - (shape[1] - 1) / 2) ** 2)
    circle = radius <= radius[seen].max()
    if (circle & ~seen).sum() > _MOST_MISSING * seen.sum():
        return np.ones(shape, bool)
    return np.asarray(binary_erosion(seen, _SQUARE, border_value=1))


def edge_of(field: np.ndarray) -> np.ndarray:
    """The outermost pixels of a field of view (Y, X)."""
    from scipy.ndimage import binary_erosion

    return field & ~binary_erosion(field, _SQUARE)


def enclosed(body: np.ndarray, hu: np.ndarray, edge: np.ndarray, *, between_hu: tuple[float, float]) -> np.ndarray:
    """A body (Y, X) in one slice with its holes filled, those too that are open at the edge of the field of view.

    Such a hole has a mean inside of `between_hu`, at the edge and as a whole, as lung has and air outside does not, and lies
    within the body by half or more: foam of a table lies behind it.
    """
    from scipy.ndimage import binary_dilation, binary_fill_holes, label

    filled = np.asarray(binary_fill_holes(body))
    wall = _like_lung(edge & ~filled, hu, between_hu, or_dense=True)
    if not wall.any():
        return filled
    holes = np.asarray(binary_fill_holes(filled | wall)) & ~filled & ~wall
    holes = _mostly_in(convex_hull(filled), _like_lung(holes, hu, between_hu))
    spots, _ = label(wall, structure=_SQUARE)
    beside = np.unique(spots[binary_dilation(holes, _SQUARE) & wall])
    return filled | holes | (wall & np.isin(spots, beside))


def _mostly_in(outline: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The connected parts of a mask of which half or more lies in another one."""
    from scipy.ndimage import label

    spots, count = label(where, structure=_SQUARE)
    sizes, inside = (np.bincount(of.ravel(), minlength=count + 1) for of in (spots, spots * outline))
    return where & np.isin(spots, [n for n in range(1, count + 1) if 2 * inside[n] >= sizes[n]])


def _like_lung(where: np.ndarray, hu: np.ndarray, between_hu: tuple[float, float], *, or_dense: bool = False) -> np.ndarray:
    """The connected parts of a mask whose mean lies between two HU; what is denser, such as vessels, is not asked."""
    from scipy.ndimage import label

    low, high = between_hu
    spots, count = label(where, structure=_SQUARE)
    airs = [hu[(spots == n) & (hu < high)] for n in range(1, count + 1)]
    kept = [n for n, air in enumerate(airs, start=1) if (air.mean() > low if air.size else or_dense)]
    return np.isin(spots, kept) & where
