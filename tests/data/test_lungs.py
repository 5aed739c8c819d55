"""Lungs are found in built-in chests as their truth says, left and right, and in real CT; other CT are refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from chest_runs import chest_with_ball
from chest_sets import SHAPE, tiny_chest
from scipy.ndimage import shift

from taskct.core.errors import UnsupportedDataError
from taskct.data.case import Case
from taskct.data.lungs import find_lungs
from taskct.data.open import open_case
from taskct.phantoms.chest.chest_anatomy import ChestAnatomy
from taskct.phantoms.chest.chest_ranges import ChestSettings
from taskct.phantoms.chest.chest_tissues import Tissue
from taskct.phantoms.painting.fields import Axes

HEALTHY = ChestSettings(nodule_share=0, infection_share=0, effusion_share=0, distractors=False)


def built_in(settings: ChestSettings, number: int, *, slices: int = 12, step_mm: float = 14.0) -> tuple[Case, np.ndarray]:
    """A built-in chest, and where its lungs are by construction."""
    axes = Axes.centred((64, 80), (5.5, 5.5))
    model = ChestAnatomy(3, number, settings)
    canvases = [model.paint((k - slices / 2) * step_mm, axes) for k in range(slices)]
    hu = torch.from_numpy(np.stack([c.hu for c in canvases]))
    return Case(hu, (step_mm, 5.5, 5.5), f"chest-{number}"), np.stack([c.lung < 0 for c in canvases])


def test_lungs_of_a_built_in_chest_are_those_of_its_construction() -> None:
    case, truth = built_in(HEALTHY, 1)
    lungs = find_lungs(case)
    found = lungs.mask.numpy() > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95
    x = np.arange(found.shape[2])
    right, left = ((lungs.mask.numpy() == side).sum((0, 1)) for side in (1, 2))
    assert (x * right).sum() / right.sum() < 40 < (x * left).sum() / left.sum()  # x rises to the patient's left
    assert -900 < lungs.median_hu < -780


def test_nodules_and_ground_glass_belong_to_the_lungs_and_dense_patches_to_their_boxes() -> None:
    settings = replace(HEALTHY, nodule_share=1.0, infection_share=1.0, diameter_mm=(20.0, 30.0), most_nodules=3)
    model = ChestAnatomy(3, 4, settings)
    axes = Axes.centred((64, 80), (5.5, 5.5))
    heights = [*np.arange(-70, 80, 20), *(one.centre_mm[0] for one in model.disease.nodules)]
    canvases = [model.paint(float(z), axes) for z in sorted(heights)]
    hu, tissue = (np.stack([getattr(c, name) for c in canvases]) for name in ("hu", "organ"))
    lungs = find_lungs(Case(torch.from_numpy(hu), (16.0, 5.5, 5.5)))
    found, boxed = lungs.mask.numpy() > 0, np.zeros(hu.shape, bool)
    for z0, y0, x0, z1, y1, x1 in lungs.boxes.values():
        boxed[z0:z1, max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = True
    for kind, share in ((Tissue.NODULE, 0.7), (Tissue.GROUND_GLASS, 0.9), (Tissue.CONSOLIDATION, 0.2)):
        assert (tissue == kind).sum() > 20
        assert found[tissue == kind].mean() > share and boxed[tissue == kind].mean() > 0.97, kind


def test_lungs_that_are_cut_by_slices_or_by_the_field_are_noted() -> None:
    case = tiny_chest()
    notes = "; ".join(find_lungs(case).notes)
    assert "lowest slice" in notes and "highest slice" in notes and "edge of the images" not in notes
    half = replace(case, hu=case.hu[:, :, :30], affine_mm=None)
    assert "hardly seen" in "; ".join(find_lungs(half).notes)


@pytest.mark.parametrize("cut", ["side", "front", "wall", "circle", "circle at the wall"])
def test_lungs_that_lie_open_at_the_edge_of_the_field_are_found_and_said(cut: str) -> None:
    # they were lost: in some slices without a word, in all of them as "the end of a CT of another part"
    case, truth = built_in(HEALTHY, 1)
    whole = find_lungs(case)
    _, y0, x0, *_ = np.min(list(whole.boxes.values()), axis=0)
    rows, cols = {"side": (0, x0 + 4), "front": (y0 + 4, 0), "wall": (0, x0 - 2)}.get(cut, (0, 0))
    y, x = np.mgrid[: truth.shape[1], : truth.shape[2]]
    radius = {"circle": 22.0, "circle at the wall": 27.0}.get(cut, 100.0)
    there = np.broadcast_to((y - 32) ** 2 + (x - 40) ** 2 < radius**2, truth.shape)
    seen = torch.where(torch.from_numpy(there.copy()), case.hu, torch.tensor(-1024.0 if radius < 100 else -1000.0))
    part = replace(case, hu=seen[:, rows:, cols:].clone(), affine_mm=None)
    lungs = find_lungs(part)
    kept = (truth & there)[:, rows:, cols:]
    found = lungs.mask.numpy() > 0
    assert 2 * (found & kept).sum() / (found.sum() + kept.sum()) > 0.92  # at a circle a ring of pixels of 5.5 mm is left out
    assert min((found[k] & kept[k]).sum() / kept[k].sum() for k in range(len(kept)) if kept[k].sum() > 200) > 0.85
    assert "edge of the images" in "; ".join(lungs.notes) or cut in ("wall", "circle at the wall")


@pytest.mark.parametrize("radius", [25.0, 28.0])
def test_foam_of_a_table_behind_a_cut_body_is_no_lung(radius: float) -> None:
    case, truth = built_in(HEALTHY, 1)
    y, x = np.mgrid[: truth.shape[1], : truth.shape[2]]
    hu, truth = (np.roll(a, -8, axis=1) for a in (case.hu.numpy(), truth))
    hu[(hu < -990) & (y > 32)] = -920
    there = np.broadcast_to((y - 32) ** 2 + (x - 40) ** 2 < radius**2, truth.shape)
    lungs = find_lungs(replace(case, hu=torch.from_numpy(np.where(there, hu, -1024.0).astype(np.float32))))
    found = lungs.mask.numpy() > 0
    assert 2 * (found & truth & there).sum() / (found.sum() + (truth & there).sum()) > 0.92


@pytest.mark.parametrize("lean", [0.3, -0.4])
def test_air_of_one_value_about_a_body_is_no_edge_of_a_field(lean: float) -> None:
    # the outline of all slices was taken for the edge, and air beside the body of one for lung that lies open there
    case = chest_with_ball((10.0, 12.0, -62.0), 9.0)
    moved = lambda a, k: shift(a, (lean * (k - 8), 0), order=1, mode="nearest")  # as where a gantry tilt was taken out
    hu = np.stack([moved(one, k) for k, one in enumerate(case.hu.numpy())]).astype(np.float32)
    truth = np.stack([moved(one.astype(float), k) > 0.5 for k, one in enumerate(find_lungs(case).mask.numpy() > 0)])
    found = find_lungs(replace(case, hu=torch.from_numpy(hu))).mask.numpy() > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.97


def test_boxes_hold_the_mask_and_the_mask_is_on_the_samples() -> None:
    lungs = find_lungs(tiny_chest())
    assert tuple(lungs.mask.shape) == SHAPE and set(lungs.boxes) == {1, 2}
    for side, (z0, y0, x0, z1, y1, x1) in lungs.boxes.items():
        inside = lungs.mask[z0:z1, y0:y1, x0:x1] == side
        assert int(inside.sum()) == int((lungs.mask == side).sum())


def air_bubble(radius: int) -> Case:
    """Water with a ball of gas."""
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij")
    hu = np.where((y / 20) ** 2 + (x / 24) ** 2 < 1, 0.0, -1000.0)
    hu[z**2 + y**2 + x**2 < radius**2] = -1000
    return Case(torch.from_numpy(hu.astype(np.float32)), (5.0, 4.0, 4.0))


@pytest.mark.parametrize("case", [air_bubble(0), air_bubble(6)], ids=["water", "gas"])
def test_a_ct_without_lungs_is_refused(case: Case) -> None:
    with pytest.raises(UnsupportedDataError, match="this is not a CT of the chest: no lungs are seen"):
        find_lungs(case)


def test_air_alone_and_an_abdomen_with_the_bases_of_the_lungs_are_refused() -> None:
    with pytest.raises(UnsupportedDataError, match="no body is seen"):
        find_lungs(Case(torch.full(SHAPE, -1000.0), (5.0, 4.0, 4.0)))
    chest = tiny_chest()
    below = torch.where(chest.hu > -900, torch.tensor(40.0), chest.hu)
    abdomen = replace(chest, hu=torch.cat([below, below, chest.hu]), affine_mm=None)
    with pytest.raises(UnsupportedDataError, match=r"but of the abdomen: the lungs are cut in its highest slice.*67% of its"):
        find_lungs(abdomen)


@pytest.mark.real_data
def test_lungs_of_a_real_chest_hold_its_nodule(real_data: Path) -> None:
    folder = real_data / "chest_lidc0314_nodule"
    case = open_case(folder / "ct.nii.gz", labels=folder / "labels.nii.gz").take(slice(0, 90, 6))
    lungs = find_lungs(case)
    assert 600 < lungs.volume_ml[1] < 900 < lungs.volume_ml[2] < 1100  # 90 mm of two lungs
    assert float((lungs.mask[case.labels > 0] == 1).float().mean()) > 0.97  # type: ignore[operator]


@pytest.mark.real_data
def test_lungs_of_a_real_chest_are_those_of_the_whole_where_the_field_cuts_it(real_data: Path) -> None:
    # of 820 ml of a lung that the edge touched 154 were found; foam of the table was lung where a circle cut both shoulders
    case = open_case(real_data / "chest_lidc0314_nodule" / "ct.nii.gz")
    case = replace(case, hu=case.hu[::15].clone(), spacing_mm=(15.0, *case.spacing_mm[1:]), affine_mm=None)
    whole = find_lungs(case).mask.numpy()
    y, x = np.mgrid[:512, :512]
    distance = np.hypot(y - 255.5, x - 255.5)
    for there in (x >= 120, x >= 150, distance < 200, distance < 160):
        seen = torch.where(torch.from_numpy(there), case.hu, torch.tensor(-1000.0))
        cut = slice(int(np.flatnonzero(there.any(0))[0]) if there[0].any() else 0, None)
        found, truth = find_lungs(replace(case, hu=seen[:, :, cut].clone())).mask.numpy(), (whole * there)[:, :, cut]
        assert 2 * ((found == truth) & (truth > 0)).sum() / ((found > 0).sum() + (truth > 0).sum()) > 0.96


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["abdomen_totalseg_3mm", "abdomen_crlm1004", "head_invesalius_cranium"])
def test_real_abdomens_and_heads_are_refused(real_data: Path, name: str) -> None:
    with pytest.raises(UnsupportedDataError, match="this is not a CT of the chest"):
        find_lungs(open_case(real_data / name / "ct.nii.gz"))
