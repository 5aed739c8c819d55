"""The abdomen as a site of built-in patients."""

from __future__ import annotations

from typing import Any

import numpy as np

from taskct.phantoms.abdomen.abdomen_anatomy import AbdomenAnatomy
from taskct.phantoms.abdomen.abdomen_ranges import CohortSettings
from taskct.phantoms.abdomen.intensities import IN_LIVER, LABEL_NAMES, Organ
from taskct.phantoms.body import Site, plain_name
from taskct.phantoms.lesions.record import LIVER_LABEL, TUMOUR_LABEL

MARGIN_MM = 20.0  # air that the default field of view leaves round the widest patient


def labels_from_organs(organ: np.ndarray) -> np.ndarray:
    """Organ map -> labels: 0 background, 1 liver with all that belongs to it, 2 tumour."""
    return np.asarray(_LABEL_OF[organ])


def default_pixel_mm(shape: tuple[int, ...], settings: CohortSettings) -> float:
    """Pixel size at which the widest patient, with air round it, fills the shorter need of width and depth."""
    widest = settings.width_mm[1]
    return round(max((widest + MARGIN_MM) / shape[-1], (0.8 * widest + MARGIN_MM) / shape[-2]), 3)


def facts(model: AbdomenAnatomy) -> dict[str, Any]:
    """Width of the body, mean HU of the liver and of every tissue before texture and noise."""
    tones = {plain_name(organ): value for organ, value in model.tones.items()}
    return {"width_mm": model.habitus.width_mm, "liver_hu": model.tones[Organ.LIVER], "organ_hu": tones}


_LABEL_OF = np.zeros(256, np.uint8)
_LABEL_OF[list(IN_LIVER)] = LIVER_LABEL
_LABEL_OF[Organ.TUMOUR] = TUMOUR_LABEL

ABDOMEN = Site(
    name="abdomen",
    source="built-in abdominal cohort",
    settings=CohortSettings,
    anatomy=AbdomenAnatomy,
    label_names=LABEL_NAMES,
    labels_of=labels_from_organs,
    organ_names={int(organ): plain_name(organ) for organ in Organ},
    pixel_mm=default_pixel_mm,
    facts=facts,
    lesion_kinds=("tumour",),
)
