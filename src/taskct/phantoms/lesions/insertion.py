"""Lesions put into a CT before it is projected, and taken out of it: the two halves of a hallucination audit."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from taskct.core.errors import InputError, unknown_name
from taskct.core.seeds import derive_seed
from taskct.data.case import Case
from taskct.phantoms.lesions.record import LIVER_LABEL, PATTERNS, TUMOUR_LABEL, Lesion, draw_shape, profile_hu
from taskct.phantoms.lesions.voxel_coverage import Window, cover_of, index_of, slice_thickness, window_of
from taskct.phantoms.painting.draws import Draws

MOST_OUTSIDE = 0.25  # share of a lesion that the organ's surface may cut off
_SHELL_MM = 10.0  # how far round a lesion its organ is sampled
_BLEND_MM = 2.0


def insert_lesion(
    case: Case,
    *,
    centre_mm: tuple[float, float, float],
    radius_mm: float,
    contrast_hu: float,
    seed: int,
    pattern: str = "plain",
    edge_mm: float = 1.0,
    roughness: float = 0.2,
    organ_label: int = LIVER_LABEL,
    lesion_label: int = TUMOUR_LABEL,
    slice_thickness_mm: float | None = None,
) -> Case:
    """The case with one more lesion: `contrast_hu` is added, so the organ's texture and noise stay as they were.

    `centre_mm` is (z, y, x) in the case's frame (`case.affine_mm`). The shape (volume of a sphere of `radius_mm`,
    `roughness` 0 smooth to 0.5 lobed) follows `seed`. Voxels are averaged over sub-samples, and the edge is softened over
    `edge_mm`. Voxels more than half covered get `lesion_label`; the record is added to `provenance["lesions"]`.
    Do this before projecting: then dose, noise and reconstruction treat the lesion like everything else.

    A slice averages over `slice_thickness_mm`, so a lesion thinner than a slice loses contrast there, as in a scanner. Not
    given, it is what the DICOM series says, 0 for built-in patients (thin, however far apart), else the distance of slices.

    Raises InputError for a case without labels, a centre outside the organ, a lesion more than a quarter outside it, and one
    that fills no voxel by half, since slices are too thick or lie beside it.
    """
    _check_request(case, radius_mm, contrast_hu, pattern=pattern, edge_mm=edge_mm, roughness=roughness)
    assert case.labels is not None and case.affine_mm is not None
    draws = Draws(derive_seed(seed, case.case_id, "inserted lesion"), pattern)
    lesion = Lesion(
        centre_mm=(float(centre_mm[0]), float(centre_mm[1]), float(centre_mm[2])),
        radius_mm=float(radius_mm),
        contrast_hu=float(contrast_hu),
        kind=case.label_names.get(lesion_label, f"label {lesion_label}"),
        pattern=pattern,
        edge_mm=float(edge_mm),
        rim_hu=draws.uniform(4, 26) if pattern == "rim" else 0.0,
        **draw_shape(draws, radius_mm=radius_mm, roughness=roughness),  # type: ignore[arg-type]
    )
    organ = (case.labels == organ_label).numpy()
    name = case.label_names.get(organ_label, f"label {organ_label}")
    at = tuple(round(i) for i in index_of(case, lesion.centre_mm))
    if not all(0 <= i < n for i, n in zip(at, organ.shape, strict=True)) or not organ[at]:
        raise InputError(
            f"case {case.case_id}: centre_mm {_text(lesion.centre_mm)} is not in the {name}; "
            f"choose a place there, such as {_text(_deepest_mm(case, organ))}"
        )
    thickness_mm = slice_thickness(case, slice_thickness_mm)
    window = window_of(case, lesion, thickness_mm)
    cover, share = cover_of(case, lesion, window, thickness_mm)
    inside = organ[window]
    covered = float(cover.sum())
    outside = 1 - float((cover * inside).sum()) / covered if covered > 0 else 0.0  # of what lies in the volume
    if outside > MOST_OUTSIDE:
        raise InputError(
            f"case {case.case_id}: {outside:.0%} of a lesion of radius {radius_mm:g} mm at {_text(lesion.centre_mm)} "
            f"would lie outside the {name}, at most {MOST_OUTSIDE:.0%} may; make it smaller, or move it, "
            f"such as to {_text(_deepest_mm(case, organ))}"
        )
    hu, labels = case.hu.clone(), case.labels.clone()
    hu[window] += torch.from_numpy((cover * inside * profile_hu(lesion, share)).astype(np.float32))
    mask = torch.from_numpy((cover > 0.5) & inside)
    if not bool(mask.any()):
        raise InputError(
            f"case {case.case_id}: a lesion of radius {radius_mm:g} mm at {_text(lesion.centre_mm)} fills at most "
            f"{float((cover * inside).max()):.0%} of a voxel of slices {thickness_mm:g} mm thick and "
            f"{case.spacing_mm[0]:g} mm apart, so none would show or be labelled as lesion; make it larger, move it to the "
            "middle of a slice, or say slice_thickness_mm if slices are thinner than that"
        )
    labels[window][mask] = lesion_label
    slices = tuple(int(k) + window[0].start for k in np.where(mask.any(2).any(1).numpy())[0])
    lesion = replace(lesion, slices=slices, visible_mm3=float(mask.sum()) * _voxel_mm3(case))
    return _with_record(case, hu, labels, [*_records(case), asdict(lesion)], {lesion_label: lesion.kind})


def remove_lesion(
    case: Case,
    *,
    centre_mm: tuple[float, float, float],
    seed: int,
    organ_label: int = LIVER_LABEL,
    lesion_label: int = TUMOUR_LABEL,
    margin_mm: float = 3.0,
) -> Case:
    """The case without the lesion that lies at `centre_mm` (or nearest to it, within 10 mm), as if there had been none.

    The connected piece of `lesion_label`, grown by `margin_mm` for its soft edge, is filled with the organ: the mean of
    the shell round it (falling back from near to far by distance), plus texture and noise copied from another piece of
    the same organ, chosen by `seed`. Its label becomes `organ_label`, and its record leaves `provenance["lesions"]`.

    Raises InputError when there is no such lesion, or too little organ round it to copy from.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter, label

    if case.labels is None:
        raise InputError(f"case {case.case_id} has no labels; a lesion is found by its label")
    labels = case.labels.numpy()
    pieces, count = label(labels == lesion_label, structure=np.ones((3, 3, 3)))
    number = _piece_at(case, pieces, centre_mm) if count else 0
    if number == 0:
        raise InputError(f"case {case.case_id}: no voxel of label {lesion_label} within 10 mm of {_text(centre_mm)}")
    spacing = case.spacing_mm
    box = _grown_box(pieces == number, spacing, margin_mm + _SHELL_MM + _BLEND_MM)
    piece, organ = pieces[box] == number, labels[box] == organ_label
    away = distance_transform_edt(~piece, sampling=spacing)
    hole = (away <= margin_mm) & (organ | piece)
    shell = organ & (away > margin_mm) & (away <= margin_mm + _SHELL_MM)
    if shell.sum() < 20:
        raise InputError(
            f"case {case.case_id}: only {int(shell.sum())} voxels of label {organ_label} surround the lesion at "
            f"{_text(centre_mm)}; there is nothing to fill it with"
        )
    hu = case.hu.numpy().copy()
    values = hu[box]
    middle = np.median(values[shell])
    typical = np.abs(values - middle) < 3 * (1.4826 * np.median(np.abs(values[shell] - middle)) + 1)  # leaves vessels out
    weight = (shell & typical).astype(np.float32)
    sigma = [6.0 / s for s in spacing]
    near = gaussian_filter(weight, sigma) + 1e-4
    fill = (gaussian_filter(weight * values, sigma) + 1e-4 * middle) / near
    texture = _borrowed_texture(case, hole, box, organ_label=organ_label, seed=seed)
    blend = np.clip((margin_mm + _BLEND_MM - away) / _BLEND_MM, 0, 1) * (organ | piece)
    hu[box] = values + blend * (fill + texture - values)
    new_labels = case.labels.clone()
    new_labels[box][torch.from_numpy(piece)] = organ_label
    gone = (np.argwhere(piece) + [s.start for s in box]) @ np.diag(spacing)
    kept = [r for r in _records(case) if _far(case, r, gone)]
    return _with_record(case, torch.from_numpy(hu.astype(np.float32)), new_labels, kept, {})


