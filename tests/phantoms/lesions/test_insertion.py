"""Lesions put into and taken out of a CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.phantoms.lesions import insert_lesion, remove_lesion
from taskct.phantoms.lesions.voxel_coverage import slice_thickness
from taskct.phantoms.patient import make_patient


@pytest.fixture
def case() -> Case:
    """A ball of noisy 'liver' in fat, with an off-centre frame and thick slices."""
    z, y, x = torch.meshgrid(torch.arange(24) * 4.0, torch.arange(64) * 2.0, torch.arange(64) * 2.0, indexing="ij")
    ball = ((z - 48) ** 2 + (y - 64) ** 2 + (x - 64) ** 2).sqrt() < 44
    noise = torch.randn(ball.shape, generator=torch.Generator().manual_seed(0)) * 8
    hu = torch.where(ball, 105.0, -100.0) + noise
    affine = np.diag([4.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -200, 30, -70
    return Case(hu, (4.0, 2.0, 2.0), "ball", labels=ball.to(torch.uint8), label_names={1: "liver"}, affine_mm=affine)


CENTRE_MM = (-152.0, 94.0, -6.0)  # the ball's middle in the case's frame


def test_an_inserted_lesion_has_its_contrast_volume_label_and_record(case: Case) -> None:
    made = insert_lesion(case, centre_mm=CENTRE_MM, radius_mm=14, contrast_hu=-40, seed=3)
    added = made.hu - case.hu
    assert made.labels is not None
    record = made.provenance["lesions"][0]
    assert record["visible_mm3"] == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.06)  # voxels of 16 mm3
    assert float((made.labels == 2).sum()) * 16 == record["visible_mm3"]
    assert float(added[12, 32, 32]) == pytest.approx(-40, abs=1e-4)
    assert float(added.sum()) * 16 / -40 == pytest.approx(4 / 3 * np.pi * 14**3, rel=0.06)  # partial volumes included
    assert record["contrast_hu"] == -40 and record["slices"][0] < 12 < record["slices"][-1]
    assert made.label_names[2] == "label 2" and made.label_names[1] == "liver"


def test_texture_and_everything_outside_stay_as_they_were(case: Case) -> None:
    made = insert_lesion(case, centre_mm=CENTRE_MM, radius_mm=12, contrast_hu=-30, seed=1, roughness=0.0, edge_mm=0.5)
    changed = (made.hu != case.hu).nonzero() * torch.tensor([4.0, 2.0, 2.0]) - torch.tensor([48.0, 64.0, 64.0])
    assert float(changed.norm(dim=1).max()) < 1.35 * 12 + 3  # an axis up to 1.3 radii, half a voxel's diagonal
    core = (made.hu - case.hu) < -29.99
    assert float(made.hu[core].std()) == pytest.approx(float(case.hu[core].std()), rel=1e-4)
    assert case.provenance.get("lesions") is None and int(case.labels.max()) == 1  # type: ignore[union-attr]


def test_the_same_seed_gives_the_same_lesion_and_another_seed_another(case: Case) -> None:
    a, b, c = (insert_lesion(case, centre_mm=CENTRE_MM, radius_mm=10, contrast_hu=-30, seed=s).hu for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_lesion_is_kept_inside_its_organ(case: Case) -> None:
    near_edge = (CENTRE_MM[0], CENTRE_MM[1] - 38, CENTRE_MM[2])
    made = insert_lesion(case, centre_mm=near_edge, radius_mm=7, contrast_hu=-50, seed=0)
    assert case.labels is not None and made.labels is not None
    assert torch.equal(made.hu[case.labels == 0], case.hu[case.labels == 0])
    assert not bool((made.labels == 2)[case.labels == 0].any())


def test_removing_what_was_inserted_restores_mean_noise_and_labels(case: Case) -> None:
    made = insert_lesion(case, centre_mm=CENTRE_MM, radius_mm=12, contrast_hu=-60, seed=3)
    healed = remove_lesion(made, centre_mm=CENTRE_MM, seed=3)
    assert case.labels is not None and healed.labels is not None and made.labels is not None
    assert torch.equal(healed.labels, case.labels)
    assert healed.provenance["lesions"] == []
    place = made.labels == 2
    assert float(healed.hu[place].mean()) == pytest.approx(105, abs=1.5)  # 450 voxels of sd 8: 0.4 HU, and the fill's own
    assert float(healed.hu[place].std()) == pytest.approx(8, rel=0.2)  # borrowed texture, not a smooth patch
    far = torch.ones_like(place)
    far[6:19, 18:47, 18:47] = False
    assert torch.equal(healed.hu[far], case.hu[far])


def test_removing_one_of_two_lesions_leaves_the_other(case: Case) -> None:
    other = (CENTRE_MM[0], CENTRE_MM[1] + 26, CENTRE_MM[2])
    made = insert_lesion(case, centre_mm=(CENTRE_MM[0], CENTRE_MM[1] - 14, CENTRE_MM[2]), radius_mm=7, contrast_hu=-60, seed=3)
    made = insert_lesion(made, centre_mm=other, radius_mm=6, contrast_hu=-50, seed=4)
    healed = remove_lesion(made, centre_mm=(CENTRE_MM[0], CENTRE_MM[1] - 14, CENTRE_MM[2]), seed=0)
    assert [record["radius_mm"] for record in healed.provenance["lesions"]] == [6]
    at = tuple(np.linalg.solve(case.affine_mm, [*other, 1])[:3].round().astype(int))  # type: ignore[arg-type]
    assert healed.labels is not None and healed.labels[at] == 2
    assert healed.hu[at] == made.hu[at]


def test_impossible_requests_are_refused_with_a_place_to_try(case: Case) -> None:
    with pytest.raises(InputError, match=r"not in the liver; choose a place there, such as \(-152.0"):
        insert_lesion(case, centre_mm=(-152, 40, -6), radius_mm=5, contrast_hu=-30, seed=0)
    with pytest.raises(InputError, match=r"would lie outside the liver, at most 25%"):
        insert_lesion(case, centre_mm=(-152, 54, -6), radius_mm=20, contrast_hu=-30, seed=0)
    with pytest.raises(InputError, match="did you mean 'plain'"):
        insert_lesion(case, centre_mm=CENTRE_MM, radius_mm=5, contrast_hu=-30, seed=0, pattern="plane")
    with pytest.raises(InputError, match="radius_mm from 1 to 100"):
        insert_lesion(case, centre_mm=CENTRE_MM, radius_mm=0.2, contrast_hu=-30, seed=0)
    with pytest.raises(InputError, match="has no labels"):
        insert_lesion(Case(case.hu, case.spacing_mm), centre_mm=CENTRE_MM, radius_mm=5, contrast_hu=-30, seed=0)
    with pytest.raises(InputError, match="no voxel of label 2 within 10 mm"):
        remove_lesion(case, centre_mm=CENTRE_MM, seed=0)


def single_slice(thickness_mm: float, **provenance: object) -> Case:
    """One slice of flat liver, `thickness_mm` from its neighbours."""
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    labels[:, 8:56, 8:56] = 1
    return Case(torch.full((1, 64, 64), 100.0), (thickness_mm, 2.0, 2.0), labels=labels, provenance=provenance)


def test_a_slice_thicker_than_the_lesion_dilutes_its_contrast_by_the_part_that_it_fills() -> None:
    ball = {"centre_mm": (0.0, 0.0, 0.0), "radius_mm": 8.0, "contrast_hu": -40.0, "seed": 0, "roughness": 0.0, "edge_mm": 0.0}
    middle = {}
    for thickness_mm in (2.0, 20.0, 24.0):
        made = insert_lesion(single_slice(thickness_mm), **ball)  # type: ignore[arg-type]
        middle[thickness_mm] = float((made.hu - 100).min())
        ends = 2 * made.provenance["lesions"][0]["semi_axes_mm"][0]  # what of the middle pixel's column is lesion
        # the column's share to one of 16 sub-samples; the middle pixel lies 1.4 mm beside the lesion's axis: 2 %
        assert middle[thickness_mm] == pytest.approx(-40 * min(1.0, ends / thickness_mm), rel=0.08)
    assert middle[20.0] > -38 and middle[24.0] > -33  # lost in a thick slice


def test_thin_slices_far_apart_keep_the_full_contrast_when_they_are_known_to_be_thin() -> None:
    ball = {"centre_mm": (0.0, 0.0, 0.0), "radius_mm": 6.0, "contrast_hu": -40.0, "seed": 0}
    for case in (single_slice(25.0, slice_thickness_mm=1.0), single_slice(25.0, source="built-in abdominal cohort")):
        made = insert_lesion(case, **ball)  # type: ignore[arg-type]
        assert float((made.hu - 100).min()) == pytest.approx(-40, abs=1e-4) and bool((made.labels == 2).any())
    said = insert_lesion(single_slice(25.0), **ball, slice_thickness_mm=0)  # type: ignore[arg-type]
    assert torch.equal(said.hu, made.hu)


def test_every_fourth_slice_is_as_thick_as_it_was() -> None:
    # 4 mm were taken for its thickness: a neighbour 4 mm from the centre of a lesion of 4 mm got twice its contrast
    liver = torch.full((20, 40, 40), 60.0)
    case = Case(liver, (1.0, 1.0, 1.0), "fine", labels=torch.ones(liver.shape, dtype=torch.int16))
    z, y, x = (case.affine_mm @ [8, 20, 20, 1])[:3]  # type: ignore[operator]
    put = lambda one: insert_lesion(one, centre_mm=(z, y, x), radius_mm=4, contrast_hu=-40, seed=1)
    whole, fourth = put(case), put(case.take(slice(0, 20, 4)))
    assert torch.allclose(fourth.hu, whole.hu[::4], atol=1e-4) and torch.equal(fourth.labels, whole.labels[::4])  # type: ignore[arg-type, index]


@pytest.mark.parametrize("site", ["abdomen", "chest", "skull"])
def test_slices_of_every_built_in_patient_are_thin(site: str) -> None:
    case = make_patient(1, 1, site=site, shape=(2, 24, 24), spacing_mm=(8.0, 16.0, 16.0)).case
    assert slice_thickness(case, None) == 0


def test_a_lesion_that_fills_no_voxel_by_half_is_refused_with_the_thickness() -> None:
    ball = {"centre_mm": (0.0, 0.0, 0.0), "radius_mm": 4.0, "contrast_hu": -40.0, "seed": 0}
    with pytest.raises(InputError, match=r"fills at most [23]\d% of a voxel of slices 25 mm thick .* slice_thickness_mm"):
        insert_lesion(single_slice(25.0), **ball)  # type: ignore[arg-type]
    beside = {**ball, "centre_mm": (10.0, 0.0, 0.0)}
    with pytest.raises(InputError, match=r"fills at most 0% of a voxel of slices 0 mm thick and 25 mm apart"):
        insert_lesion(single_slice(25.0), **beside, slice_thickness_mm=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="slice_thickness_mm from 0"):
        insert_lesion(single_slice(25.0), **ball, slice_thickness_mm=-1)  # type: ignore[arg-type]


@pytest.mark.real_data
def test_a_lesion_goes_into_a_real_liver_and_out_again(real_data: Path) -> None:
    import nibabel as nib

    folder = real_data / "abdomen_totalseg_siemens20"
    hu, labels = (
        np.ascontiguousarray(np.asarray(nib.load(folder / name).dataobj).T[:, ::2, ::2])
        for name in ("ct.nii.gz", "labels_totalsegmentator.nii.gz")
    )
    real = Case(
        torch.from_numpy(hu.astype(np.float32)), (2.0, 1.953, 1.953), labels=torch.from_numpy((labels == 5).astype(np.uint8))
    )
    liver = real.hu[real.labels == 1]
    with pytest.raises(InputError, match="such as") as refused:
        insert_lesion(real, centre_mm=(0, -240, -240), radius_mm=8, contrast_hu=-45, seed=0)
    advice = str(refused.value).split("such as (")[1].split(")")[0]
    place = tuple(float(v) for v in advice.split(","))
    made = insert_lesion(real, centre_mm=place, radius_mm=8, contrast_hu=-45, seed=0)  # type: ignore[arg-type]
    inside = made.labels == 2
    assert float((made.hu - real.hu)[inside].mean()) < -35
    healed = remove_lesion(made, centre_mm=place, seed=0)  # type: ignore[arg-type]
    assert float(healed.hu[inside].mean()) == pytest.approx(float(liver.median()), abs=12)  # the liver itself varies by 19 HU
    assert float(healed.hu[inside].std()) > 5
