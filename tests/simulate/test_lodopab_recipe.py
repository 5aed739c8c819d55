"""The LoDoPaB recipe, at an eighth of its size; once at full size on real CT."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import GeometryError, UnitsError
from taskct.core.seeds import generator
from taskct.data.case import Case
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.simulate import lodopab_scan
from taskct.simulate.lodopab_case import scan_lodopab_case
from taskct.simulate.lodopab_recipe import MU_MAX_PER_M, LodopabRecipe, lodopab_image, lodopab_projections

# 1/8 of 512, 362, 1000 and 513, and of the crop of 75 (9 left and right)
SMALL = LodopabRecipe(
    slice_pixels=64,
    fine_pixels=125,
    grid=Grid((46, 46), 260.0 / 46),
    beam=ParallelBeam(views=125, cols=64, pixel_mm=367.6 / 64, start_deg=0.72),
)


def _slice() -> torch.Tensor:
    """Air, a body of water with a bone, padding of -2000 and a metal spike above HU 3071."""
    y, x = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
    hu = torch.full((64, 64), -1000.0)
    hu[(y / 16) ** 2 + (x / 21) ** 2 < 1] = 0.0
    hu[(y - 8) ** 2 + x**2 < 9] = 900.0
    hu[:12, :12], hu[40, 20] = -2000.0, 9000.0
    return hu


def test_constants_are_those_of_the_data_set() -> None:
    assert abs(MU_MAX_PER_M - 81.35858) < 1e-9
    full = LodopabRecipe()
    assert (full.slice_pixels, full.grid.shape, full.fine_pixels) == (512, (362, 362), 1000)
    assert (full.beam.views, full.beam.cols) == (1000, 513) and (full.slice_pixels - 362) / 2 == 75


def test_the_image_is_the_cropped_slice_dequantised_and_clipped() -> None:
    hu = _slice()
    mu = lodopab_image(hu, seed=0, recipe=SMALL)
    cropped = hu[9:55, 9:55].double().numpy()
    low = np.clip(cropped * (20 - 0.02) / 1000 + 20, 0, MU_MAX_PER_M) / 1000
    high = np.clip((cropped + 1) * (20 - 0.02) / 1000 + 20, 0, MU_MAX_PER_M) / 1000
    got = mu[0, 0].double().numpy()
    assert mu.shape == (1, 1, 46, 46) and mu.dtype == torch.float32
    assert ((got >= low - 1e-8) & (got <= high + 1e-8)).all()  # float32 rounding of 0.08/mm
    water = got[cropped == 0]
    step = 19.98e-6  # one HU in 1/mm; a uniform draw has mean 1/2 and sd 0.289 of it, over 1000 pixels 0.009
    assert (water.mean() - 0.02) / step == pytest.approx(0.5, abs=0.04)
    assert got.max() == pytest.approx(MU_MAX_PER_M / 1000, rel=1e-6) and got.min() == 0


def test_projections_go_through_the_resized_image_of_skimage() -> None:
    transform = pytest.importorskip("skimage.transform")
    mu = lodopab_image(_slice(), seed=0, recipe=SMALL).double()
    fine = transform.resize(mu[0, 0].numpy(), (125, 125), order=1)
    wanted = Projector(SMALL.grid.resized((125, 125)), SMALL.beam)(torch.from_numpy(fine)[None, None])
    assert (lodopab_projections(mu, recipe=SMALL) - wanted).abs().max().item() < 1e-9


def test_the_observation_is_floored_poisson_about_the_projections() -> None:
    hu = _slice()
    hu[10:54, 10:54] += 2500  # a body so dense that many rays starve
    hus = hu.expand(30, 64, 64)
    p, mu = lodopab_scan(hus, seed=0, recipe=SMALL)
    clean = lodopab_projections(mu, recipe=SMALL)
    assert p.shape == (30, 1, 125, 64) and mu.shape == (30, 1, 46, 46) and p.dtype == torch.float32
    counts = 4096 * torch.exp(-p.double())
    seen = counts > 0.5
    assert (counts[seen] - counts[seen].round()).abs().max().item() < 0.02  # whole photons, to float32
    assert counts[~seen].numpy() == pytest.approx(np.full(int((~seen).sum()), 0.1), rel=1e-4)
    expected = 4096 * torch.exp(-clean.double())
    starved = (expected > 0.2) & (expected < 2)
    assert int(starved.sum()) > 1000
    pull = (counts.where(seen, 0.0) - expected)[starved].sum() / expected[starved].sum().sqrt()
    assert abs(pull.item()) < 5  # a sum of Poisson counts, in standard deviations
    pull = (counts - expected)[~starved & (expected > 20)] / expected[~starved & (expected > 20)].sqrt()
    # the clean projection is recomputed in float32; the variance of n standardised counts has an error of sqrt(2 / n)
    assert pull.var().item() == pytest.approx(1.0, abs=5 * math.sqrt(2.1 / pull.numel()) + 1e-3)


def test_seed_and_case_decide_and_other_doses_keep_the_image() -> None:
    one = lodopab_scan(_slice(), seed=3, case_id="a", recipe=SMALL)
    again = lodopab_scan(_slice(), seed=3, case_id="a", recipe=SMALL)
    brighter = lodopab_scan(_slice(), seed=3, case_id="a", photons=16384, recipe=SMALL)
    other = lodopab_scan(_slice(), seed=4, case_id="a", recipe=SMALL)
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    assert torch.equal(one[1], brighter[1]) and not torch.equal(one[0], brighter[0])
    assert not torch.equal(one[1], other[1])


def test_a_slice_is_the_same_alone_and_in_a_stack() -> None:
    stack = torch.stack([_slice(), _slice().flip(1), _slice().T])
    p, mu = lodopab_scan(stack, seed=3, recipe=SMALL)
    p_alone, mu_alone = lodopab_scan(stack[2], seed=3, items=[2], recipe=SMALL)
    assert torch.equal(p[2:], p_alone) and torch.equal(mu[2:], mu_alone)


def test_slices_of_another_size_unit_or_with_nan_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"HU slices of 512 x 512.*for other sizes use scan_case"):
        lodopab_scan(torch.zeros(256, 256), seed=0)
    with pytest.raises(UnitsError, match=r"look like mu; convert them with taskct.to_hu"):
        lodopab_scan(torch.rand(64, 64, generator=generator(0)) * 0.04, seed=0, recipe=SMALL)
    with pytest.raises(UnitsError, match="finite HU"):
        lodopab_scan(torch.full((64, 64), float("nan")), seed=0, recipe=SMALL)
    with pytest.raises(GeometryError, match="in floating point"):
        lodopab_scan(torch.zeros((64, 64), dtype=torch.int16), seed=0, recipe=SMALL)


@pytest.mark.real_data
def test_a_real_chest_slice_gives_an_observation_of_the_published_form(real_data: Path) -> None:
    import nibabel

    image = nibabel.load(real_data / "chest_lidc0314_nodule" / "ct.nii.gz")
    hu = torch.from_numpy(np.asarray(image.dataobj[:, :, 45], dtype=np.float32).T.copy())
    p, mu = lodopab_scan(hu, seed=0, case_id="LIDC-IDRI-0314")
    assert p.shape == (1, 1, 1000, 513) and mu.shape == (1, 1, 362, 362)
    assert 0.019 < mu[mu > 0.01].median().item() < 0.022  # tissue
    # every ray outside the 260 mm image sees air: 4096 photons, standard deviation 1/64
    edge = p[..., :40][:, :, 490:510]
    assert abs(edge.mean().item()) < 0.01 and edge.std().item() == pytest.approx(1 / 64, rel=0.2)
    assert 3 < p.max().item() <= math.log(40960) + 1e-5


def test_a_slice_of_a_case_is_scanned_alone_as_with_the_others() -> None:
    hu = torch.full((3, 512, 512), -1000.0)
    hu[:, 100:400, 100:400] = 30.0
    case = Case(hu, (5.0, 0.7, 0.7), case_id="a")
    whole, one = scan_lodopab_case(case, seed=3), scan_lodopab_case(case, slices=slice(2, 3), seed=3)
    assert one.slices == (2,) and whole.slices == (0, 1, 2) and torch.equal(one.p[0], whole.p[2])
    apart = scan_lodopab_case(case, slices=slice(0, 3, 2), seed=3)
    assert apart.slices == (0, 2) and apart.spacing_mm[0] == 10.0
