"""Real CT of heads as bi-planar cases: on the grid of an answer, seen by simulated radiographs, with every plain row scored.

A CT is turned, freed of its table and placed so that its crown lies where that of the built-in heads lies: what a user
does who centres a head. Nothing here draws a surface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d, grid_sample

from taskct.core.errors import InputError
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_mu
from taskct.data.case import AIR_HU, Case
from taskct.evaluation.rows import Row
from taskct.evaluation.table import Table
from taskct.evaluation.volumes import TRUTH, VolumeCases, score_volumes, volume_table
from taskct.geometry import Grid
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.agree import agree
from taskct.simulate.radiograph import take_radiographs
from taskct.systems.biplanar.own_pair.drawn_heads import Heads
from taskct.systems.biplanar.own_pair.pair_methods import PAIR_METHODS

_SKIN_HU = -300.0
_NEEDS_HU = ("psnr3d", "slice_psnr", "slice_psnr_100", "mae_hu", "bone_dice", "bone_surface_mm", "bone_surface_p95_mm",
             "empty_slices", "ssim_axial", "ssim_coronal", "ssim_sagittal")  # fmt: skip


@dataclass(frozen=True)
class Placement:
    """How a CT must be turned to have its crown up and its face in front, which its file may not record.

    `flips` are axes (0 z, 1 y, 2 x) to be reversed. `offset` is taken off values that are not HU; `in_hu` False leaves out the
    scores that need HU.
    """

    flips: tuple[int, ...] = ()
    offset: float = 0.0
    in_hu: bool = True


def placed_head(case: Case, heads: Heads, placement: Placement | None = None) -> Tensor:
    """A CT as attenuation on the fine grid of `heads`, (1, 1, Z, Y, X) in 1/mm, alone in air, its crown where theirs is.

    InputError for a CT that does not show a head.
    """
    how = placement or Placement()
    hu = (case.hu - how.offset).flip(how.flips) if how.flips else case.hu - how.offset
    alone = _largest_body(hu.numpy())
    low, high = _box_mm(alone, case.spacing_mm)
    mean = heads.known.mean(0)[0] > 0.5 * MU_WATER_70KEV_PER_MM
    theirs_low, theirs_high = _box_mm(mean.numpy(), heads.grid.spacing_mm)
    origin = np.asarray(heads.grid.origin_mm)
    middle = (low + high) / 2
    middle[0] = high[0]  # crowns meet; the middles of width and length do
    goal = (theirs_low + theirs_high) / 2
    goal[0] = theirs_high[0]
    shift = goal + origin - middle  # world = place in the CT + shift
    values = torch.where(torch.from_numpy(alone), hu, torch.tensor(AIR_HU)).float()
    return to_mu(_resampled(values, case.spacing_mm, shift, heads.fine)).clamp_min(0)[None, None]


def score_real_head(
    name: str,
    mu_fine: Tensor,
    heads: Heads,
    A: Projector,
    *,
    plain: Sequence[str] = tuple(PAIR_METHODS),
    rows: Mapping[str, Callable[[Tensor, Projector], Tensor]] | None = None,
    steps: int = 20,
    dose: Dose | None = None,
    in_hu: bool = True,
    seed: int = 0,
) -> Table:
    """Radiographs of a real head from its fine grid, and every row scored, alone and after `steps` of agreement.

    `plain` are names of `PAIR_METHODS`, `rows` further methods, such as trained networks. The truth is the mean of the fine
    voxels. Without `in_hu` only what the radiographs say is scored.
    """
    shown = dose or Dose(1e5)
    truth = avg_pool3d(mu_fine, heads.fine.shape[0] // heads.grid.shape[0])
    p = take_radiographs(mu_fine, A, shown, seed=seed, case_id=name, mu_grid=heads.fine)
    cases = VolumeCases(truth, p, A, [name], shown, skull=False)
    made: dict[str, Callable[[Tensor, Projector], Tensor]] = {n: PAIR_METHODS[n](heads.known) for n in plain}
    found = score_volumes(TRUTH, truth, cases)
    for method, run in (made | dict(rows or {})).items():
        with torch.no_grad():
            mu = run(p, A)
            found += _kept(score_volumes(method, mu, cases), in_hu=in_hu)
            found += _kept(score_volumes(f"{method} + agreement", agree(mu, p, A, steps=steps), cases), in_hu=in_hu)
    return volume_table(found, cases)


def _kept(rows: list[Row], *, in_hu: bool) -> list[Row]:
    return rows if in_hu else [row for row in rows if row.metric not in _NEEDS_HU]


def _largest_body(hu: np.ndarray) -> np.ndarray:
    """Bool: the largest connected part above -300 HU with its holes filled slice by slice; the table is another part."""
    from scipy.ndimage import binary_fill_holes, binary_opening, label

    body = binary_opening(hu > _SKIN_HU, iterations=2)
    parts, count = label(body)
    if count == 0:
        raise InputError("expected a CT of a head, got one without anything above -300 HU")
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest = parts == sizes.argmax()
    return np.stack([binary_fill_holes(plane) for plane in largest])


def _box_mm(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest centre of a mask along each axis, in mm from the centre of voxel 0."""
    places = [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    steps = np.asarray(spacing_mm)
    return np.array([p[0] for p in places]) * steps, np.array([p[-1] for p in places]) * steps


def _resampled(hu: Tensor, spacing_mm: tuple[float, ...], shift_mm: np.ndarray, grid: Grid) -> Tensor:
    """hu on `grid` in its world, averaged over the new voxels where they are larger; air outside."""
    factor = [max(1, round(g / s)) for g, s in zip(grid.spacing_mm, spacing_mm, strict=True)]
    odd = [f + 1 - f % 2 for f in factor]  # odd windows keep the centres
    smooth = avg_pool3d((hu - AIR_HU)[None, None], odd, stride=1, padding=[o // 2 for o in odd], count_include_pad=True)
    axes = [torch.from_numpy(a - s) / step for a, s, step in zip(grid.axes_mm(), shift_mm, spacing_mm, strict=True)]
    ends = [max(n - 1, 1) for n in hu.shape]
    z, y, x = torch.meshgrid(*[2 * a / n - 1 for a, n in zip(axes, ends, strict=True)], indexing="ij")
    places = torch.stack([x, y, z], -1)[None].float()
    return grid_sample(smooth, places, align_corners=True, padding_mode="zeros")[0, 0] + AIR_HU
