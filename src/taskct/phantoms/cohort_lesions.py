"""The lesions that are recorded of each slice of a built-in cohort."""

from __future__ import annotations

import numpy as np

from taskct.core.errors import InputError
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.lesions.of_case import LesionsSeen
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import anatomy, patient_id, slice_heights_mm


def seen_in_cohort(cohort: Cohort, part: str) -> list[LesionsSeen]:
    """What is recorded of each slice of a part of a cohort, in the order of `cohort.images(part)`; nothing is painted."""
    if len(cohort.shape) != 2:
        raise InputError(f"seen_in_cohort expects a cohort of slices, shape (Y, X), got {cohort.shape}")
    axes = Axes.centred((cohort.shape[0], cohort.shape[1]), cohort.pixel_mm)
    found = []
    for number, k in cohort.rows(part):
        model = anatomy(cohort.home, cohort.seed, number, cohort.settings)
        affine = np.diag([1.0, *cohort.pixel_mm, 1.0])
        affine[:3, 3] = slice_heights_mm(model, cohort.slices_per_patient)[k], axes.y_mm[0], axes.x_mm[0]
        found.append(LesionsSeen(f"{patient_id(number, cohort.site)}-s{k:02d}", tuple(model.lesions), affine))
    return found
