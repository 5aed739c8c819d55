"""Lesions of any case in one form: recorded where they were made, measured where they are only labelled.

`case_lesions` gives the `Lesion`s of a case. `LesionsSeen` holds those of one image of a test set with the place of its
pixels, and `recorded_facts` answers for a labelled piece of such an image which lesion it is: the `facts=` of
`evaluation.task.find_lesions` and `ReaderPanel`, where size and contrast are then those of the lesion, not of its section.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from taskct.core.errors import GeometryError, InputError
from taskct.data.case import Case
from taskct.geometry import Grid
from taskct.phantoms.lesions.record import LIVER_LABEL, TUMOUR_LABEL, Lesion, lesion_distance

SHELL_MM = 10.0  # how far round a lesion its organ is sampled for the contrast
_WITHIN = 1.1  # radii on average, of the rest of a lesion whose centre was cut off
_FARTHEST = 2.0  # a piece whose pixels lie this many radii from a lesion on average is not that lesion


def case_lesions(case: Case, *, lesion_label: int = TUMOUR_LABEL, organ_label: int = LIVER_LABEL) -> tuple[Lesion, ...]:
    """The lesions of a labelled case: connected pieces (26 neighbours) of `lesion_label`, with radius and contrast.

    A lesion that is recorded (`insert_lesion` does that) is given as recorded; its `slices` and `visible_mm3` are those that
    this case shows, which may be a part of the case where it was recorded. Other lesions are measured: `radius_mm` is that of
    a ball of equal volume and `centre_mm` the centre of mass in the case's frame. `contrast_hu` is the mean inside the lesion,
    without its rim, minus the mean of the voxels of `organ_label` that lie within 10 mm of the lesion's surface; it is NaN
    where there are none.

    Raises InputError for a case without labels.
    """
    from scipy.ndimage import find_objects, label

    if case.labels is None:
        raise InputError(f"case {case.case_id} has no labels; lesions are found by their label")
    labels, hu = case.labels.numpy(), case.hu.numpy()
    organ = labels == organ_label
    pieces, _ = label(labels == lesion_label, structure=np.ones((3, 3, 3)))
    assert case.affine_mm is not None
    known = [_from_record(r) for r in case.provenance.get("lesions", [])]
    known_at = [_piece_of(case, pieces, one) for one in known]
    lost = [one for one, at in zip(known, known_at, strict=True) if at == 0]
    found = []
    for number, box in enumerate(find_objects(pieces), start=1):
        piece = pieces[box] == number
        recorded = [one for one, at in zip(known, known_at, strict=True) if at == number] or _cut_off(case, piece, box, lost)
        if recorded:
            found += _as_shown(case, piece, box, recorded)
            continue
        centre = np.argwhere(piece).mean(0) + [s.start for s in box]
        z, y, x = (case.affine_mm @ [*centre, 1.0])[:3]
        near = _grown(box, SHELL_MM, case.spacing_mm)
        volume = float(piece.sum() * np.prod(case.spacing_mm))
        found.append(
            Lesion(
                centre_mm=(float(z), float(y), float(x)),
                radius_mm=(0.75 * volume / math.pi) ** (1 / 3),
                contrast_hu=contrast_to_organ(hu[near], pieces[near] == number, organ[near], spacing_mm=case.spacing_mm),
                kind=case.label_names.get(lesion_label, f"label {lesion_label}"),
                slices=_slices(piece, box),
                visible_mm3=volume,
            )
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class LesionsSeen:
    """The lesions of the patient of one image, and where its pixels lie.

    `affine_mm` maps (z, y, x, 1) to the patient's LPS position in mm; a slice is z = 0 of it.
    """

    image_id: str
    lesions: tuple[Lesion, ...]
    affine_mm: np.ndarray

    def lesion_of(self, mask: np.ndarray) -> Lesion:
        """The lesion that a labelled piece, bool (Y, X) or (Z, Y, X), belongs to.

        Raises InputError when none of the recorded lesions lies there.
        """
        at = np.argwhere(mask if mask.ndim == 3 else mask[None])
        z, y, x = (self.affine_mm @ np.c_[at, np.ones(len(at))].T)[:3].astype(np.float32)
        shares = [float(_share(one, z, y, x).mean()) for one in self.lesions]
        if not shares or min(shares) > _FARTHEST:
            raise InputError(
                f"{self.image_id}: {len(at)} pixels are labelled as lesion at about {_text(z.mean(), y.mean(), x.mean())} mm, "
                f"where none of the {len(self.lesions)} recorded lesions lies; are the records those of these images?"
            )
        return self.lesions[int(np.argmin(shares))]


def recorded_facts(seen: Sequence[LesionsSeen]) -> Callable[[int, np.ndarray], tuple[float, float]]:
    """`facts(item, mask) -> (radius_mm, contrast_hu)` of a test set whose image `item` shows `seen[item]`.

    `find_lesions(labels, 2, spacing_mm=..., facts=recorded_facts(seen))`, or for all methods of a panel, whose sets hold the
    same images in the same order: `ReaderPanel(..., facts=lambda images: recorded_facts(seen))`.
    """

    def facts(item: int, mask: np.ndarray) -> tuple[float, float]:
        if not 0 <= item < len(seen):
            raise InputError(f"lesions are recorded for {len(seen)} images, asked for image {item}; give one record each")
        lesion = seen[item].lesion_of(mask)
        return lesion.radius_mm, lesion.contrast_hu

    return facts


def seen_in_case(
    case: Case,
    *,
    slices: Sequence[int] | None = None,
    grid: Grid | None = None,
    lesions: Sequence[Lesion] | None = None,
) -> list[LesionsSeen]:
    """What is recorded of the slices of a case (all of them, or `slices`); `grid` when they were resampled about their centre.

    `lesions` are those of `case_lesions(case)` unless given.
    """
    assert case.affine_mm is not None
    known = tuple(case_lesions(case) if lesions is None else lesions)
    grid = grid or case.slice_grid
    if grid.ndim != 2:
        raise GeometryError(f"seen_in_case expects the grid (Y, X) of one slice, got {grid.shape}")
    own = case.slice_grid
    ratio = [new / old for new, old in zip(grid.spacing_mm, own.spacing_mm, strict=True)]
    first = [(m - 1) / 2 - (n - 1) / 2 * r for m, n, r in zip(own.shape, grid.shape, ratio, strict=True)]  # index in the case
    found = []
    for k in range(len(case.hu)) if slices is None else slices:
        affine = case.affine_mm.copy()
        affine[:3, 3] = (case.affine_mm @ [k, *first, 1.0])[:3]
        affine[:3, 1] *= ratio[0]
        affine[:3, 2] *= ratio[1]
        found.append(LesionsSeen(f"{case.case_id}-s{k:03d}", known, affine))
    return found


def contrast_to_organ(hu: np.ndarray, lesion: np.ndarray, organ: np.ndarray, *, spacing_mm: Sequence[float]) -> float:
    """Mean HU of a lesion without its rim minus that of the organ within 10 mm of it: arrays (Y, X) or (Z, Y, X), bool masks.

    NaN where there is no organ. The outermost pixels in the slice are left out, since partial volumes would lessen the
    contrast; a lesion that has no others is taken whole. `organ` must not hold other lesions.

    >>> lesion = np.zeros((9, 9), bool); lesion[3:6, 3:6] = True
    >>> contrast_to_organ(np.where(lesion, 60.0, 100.0), lesion, ~lesion, spacing_mm=(2, 2))
    -40.0
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    at = np.argwhere(lesion)
    reach = [math.ceil(SHELL_MM / s) for s in spacing_mm]
    box = tuple(slice(max(0, int(a.min()) - r), int(a.max()) + r + 1) for a, r in zip(at.T, reach, strict=True))
    mask = lesion[box]
    ring = organ[box] & ~mask & (distance_transform_edt(~mask, sampling=tuple(spacing_mm)) <= SHELL_MM)
    if not ring.any():
        return math.nan
    core = binary_erosion(mask, structure=np.ones((1,) * (mask.ndim - 2) + (3, 3)))
    return float(hu[box][core if core.any() else mask].mean() - hu[box][ring].mean())


