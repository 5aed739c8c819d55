"""A head in the manner of FORBILD: thick skull, sinus, and a low-contrast bleeding of a few HU inside it."""

from __future__ import annotations

from taskct.core.units import MU_WATER_60KEV_PER_MM
from taskct.phantoms.exact.ellipses import Ellipse, Phantom

# density relative to water, centre (x, y), half axes (a, b) in cm, rotation in degrees; y points to the front.
# After the FORBILD head as tabulated by Yu, Noo, Dennerlein, Wunderlich, Lauritsch and Hornegger, Phys. Med. Biol. 57:N237
# (2012). Bodies that the original cuts by planes (the inner ear and the outer occipital bone) are left out: "like".
_TABLE_CM = [
    ("skull", 1.8, (0.0, 0.0), (9.6, 12.0), 0.0),
    ("brain", -0.75, (0.0, 0.0), (9.0, 11.4), 0.0),
    ("frontal sinus", -1.05, (0.0, 8.4), (1.8, 3.0), 0.0),
    ("left eye", 0.01, (-4.7, 4.3), (1.79989, 1.79989), 0.0),
    ("right eye", 0.01, (4.7, 4.3), (1.79989, 1.79989), 0.0),
    ("left fine contrast", 0.0025, (-1.08, -9.0), (0.4, 0.4), 0.0),
    ("right fine contrast", -0.0025, (1.08, -9.0), (0.4, 0.4), 0.0),
    ("right orbit bone", 0.75, (1.9, 5.4), (0.41633, 1.17425), -31.07698),
    ("left orbit bone", 0.75, (-1.9, 5.4), (0.41633, 1.17425), 31.07698),
    ("left temple bone", 0.75, (-4.3, 6.8), (1.8, 0.24), -30.0),
    ("right temple bone", 0.75, (4.3, 6.8), (1.8, 0.24), 30.0),
    ("ventricle", -0.005, (0.0, -3.6), (1.8, 3.6), 0.0),
    ("subdural haematoma", 0.005, (6.39395, -6.39395), (1.2, 0.42), 58.1),
]


def forbild_like_head(*, scale: float = 1.0, mu_water_per_mm: float = MU_WATER_60KEV_PER_MM) -> Phantom:
    """The head as ellipses, 192 x 240 mm at `scale` 1: bone 1.8, brain 1.05, air 0 times water; haematoma 5 HU brighter."""
    bodies = tuple(
        Ellipse(
            centre_mm=(-10 * y * scale, 10 * x * scale),  # our y points to the back
            half_axes_mm=(10 * b * scale, 10 * a * scale),
            mu_per_mm=density * mu_water_per_mm,
            rotation_deg=-turn,
        )
        for _, density, (x, y), (a, b), turn in _TABLE_CM
    )
    return Phantom(bodies, "forbild_like_head")
