"""How a head grows: sizes by age in months, each table with its source, or marked as a guess.

Sources
    WHO        WHO child growth standards, head circumference for age, mean of boys and girls
    Mitchell   Mitchell et al., AJNR 32:1801 (2011), sutures of 483 children
    Riahi      Riahinezhad et al., sutures of 302 infants, means of 0 to 12 months
    JKNS       J Korean Neurosurg Soc 51:31 (2012), closing of sutures in 243 infants
    Pindrik    Pindrik et al. (2014), anterior fontanelles of 464 infants
    Domenech   Domenech-Fernandez et al. (2021), vault thickness of 270 children
    guess      interpolated or assumed; not to be used as anatomy
"""

from __future__ import annotations

import numpy as np

from taskct.phantoms.painting.draws import Draws

Table = tuple[tuple[float, ...], tuple[float, ...]]

# Circumference in mm. To 60 months: WHO. Later: guess (adult mean of men and women about 560 mm).
HEAD_MM: Table = (
    (0, 1, 3, 6, 12, 18, 24, 36, 60, 120, 180, 240),
    (342, 369, 400, 428, 455, 468, 477, 489, 503, 525, 548, 560),
)
HEAD_SD_MM = 13.0  # WHO

# Widths in mm. Sagittal and coronal: Mitchell at 0, 1 (and 12) months. Lambdoid: between them, with the mean of Riahi.
# Metopic: Riahi's mean, and first to close (JKNS). After 12 months: guess.
SUTURE_MM: dict[str, Table] = {
    "sagittal": ((0, 1, 6, 12, 24, 60, 240), (5.0, 2.4, 1.9, 1.6, 1.2, 0.8, 0.3)),
    "coronal": ((0, 1, 12, 24, 60, 240), (2.5, 1.3, 0.8, 0.7, 0.5, 0.25)),
    "lambdoid": ((0, 1, 6, 12, 24, 60, 240), (3.6, 2.3, 1.9, 1.5, 1.1, 0.8, 0.3)),
    "metopic": ((0, 1, 3, 6, 9, 12), (2.6, 2.0, 1.6, 1.2, 0.9, 0.6)),
}
# The same closed faster and wider at birth: the other law of the second family (guess on purpose).
SECOND_SUTURE_MM: dict[str, Table] = {
    "sagittal": ((0, 2, 6, 12, 24, 240), (4.0, 3.2, 2.2, 1.1, 0.7, 0.3)),
    "coronal": ((0, 2, 6, 12, 24, 240), (3.4, 2.4, 1.5, 0.9, 0.4, 0.2)),
    "lambdoid": ((0, 2, 6, 12, 24, 240), (2.8, 2.4, 1.6, 1.0, 0.6, 0.3)),
    "metopic": ((0, 2, 6, 9), (3.0, 2.4, 1.0, 0.4)),
}
SUTURE_SPREAD = 0.28  # of the logarithm; Riahi: sd .65 to 1.04 of means 1.78 to 2.38

# Anterior fontanelle in mm2 while it is open: Pindrik at 0 and 2 months, later a guess.
FONTANELLE_MM2: Table = ((0, 2, 6, 12, 18, 24), (769, 1022, 760, 420, 200, 110))
# Share of children whose fontanelle has closed by that age: Pindrik.
CLOSED_SHARE: Table = ((0, 5, 6, 10, 16, 20, 26), (0.0, 0.03, 0.05, 0.16, 0.53, 0.88, 1.0))
# Share whose metopic suture has closed by that age: guess, since it closes at once here. Below 12 months JKNS has 69 % partly
# closed and 6 % wholly, this table has 37 % closed.
METOPIC_CLOSED: Table = ((0, 3, 6, 9, 12, 18), (0.0, 0.05, 0.3, 0.7, 0.9, 1.0))

# Thickness at birth in mm (guess), and what it gains to maturity: Domenech.
THICK_AT_BIRTH_MM = {"lateral": 1.9, "front side": 1.7, "back": 2.0, "front": 1.8}
THICK_GAIN = {"lateral": 0.58, "front side": 2.05, "back": 2.33, "front": 2.69}
# Share of that gain by age: guess. Below 4 years it leaves the front side under 3 mm in 82 % of children (Domenech: 85 %), the
# lateral places in 98 % and the back in 45 % (Domenech has 92 % at the back side, which has no table here).
THICK_SHARE: Table = ((0, 6, 12, 24, 48, 120, 240), (0.0, 0.09, 0.16, 0.26, 0.36, 0.72, 1.0))

# HU of compact bone: guess in the range of what children's CT shows.
BONE_HU: Table = ((0, 6, 12, 24, 60, 120, 240), (600, 740, 870, 1100, 1220, 1320, 1420))
BONE_SD_HU = 80.0

# Height of the face against an infant's of 0 months: guess.
FACE: Table = ((0, 12, 24, 60, 120, 240), (1.0, 1.25, 1.42, 1.7, 2.0, 2.35))


def at(table: Table, age_months: float) -> float:
    """The table's value at an age, linear between its ages.

    >>> at(HEAD_MM, 9)
    441.5
    """
    return float(np.interp(age_months, *table))


def closing_age_months(table: Table, draws: Draws) -> float:
    """The age at which one child's suture or fontanelle closes, drawn from the share closed by age."""
    ages, shares = table
    return float(np.interp(draws.uniform(0, 1), shares, ages))


def thickness_mm(place: str, age_months: float) -> float:
    """Mean thickness of the vault at one of the four places of THICK_GAIN."""
    return THICK_AT_BIRTH_MM[place] * (1 + THICK_GAIN[place] * at(THICK_SHARE, age_months))


def half_axes_mm(circumference_mm: float, index: float) -> tuple[float, float]:
    """Half length and half width of the ellipse with a circumference and width / length = `index` (Ramanujan's formula).

    >>> length, width = half_axes_mm(455.0, 0.82)
    >>> round(length, 1), round(width / length, 2)
    (79.4, 0.82)
    """
    h = ((1 - index) / (1 + index)) ** 2
    around = np.pi * (1 + index) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))  # of an ellipse with half length 1
    length = circumference_mm / around
    return float(length), float(index * length)
