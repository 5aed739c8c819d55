"""Where the lungs are in a CT: thresholds and morphology on a grid of about 2.5 mm, no training; refusals in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import UnsupportedDataError
from taskct.data.case import Case
from taskct.data.convex_hull import convex_hull
from taskct.data.field_of_view import edge_of, enclosed, field_of_view

RIGHT, LEFT = 1, 2
SIDES = {RIGHT: "right lung", LEFT: "left lung"}
TISSUE_HU = -400.0  # what is denser is body, what is not is air or lung
GAS_HU = -935.0  # mean of a space that holds gas and no lung: airways, bowel, air outside
GRID_MM = 2.5
_CLOSE_MM = 9.0  # vessels and nodules at the pleura up to about twice this belong to the lung
_LEAST_PIECE_ML = 40.0
_LEAST_WHOLE_ML = 900.0  # of both lungs; a shorter scan needs lung in most of its slices
_LEAST_SHARE = 0.6  # of the slices, where the lungs are not whole
_LEAST_AREA_CM2 = 20.0  # of lung in a slice, on average, where the lungs are not whole
_AIRWAY_CM2 = 12.0
_CUT_AREA = 0.7  # of the largest section: lungs whose highest section is larger were cut there
_MOST_WITHOUT = 0.25  # of the slices without lung below lungs that are cut above: more, and it is a CT of the abdomen
_LUNG_HU = (-960.0, -500.0)


@dataclass(frozen=True, eq=False)
class Lungs:
    """What was found: `mask` uint8 (Z, Y, X) on the case's samples, 1 right lung, 2 left lung, 0 elsewhere.

    Vessels, and nodules that touch the pleura, are in it; airways as wide as the trachea are not. What is as dense as muscle
    over a large part of a side, such as an effusion or a consolidated lobe, lies outside of it, but mostly in `boxes`.
    `boxes` are (z0, y0, x0, z1, y1, x1) of each lung in samples. `median_hu` is that of lung without vessels. `notes` say in
    sentences what is odd: one lung only, lungs that reach the first or last slice or the edge of the field.
    """

    mask: Tensor
    volume_ml: dict[int, float]
    median_hu: float
    boxes: dict[int, tuple[int, int, int, int, int, int]]
    slices: tuple[int, int]
    notes: tuple[str, ...] = field(default=())

    @property
    def labels(self) -> Tensor:
        """The mask as labels of a case, int16."""
        return self.mask.to(torch.int16)


def find_lungs(case: Case) -> Lungs:
    """The lungs of a chest CT in HU.

    Raises UnsupportedDataError, in one sentence, for a CT without lungs: a head, an abdomen (even with the bases of the lungs
    in its first slices), a phantom of water, values that are not HU.
    """
    name = str(case.source_path or f"case {case.case_id}")
    steps = [max(1, round(GRID_MM / s)) for s in case.spacing_mm]
    hu = block_means(case.hu.numpy(), steps)
    spacing = [s * k for s, k in zip(case.spacing_mm, steps, strict=True)]
    body = trunk(hu)
    if not body.any():
        raise UnsupportedDataError(f"{name}: no body is seen in this CT (nothing denser than {TISSUE_HU:g} HU); is it in HU?")
    pieces = _air_in_lungs(hu, body, spacing)
    voxel_ml = float(np.prod(spacing)) / 1000
    _refuse_without_lungs(name, hu, body, pieces, voxel_ml, spacing)
    sides, notes = _sides(pieces, body, spacing)
    mask = _closed(sides, body, spacing)
    full = upsampled(mask, steps, tuple(case.hu.shape))
    shown = np.flatnonzero((full > 0).any((1, 2)))
    air = upsampled((pieces > 0).astype(np.uint8), steps, tuple(case.hu.shape)) > 0
    if shown[0] == 0:
        notes.append("the lungs reach the lowest slice: their bases may be missing")
    if shown[-1] == len(full) - 1:
        notes.append("the lungs reach the highest slice: their tips may be missing")
    if (mask[:, edge_of(field_of_view(hu))] > 0).any():
        notes.append("the lungs reach the edge of the images: part of them lies outside of the field of view")
    full_ml = float(np.prod(case.spacing_mm)) / 1000
    return Lungs(
        torch.from_numpy(full),
        {side: round(float((full == side).sum()) * full_ml, 1) for side in SIDES},
        float(np.median(case.hu.numpy()[air])),
        {side: _box(full == side) for side in SIDES if (full == side).any()},
        (int(shown[0]), int(shown[-1]) + 1),
        tuple(notes),
    )


def block_means(hu: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """Means over blocks of samples; the last blocks repeat the last samples."""
    padding = [(0, -n % k) for n, k in zip(hu.shape, steps, strict=True)]
    padded = np.pad(hu, padding, mode="edge")
    z, y, x = (n // k for n, k in zip(padded.shape, steps, strict=True))
    return np.asarray(padded.reshape(z, steps[0], y, steps[1], x, steps[2]).mean((1, 3, 5)))


def upsampled(mask: np.ndarray, steps: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Each sample of a mask `steps` times along each axis, cut to a shape."""
    for axis, step in enumerate(steps):
        mask = np.repeat(mask, step, axis)
    return np.ascontiguousarray(mask[: shape[0], : shape[1], : shape[2]])


