"""The lesions that are recorded of each slice of a built-in cohort."""

from __future__ import annotations

import numpy as np

from taskct.phantoms.cohort import CohortSlices
from taskct.phantoms.lesions.of_case import LesionsSeen
from taskct.phantoms.patient import anatomy, slice_heights_mm


def seen_in_cohort(slices: CohortSlices) -> list[LesionsSeen]:
    """What is recorded of each slice of a part of the built-in cohort, in the order of the data set; nothing is painted."""
    cohort, found = slices.cohort, []
    for (number, k), patient in zip(slices.items, slices.patient_ids, strict=True):
        model = anatomy(cohort.home, cohort.seed, number, cohort.settings)
        affine = np.diag([1.0, *cohort.pixel_mm, 1.0])
        affine[:3, 3] = slice_heights_mm(model, cohort.slices_per_patient)[k], slices.axes.y_mm[0], slices.axes.x_mm[0]
        found.append(LesionsSeen(f"{patient}-s{k:02d}", tuple(model.lesions), affine))
    return found
