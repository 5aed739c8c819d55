"""One skull as a continuous model: everything a slice at any height is painted from."""

from __future__ import annotations

import numpy as np

from taskct.core.seeds import derive_seed
from taskct.phantoms.lesions.record import Lesion
from taskct.phantoms.painting.canvas import ALL, Box, SliceCanvas
from taskct.phantoms.painting.fields import Axes, LatticeField
from taskct.phantoms.painting.texture import scanner_noise_hu, texture_fields, texture_hu, texture_tables
from taskct.phantoms.skull.child import VAULT_Z_MM, draw_child
from taskct.phantoms.skull.face import Solid, hard_solids, soft_solids
from taskct.phantoms.skull.skull_ranges import SkullSettings
from taskct.phantoms.skull.skull_tissues import SOFT_HU, TEXTURE_HU, Tissue
from taskct.phantoms.skull.vault import Vault

_TEXTURE = texture_tables(TEXTURE_HU)
_REACH_MM = 20.0  # how far pose, bend and soft edges carry a solid beyond its box
_FALX_MM = 0.9
_DIPLOE_FROM_MM = 4.0


class SkullAnatomy:
    """The skull `number` of a cohort with `seed`, ready to be painted at any height and on any grid."""

    lesions: tuple[Lesion, ...] = ()
    distractors: tuple[Lesion, ...] = ()

    def __init__(self, seed: int, number: int, settings: SkullSettings) -> None:
        self.settings = settings
        self.seed = derive_seed(seed, "skull", number)
        self.child = draw_child(self.seed, settings)
        self._soft, self._hard = soft_solids(self.child), hard_solids(self.child, self.seed)
        self._bend = [LatticeField(self.seed, f"bend-{axis}", step_mm=45, std=1.3) for axis in "zyx"]
        self._folds = LatticeField(self.seed, "folds", step_mm=5.5)
        self._texture = texture_fields(self.seed)
        top = VAULT_Z_MM + self.child.half_height_mm
        self.extent_mm = (self.child.base_z_mm - 12, top - 6)

    @property
    def middle_mm(self) -> float:
        """The height that centres a volume: halfway between crown and chin."""
        return 0.0

    def paint(self, z_mm: float, axes: Axes, *, texture: bool = True) -> SliceCanvas:
        """The slice at `z_mm` with its tissue map."""
        canvas = SliceCanvas(axes, z_mm)
        z, y, x = self._own_frame(canvas)
        vault = Vault(self.child, z, y, x)
        self._paint_scalp(canvas, vault)
        for solid in self._soft:
            self._paint_solid(canvas, solid, z, y, x)
        self._paint_inside(canvas, vault)
        self._paint_bone(canvas, vault)
        for solid in self._hard:
            self._paint_solid(canvas, solid, z, y, x)
        if texture:
            canvas.hu += texture_hu(self._texture, _TEXTURE, canvas.organ, z_mm, axes)
        if self.settings.noise_hu > 0:
            canvas.hu += scanner_noise_hu(self.seed, z_mm, axes, std_hu=self.settings.noise_hu, organ=canvas.organ)
        np.clip(canvas.hu, -1024, 3071, out=canvas.hu)
        return canvas

    def _own_frame(self, canvas: SliceCanvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(z, y, x) of each pixel in the child's frame: pose undone, then a slow bend."""
        turn = self.child.rotation.T.astype(np.float32)
        shift = np.asarray(self.child.shift_mm, np.float32)
        place = [np.float32(canvas.z_mm) - shift[0], canvas.y - shift[1], canvas.x - shift[2]]
        own = [sum(turn[i, j] * place[j] for j in range(3)) for i in range(3)]
        bend = [field.sample(canvas.z_mm, canvas.axes) for field in self._bend]
        z, y, x = (np.asarray(o + b, np.float32) for o, b in zip(own, bend, strict=True))
        return z, y, x

    def _paint_scalp(self, canvas: SliceCanvas, vault: Vault) -> None:
        above = vault.base - 14  # the scalp reaches below the base, to the nape
        scalp = self.child.scalp_mm
        canvas.over(ALL, np.maximum(vault.outer - scalp, above), SOFT_HU[Tissue.SKIN], Tissue.SKIN)
        if scalp > 2.6:
            canvas.over(ALL, np.maximum(vault.outer - scalp + 1.6, above + 1.6), SOFT_HU[Tissue.FAT], Tissue.FAT)

    def _paint_inside(self, canvas: SliceCanvas, vault: Vault) -> None:
        inner = np.maximum(vault.outer + vault.thick, vault.base)
        canvas.over(ALL, inner, SOFT_HU[Tissue.CSF], Tissue.CSF)
        folds = np.clip(self._folds.sample(canvas.z_mm, canvas.axes), -1.5, 1.5)
        young = float(np.clip(1 - self.child.age_months / 18, 0, 1))
        room = 1.6 + 1.4 * young  # infants have wide outer spaces
        canvas.over(ALL, inner + np.float32(room) + 0.9 * folds, SOFT_HU[Tissue.BRAIN] - 6 * young, Tissue.BRAIN)
        up, y, x = vault.up, vault.y, vault.x
        for side in (-1, 1):  # lateral ventricles
            body = np.sqrt(((np.abs(y) - 0) / 26) ** 2 + ((x - side * 9) / 6.5) ** 2 + ((up - 4) / 9) ** 2)
            canvas.over(ALL, (body - 1) * 6, SOFT_HU[Tissue.CSF], Tissue.CSF, within=(inner < -8).astype(np.float32))
        falx = np.maximum(np.abs(x) - _FALX_MM, np.maximum(inner + 1, 6 - up))
        canvas.over(ALL, falx, 58.0, None)

    def _paint_bone(self, canvas: SliceCanvas, vault: Vault) -> None:
        child = self.child
        gap = vault.gap()
        shell = np.maximum(np.maximum(vault.outer, -(vault.outer + vault.thick)), vault.base)
        canvas.over(ALL, shell, child.bone_hu, Tissue.BONE)
        core = np.maximum(-(vault.outer + 0.72 * vault.thick), vault.outer + 0.28 * vault.thick)
        thick_enough = np.clip((vault.thick - _DIPLOE_FROM_MM) / 2, 0, 1)
        canvas.over(ALL, np.maximum(core, vault.base + 2), 0.45 * child.bone_hu, Tissue.DIPLOE, within=thick_enough)
        # An open suture is a hole in the paint, as wide as it is and no wider: its edge is the pixel's, not its own.
        open_places = np.maximum(shell, gap)
        canvas.over(ALL, open_places, SOFT_HU[Tissue.SUTURE], Tissue.SUTURE)
        hole = np.float32(0.085 * child.half_length_mm + 5) - np.hypot(vault.y - 0.28 * child.half_length_mm, vault.x)
        base_mm = np.float32(1.7 * child.thick_mm["lateral"])
        floor = np.maximum(np.maximum(np.abs(vault.base) - base_mm / 2, vault.outer + 1.5), hole)
        canvas.over(ALL, floor, 0.85 * child.bone_hu, Tissue.BONE)

    def _paint_solid(self, canvas: SliceCanvas, solid: Solid, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> None:
        box = self._box(canvas, solid)
        if box is not None:
            canvas.over(box, solid.distance(x[box], y[box], z[box]), solid.hu, solid.tissue)

    def _box(self, canvas: SliceCanvas, solid: Solid) -> Box | None:
        low, high = solid.bounds
        if not low[0] - _REACH_MM < canvas.z_mm < high[0] + _REACH_MM:
            return None
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        half = [(b - a) / 2 for a, b in zip(low, high, strict=True)]
        return canvas.box_mm(middle[2], middle[1], half[2], half[1], _REACH_MM)
