"""The chest as a site of built-in patients."""

from __future__ import annotations

from typing import Any

from taskct.data.nodule_kinds import NODULE_KINDS
from taskct.phantoms.body import Site, plain_name
from taskct.phantoms.chest.chest_anatomy import ChestAnatomy
from taskct.phantoms.chest.chest_ranges import ChestSettings
from taskct.phantoms.chest.chest_tissues import EFFUSION_LABEL, LABEL_NAMES, Tissue, labels_of
from taskct.phantoms.chest.disease import CONSOLIDATION, GROUND_GLASS

MARGIN_MM = 24.0


def default_pixel_mm(shape: tuple[int, ...], settings: ChestSettings) -> float:
    """Pixel size at which the widest patient, shoulders included, fits with air round it."""
    widest = 1.16 * settings.width_mm[1]
    return round(max((widest + MARGIN_MM) / shape[-1], (0.72 * widest + MARGIN_MM) / shape[-2]), 3)


def facts(model: ChestAnatomy) -> dict[str, Any]:
    """Width, findings (present or absent, all of them known), contrast medium, and mean HU of every tissue."""
    d = model.disease
    return {
        "width_mm": model.build.width_mm,
        "findings": {
            "nodule": bool(d.nodules),
            "infection": bool(d.infection),
            "effusion": bool(d.effusions),
            "emphysema": bool(d.bullae),
            "atelectasis": max(d.atelectasis_mm) > 0,
        },
        "organ_hu": {plain_name(tissue): value for tissue, value in model.tones.items()},
    }


CHEST = Site(
    name="chest",
    source="built-in chests",
    settings=ChestSettings,
    anatomy=ChestAnatomy,
    label_names=LABEL_NAMES,
    labels_of=labels_of,
    organ_names={int(t): plain_name(t) for t in Tissue},
    pixel_mm=default_pixel_mm,
    facts=facts,
    lesion_kinds=(*NODULE_KINDS, GROUND_GLASS, CONSOLIDATION),
    unrecorded={EFFUSION_LABEL: "effusion"},
)
