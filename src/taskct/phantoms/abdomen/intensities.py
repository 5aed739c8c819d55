"""What each tissue is called and how bright it is in a portal-venous scan; docs/cohort.md states the ranges' sources."""

from __future__ import annotations

from enum import IntEnum

from taskct.phantoms.lesions.record import LIVER_LABEL, TUMOUR_LABEL
from taskct.phantoms.painting.draws import Draws


class Organ(IntEnum):
    """Values of a patient's organ map."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTEX = 3
    MARROW = 4
    LUNG = 5
    LIVER = 6
    LIVER_VESSEL = 7
    TUMOUR = 8
    CYST = 9
    DISTRACTOR = 10
    GALLBLADDER = 11
    SPLEEN = 12
    KIDNEY = 13
    STOMACH = 14
    BOWEL = 15
    PANCREAS = 16
    AORTA = 17
    CAVA = 18
    HEART = 19
    GAS = 20
    VEIN = 21
    SKIN = 22
    CANAL = 23
    DISC = 24


LABEL_NAMES = {0: "background", LIVER_LABEL: "liver", TUMOUR_LABEL: "tumour"}
IN_LIVER = (Organ.LIVER, Organ.LIVER_VESSEL, Organ.CYST, Organ.DISTRACTOR)  # what readers outline as liver

# Standard deviation in HU of the fine (2.5 mm), middle (7 mm) and slow (22 mm) texture of each tissue.
TEXTURE_HU: dict[Organ, tuple[float, float, float]] = {
    Organ.FAT: (4.0, 3.5, 2.5),
    Organ.MUSCLE: (6.0, 6.0, 3.0),
    Organ.CORTEX: (40.0, 30.0, 0.0),
    Organ.MARROW: (38.0, 22.0, 10.0),
    Organ.LUNG: (28.0, 22.0, 12.0),
    Organ.LIVER: (4.0, 2.5, 2.5),
    Organ.LIVER_VESSEL: (3.0, 0.0, 2.5),
    Organ.TUMOUR: (5.0, 4.5, 1.0),
    Organ.CYST: (1.0, 0.0, 0.0),
    Organ.DISTRACTOR: (4.5, 3.0, 2.0),
    Organ.GALLBLADDER: (1.0, 0.5, 0.5),
    Organ.SPLEEN: (4.0, 2.5, 3.0),
    Organ.KIDNEY: (6.0, 7.0, 3.0),
    Organ.STOMACH: (9.0, 12.0, 4.0),
    Organ.BOWEL: (9.0, 11.0, 4.0),
    Organ.PANCREAS: (10.0, 13.0, 2.0),
    Organ.AORTA: (2.5, 0.0, 2.0),
    Organ.CAVA: (4.0, 3.0, 3.0),
    Organ.HEART: (4.0, 5.0, 5.0),
    Organ.GAS: (4.0, 4.0, 0.0),
    Organ.VEIN: (3.0, 0.0, 2.0),
    Organ.SKIN: (10.0, 5.0, 0.0),
    Organ.CANAL: (5.0, 4.0, 0.0),
    Organ.DISC: (8.0, 6.0, 2.0),
}


def draw_intensities(draws: Draws, *, width_mm: float) -> dict[Organ, float]:
    """Mean HU of every tissue of one patient.

    One draw of contrast-medium strength moves all enhanced organs together, weaker in heavier patients (the same bolus
    in more blood); each organ then varies a little on its own. One patient in eight has a fatty liver.
    """
    strength = draws.normal(1.0 - 0.0006 * (width_mm - 340), 0.13, 0.65, 1.35)
    fatty = draws.chance(0.12)
    liver = (draws.uniform(22, 42) if fatty else draws.normal(56, 4, 46, 66)) + 50 * strength
    return {
        Organ.AIR: -1000.0,
        Organ.FAT: draws.normal(-103, 5, -115, -90),
        Organ.MUSCLE: draws.normal(52, 5, 38, 64) + 9 * strength,
        Organ.CORTEX: draws.normal(620, 120, 380, 900),
        Organ.MARROW: draws.normal(185, 45, 90, 300),
        Organ.LUNG: draws.normal(-850, 25, -900, -780),
        Organ.LIVER: liver + draws.normal(0, 3, -7, 7),
        Organ.LIVER_VESSEL: 42 + 112 * strength + draws.normal(0, 8, -16, 16),
        Organ.CYST: draws.uniform(0, 15),
        Organ.GALLBLADDER: draws.uniform(0, 22),
        Organ.SPLEEN: 46 + 72 * strength + draws.normal(0, 6, -12, 12),
        Organ.KIDNEY: 32 + 150 * strength + draws.normal(0, 12, -25, 25),
        Organ.STOMACH: draws.uniform(62, 92),
        Organ.BOWEL: draws.uniform(66, 100),
        Organ.PANCREAS: 38 + 52 * strength + draws.normal(0, 6, -12, 12),
        Organ.AORTA: 42 + 115 * strength + draws.normal(0, 8, -16, 16),
        Organ.CAVA: 42 + 80 * strength + draws.normal(0, 12, -24, 24),
        Organ.HEART: 45 + 90 * strength,
        Organ.GAS: -960.0,
        Organ.VEIN: 42 + 112 * strength + draws.normal(0, 6, -12, 12),
        Organ.SKIN: draws.uniform(-10, 30),
        Organ.CANAL: draws.uniform(20, 40),
        Organ.DISC: draws.uniform(75, 105),
    }
