"""Lesions: what is recorded about each, its shape in the patient, and how it is painted into a slice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from taskct.phantoms.painting.draws import Draws

LIVER_LABEL, TUMOUR_LABEL = 1, 2  # numbers of the label maps that hold both
CORE = 0.6  # the share of the radius inside which the image differs from the organ by exactly `contrast_hu`
PATTERNS = ("plain", "necrotic", "rim")


@dataclass(frozen=True)
class Lesion:
    """One lesion: where it is, how large, how bright against the organ round it.

    `centre_mm` is (z, y, x) in the patient's LPS frame. `radius_mm` is that of the sphere of equal volume.
    `contrast_hu` is the difference of the core (the inner 60 % of the radius) to the organ, before texture and noise.
    `pattern`: plain; necrotic (the outer shell is half way back to the organ); rim (a bright ring near the surface).
    `semi_axes_mm` (z, y, x) before the turn by `tilt_rad` in the slice; `bumps` make the surface uneven.
    `slices` are the numbers of the case's slices that show it, `visible_mm3` the volume of its labelled voxels there:
    less than `volume_mm3` where the organ's surface or the volume's end cuts it.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    contrast_hu: float
    kind: str = "tumour"
    pattern: str = "plain"
    edge_mm: float = 0.5
    semi_axes_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tilt_rad: float = 0.0
    bumps: tuple[tuple[float, float, float, float, float], ...] = field(default=(), repr=False)
    rim_hu: float = 0.0
    slices: tuple[int, ...] = ()
    visible_mm3: float = 0.0

    @property
    def volume_mm3(self) -> float:
        """Volume of the whole lesion: 4/3 pi radius^3."""
        return 4 / 3 * np.pi * self.radius_mm**3


def draw_shape(draws: Draws, *, radius_mm: float, roughness: float) -> dict[str, object]:
    """Semi-axes, turn and bumps of a lesion with exactly the volume of a sphere of `radius_mm`."""
    a, b = draws.uniform(0.82, 1.2), draws.uniform(0.82, 1.2)
    waves = []
    for scale in (2.2, 3.0, 4.2, 5.5):
        turn = draws.direction()
        amplitude = roughness * draws.uniform(0.3, 1.0) / scale
        waves.append((*(scale * t for t in turn), draws.uniform(0, 6.283), amplitude))
    bumps = tuple(waves)
    swell = float(np.mean(_surface(_SPHERE, bumps) ** 3)) ** (1 / 3)  # bumps add volume; the axes give it back
    mean_axis = radius_mm / swell / (a * b) ** (1 / 3)
    return {
        "semi_axes_mm": (mean_axis, mean_axis * a, mean_axis * b),
        "tilt_rad": draws.uniform(0, 3.1416),
        "bumps": bumps,
    }


