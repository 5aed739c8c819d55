"""Phantoms: bodies whose truth is known, and the built-in patient of the demo."""

from taskct.phantoms.abdomen.drawn import ABDOMEN_LABELS, abdomen_like
from taskct.phantoms.cases import PHANTOM_CASES, phantom_case
from taskct.phantoms.exact.ellipses import Ellipse, Ellipsoid, Phantom, ball, disk, ellipses
from taskct.phantoms.exact.head import forbild_like_head
from taskct.phantoms.exact.shepp_logan import shepp_logan

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
