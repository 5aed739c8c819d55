"""A built-in patient as a `Case`, with a record of every lesion in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.data.case import Case
from taskct.phantoms.abdomen.anatomy import Anatomy
from taskct.phantoms.abdomen.intensities import IN_LIVER, LABEL_NAMES, Organ
from taskct.phantoms.abdomen.settings import CohortSettings
from taskct.phantoms.lesions.record import LIVER_LABEL, TUMOUR_LABEL, Lesion
from taskct.phantoms.painting.fields import Axes

MARGIN_MM = 20.0  # air that the default field of view leaves round the widest patient
MAX_NUMBER = 9_999_999


@dataclass(frozen=True, eq=False)
class Patient:
    """One built-in patient: `case` (hu, labels 0 background, 1 liver, 2 tumour), `lesions` and what only resembles them.

    `organ_hu` is the mean HU of each tissue before texture and noise, `organs` (asked for) the tissue of every voxel,
    named by `organ_names`. Positions of lesions and the case's affine share one frame: LPS, mm, order z, y, x.
    """

    case: Case
    number: int
    lesions: tuple[Lesion, ...]
    distractors: tuple[Lesion, ...]
    width_mm: float
    liver_hu: float
    liver_extent_mm: tuple[float, float]
    organ_hu: dict[str, float]
    organs: Tensor | None = None

    @property
    def organ_names(self) -> dict[int, str]:
        """Meaning of the values of `organs`."""
        return {int(organ): organ.name.lower().replace("_", " ") for organ in Organ}


def patient_id(number: int) -> str:
    """The identifier of patient `number`.

    >>> patient_id(12)
    'abdomen-0012'
    """
    return f"abdomen-{number:04d}"


def make_patient(
    seed: int,
    number: int,
    *,
    shape: tuple[int, ...] = (128, 128),
    spacing_mm: float | tuple[float, ...] | None = None,
    slices: int = 8,
    texture: bool = True,
    organs: bool = False,
    settings: CohortSettings | None = None,
) -> Patient:
    """Patient `number` of the cohort with `seed`: the same on every machine, and the same patient on every grid.

    `shape` (Z, Y, X) with `spacing_mm` (z, y, x) gives a volume centred on the liver; one number means all axes.
    `shape` (Y, X) gives `slices` thin slices spread evenly over the liver, of pixel size `spacing_mm`.
    Without `spacing_mm` the pixels are as small as the widest patient of the settings allows (and slices 3 mm apart).
    A slice is that height of the patient: the volume's slice there, on the same pixels, is equal to the last bit.
    `texture` False and `settings.noise_hu` 0 leave the anatomy alone, for measuring.

    >>> patient = make_patient(0, 3, shape=(48, 64), slices=2)
    >>> patient.case.case_id, tuple(patient.case.hu.shape)
    ('abdomen-0003', (2, 48, 64))
    """
    chosen = settings or CohortSettings()
    _check_number(number)
    model = anatomy(seed, number, chosen)
    heights_mm, step_mm, axes = _sampling(model, shape, spacing_mm, slices)
    hu = np.empty((len(heights_mm), *shape[-2:]), np.float32)
    organ, lesion = np.empty(hu.shape, np.uint8), np.empty(hu.shape, np.uint8)
    for k, z_mm in enumerate(heights_mm):
        canvas = model.paint(float(z_mm), axes, texture=texture)
        hu[k], organ[k], lesion[k] = canvas.hu, canvas.organ, canvas.lesion
    spacing = (step_mm, *axes.pixel_mm)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = heights_mm[0], axes.y_mm[0], axes.x_mm[0]
    lesions = tuple(_seen(one, lesion == i + 1, float(np.prod(spacing))) for i, one in enumerate(model.lesions))
    case = Case(
        hu=torch.from_numpy(hu),
        spacing_mm=spacing,
        case_id=patient_id(number),
        labels=torch.from_numpy(labels_from_organs(organ)),
        label_names=dict(LABEL_NAMES),
        affine_mm=affine,
        provenance={
            "source": "built-in abdominal cohort",
            "seed": seed,
            "patient": number,
            "licence": "none needed: computed",
        },
    )
    return Patient(
        case=case,
        number=number,
        lesions=lesions,
        distractors=model.distractors,
        width_mm=model.habitus.width_mm,
        liver_hu=model.tones[Organ.LIVER],
        liver_extent_mm=model.liver_extent_mm,
        organ_hu={organ.name.lower().replace("_", " "): value for organ, value in model.tones.items()},
        organs=torch.from_numpy(organ) if organs else None,
    )


@lru_cache(maxsize=16)
def anatomy(seed: int, number: int, settings: CohortSettings) -> Anatomy:
    """The continuous model of a patient; the last few are kept, since slices of one patient are asked for together."""
    return Anatomy(seed, number, settings)


def labels_from_organs(organ: np.ndarray) -> np.ndarray:
    """Organ map -> labels: 0 background, 1 liver with all that belongs to it, 2 tumour."""
    return np.asarray(_LABEL_OF[organ])


def slice_heights_mm(model: Anatomy, slices: int) -> np.ndarray:
    """Heights of `slices` slices in the middle of equal parts of the liver's extent."""
    low, high = model.liver_extent_mm
    return low + (high - low) * (np.arange(slices) + 0.5) / slices