def _borrowed_texture(case: Case, hole: np.ndarray, box: Window, *, organ_label: int, seed: int) -> np.ndarray:
    """Residual (hu minus its local mean) of a piece of organ elsewhere, shaped like the box; zeros outside the hole."""
    from scipy.ndimage import gaussian_filter

    assert case.labels is not None
    organ = (case.labels == organ_label).numpy()
    need = np.argwhere(hole)
    low, high = need.min(0), need.max(0) + 1
    need = need - low
    draws = Draws(derive_seed(seed, case.case_id, "removed lesion"), *(int(s.start) for s in box))
    homes = np.argwhere(organ)
    best, best_share = None, -1.0
    for _ in range(200):
        offset = homes[draws.whole(0, len(homes) - 1)] - (high - low) // 2
        spots = need + offset
        if (spots < 0).any() or (spots >= organ.shape).any():
            continue
        share = float(organ[tuple(spots.T)].mean())
        if share > best_share:
            best, best_share = spots, share
        if share == 1.0:
            break
    texture = np.zeros(hole.shape, np.float32)
    if best is None:
        return texture
    first, last = best.min(0), best.max(0) + 1
    patch = case.hu.numpy()[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    ours = organ[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    patch = np.where(ours, patch, np.median(patch[ours]))
    sigma = [5.0 / s for s in case.spacing_mm]
    residual = np.where(ours, patch - gaussian_filter(patch, sigma), 0)
    limit = 3 * (1.4826 * np.median(np.abs(residual[ours])) + 1e-6)
    residual = np.clip(residual, -limit, limit)  # a borrowed vessel must not become a lesion's ghost
    texture[tuple((need + low).T)] = residual[tuple((best - first).T)]
    return texture


def _deepest_mm(case: Case, organ: np.ndarray) -> tuple[float, float, float]:
    """The place of the organ that is farthest from its surface, for advice."""
    from scipy.ndimage import distance_transform_edt

    assert case.affine_mm is not None
    if not organ.any():
        raise InputError(
            f"case {case.case_id} has no voxel of the organ's label; its labels are {torch.unique(case.labels).tolist()}"
        )
    depth = distance_transform_edt(np.pad(organ, 1), sampling=case.spacing_mm)[1:-1, 1:-1, 1:-1]
    at = np.unravel_index(int(depth.argmax()), organ.shape)
    z, y, x = (case.affine_mm @ np.array([*at, 1.0]))[:3]
    return float(z), float(y), float(x)


def _piece_at(case: Case, pieces: np.ndarray, centre_mm: tuple[float, float, float]) -> int:
    """Number of the connected piece nearest to a place, 0 if none is within 10 mm."""
    found = np.argwhere(pieces > 0)
    gaps = np.linalg.norm((found - index_of(case, centre_mm)) * np.asarray(case.spacing_mm), axis=1)
    near = int(gaps.argmin())
    return int(pieces[tuple(found[near])]) if gaps[near] <= 10 else 0


def _grown_box(mask: np.ndarray, spacing: tuple[float, float, float], grow_mm: float) -> Window:
    at = np.argwhere(mask)
    spans = []
    for axis, n in enumerate(mask.shape):
        grow = int(np.ceil(grow_mm / spacing[axis]))
        spans.append(slice(max(0, int(at[:, axis].min()) - grow), min(n, int(at[:, axis].max()) + grow + 1)))
    return spans[0], spans[1], spans[2]


def _far(case: Case, record: dict[str, Any], gone_mm: np.ndarray) -> bool:
    """True when a recorded lesion is not the one whose voxels (index times spacing) are `gone_mm`."""
    at = index_of(case, tuple(record["centre_mm"])) * np.asarray(case.spacing_mm)
    return bool(np.linalg.norm(gone_mm - at, axis=1).min() > max(case.spacing_mm))


def _records(case: Case) -> list[dict[str, Any]]:
    return list(case.provenance.get("lesions", []))


def _with_record(
    case: Case, hu: torch.Tensor, labels: torch.Tensor, lesions: list[dict[str, Any]], names: dict[int, str]
) -> Case:
    marks = case.marks
    if marks is not None and case.labels is not None:
        marks = marks.painted(labels != case.labels, next(iter(names.values()), None))
    return replace(
        case,
        hu=hu,
        labels=labels,
        marks=marks,
        label_names={**names, **case.label_names},
        provenance={**case.provenance, "lesions": lesions},
    )


def _check_request(
    case: Case, radius_mm: float, contrast_hu: float, *, pattern: str, edge_mm: float, roughness: float
) -> None:
    if case.labels is None:
        raise InputError(
            f"case {case.case_id} has no labels; a lesion is placed in a labelled organ (open_case(..., labels=...))"
        )
    if not 1 <= radius_mm <= 100:
        raise InputError(f"insert_lesion expects radius_mm from 1 to 100 mm, got {radius_mm}")
    if not 0 < abs(contrast_hu) <= 500:
        raise InputError(f"insert_lesion expects contrast_hu from -500 to 500 and not 0, got {contrast_hu}")
    if pattern not in PATTERNS:
        raise unknown_name("lesion pattern", pattern, PATTERNS, InputError)
    if not 0 <= edge_mm <= 10 or not 0 <= roughness <= 0.5:
        raise InputError(f"insert_lesion expects edge_mm 0 to 10 and roughness 0 to 0.5, got {edge_mm} and {roughness}")


def _voxel_mm3(case: Case) -> float:
    return float(np.prod(case.spacing_mm))


def _text(place_mm: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{v:.1f}" for v in place_mm) + ")"
