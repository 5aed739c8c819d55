"""Phantoms: bodies whose truth is known, and the built-in patient of the demo."""

from taskct.data.phantoms.abdomen import ABDOMEN_LABELS, abdomen_like
from taskct.data.phantoms.cases import PHANTOM_CASES, phantom_case
from taskct.data.phantoms.ellipses import Ellipse, Ellipsoid, Phantom, ball, disk, ellipses
from taskct.data.phantoms.head import forbild_like_head
from taskct.data.phantoms.shepp_logan import shepp_logan

__all__ = [
    "ABDOMEN_LABELS",
    "PHANTOM_CASES",
    "Ellipse",
    "Ellipsoid",
    "Phantom",
    "abdomen_like",
    "ball",
    "disk",
    "ellipses",
    "forbild_like_head",
    "phantom_case",
    "shepp_logan",
]
