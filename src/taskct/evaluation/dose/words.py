"""Photons as people read them."""

from __future__ import annotations

import math


def photons_words(photons: float) -> str:
    """A number of photons to four digits, as people read it.

    >>> photons_words(675812.3), photons_words(3906.25), photons_words(12.34)
    ('675,800', '3,906', '12.3')
    >>> photons_words(999.7)
    '1,000'
    """
    rounded = float(f"{photons:.4g}")
    if not math.isfinite(rounded) or rounded >= 1e12:
        return f"{photons:.4g}"
    return f"{rounded:,.0f}" if float(f"{photons:.3g}") >= 1000 else f"{photons:.3g}"
