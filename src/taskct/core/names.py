"""Photons and names as people read them."""

from __future__ import annotations

import math

THIN = "\u202f"


def photon_count(photons: float, *, digits: int | None = None) -> str:
    """Photons by thousands: as they are where a dose is stated, to so many `digits` where one was found.

    >>> [photon_count(n).replace(THIN, " ") for n in (65536.0, 12.34)]
    ['65 536', '12']
    >>> [photon_count(n, digits=4).replace(THIN, " ") for n in (675812.3, 3906.25, 999.96, 12.34)]
    ['675 800', '3 906', '1 000', '12.34']
    """
    if not math.isfinite(photons):
        return f"{photons:g}"
    if digits is None:
        return f"{photons:,.0f}".replace(",", THIN)
    rounded = float(f"{photons:.{digits}g}")
    return f"{rounded:,.0f}".replace(",", THIN) if rounded >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def known_digits(value: float, width: float) -> int:
    """Significant digits that a number is known to, when it may lie anywhere in an interval of `width` (absolute).

    The unit of the last digit is not below half of the width, so that no digit is printed that the interval leaves open; one
    digit at least, four at most.

    >>> [known_digits(661234.0, w) for w in (0.0, 6000.0, 13000.0, 90000.0, 800000.0)]
    [4, 2, 2, 1, 1]
    """
    if not (width > 0 and value > 0 and math.isfinite(width)):
        return 4
    unit = math.ceil(math.log10(width / 2) - 1e-9)
    return min(4, max(1, math.floor(math.log10(value)) - unit + 1))


def capital(text: str) -> str:
    """Text that begins a sentence or a line, its other letters as they are.

    >>> capital("an RMSE of at most 20 HU")
    'An RMSE of at most 20 HU'
    """
    return text[:1].upper() + text[1:]


def plain_name(name: str) -> str:
    """A name of a file as text that can be written anywhere: bytes that are not UTF-8 become escapes.

    >>> plain_name("liver"), plain_name("a\\udcff")
    ('liver', 'a\\\\udcff')
    """
    return name.encode("utf-8", "backslashreplace").decode()


def plural(n: int, one: str, many: str | None = None) -> str:
    """A number and the words for that many: '1 patient', '3 patients'.

    >>> plural(1, "slice"), plural(2, "slice"), plural(1, "slice is", "slices are"), plural(3, "box", "boxes")
    ('1 slice', '2 slices', '1 slice is', '3 boxes')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"
