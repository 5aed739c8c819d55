"""Numbers and doses as a reader wants to see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from taskct.core.names import THIN
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.statistics import Interval

MINUS = "\u2212"
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, unit: str = "") -> str:
    """A measured value with sensible digits and a true minus sign.

    >>> number(21.349, "HU"), number(-3.0, "HU"), number(31.257, "dB"), number(0.86512)
    ('21.3', '−3.0', '31.26', '0.865')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    digits = {"HU": 0 if abs(value) >= 100 else 1, "dB": 2, "": 3, "s": 0 if abs(value) >= 100 else 2}.get(unit)
    text = f"{value:.{digits}f}" if digits is not None else f"{value:.4g}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def with_unit(value: float, unit: str) -> str:
    """A value and its unit, kept together by a space that does not break."""
    return number(value, unit) + ("\u00a0" + unit if unit else "")


def span(interval: Interval, unit: str = "") -> str:
    """The interval as 'low to high', '' when there is none."""
    if math.isnan(interval.low):
        return ""
    return f"{number(interval.low, unit)} to {number(interval.high, unit)}"


def with_sign(value: float) -> str:
    """A difference of scores without a unit.

    >>> with_sign(0.0186), with_sign(-0.5)
    ('+0.019', '−0.500')
    """
    return f"{value:+.3f}".replace("-", MINUS)


def signed_interval(interval: Interval) -> str:
    """A difference of scores and its interval.

    >>> signed_interval(Interval(0.0186, -0.0107, 0.0278, 40, 40))
    '+0.019 [−0.011, +0.028]'
    """
    if math.isnan(interval.low):
        return f"{with_sign(interval.mean)} (no interval)"
    return f"{with_sign(interval.mean)} [{with_sign(interval.low)}, {with_sign(interval.high)}]"


def power_of_ten(value: float) -> str:
    """Photon numbers: 4096 stays, 100000 becomes 1×10⁵.

    >>> power_of_ten(4096), power_of_ten(1e5), power_of_ten(2.5e4), power_of_ten(math.inf)
    ('4096', '1×10⁵', '2.5×10⁴', '∞')
    """
    if not 1e4 <= value < math.inf:
        return number(value) if math.isinf(value) or math.isnan(value) else f"{value:.4g}"
    exponent = math.floor(math.log10(value) + 1e-12)
    return f"{value / 10**exponent:.3g}×10{str(exponent).translate(_SUPERSCRIPT)}"


def dose_label(dose: DoseLevel, doses: Sequence[DoseLevel]) -> str:
    """A dose among its peers: '25 %' where all have the same full dose, else photons per pixel."""
    if by_fraction(doses):
        return f"{100 * dose.fraction:.4g}{THIN}%"
    return f"{power_of_ten(dose.used_photons)} photons"


def dose_phrase(dose: DoseLevel, doses: Sequence[DoseLevel]) -> str:
    """A dose inside a sentence: 'full dose', '25 % dose', '4096 photons per pixel'."""
    if not by_fraction(doses):
        return f"{power_of_ten(dose.used_photons)} photons per pixel"
    return "full dose" if dose.fraction == 1 else f"{dose_label(dose, doses)} dose"


def by_fraction(doses: Sequence[DoseLevel]) -> bool:
    """True when the doses are fractions of one full dose."""
    return len({d.photons for d in doses}) == 1
