"""Real heads as bi-planar cases: placed without their table, seen from two sides, with every plain row scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from taskct import Case, Grid, Projector, open_case
from taskct.core.errors import InputError
from taskct.evaluation.volumes import TRUTH
from taskct.geometry import bi_planar
from taskct.phantoms.skull import SkullSettings
from taskct.systems.biplanar.own_pair import Heads, draw_skulls
from taskct.systems.biplanar.real_heads import Placement, placed_head, score_real_head

N, SIDE = 16, 250.0
GRID = Grid((N,) * 3, SIDE / N)
A = Projector(GRID, bi_planar(cols=32, rows=32, pixel_mm=13.0, source_iso_mm=1000, source_detector_mm=1500))


def balls() -> Heads:
    """Ellipsoids of water in shells of bone, as heads to learn from."""
    fine = GRID.refined(2)
    z, y, x = torch.meshgrid(*[torch.from_numpy(a) for a in fine.axes_mm()], indexing="ij")
    form = ((z / 85) ** 2 + (y / 95) ** 2 + (x / 75) ** 2).sqrt()
    made = torch.stack([0.019 * (form < r) + 0.012 * ((form < r) & (form > r - 0.15)) for r in torch.linspace(0.85, 1.1, 16)])
    coarse = torch.nn.functional.avg_pool3d(made[:, None].float(), 2)
    return Heads(coarse[::2], coarse[1::2], made[1::2, None].float(), GRID, fine)


HEADS = balls()
PLAIN_ROWS = ("atlas", "gaussian", "sirt")


def scanned(*, table: bool = True) -> Case:
    """A CT of 3 mm voxels upside down and back to front, beside a table: an ellipsoid with a lump at its face."""
    hu = torch.full((70, 90, 80), -1000.0)
    z, y, x = torch.meshgrid(*[torch.arange(n) * 3.0 for n in hu.shape], indexing="ij")
    form = (((z - 105) / 82) ** 2 + ((y - 140) / 92) ** 2 + ((x - 120) / 72) ** 2).sqrt()
    hu[form < 1] = 30.0
    hu[(form < 1) & (form > 0.87)] = 700.0
    hu[((z - 105) ** 2 + (y - 220) ** 2 + (x - 120) ** 2) < 20**2] = 1200.0  # the face, at large y
    hu[:, 3:6] = 100.0 if table else -1000.0
    return Case(hu, (3.0, 3.0, 3.0), case_id="ct")


def test_a_head_is_turned_freed_of_its_table_and_placed_with_its_crown_where_theirs_is() -> None:
    mu = placed_head(scanned(), HEADS, Placement(flips=(0, 1)))
    assert torch.allclose(mu, placed_head(scanned(table=False), HEADS, Placement(flips=(0, 1))), atol=1e-6)
    dense = (mu[0, 0] > 0.033).nonzero().double().mean(0)
    assert dense[1] < 11  # the face is in front, at small y
    where = lambda image: np.flatnonzero((image > 0.01).any(-1).any(-1).numpy())
    mean = torch.nn.functional.interpolate(HEADS.known.mean(0, keepdim=True), scale_factor=2)[0, 0]
    assert abs(int(where(mu[0, 0])[-1]) - int(where(mean)[-1])) <= 1
    mass = float((scanned(table=False).hu.clamp_min(-1000) + 1000).sum()) * 27
    assert float(mu.sum()) / 0.01929 * 1000 * np.prod(HEADS.fine.spacing_mm) == pytest.approx(mass, rel=0.02)


def test_every_row_is_scored_alone_and_agreed_and_without_hu_only_what_the_radiographs_say() -> None:
    mu = placed_head(scanned(), HEADS, Placement(flips=(0, 1)))
    rows = {"nothing": lambda p, A: torch.zeros(len(p), 1, *A.mu_shape)}
    table = score_real_head("ct", mu, HEADS, A, plain=PLAIN_ROWS, rows=rows, steps=5)
    names = [*PLAIN_ROWS, "nothing"]
    assert table.methods == [TRUTH, *[m for name in names for m in (name, f"{name} + agreement")]]
    value = lambda metric, method: table.mean(metric, method, dose=1.0).mean
    assert value("psnr3d", "gaussian") > value("psnr3d", "nothing") + 3
    assert value("reprojection_rms", "atlas + agreement") < 0.5 * value("reprojection_rms", "atlas")
    raw = score_real_head("ct", mu, HEADS, A, plain=["atlas"], rows=rows, steps=5, in_hu=False)
    assert set(raw.metrics) == {"reprojection_rms", "seen_share"}


def test_a_ct_of_air_is_no_head() -> None:
    with pytest.raises(InputError, match="without anything above -300"):
        placed_head(Case(torch.full((8, 8, 8), -1000.0), (3.0, 3.0, 3.0)), HEADS)


@pytest.mark.real_data
def test_rows_and_agreement_run_on_real_heads_and_the_best_beat_the_mean_skull(real_data: Path) -> None:
    heads = draw_skulls(GRID, known=10, held=1, settings=SkullSettings(age_months=(200, 240)), progress=False)
    head = open_case(real_data / "head_invesalius_cranium" / "ct.nii.gz")
    mu = placed_head(head, heads, Placement(flips=(1,)))
    table = score_real_head("cranium", mu, heads, A, plain=PLAIN_ROWS)
    value = lambda metric, method: table.mean(metric, method, dose=1.0).mean
    assert value("psnr3d", "gaussian + agreement") > value("psnr3d", "atlas") + 0.5
    assert value("reprojection_rms", "gaussian + agreement") < value("reprojection_rms", "gaussian")
    raw = open_case(real_data / "head_vtk_headsq_lowres" / "ct_raw_units.nii.gz")
    mu = placed_head(raw, heads, Placement(flips=(0, 1), offset=1000.0, in_hu=False))
    table = score_real_head("headsq", mu, heads, A, plain=("atlas",), in_hu=False)
    assert set(table.metrics) == {"reprojection_rms", "seen_share"}
    floor = table.mean("reprojection_rms", TRUTH, dose=1.0).mean
    assert table.mean("reprojection_rms", "atlas + agreement", dose=1.0).mean < 10 * floor
