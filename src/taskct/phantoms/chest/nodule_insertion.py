"""Nodules put into a real chest CT: solid ones take the place of lung and vessels, ground glass lets them show through."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import torch

from taskct.core.errors import GeometryError, InputError, unknown_name
from taskct.core.seeds import derive_seed
from taskct.data.case import Case
from taskct.data.lungs import find_lungs
from taskct.data.marks import Marks
from taskct.data.nodule_kinds import GLASS, PART_SOLID, SOLID
from taskct.phantoms.chest.nodules import Nodule, draw_nodule
from taskct.phantoms.lesions.record import Lesion, lesion_distance
from taskct.phantoms.lesions.voxel_coverage import cover_of, index_of, slice_thickness, window_of
from taskct.phantoms.painting import shapes
from taskct.phantoms.painting.draws import Draws

KINDS = {SOLID: (1.0, 0.0), PART_SOLID: (0.0, 1.0), GLASS: (0.0, 0.0)}  # shares of solid and part-solid to draw from
MOST_OUTSIDE = 0.35  # share of a nodule that may lie outside of the lung
_SPICULE_REACH = 2.4
_SOFT_HU = (0.0, 110.0)
_TRIES = 200


def insert_nodule(
    case: Case,
    *,
    centre_mm: tuple[float, float, float],
    diameter_mm: float,
    kind: str = SOLID,
    seed: int,
    lungs: torch.Tensor | None = None,
    slice_thickness_mm: float | None = None,
) -> Case:
    """The case with one more nodule of a built-in kind, in its lungs: `kind` is one of `KINDS`.

    `centre_mm` is (z, y, x) in the case's frame. Shape, spicules and HU follow `seed`, as those of built-in chests. `lungs`
    (Z, Y, X), above 0 in the lungs, are found unless given. The noise in a solid part is that of soft tissue of the same CT;
    lung with its noise and vessels shows through ground glass. `marks` get one more instance, `provenance["lesions"]` one
    more record.
    Do this before projecting: then dose, noise and reconstruction treat the nodule like everything else.

    Raises GeometryError for lungs on another grid; InputError for a centre outside of the lungs, a nodule that lies outside of
    them by more than a third, and one that fills no voxel by half.
    """
    if kind not in KINDS:
        raise unknown_name("kind of nodule", kind, KINDS, InputError)
    if not 2 <= diameter_mm <= 60:
        raise InputError(f"insert_nodule expects diameter_mm from 2 to 60, got {diameter_mm!r}")
    if lungs is not None and lungs.shape != case.hu.shape:
        raise GeometryError(
            f"case {case.case_id}: lungs {tuple(lungs.shape)} are on another grid than its CT {tuple(case.hu.shape)}"
        )
    inside = (find_lungs(case).mask if lungs is None else lungs).numpy() > 0
    at = tuple(int(i) for i in np.rint(index_of(case, centre_mm)))
    if not all(0 <= i < n for i, n in zip(at, inside.shape, strict=True)) or not inside[at]:
        raise InputError(f"case {case.case_id}: centre_mm {_text(centre_mm)} is not in the lungs")
    draws = Draws(derive_seed(seed, case.case_id, "inserted nodule"), kind)
    nodule = _drawn(draws, diameter_mm, kind, centre_mm)
    thickness = slice_thickness(case, slice_thickness_mm)
    window = window_of(case, nodule, thickness, reach=_SPICULE_REACH)
    cover, share = cover_of(case, nodule, window, thickness, distance_to=_distance)
    covered = float(cover.sum())
    outside = 1 - float((cover * inside[window]).sum()) / covered if covered else 0.0
    if outside > MOST_OUTSIDE:
        raise InputError(
            f"case {case.case_id}: {outside:.0%} of a nodule of {diameter_mm:g} mm at {_text(centre_mm)} would lie outside of "
            f"the lungs, at most {MOST_OUTSIDE:.0%} may; make it smaller or move it inwards"
        )
    where = cover > 0.5
    if not where.any():
        raise InputError(
            f"case {case.case_id}: a nodule of {diameter_mm:g} mm at {_text(centre_mm)} fills no voxel by half; make it "
            "larger, or say slice_thickness_mm if slices are thinner than they are apart"
        )
    hu = case.hu.numpy().copy()
    hu[window] = _with_nodule(hu, window, cover, share, nodule, draws)
    mask = torch.zeros(inside.shape, dtype=torch.bool)
    mask[window] = torch.from_numpy(where)
    marks = (case.marks or Marks.nothing_known(inside.shape)).painted(mask, kind)
    slices = tuple(int(k) + window[0].start for k in np.flatnonzero(where.any((1, 2))))
    volume = float(where.sum() * np.prod(case.spacing_mm))
    record = {**asdict(replace(nodule, slices=slices, visible_mm3=volume)), "inserted": True}
    about = {**case.provenance, "lesions": [*case.provenance.get("lesions", []), record]}
    return replace(case, hu=torch.from_numpy(hu.astype(np.float32)), marks=marks, provenance=about)


def _drawn(draws: Draws, diameter_mm: float, kind: str, centre_mm: tuple[float, float, float]) -> Nodule:
    solid, part = KINDS[kind]
    made = draw_nodule(draws, diameter_mm=(diameter_mm, diameter_mm), solid=solid, part_solid=part, lung_hu=-860.0)
    return replace(made, centre_mm=tuple(float(v) for v in centre_mm), kind=kind)  # type: ignore[arg-type]


def _distance(lesion: Lesion, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """To the surface of a nodule with its spicules."""
    d, share = lesion_distance(lesion, x, y, z)
    for *way, length in getattr(lesion, "spicules", ()):
        tip = tuple(c + length * lesion.radius_mm * w for c, w in zip(lesion.centre_mm, way, strict=True))
        thorn = shapes.capsule(x, y, z, lesion.centre_mm, tip, (0.22 * lesion.radius_mm, 0.15))
        d = np.minimum(d, thorn)
    return d, share


def _with_nodule(  # noqa: PLR0917
    hu: np.ndarray, window: tuple[slice, slice, slice], cover: np.ndarray, share: np.ndarray, nodule: Nodule, draws: Draws
) -> np.ndarray:
    """HU of the window: tissue with the noise of soft tissue in solid parts, denser lung in ground glass."""
    lung = hu[window]
    solid = np.full(share.shape, float(nodule.kind == SOLID), np.float32)
    if nodule.core_share:
        solid = np.clip((nodule.core_share - share) / 0.12, 0, 1).astype(np.float32)
    tissue = (nodule.level_hu if nodule.kind == SOLID else nodule.core_hu) + _soft_noise(hu, window, draws)
    found = lung
    if nodule.kind != SOLID:
        air = float(np.median(lung[lung < -600])) if (lung < -600).any() else -860.0
        raised = lung + max(nodule.level_hu - air, 0.0)
        found = np.where(lung < nodule.level_hu, np.minimum(raised, nodule.level_hu + 120), lung)  # vessels stay as they are
    inner = solid * tissue + (1 - solid) * found
    return np.asarray(lung + cover * (inner - lung))


def _soft_noise(hu: np.ndarray, window: tuple[slice, slice, slice], draws: Draws) -> np.ndarray:
    """What soft tissue of the same slices differs by from its smooth self, in a box like the window; else 0."""
    from scipy.ndimage import gaussian_filter

    shape = tuple(s.stop - s.start for s in window)
    slab = hu[window[0]]
    soft = (slab > _SOFT_HU[0]) & (slab < _SOFT_HU[1])
    spots = np.argwhere(soft[shape[0] // 2])
    best, most = None, 0.6
    for _ in range(_TRIES if len(spots) else 0):
        y, x = spots[draws.whole(0, len(spots) - 1)] - np.array(shape[1:]) // 2
        if y < 0 or x < 0 or y + shape[1] > slab.shape[1] or x + shape[2] > slab.shape[2]:
            continue
        inside = soft[:, y : y + shape[1], x : x + shape[2]]
        part = float(inside.mean())
        if part > most:
            best, most = (slab[:, y : y + shape[1], x : x + shape[2]], inside), part
    if best is None:
        return np.zeros(shape, np.float32)
    patch, inside = best
    filled = np.where(inside, patch, np.median(patch[inside]))
    residual = filled - gaussian_filter(filled, (0, 3, 3))
    limit = 3 * (1.4826 * np.median(np.abs(residual[inside])) + 1e-6)
    return np.asarray(np.clip(residual, -limit, limit), np.float32)


def _text(place_mm: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{v:.1f}" for v in place_mm) + ")"
