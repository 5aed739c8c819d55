"""The tissues of the chest: their numbers, HU, texture, and the labels made of them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from taskct.phantoms.painting.draws import Draws


class Tissue(IntEnum):
    """Values of a chest's tissue map."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTEX = 3
    MARROW = 4
    LUNG = 5
    VESSEL = 6
    AIRWAY = 7
    WALL = 8
    HEART = 9
    AORTA = 10
    CANAL = 11
    DISC = 12
    SKIN = 13
    BREAST = 14
    TABLE = 15
    LIVER = 16
    NODULE = 17
    GROUND_GLASS = 18
    CONSOLIDATION = 19
    EFFUSION = 20
    BULLA = 21
    ATELECTASIS = 22
    FISSURE = 23


NODULE_LABEL, GLASS_LABEL, CONSOLIDATION_LABEL, EFFUSION_LABEL = 1, 2, 3, 4
LABEL_NAMES = {
    0: "background",
    NODULE_LABEL: "nodule",
    GLASS_LABEL: "ground glass",
    CONSOLIDATION_LABEL: "consolidation",
    EFFUSION_LABEL: "effusion",
}

# SD in HU of the fine (2.5 mm), middle (7 mm) and slow (22 mm) texture of each tissue.
_TEXTURE = {
    Tissue.FAT: (4.0, 3.5, 2.5),
    Tissue.MUSCLE: (6.0, 6.0, 3.0),
    Tissue.CORTEX: (40.0, 30.0, 0.0),
    Tissue.MARROW: (38.0, 22.0, 10.0),
    Tissue.LUNG: (30.0, 10.0, 7.0),
    Tissue.VESSEL: (6.0, 4.0, 0.0),
    Tissue.AIRWAY: (4.0, 0.0, 0.0),
    Tissue.WALL: (20.0, 0.0, 0.0),
    Tissue.HEART: (4.0, 5.0, 5.0),
    Tissue.AORTA: (2.5, 2.0, 2.0),
    Tissue.CANAL: (5.0, 4.0, 0.0),
    Tissue.DISC: (8.0, 6.0, 2.0),
    Tissue.SKIN: (10.0, 5.0, 0.0),
    Tissue.BREAST: (12.0, 22.0, 10.0),
    Tissue.LIVER: (4.0, 3.0, 3.0),
    Tissue.NODULE: (10.0, 8.0, 0.0),
    Tissue.GROUND_GLASS: (38.0, 30.0, 18.0),
    Tissue.CONSOLIDATION: (18.0, 18.0, 10.0),
    Tissue.EFFUSION: (3.0, 3.0, 2.0),
    Tissue.BULLA: (8.0, 6.0, 0.0),
    Tissue.ATELECTASIS: (25.0, 25.0, 10.0),
    Tissue.FISSURE: (15.0, 0.0, 0.0),
}
TEXTURE_HU: dict[int, tuple[float, float, float]] = {int(t): _TEXTURE.get(t, (0.0, 0.0, 0.0)) for t in Tissue}

_LABEL_OF = np.zeros(256, np.uint8)
_LABEL_OF[Tissue.NODULE] = NODULE_LABEL
_LABEL_OF[Tissue.GROUND_GLASS] = GLASS_LABEL
_LABEL_OF[Tissue.CONSOLIDATION] = CONSOLIDATION_LABEL
_LABEL_OF[Tissue.EFFUSION] = EFFUSION_LABEL


def labels_of(tissue: np.ndarray) -> np.ndarray:
    """Tissue map -> labels: 0 background, 1 nodule, 2 ground glass, 3 consolidation, 4 effusion."""
    return np.asarray(_LABEL_OF[tissue])


def draw_tones(draws: Draws) -> dict[Tissue, float]:
    """Mean HU of every tissue of one patient; one scan in three has contrast medium in its vessels."""
    contrast = draws.uniform(90, 190) if draws.chance(0.34) else 0.0
    blood = draws.normal(42, 4, 32, 52)
    return {
        Tissue.FAT: draws.normal(-102, 6, -118, -86),
        Tissue.MUSCLE: draws.normal(52, 5, 40, 64),
        Tissue.CORTEX: draws.normal(640, 70, 480, 820),
        Tissue.MARROW: draws.normal(190, 45, 90, 320),
        Tissue.LUNG: draws.normal(-858, 22, -905, -800),
        Tissue.VESSEL: blood + 0.9 * contrast,
        Tissue.AIRWAY: -985.0,
        Tissue.WALL: -60.0,
        Tissue.HEART: blood + 0.55 * contrast,
        Tissue.AORTA: blood + contrast,
        Tissue.CANAL: draws.normal(28, 5, 15, 40),
        Tissue.DISC: draws.normal(80, 8, 60, 100),
        Tissue.SKIN: 30.0,
        Tissue.BREAST: draws.normal(-30, 30, -95, 35),
        Tissue.TABLE: -140.0,
        Tissue.LIVER: draws.normal(58, 7, 35, 72) + 0.35 * contrast,
        Tissue.EFFUSION: draws.normal(9, 6, -5, 28),
        Tissue.BULLA: draws.normal(-965, 8, -985, -945),
        Tissue.ATELECTASIS: draws.normal(-350, 120, -600, -60),
    }
