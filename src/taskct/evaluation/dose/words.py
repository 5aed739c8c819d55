"""Photons as people read them."""

from __future__ import annotations

import math


def photons_words(photons: float) -> str:
    """A number of photons to four digits, as people read it.

    >>> photons_words(675812.3), photons_words(3906.25), photons_words(12.34)
    ('675,800', '3,906', '12.3')
    """
    if not math.isfinite(photons) or photons >= 1e12:
        return f"{photons:.4g}"
    return f"{float(f'{photons:.4g}'):,.0f}" if photons >= 1000 else f"{photons:.3g}"