def _share(lesion: Lesion, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Share of the lesion's radius at places: 0 centre, 1 surface; a ball where no shape is recorded."""
    if min(lesion.semi_axes_mm) > 0:
        return lesion_distance(lesion, x, y, z)[1]
    square = sum((p - c) ** 2 for p, c in zip((z, y, x), lesion.centre_mm, strict=True))
    return np.asarray(np.sqrt(square) / lesion.radius_mm)


def _grown(box: tuple[slice, ...], by_mm: float, spacing_mm: Sequence[float]) -> tuple[slice, ...]:
    reach = [math.ceil(by_mm / s) for s in spacing_mm]
    return tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, reach, strict=True))


def _piece_of(case: Case, pieces: np.ndarray, lesion: Lesion) -> int:
    """Number of the labelled piece at a lesion's centre, 0 for none."""
    assert case.affine_mm is not None
    index = np.linalg.solve(case.affine_mm, [*lesion.centre_mm, 1.0])[:3].round().astype(int)
    inside = all(0 <= i < n for i, n in zip(index, pieces.shape, strict=True))
    return int(pieces[tuple(index)]) if inside else 0


def _cut_off(case: Case, piece: np.ndarray, box: tuple[slice, ...], lost: Sequence[Lesion]) -> list[Lesion]:
    """The recorded lesion that a piece belongs to, where the lesion's centre was cut off; empty where there is none."""
    if not lost:
        return []
    shares = [float(share.mean()) for share in _shares_of(case, piece, box, lost)]
    nearest = int(np.argmin(shares))
    return [lost[nearest]] if shares[nearest] <= _WITHIN else []


def _as_shown(case: Case, piece: np.ndarray, box: tuple[slice, ...], recorded: Sequence[Lesion]) -> list[Lesion]:
    """Recorded lesions of one piece with what the case shows of each; what several share belongs to the nearest."""
    owner = np.argmin(np.stack(_shares_of(case, piece, box, recorded)), 0)
    shown = []
    for k, one in enumerate(recorded):
        mine = np.zeros(piece.shape, bool)
        mine[piece] = owner == k
        shown.append(replace(one, slices=_slices(mine, box), visible_mm3=float(mine.sum() * np.prod(case.spacing_mm))))
    return shown


def _shares_of(case: Case, piece: np.ndarray, box: tuple[slice, ...], lesions: Sequence[Lesion]) -> list[np.ndarray]:
    """Share of the radius of each lesion at the voxels of a piece."""
    at = np.argwhere(piece) + [s.start for s in box]
    z, y, x = (case.affine_mm @ np.c_[at, np.ones(len(at))].T)[:3].astype(np.float32)
    return [_share(one, z, y, x) for one in lesions]


def _slices(piece: np.ndarray, box: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(int(k) + box[0].start for k in np.flatnonzero(piece.any((1, 2))))


def _from_record(record: dict[str, object]) -> Lesion:
    """A lesion as `insert_lesion` wrote it; a record that went through a file has lists for tuples."""
    known = {f.name for f in fields(Lesion)}
    return Lesion(**{k: _as_tuple(v) for k, v in record.items() if k in known})  # type: ignore[arg-type]


def _as_tuple(value: object) -> object:
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value


def _text(*place_mm: float) -> str:
    return "(" + ", ".join(f"{v:.1f}" for v in place_mm) + ")"