def trunk(hu: np.ndarray) -> np.ndarray:
    """The trunk, filled in each slice: the largest dense piece, without the table.

    A body that the field of view cuts runs on beyond it: what is left of its wall there may be a pixel thin.
    """
    from scipy.ndimage import binary_opening, label

    flat = np.ones((1, 3, 3), bool)
    beyond = np.pad(hu > TISSUE_HU, ((0, 0), (2, 2), (2, 2)), mode="edge")
    dense = binary_opening(beyond, flat)[:, 2:-2, 2:-2]
    pieces, count = label(dense)
    if not count:
        return np.zeros(hu.shape, bool)
    largest = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    edge = edge_of(field_of_view(hu))
    return np.stack([enclosed(one, of, edge, between_hu=(GAS_HU, TISSUE_HU)) for one, of in zip(largest, hu, strict=True)])


def _air_in_lungs(hu: np.ndarray, body: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Pieces of the lungs (numbers from 1): spaces of air in the body that are large and not as empty as gas."""
    from scipy.ndimage import binary_erosion, label

    air = (hu < TISSUE_HU) & body
    pixel_cm2 = spacing[1] * spacing[2] / 100
    for k in range(len(air)):  # airways: small round spaces of gas in a slice
        spots, count = label(air[k])
        if not count:
            continue
        numbers = np.arange(1, count + 1)
        area = np.bincount(spots.ravel(), minlength=count + 1)[1:] * pixel_cm2
        total = np.bincount(spots.ravel(), weights=hu[k].ravel(), minlength=count + 1)[1:]
        mean = total / np.maximum(area / pixel_cm2, 1)
        gas = numbers[(area < _AIRWAY_CM2) & (mean < GAS_HU)]
        air[k][np.isin(spots, gas)] = False
    pieces, count = label(air)
    if not count:
        return np.zeros(hu.shape, np.int32)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    kept = np.zeros(hu.shape, np.int32)
    number = 0
    for n in np.argsort(-sizes[1:]) + 1:
        if sizes[n] * np.prod(spacing) / 1000 < _LEAST_PIECE_ML:
            break
        here = pieces == n
        inner = binary_erosion(here)
        mean = float(hu[inner if inner.any() else here].mean())
        if _LUNG_HU[0] < mean < _LUNG_HU[1]:
            number += 1
            kept[here] = number
    return kept


def _refuse_without_lungs(  # noqa: PLR0917
    name: str, hu: np.ndarray, body: np.ndarray, pieces: np.ndarray, voxel_ml: float, spacing: Sequence[float]
) -> None:
    volume = float((pieces > 0).sum()) * voxel_ml
    areas = (pieces > 0).sum((1, 2)) * spacing[1] * spacing[2] / 100
    with_lung = areas > _LEAST_AREA_CM2 / 2
    share = float(with_lung.mean())
    if volume >= _LEAST_PIECE_ML and areas[-1] > _CUT_AREA * areas.max() and 1 - share > _MOST_WITHOUT:
        raise UnsupportedDataError(
            f"{name}: this is not a CT of the chest, but of the abdomen: the lungs are cut in its highest slice, "
            f"{volume:.0f} ml are seen, and {1 - share:.0%} of its {len(hu) * spacing[0]:.0f} mm lie below them; give a CT of "
            "the chest"
        )
    if volume >= _LEAST_WHOLE_ML and share > 0.2:
        return
    if volume >= _LEAST_PIECE_ML and share >= _LEAST_SHARE:
        area = float((pieces > 0).sum()) * spacing[1] * spacing[2] / 100 / max(int(with_lung.sum()), 1)
        if area >= _LEAST_AREA_CM2:
            return
    length = len(hu) * spacing[0]
    if volume < _LEAST_PIECE_ML:
        air = float(((hu < TISSUE_HU) & body).sum()) * voxel_ml
        what = f"no lungs are seen in its {length:.0f} mm: the air inside the body has {air:.0f} ml"
    else:
        what = f"only {volume:.0f} ml of lung are seen, in {share:.0%} of its {length:.0f} mm: the end of a CT of another part"
    raise UnsupportedDataError(f"{name}: this is not a CT of the chest: {what}; give a CT of the chest in HU")


def _sides(pieces: np.ndarray, body: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, list[str]]:
    """Right and left lung (1, 2) of the pieces: by the side of the body, one piece of both lungs cut where it is thinnest."""
    from scipy.ndimage import binary_erosion, distance_transform_edt, label

    inside = pieces > 0
    columns = np.arange(body.shape[2])
    middle = float((body.sum((0, 1)) * columns).sum() / max(int(body.sum()), 1))
    seeds = inside
    for _ in range(8):
        spots, count = label(seeds)
        sizes = np.bincount(spots.ravel(), minlength=count + 1)[1:]
        large = [n for n in np.argsort(-sizes) + 1 if sizes[n - 1] > 0.12 * sizes.sum()]
        centres = {n: float((columns * (spots == n).sum((0, 1))).sum() / sizes[n - 1]) for n in large}
        if (
            any(c < middle for c in centres.values())
            and any(c > middle for c in centres.values())
            and not _astride(spots, large, middle)
        ):
            break
        thinner = binary_erosion(seeds)
        if thinner.sum() < 0.05 * inside.sum():
            break
        seeds = thinner
    spots, count = label(seeds)
    side = np.zeros(inside.shape, np.uint8)
    for n in range(1, count + 1):
        here = spots == n
        centre = float((columns * here.sum((0, 1))).sum() / here.sum())
        side[here] = RIGHT if centre < middle else LEFT
    nearest = distance_transform_edt(side == 0, sampling=spacing, return_distances=False, return_indices=True)
    side = np.where(inside, side[tuple(nearest)], 0).astype(np.uint8)
    ratio = (side == RIGHT).sum() / max(int((side == LEFT).sum()), 1)
    if not 1 / 6 < ratio < 6:
        which = SIDES[LEFT if ratio >= 6 else RIGHT]
        return side, [f"the {which} is hardly seen: collapsed, full of fluid, or removed"]
    return side, []


def _astride(spots: np.ndarray, large: Sequence[int], middle: float) -> bool:
    """Whether one of the large pieces lies on both sides of the middle by a quarter or more."""
    columns = np.arange(spots.shape[2])
    for n in large:
        across = (spots == n).sum((0, 1))
        share = float(across[columns < middle].sum() / across.sum())
        if 0.25 < share < 0.75:
            return True
    return False


def _closed(sides: np.ndarray, body: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Each lung with its vessels and what is enclosed, by a closing of a few mm and holes filled slice by slice."""
    from scipy.ndimage import binary_fill_holes, distance_transform_edt

    out = np.zeros(sides.shape, np.uint8)
    for side in SIDES:
        here = sides == side
        if not here.any():
            continue
        near = distance_transform_edt(~here, sampling=spacing) <= _CLOSE_MM
        deep = distance_transform_edt(np.pad(near, 1, mode="edge"), sampling=spacing)[1:-1, 1:-1, 1:-1] > _CLOSE_MM
        rounded = np.stack([one | _outer_hull(one, side) for one in deep | here])
        whole = np.stack([binary_fill_holes(one) for one in rounded]) & body & (sides != RIGHT + LEFT - side)
        out[whole & (out == 0)] = side
    return out


def _outer_hull(lung: np.ndarray, side: int) -> np.ndarray:
    """What the convex hull of a lung in a slice (Y, X) adds on its outer half: patches and nodules at the ribs."""
    columns = np.arange(lung.shape[1])
    middle = np.nonzero(lung)[1].mean() if lung.any() else 0.0
    return convex_hull(lung) & ((columns < middle) if side == RIGHT else (columns > middle))


def _box(where: np.ndarray) -> tuple[int, int, int, int, int, int]:
    low, high = [], []
    for axis in range(3):
        shown = np.flatnonzero(where.any(tuple(a for a in range(3) if a != axis)))
        low.append(int(shown[0]))
        high.append(int(shown[-1]) + 1)
    return (low[0], low[1], low[2], high[0], high[1], high[2])
