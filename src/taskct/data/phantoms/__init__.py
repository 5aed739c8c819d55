"""Phantoms: bodies whose truth is known, and the built-in patient of the demo."""

from taskct.data.phantoms.ellipses import Ellipse, Ellipsoid, Phantom, ball, disk, ellipses
from taskct.data.phantoms.head import forbild_like_head
from taskct.data.phantoms.shepp_logan import shepp_logan

__all__ = ["Ellipse", "Ellipsoid", "Phantom", "ball", "disk", "ellipses", "forbild_like_head", "shepp_logan"]
