"""The tissues of the head: their numbers, HU, texture, and the labels made of them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Tissue(IntEnum):
    """Values of a skull's tissue map."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BRAIN = 4
    CSF = 5
    BONE = 6
    DIPLOE = 7
    SUTURE = 8
    TOOTH = 9
    EYE = 10
    CAVITY = 11
    CARTILAGE = 12
    PETROUS = 13


BONE_LABEL, SUTURE_LABEL, BRAIN_LABEL = 1, 2, 3
LABEL_NAMES = {0: "background", BONE_LABEL: "bone", SUTURE_LABEL: "suture", BRAIN_LABEL: "brain"}

# HU without bone, which depends on age (growth.py).
SOFT_HU: dict[Tissue, float] = {
    Tissue.AIR: -1000.0,
    Tissue.SKIN: 40.0,
    Tissue.FAT: -85.0,
    Tissue.MUSCLE: 52.0,
    Tissue.BRAIN: 33.0,
    Tissue.CSF: 8.0,
    Tissue.SUTURE: 58.0,
    Tissue.EYE: 15.0,
    Tissue.CAVITY: -960.0,
    Tissue.CARTILAGE: 90.0,
}

# SD in HU of the fine (2.5 mm), middle (7 mm) and slow (22 mm) texture.
TEXTURE_HU: dict[int, tuple[float, float, float]] = {
    Tissue.AIR: (0.0, 0.0, 0.0),
    Tissue.SKIN: (8.0, 6.0, 2.0),
    Tissue.FAT: (4.0, 4.0, 2.0),
    Tissue.MUSCLE: (6.0, 6.0, 3.0),
    Tissue.BRAIN: (1.5, 3.0, 2.5),
    Tissue.CSF: (1.0, 1.0, 1.0),
    Tissue.BONE: (60.0, 45.0, 30.0),
    Tissue.DIPLOE: (90.0, 60.0, 30.0),
    Tissue.SUTURE: (10.0, 6.0, 0.0),
    Tissue.TOOTH: (60.0, 0.0, 0.0),
    Tissue.EYE: (1.0, 1.0, 1.0),
    Tissue.CAVITY: (4.0, 4.0, 0.0),
    Tissue.CARTILAGE: (8.0, 5.0, 2.0),
    Tissue.PETROUS: (70.0, 50.0, 20.0),
}

_LABEL_OF = np.zeros(256, np.uint8)
_LABEL_OF[[Tissue.BONE, Tissue.DIPLOE, Tissue.TOOTH, Tissue.PETROUS]] = BONE_LABEL
_LABEL_OF[Tissue.SUTURE] = SUTURE_LABEL
_LABEL_OF[[Tissue.BRAIN, Tissue.CSF]] = BRAIN_LABEL


def labels_of(tissue: np.ndarray) -> np.ndarray:
    """Tissue map -> labels: 0 background, 1 bone (teeth included), 2 suture and fontanelle, 3 brain with its fluid."""
    return np.asarray(_LABEL_OF[tissue])
