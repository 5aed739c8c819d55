"""The head as a site of built-in patients."""

from __future__ import annotations

from typing import Any

from taskct.phantoms.body import Site
from taskct.phantoms.skull import growth
from taskct.phantoms.skull.skull_anatomy import SkullAnatomy
from taskct.phantoms.skull.skull_ranges import SkullSettings
from taskct.phantoms.skull.skull_tissues import LABEL_NAMES, Tissue, labels_of


def default_pixel_mm(shape: tuple[int, ...], settings: SkullSettings) -> float:
    """Pixel size at which the largest head of the settings, with air round it, fills the shorter side: 192 mm to 24 months."""
    length_mm = 1.12 * growth.at(growth.HEAD_MM, settings.age_months[1]) / 2.85  # of a long head
    return round(max(192.0, length_mm + 14) / min(shape[-2:]), 4)


def facts(model: SkullAnatomy) -> dict[str, Any]:
    """What a child is labelled with: age, kind, side, sizes, open sutures, fontanelle, asymmetry, pose."""
    c = model.child
    return {
        "age_months": c.age_months,
        "kind": c.kind,
        "side": {1: "left", -1: "right"}[c.side] if c.kind in ("coronal", "lambdoid", "positional") else "",
        "circumference_mm": c.circumference_mm,
        "cranial_index": c.index,
        "half_axes_mm": (c.half_height_mm, c.half_length_mm, c.half_width_mm),
        "asymmetry": c.skew,
        "sutures_mm": dict(c.sutures_mm),
        "fontanelle_mm2": c.fontanelle_mm2,
        "thickness_mm": dict(c.thick_mm),
        "bone_hu": c.bone_hu,
        "turn_deg": c.turn_deg,
        "shift_mm": c.shift_mm,
    }


SKULL = Site(
    name="skull",
    source="built-in skulls",
    settings=SkullSettings,
    anatomy=SkullAnatomy,
    label_names=LABEL_NAMES,
    labels_of=labels_of,
    organ_names={int(t): t.name.lower() for t in Tissue},
    pixel_mm=default_pixel_mm,
    facts=facts,
    slice_mm=None,
)
