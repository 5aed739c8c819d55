"""The Shepp-Logan head, modified for contrast: the picture everyone knows, in 1/mm and with exact line integrals."""

from __future__ import annotations

from taskct.phantoms.exact.ellipses import Ellipse, Ellipsoid, Phantom

# value, half axes (a, b, c), centre (x, y, z), rotation. In-plane numbers: Shepp & Logan, IEEE TNS 21:21 (1974), with the
# contrasts of Toft (thesis, DTU 1996); third axis: Kak & Slaney (1988), table 3.2, as commonly used. y points to the front.
_TABLE = [
    (1.0, (0.69, 0.92, 0.81), (0.0, 0.0, 0.0), 0.0),
    (-0.8, (0.6624, 0.874, 0.78), (0.0, -0.0184, 0.0), 0.0),
    (-0.2, (0.11, 0.31, 0.22), (0.22, 0.0, 0.0), -18.0),
    (-0.2, (0.16, 0.41, 0.28), (-0.22, 0.0, 0.0), 18.0),
    (0.1, (0.21, 0.25, 0.41), (0.0, 0.35, -0.15), 0.0),
    (0.1, (0.046, 0.046, 0.05), (0.0, 0.1, 0.25), 0.0),
    (0.1, (0.046, 0.046, 0.05), (0.0, -0.1, 0.25), 0.0),
    (0.1, (0.046, 0.023, 0.05), (-0.08, -0.605, 0.0), 0.0),
    (0.1, (0.023, 0.023, 0.02), (0.0, -0.606, 0.0), 0.0),
    (0.1, (0.023, 0.046, 0.02), (0.06, -0.605, 0.0), 0.0),
]


def shepp_logan(*, radius_mm: float = 100.0, mu_per_mm: float = 0.02, volume: bool = False) -> Phantom:
    """The modified Shepp-Logan phantom as ellipses, or with `volume` as ellipsoids.

    `radius_mm` stands for 1 in the published table (the head is 0.92 long), `mu_per_mm` for the value 1 of its skull.
    """
    bodies: list[Ellipsoid] = []
    for value, (a, b, c), (x, y, z), turn in _TABLE:
        mu = value * mu_per_mm
        centre = (-y * radius_mm, x * radius_mm)  # our y points to the back
        half = (b * radius_mm, a * radius_mm)
        if volume:
            bodies.append(
                Ellipsoid(
                    centre_mm=(z * radius_mm, *centre), half_axes_mm=(c * radius_mm, *half), mu_per_mm=mu, rotation_deg=-turn
                )
            )
        else:
            bodies.append(Ellipse(centre_mm=centre, half_axes_mm=half, mu_per_mm=mu, rotation_deg=-turn))
    return Phantom(tuple(bodies), "shepp_logan_3d" if volume else "shepp_logan")
