"""Lesions in one form: recorded in the cohort and by insertion, measured in real labels, and asked for by evaluation."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from taskct.core.errors import InputError
from taskct.core.units import to_hu
from taskct.data.case import Case
from taskct.data.classes import liver_classes, with_classes
from taskct.evaluation.reading.lesions import find_lesions
from taskct.geometry import Grid
from taskct.phantoms.abdomen import CohortSettings
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.cohort_lesions import seen_in_cohort
from taskct.phantoms.lesions import insert_lesion
from taskct.phantoms.lesions.of_case import case_lesions, recorded_facts, seen_in_case


def ball_case(*, noise_hu: float = 0.0) -> Case:
    """A liver of 100 HU with two balls in it: radius 12 mm of -40 HU, radius 7 mm of +20 HU; the frame is off centre."""
    z, y, x = torch.meshgrid(torch.arange(30) * 3.0, torch.arange(80) * 1.5, torch.arange(80) * 1.5, indexing="ij")
    liver = ((z - 45) ** 2 + (y - 60) ** 2 + (x - 60) ** 2).sqrt() < 42
    first = ((z - 45) ** 2 + (y - 48) ** 2 + (x - 60) ** 2).sqrt() < 12
    second = ((z - 51) ** 2 + (y - 80) ** 2 + (x - 66) ** 2).sqrt() < 7
    hu = torch.where(liver, 100.0, -80.0) - 40 * first + 20 * second
    hu = hu + noise_hu * torch.randn(hu.shape, generator=torch.Generator().manual_seed(0))
    affine = np.diag([3.0, 1.5, 1.5, 1.0])
    affine[:3, 3] = -700, 25, -310
    labels = (liver.int() + (first | second).int()).to(torch.uint8)
    return Case(hu, (3.0, 1.5, 1.5), "ball", labels=labels, label_names={1: "liver", 2: "tumour"}, affine_mm=affine)


def test_labelled_lesions_are_measured_in_place_radius_and_contrast():
    big, small = case_lesions(ball_case(noise_hu=10))
    assert big.centre_mm == pytest.approx((-655, 73, -250), abs=0.3) and small.centre_mm == pytest.approx(
        (-649, 105, -244), abs=0.3
    )
    assert (big.radius_mm, small.radius_mm) == pytest.approx((12, 7), rel=0.03)  # voxels of 6.75 mm3
    # noise 10 HU over about 130 voxels of the smaller core: 0.9 HU; two of them
    assert (big.contrast_hu, small.contrast_hu) == pytest.approx((-40, 20), abs=2)
    assert big.slices == tuple(range(12, 19)) and big.visible_mm3 == pytest.approx(big.volume_mm3, rel=1e-6)
    assert big.kind == "tumour"


def test_partial_volumes_at_the_rim_do_not_lessen_the_contrast():
    case = ball_case()
    blurred = torch.nn.functional.avg_pool3d(case.hu[None, None], (1, 3, 3), stride=1, padding=(0, 1, 1))[0, 0]
    assert case_lesions(replace(case, hu=blurred))[0].contrast_hu == pytest.approx(-40, abs=1)


def test_a_lesion_without_organ_round_it_has_no_contrast_and_no_label_means_no_lesion():
    case = ball_case()
    alone = replace(case, labels=(case.labels == 2).to(torch.uint8) * 2)  # type: ignore[union-attr]
    assert all(math.isnan(one.contrast_hu) for one in case_lesions(alone))
    assert case_lesions(replace(case, labels=(case.labels > 0).to(torch.uint8))) == ()  # type: ignore[operator]
    with pytest.raises(InputError, match="has no labels"):
        case_lesions(replace(case, labels=None))


def test_an_inserted_lesion_comes_back_as_it_was_recorded_beside_the_measured_ones():
    made = insert_lesion(ball_case(), centre_mm=(-655.0, 73.0, -225.0), radius_mm=6, contrast_hu=-33, seed=1)
    again = replace(made, provenance=json.loads(json.dumps(dict(made.provenance))))  # as if it had been in a file
    for case in (made, again):
        found = case_lesions(case)
        assert len(found) == 3
        (recorded,) = [one for one in found if one.contrast_hu == -33]
        assert recorded.radius_mm == 6 and min(recorded.semi_axes_mm) > 0
    assert asdict(recorded) == made.provenance["lesions"][0]


def test_a_part_of_a_case_shows_a_recorded_lesion_in_its_own_slices():
    # the part had the slices of the whole, and a part without the lesion's centre measured the stump as another lesion
    case = ball_case()
    case = replace(case, labels=(case.labels > 0).to(torch.uint8))  # type: ignore[operator]
    made = insert_lesion(case, centre_mm=(-655.0, 73.0, -250.0), radius_mm=10.0, contrast_hu=-40.0, seed=1)
    (whole,) = case_lesions(made)
    for first, last in ((14, 18), (whole.slices[-1] - 1, 30)):
        part = made.take(slice(first, last))
        (shown,) = case_lesions(part)
        voxels = int((part.labels == 2).sum())  # type: ignore[operator]
        assert shown == replace(whole, slices=shown.slices, visible_mm3=voxels * 6.75) and voxels > 0
        assert shown.slices == tuple(k - first for k in whole.slices if first <= k < last)


def test_the_cohorts_lesions_and_their_labels_agree_piece_by_piece():
    cohort = Cohort("abdomen", {"test": 4}, shape=(80, 80), settings=CohortSettings(healthy_share=0.0, noise_hu=0.0))
    images, rows = cohort.images("test", progress=False), cohort.rows("test")
    seen = seen_in_cohort(cohort, "test")
    assert images.labels is not None
    labels, hu = images.labels.numpy(), to_hu(images.mu)[:, 0].numpy()
    facts = recorded_facts(seen)
    asked = find_lesions(labels, 2, spacing_mm=cohort.pixel_mm, facts=facts)
    measured = find_lesions(labels, 2, spacing_mm=cohort.pixel_mm, truth_hu=hu, organ_index=1)
    assert len(asked.lesions) > 10 and tuple(s.image_id for s in seen) == images.ids
    patients = {number: cohort.patient(number) for number in cohort.numbers("test")}
    for item, (number, k) in enumerate(rows):  # a piece is that lesion which the patient's own record puts into this slice
        here = {(one.radius_mm, one.contrast_hu) for one in patients[number].lesions if k in one.slices}
        assert {(t.radius_mm, t.contrast_hu) for t in asked.lesions if t.item == item} <= here
    large = [(a, m) for a, m in zip(asked.lesions, measured.lesions, strict=True) if m.pixels > 30]
    assert large
    for a, m in large:  # a section is at most as wide as the lesion, uneven ones and joined edges apart
        assert m.radius_mm < 1.35 * a.radius_mm
        assert np.sign(a.contrast_hu) == np.sign(m.contrast_hu)


def test_lesions_are_found_again_on_another_grid_about_the_same_centre():
    case = ball_case()
    slices = (13, 15, 17)
    grid = Grid((50, 60), 2.5)
    seen = seen_in_case(case, slices=slices, grid=grid)
    assert [s.image_id for s in seen] == ["ball-s013", "ball-s015", "ball-s017"]
    y, x = np.meshgrid(
        *(a + c for a, c in zip(grid.axes_mm(), (25 + 39.5 * 1.5, -310 + 39.5 * 1.5), strict=True)), indexing="ij"
    )
    big, small = case_lesions(case)
    for one in seen:
        for lesion in (big, small):
            mask = (y - lesion.centre_mm[1]) ** 2 + (x - lesion.centre_mm[2]) ** 2 < 5**2
            assert one.lesion_of(mask) is not None and one.lesion_of(mask).radius_mm == lesion.radius_mm
    radius, contrast = recorded_facts(seen)(1, mask)
    assert (radius, contrast) == (small.radius_mm, small.contrast_hu)


def test_records_of_other_images_are_refused():
    seen = seen_in_case(ball_case(), slices=[15])
    elsewhere = np.zeros((80, 80), bool)
    elsewhere[2:5, 2:5] = True
    with pytest.raises(InputError, match=r"ball-s015: 9 pixels .* where none of the 2 recorded lesions lies; are the records"):
        recorded_facts(seen)(0, elsewhere)
    with pytest.raises(InputError, match="recorded for 1 images, asked for image 1"):
        recorded_facts(seen)(1, elsewhere)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ({1: "liver", 2: "liver tumour"}, {1: 1, 2: 2}),  # LiTS
        ({1: "liver", 2: "cancer"}, {1: 1, 2: 2}),  # MSD
        ({5: "Liver", 1: "spleen"}, {5: 1, 1: 0}),  # TotalSegmentator
        ({1: "liver", 2: "liver_tumor", 3: "liver_vessels"}, {1: 1, 2: 2, 3: 0}),
    ],
)
def test_labels_of_every_data_set_become_those_of_the_cohort(names: dict[int, str], wanted: dict[int, int]):
    labels = torch.tensor([0, *wanted]).reshape(1, 1, -1)
    case = Case(torch.zeros(labels.shape), (1, 1, 1), labels=labels, label_names=names)
    found = liver_classes(case)
    assert found.labels.flatten().tolist() == [0, *wanted.values()]  # type: ignore[union-attr]
    assert found.label_names == {1: "liver", 2: "tumour"}


def test_labels_without_names_are_not_guessed_at():
    case = Case(torch.zeros(1, 1, 3), (1, 1, 1), "plain", labels=torch.tensor([[[0, 1, 2]]]))
    with pytest.raises(InputError, match=r"case plain: none of its labels is liver or tumour; it has numbers \[0, 1, 2\]"):
        liver_classes(case)
    assert with_classes(case, {"liver": [1], "tumour": [2]}).labels.tolist() == [[[0, 1, 2]]]  # type: ignore[union-attr]
    with pytest.raises(InputError, match="label 1 is asked for as 'liver' and as 'tumour'"):
        with_classes(case, {"liver": [1, 2], "tumour": [1]})
    with pytest.raises(InputError, match="has no labels"):
        liver_classes(replace(case, labels=None))
