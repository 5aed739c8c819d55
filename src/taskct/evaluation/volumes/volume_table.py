"""Methods x cases of a fixed set of radiographs -> the table of scores of their volumes.

`evaluate` makes its own scans; here radiographs, truths and a geometry per case are given, as bi-planar work needs them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.provenance import provenance
from taskct.core.units import MU_WATER_70KEV_PER_MM, check_mu, to_hu
from taskct.evaluation.rows import ALL, Row
from taskct.evaluation.table import Table
from taskct.evaluation.volumes import volume_scores as scores
from taskct.evaluation.volumes.bone_surfaces import bone_dice, bone_surface_distances
from taskct.evaluation.volumes.spread_calibration import reliability
from taskct.evaluation.volumes.vault_map import VaultMap, result_vault_map
from taskct.evaluation.volumes.view_share import reprojection_rms, seen_share
from taskct.evaluation.volumes.volume_metrics import SHAPES, about_metric
from taskct.evaluation.windows import Window
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.learned import check_units

TRUTH = "truth"  # the row of the true volumes: what the grid itself costs
HEAD = "head"


@dataclass(frozen=True, eq=False)
class VolumeCases:
    """Cases to score methods on: truths (N, 1, Z, Y, X) in 1/mm, radiographs (N, 1, V, R, C), and the projector of each.

    `A` is one Projector for all, or `Projectors` with one for each case. `skull` says whether the shape of the vault is
    measured. What is measured of the truths is measured once and kept.
    """

    truth: Tensor
    p: Tensor
    A: Projector | Projectors
    case_ids: Sequence[str]
    dose: Dose
    patients: Sequence[str] | None = None
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM
    skull: bool = True
    window: Window = made(default=scores.SKULL_WINDOW)

    def __post_init__(self) -> None:
        n = len(self.truth)
        shape = (n, 1, *self.A.mu_shape)
        if tuple(self.truth.shape) != shape or tuple(self.p.shape) != (n, 1, *self.A.p_shape):
            raise GeometryError(
                f"VolumeCases expects truths {shape} and radiographs {(n, 1, *self.A.p_shape)}, got {tuple(self.truth.shape)} "
                f"and {tuple(self.p.shape)}"
            )
        if len(self.case_ids) != n or len(set(self.case_ids)) != n or (self.patients and len(self.patients) != n):
            raise InputError(f"VolumeCases expects a name of its own for each of {n} cases, and a patient each")
        check_mu(self.truth, who="VolumeCases")

    @cached_property
    def truth_hu(self) -> Tensor:
        """The truths in HU."""
        return self.hu(self.truth)

    @cached_property
    def maps(self) -> list[VaultMap]:
        """The vault maps of the truths."""
        return self.maps_of(self.truth)

    def hu(self, mu: Tensor) -> Tensor:
        """Attenuation in 1/mm -> HU."""
        return to_hu(mu, mu_water_per_mm=self.mu_water_per_mm)

    def maps_of(self, mu: Tensor) -> list[VaultMap]:
        """The vault maps of volumes (N, 1, Z, Y, X) in 1/mm on the grid of the cases."""
        z, y, x = self.A.grid.spacing_mm
        return [result_vault_map(one, (z, y, x)) for one in self.hu(mu)[:, 0]]

    def rows(
        self, method: str, metric: str, values: Iterable[float], *, region: str = ALL, seed: int | None = None
    ) -> list[Row]:
        """One row per case."""
        owners = self.patients or self.case_ids
        level = (self.dose.fraction, self.dose.photons)
        return [
            Row(method, case, owner, None, *level, metric, region, float(value), "", seed)
            for case, owner, value in zip(self.case_ids, owners, values, strict=True)
        ]


def score_volumes(
    method: str, mu: Tensor, cases: VolumeCases, *, seed: int | None = None, spread: Tensor | None = None, views: bool = True
) -> list[Row]:
    """Rows of one method's volumes mu (N, 1, Z, Y, X) in 1/mm; `seed` is that of its training, `spread` its own, in 1/mm.

    `views=False` leaves out the share of the error that the views could show, which costs 120 projections per case.
    """
    if mu.shape != cases.truth.shape:
        raise GeometryError(f"method {method!r}: expected volumes {tuple(cases.truth.shape)}, got {tuple(mu.shape)}")
    check_mu(mu, who=f"method {method!r}")
    mu = mu.detach().to(cases.truth)
    hu, truth_hu, window = cases.hu(mu), cases.truth_hu, cases.window
    add = lambda metric, values, region=ALL: rows.extend(
        cases.rows(method, metric, torch.as_tensor(values).tolist(), region=region, seed=seed)
    )
    rows: list[Row] = []
    add("reprojection_rms", reprojection_rms(mu, cases.p, cases.A))
    if cases.skull:
        for metric, (here, there) in _shapes(cases, mu).items():
            add(metric, here - there)
            add(SHAPES[metric], (here - there).abs())
    if method == TRUTH:
        return rows
    add("psnr3d", scores.psnr3d(hu, truth_hu, window=window))
    apart, empty = scores.slice_psnr(hu, truth_hu, window=window)
    add("slice_psnr", apart)
    add("slice_psnr_100", scores.slice_psnr(hu, truth_hu, window=window, empty="100 dB")[0])
    add("empty_slices", empty.double())
    if min(mu.shape[2:]) >= 11:  # the window of SSIM
        for axis in scores.AXES:
            add(f"ssim_{axis}", scores.ssim_along(hu, truth_hu, axis=axis, window=window))
    add("mae_hu", scores.mae_hu(hu, truth_hu, window=window))
    add("mae_hu", scores.mae_hu(hu, truth_hu, mask=scores.head_mask(truth_hu), window=window), HEAD)
    add("bone_dice", bone_dice(hu, truth_hu))
    distances = bone_surface_distances(hu, truth_hu, cases.A.grid.spacing_mm)
    add("bone_surface_mm", [d.mean_mm for d in distances])
    add("bone_surface_p95_mm", [d.p95_mm for d in distances])
    if views:
        add("seen_share", seen_share(mu - cases.truth, cases.A))
    if spread is not None:
        add("spread_ratio", [reliability(s, m, t, bins=1).ratio for s, m, t in zip(spread, mu, cases.truth, strict=True)])
    return rows


def evaluate_volumes(
    methods: Mapping[str, Any],
    cases: VolumeCases,
    *,
    seeds: Mapping[str, int] | None = None,
    views: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> Table:
    """Run every method (p, A) -> mu on the radiographs of `cases` and score it, after the row 'truth' of the floor."""
    rows = score_volumes(TRUTH, cases.truth, cases)
    for name, method in methods.items():
        check_units(method, cases.mu_water_per_mm, who=f"method {name!r}: the cases")
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mu = method(cases.p.clone(), cases.A)
        if not isinstance(mu, Tensor) or mu.shape != cases.truth.shape:
            got = tuple(mu.shape) if isinstance(mu, Tensor) else type(mu).__name__
            raise InputError(f"method {name!r} returned {got}; expected mu in 1/mm of shape {tuple(cases.truth.shape)}")
        rows += score_volumes(name, mu, cases, seed=(seeds or {}).get(name), views=views)
    return volume_table(rows, cases, settings=settings)


def volume_table(rows: Sequence[Row], cases: VolumeCases, *, settings: Mapping[str, Any] | None = None) -> Table:
    """The `Table` of rows that `score_volumes` and `task_rows` made, with the definition of every metric in it."""
    names = dict.fromkeys(r.metric for r in rows)
    about = {name: about_metric(name) for name in names}
    grid = cases.A.grid
    plain = {
        "metrics": about,
        "grid": {"shape": list(grid.shape), "spacing_mm": list(grid.spacing_mm)},
        "views": int(cases.A.p_shape[0]),
        "mu_water_per_mm": cases.mu_water_per_mm,
    }
    owners = cases.patients or cases.case_ids
    described = [{"case_id": c, "patient_id": o} for c, o in zip(cases.case_ids, owners, strict=True)]
    return Table(list(rows), plain | dict(settings or {}), described, provenance=provenance())


def _shapes(cases: VolumeCases, mu: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Each measure of shape of the volumes and of the truths."""
    here = cases.maps if mu is cases.truth else cases.maps_of(mu)
    take = lambda maps, name: torch.tensor([getattr(m, name) for m in maps], dtype=torch.float64)
    return {name: (take(here, name), take(cases.maps, name)) for name in SHAPES}
