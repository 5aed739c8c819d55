"""The vault: its outer surface, thickness by region, base, sutures and fontanelles, as signed distances in mm.

How wide sutures are at each age, and other laws of it, is in `growth`.
"""

from __future__ import annotations

import numpy as np

from taskct.phantoms.skull.child import VAULT_Z_MM, Child

Array = np.ndarray
FAR_MM = 50.0


class Vault:
    """Distances at the points (z, y, x) of the child's own frame, negative inside.

    `outer` is to the outer table, `base` to the plane of the skull base (positive below it), `thick` the local thickness.
    """

    def __init__(self, child: Child, z: Array, y: Array, x: Array) -> None:
        self.child = child
        self.z, self.x = z, x
        self.up = z - np.float32(VAULT_Z_MM)
        self.y, self.width = self._deformed(y, x)
        self.outer = self._outer()
        self.base = self._base()
        self.thick = self._thickness()

    def _deformed(self, y: Array, x: Array) -> tuple[Array, Array]:
        """y and x as they would be in an even skull: skew, wedge, bossing and a flattened back taken away."""
        c = self.child
        above = np.clip((self.up + 25) / 30, 0, 1)  # the base keeps its place
        y = y + np.float32(c.skew) * x * above
        front = np.clip(-y / c.half_length_mm, 0, 1)
        if c.wedge:
            x = x * (1 + np.float32(c.wedge) * front**2 * above)
        if c.boss_mm:
            y = y + np.float32(c.boss_mm) * front * np.clip((self.up + 5) / 20, 0, 1)
        if c.flat_back_mm:
            flat = c.side if c.kind == "lambdoid" else -c.side
            back = np.clip(y / c.half_length_mm, 0, 1) ** 2
            y = y + np.float32(c.flat_back_mm) * back * np.clip(0.5 + 0.9 * flat * x / c.half_width_mm, 0, 1) * above
        return y, x

    def _outer(self) -> Array:
        c, s = self.child, np.float32(self.child.squareness)
        low = np.where(self.up < 0, np.float32(0.92), np.float32(1.0)) * np.float32(c.half_height_mm)
        form = (
            np.abs(self.up / low) ** s
            + np.abs(self.y / np.float32(c.half_length_mm)) ** s
            + np.abs(self.width / np.float32(c.half_width_mm)) ** s
        ) ** (1 / s) + np.float32(1e-6)
        return np.asarray(np.sqrt(self.up**2 + self.y**2 + self.x**2) * (1 - 1 / form), np.float32)

    def _base(self) -> Array:
        """Height of the skull base above each point: three steps down from the front to the back."""
        c = self.child
        step = np.float32(c.base_step_mm)
        front = 0.5 - 0.5 * np.tanh((self.y + 0.30 * c.half_length_mm) / 6)  # 1 over the orbits
        back = 0.5 + 0.5 * np.tanh((self.y - 0.22 * c.half_length_mm) / 8)  # 1 over the cerebellum
        height = c.base_z_mm + step * front - 1.4 * step * back - np.float32(c.base_tilt) * self.y
        return np.asarray(height - self.z, np.float32)

    def _thickness(self) -> Array:
        """Thickness in mm between the four measured regions: front, front side, lateral, back."""
        c = self.child
        along = self.y / np.float32(c.half_length_mm)
        aside = np.abs(self.x) / np.float32(c.half_width_mm)
        front, back = np.clip(-along, 0, 1), np.clip(along, 0, 1)
        t = c.thick_mm
        mid = front**2 * (1 - aside) * t["front"] + front**2 * aside * t["front side"] + back**2 * t["back"]
        thick = mid + (1 - front**2 - back**2) * t["lateral"]
        u = self.up / np.float32(c.half_height_mm)
        w = c.thick_wave
        thick = thick * (1 + w[0] * u + w[1] * along + w[2] * u * along + w[3] * aside**2 + w[4] * self.x / c.half_width_mm)
        return np.asarray(np.clip(thick, 0.7, 14.0), np.float32)

    def gap(self) -> Array:
        """Distance to the nearest open suture, fontanelle or lacuna, measured along the vault."""
        c = self.child
        y, x, up = self.y, self.x, self.up
        crown, back = -0.26 * c.half_length_mm, 0.60 * c.half_length_mm
        w = c.wander
        found = np.full(np.broadcast_shapes(x.shape, up.shape), FAR_MM, np.float32)

        def line(distance: Array, width_mm: float, where: Array) -> None:
            np.minimum(found, np.where(where, np.abs(distance) - np.float32(width_mm / 2), FAR_MM), out=found)

        s = c.sutures_mm
        saw = 1.1 * np.sin(y / 3.1 + w[0]) + 0.6 * np.sin(y / 1.7 + w[1])
        if "sagittal" in s:
            line(x - saw, s["sagittal"], (y > crown) & (y < back) & (up > 0))
        if "metopic" in s:
            line(x + 0.4 * np.sin(y / 4 + w[2]), s["metopic"], (y <= crown) & (up > -0.1 * c.half_height_mm))
        # from the crown the coronal sutures run down and forward, the lambdoid ones down and, with the vault, forward too
        arc = y - crown - 0.25 * (up - c.half_height_mm) + 0.9 * np.sin(x / 3.3 + w[3]) + 0.5 * np.sin(x / 1.6 + w[4])
        bend = y - back - 0.28 * np.abs(x) - 0.45 * np.minimum(0, up - 0.75 * c.half_height_mm) + np.sin(x / 2.7 + w[5])
        for name, distance, lowest in (("coronal", arc, -0.12), ("lambdoid", bend, -0.35)):
            for end, this in (("left", x >= 0), ("right", x < 0)):
                if f"{name} {end}" in s:
                    line(
                        distance, s[f"{name} {end}"], this & (up > lowest * c.half_height_mm) & ((y > 0) | (name == "coronal"))
                    )
        if c.fontanelle_mm2 > 0:
            across = np.sqrt(
                2 * c.fontanelle_mm2 / 1.3
            )  # a rhombus whose long diagonal, front to back, is 1.3 times the other
            rhombus = (np.abs(x) + np.abs(y - crown) / 1.3 - across / 2) / np.sqrt(1 + 1 / 1.3**2)
            np.minimum(found, np.where(up > 0, rhombus, FAR_MM), out=found)
        for dz, dy, dx, radius in c.lacunae:
            centre = np.array([dz * c.half_height_mm, dy * c.half_length_mm, dx * c.half_width_mm], np.float32)
            away = np.sqrt((up - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
            np.minimum(found, away - np.float32(radius), out=found)
        return found