def default_pixel_mm(shape: tuple[int, ...], settings: CohortSettings) -> float:
    """Pixel size at which the widest patient, with air round it, fills the shorter need of width and depth."""
    widest = settings.width_mm[1]
    return round(max((widest + MARGIN_MM) / shape[-1], (0.8 * widest + MARGIN_MM) / shape[-2]), 3)


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse what is no (Y, X) or (Z, Y, X)."""
    if len(shape) not in (2, 3) or any(n < 1 for n in shape) or min(shape[-2:]) < 16:
        raise GeometryError(f"cohort expects shape (Y, X) or (Z, Y, X) with at least 16 x 16 pixels, got {tuple(shape)}")


def pixel_spacing(
    shape: tuple[int, ...], spacing_mm: float | tuple[float, ...] | None, settings: CohortSettings
) -> tuple[float, ...]:
    """One spacing per axis of `shape`, defaults filled in."""
    check_shape(shape)
    if spacing_mm is None:
        pixel = default_pixel_mm(shape, settings)
        return (3.0, pixel, pixel)[3 - len(shape) :]
    spacing = (float(spacing_mm),) * len(shape) if isinstance(spacing_mm, int | float) else tuple(float(s) for s in spacing_mm)
    if len(spacing) != len(shape) or not all(np.isfinite(s) and 0.1 <= s <= 20 for s in spacing):
        raise GeometryError(
            f"cohort expects one spacing_mm from 0.1 to 20 mm per axis of shape {tuple(shape)}, got {spacing_mm!r}"
        )
    return spacing


def _sampling(
    model: Anatomy, shape: tuple[int, ...], spacing_mm: float | tuple[float, ...] | None, slices: int
) -> tuple[np.ndarray, float, Axes]:
    spacing = pixel_spacing(shape, spacing_mm, model.settings)
    axes = Axes.centred((shape[-2], shape[-1]), (spacing[-2], spacing[-1]))
    if len(shape) == 2:
        if slices < 1:
            raise InputError(f"cohort expects slices >= 1 for a shape (Y, X), got {slices}")
        low, high = model.liver_extent_mm
        return slice_heights_mm(model, slices), (high - low) / slices, axes
    middle = sum(model.liver_extent_mm) / 2
    return middle + (np.arange(shape[0]) - (shape[0] - 1) / 2) * spacing[0], spacing[0], axes


def _seen(lesion: Lesion, mask: np.ndarray, voxel_mm3: float) -> Lesion:
    shown = np.where(mask.any((1, 2)))[0]
    return replace(lesion, slices=tuple(int(k) for k in shown), visible_mm3=float(mask.sum()) * voxel_mm3)


def _check_number(number: Any) -> None:
    if not isinstance(number, int) or not 0 <= number <= MAX_NUMBER:
        raise InputError(f"cohort expects a patient number from 0 to {MAX_NUMBER}, got {number!r}")


_LABEL_OF = np.zeros(256, np.uint8)
_LABEL_OF[list(IN_LIVER)] = LIVER_LABEL
_LABEL_OF[Organ.TUMOUR] = TUMOUR_LABEL
