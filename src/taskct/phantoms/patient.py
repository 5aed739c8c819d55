"""A built-in patient as a `Case`, with a record of every lesion in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.data.case import Case
from taskct.phantoms.body import Anatomy, Site
from taskct.phantoms.known_marks import marks_of_patient
from taskct.phantoms.lesions.record import Lesion
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.sites import site_named

MAX_NUMBER = 9_999_999


@dataclass(frozen=True, eq=False)
class Patient:
    """One built-in patient: `case` (hu, labels by the site's names), `lesions` and what only resembles them.

    `extent_mm` is the range of heights that single slices are spread over. `facts` is what else is known, by name, such as
    the body's width and the mean HU of each tissue before texture and noise. `organs` (asked for) is the tissue of every
    voxel, named by `organ_names`. Positions of lesions and the case's affine share one frame: LPS, mm, order z, y, x.
    """

    case: Case
    number: int
    lesions: tuple[Lesion, ...]
    distractors: tuple[Lesion, ...]
    extent_mm: tuple[float, float]
    facts: Mapping[str, Any]
    organ_names: Mapping[int, str]
    organs: Tensor | None = None


def patient_id(number: int, site: str = "abdomen") -> str:
    """The identifier of patient `number`.

    >>> patient_id(12)
    'abdomen-0012'
    """
    return f"{site}-{number:04d}"


def make_patient(
    seed: int,
    number: int,
    *,
    site: str = "abdomen",
    shape: tuple[int, ...] = (128, 128),
    spacing_mm: float | tuple[float, ...] | None = None,
    slices: int = 8,
    texture: bool = True,
    organs: bool = False,
    settings: Any = None,
) -> Patient:
    """Patient `number` of the cohort with `seed`: the same on every machine, and the same patient on every grid.

    `shape` (Z, Y, X) with `spacing_mm` (z, y, x) gives a volume about the middle of the site; one number means all axes.
    `shape` (Y, X) gives `slices` thin slices spread evenly over the site (the liver), of pixel size `spacing_mm`.
    Without `spacing_mm` the pixels are as small as the widest patient of the settings allows (and slices 3 mm apart).
    A slice is that height of the patient: the volume's slice there, on the same pixels, is equal to the last bit.
    `texture` False and `settings.noise_hu` 0 leave the anatomy alone, for measuring.

    >>> patient = make_patient(0, 3, shape=(48, 64), slices=2)
    >>> patient.case.case_id, tuple(patient.case.hu.shape)
    ('abdomen-0003', (2, 48, 64))
    """
    home = site_named(site)
    chosen = home.settings() if settings is None else settings
    _check_number(number)
    model = anatomy(home, seed, number, chosen)
    heights_mm, step_mm, axes = _sampling(home, model, chosen, shape, spacing_mm, slices)
    canvases = [model.paint(float(z_mm), axes, texture=texture) for z_mm in heights_mm]
    hu, organ, lesion = (np.stack([getattr(c, name) for c in canvases]) for name in ("hu", "organ", "lesion"))
    spacing = (step_mm, *axes.pixel_mm)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = heights_mm[0], axes.y_mm[0], axes.x_mm[0]
    lesions = tuple(_seen(one, lesion == i + 1, float(np.prod(spacing))) for i, one in enumerate(model.lesions))
    labels, chosen_facts = home.labels_of(organ), home.facts(model)
    case = Case(
        hu=torch.from_numpy(hu),
        spacing_mm=spacing,
        case_id=patient_id(number, site),
        labels=torch.from_numpy(labels),
        label_names=dict(home.label_names),
        marks=marks_of_patient(home, model, chosen_facts, lesion, labels),
        affine_mm=affine,
        provenance={"source": home.source, "seed": seed, "patient": number, "licence": "none needed: computed"},
    )
    return Patient(
        case=case,
        number=number,
        lesions=lesions,
        distractors=model.distractors,
        extent_mm=model.extent_mm,
        facts=chosen_facts,
        organ_names=home.organ_names,
        organs=torch.from_numpy(organ) if organs else None,
    )


@lru_cache(maxsize=16)
def anatomy(site: Site, seed: int, number: int, settings: Any) -> Anatomy:
    """The continuous model of a patient; the last few are kept, since slices of one patient are asked for together."""
    return site.anatomy(seed, number, settings)


def slice_heights_mm(model: Anatomy, slices: int) -> np.ndarray:
    """Heights of `slices` slices in the middle of equal parts of the site's extent."""
    low, high = model.extent_mm
    return low + (high - low) * (np.arange(slices) + 0.5) / slices


def check_shape(shape: tuple[int, ...]) -> None:
    """GeometryError for what is not (Y, X) or (Z, Y, X)."""
    if len(shape) not in (2, 3) or any(n < 1 for n in shape) or min(shape[-2:]) < 16:
        raise GeometryError(f"cohort expects shape (Y, X) or (Z, Y, X) with at least 16 x 16 pixels, got {tuple(shape)}")


def pixel_spacing(
    site: Site, shape: tuple[int, ...], spacing_mm: float | tuple[float, ...] | None, settings: Any
) -> tuple[float, ...]:
    """One spacing per axis of `shape`, defaults filled in."""
    check_shape(shape)
    if spacing_mm is None:
        pixel = site.pixel_mm(shape, settings)
        return (site.slice_mm or pixel, pixel, pixel)[3 - len(shape) :]
    spacing = (float(spacing_mm),) * len(shape) if isinstance(spacing_mm, int | float) else tuple(float(s) for s in spacing_mm)
    if len(spacing) != len(shape) or not all(np.isfinite(s) and 0.1 <= s <= 20 for s in spacing):
        raise GeometryError(
            f"cohort expects one spacing_mm from 0.1 to 20 mm per axis of shape {tuple(shape)}, got {spacing_mm!r}"
        )
    return spacing


def _sampling(  # noqa: PLR0917
    site: Site,
    model: Anatomy,
    settings: Any,
    shape: tuple[int, ...],
    spacing_mm: float | tuple[float, ...] | None,
    slices: int,
) -> tuple[np.ndarray, float, Axes]:
    spacing = pixel_spacing(site, shape, spacing_mm, settings)
    axes = Axes.centred((shape[-2], shape[-1]), (spacing[-2], spacing[-1]))
    if len(shape) == 2:
        if slices < 1:
            raise InputError(f"cohort expects slices >= 1 for a shape (Y, X), got {slices}")
        low, high = model.extent_mm
        return slice_heights_mm(model, slices), (high - low) / slices, axes
    return model.middle_mm + (np.arange(shape[0]) - (shape[0] - 1) / 2) * spacing[0], spacing[0], axes


def _seen(lesion: Lesion, mask: np.ndarray, voxel_mm3: float) -> Lesion:
    shown = np.where(mask.any((1, 2)))[0]
    return replace(lesion, slices=tuple(int(k) for k in shown), visible_mm3=float(mask.sum()) * voxel_mm3)


def _check_number(number: Any) -> None:
    if not isinstance(number, int) or not 0 <= number <= MAX_NUMBER:
        raise InputError(f"cohort expects a patient number from 0 to {MAX_NUMBER}, got {number!r}")