def lesion_distance(
    lesion: Lesion, x_mm: np.ndarray, y_mm: np.ndarray, z_mm: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """(distance to the surface in mm along the ray from the centre, share of the radius: 0 centre, 1 surface)."""
    cz, cy, cx = (np.float32(c) for c in lesion.centre_mm)
    px, py, pz = x_mm - cx, y_mm - cy, z_mm - cz
    c, s = np.float32(np.cos(lesion.tilt_rad)), np.float32(np.sin(lesion.tilt_rad))
    px, py = c * px + s * py, c * py - s * px
    far = np.sqrt(px * px + py * py + pz * pz) + np.float32(1e-4)
    az, ay, ax = lesion.semi_axes_mm
    px, py, pz = px * np.float32(1 / ax), py * np.float32(1 / ay), pz * np.float32(1 / az)
    form = np.sqrt(px * px + py * py + pz * pz) + np.float32(1e-6)
    share = form / _surface((pz / form, py / form, px / form), lesion.bumps)
    return np.asarray(far * (1 - 1 / share)), np.asarray(share)


def profile_hu(lesion: Lesion, share: np.ndarray) -> np.ndarray:
    """Difference to the organ in HU at `share` of the radius: exactly `contrast_hu` in the core."""
    level = np.full(share.shape, lesion.contrast_hu, np.float32)
    if lesion.pattern == "necrotic":
        shell = np.clip((share - np.float32(CORE)) / np.float32(0.15), 0, 1)
        level *= 1 - np.float32(0.5) * shell
    elif lesion.pattern == "rim":
        ring = np.exp(-(((share - np.float32(0.90)) / np.float32(0.09)) ** 2))
        ring = np.where(share < CORE, 0, ring)
        level += ring * np.float32(lesion.rim_hu - lesion.contrast_hu)
    return np.asarray(level)


def draw_tumour(
    draws: Draws, *, radius_mm: tuple[float, float], contrast_hu: tuple[float, float], bright_share: float
) -> Lesion:
    """A tumour without a place: the logarithm of its radius is even; some enhance more than the liver."""
    radius = draws.log_uniform(*radius_mm)
    low, high = sorted(contrast_hu)
    bright = draws.chance(bright_share)
    contrast = draws.uniform(18, 45) if bright else draws.uniform(low, high)
    pattern = "plain" if bright else draws.pick(PATTERNS, [0.62, 0.2, 0.18])
    if radius < 5:
        pattern = "plain"  # nothing finer can be told apart in so small a lesion
    return Lesion(
        centre_mm=(0.0, 0.0, 0.0),
        radius_mm=radius,
        contrast_hu=contrast,
        pattern=pattern,
        edge_mm=draws.uniform(0.4, 1.0) + draws.uniform(0.0, 0.14) * radius,
        rim_hu=draws.uniform(4, 26) if pattern == "rim" else 0.0,
        **draw_shape(draws, radius_mm=radius, roughness=draws.uniform(0.1, 0.42)),  # type: ignore[arg-type]
    )


def draw_distractors(draws: Draws, *, liver_hu: float, fatty: bool) -> list[Lesion]:
    """What looks like a tumour and is none: cysts, haemangiomas, patches of fat or spared from it, uneven perfusion."""
    found: list[Lesion] = []

    def add(kind: str, radius: float, contrast: float, edge: float, roughness: float) -> None:
        shape = draw_shape(draws, radius_mm=radius, roughness=roughness)
        found.append(Lesion((0.0, 0.0, 0.0), radius, contrast, kind=kind, edge_mm=edge, **shape))  # type: ignore[arg-type]

    if draws.chance(0.4):
        for _ in range(draws.pick([1, 2, 3, 5], [0.5, 0.25, 0.15, 0.1])):
            add("cyst", draws.log_uniform(2.2, 20, power=1.4), draws.uniform(0, 15) - liver_hu, 0.2, 0.05)
    if draws.chance(0.2):
        add("haemangioma", draws.log_uniform(5, 18), draws.uniform(-35, -12), 0.6, 0.35)
    if draws.chance(0.3):
        add("focal fat", draws.uniform(7, 14), draws.uniform(12, 24) if fatty else draws.uniform(-32, -14), 7.0, 0.5)
    if draws.chance(0.25):
        add("perfusion", draws.uniform(12, 26), draws.uniform(6, 15), 9.0, 0.5)
    return found


def _surface(direction: tuple[np.ndarray, ...], bumps: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """Radius of the uneven surface in a direction (z, y, x), 1 on average."""
    total = np.ones(np.broadcast_shapes(*(d.shape for d in direction)), np.float32)
    for kz, ky, kx, phase, amplitude in bumps:
        wave = direction[0] * np.float32(kz) + direction[1] * np.float32(ky) + direction[2] * np.float32(kx)
        total += np.float32(amplitude) * np.sin(wave + np.float32(phase))
    return total


def _even_sphere(count: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions spread evenly over the sphere (Fibonacci spiral)."""
    i = np.arange(count)
    z = 1 - (2 * i + 1) / count
    angle = np.pi * (3 - 5**0.5) * i
    ring = np.sqrt(1 - z * z)
    return tuple(part.astype(np.float32) for part in (z, ring * np.sin(angle), ring * np.cos(angle)))  # type: ignore[return-value]


_SPHERE = _even_sphere()
