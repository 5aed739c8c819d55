"""Chests: deterministic, consistent between grids, with lesions where they are recorded and HU as clinical CT shows them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taskct import Cohort
from taskct.core.errors import ConfigError, InputError
from taskct.data.nodule_kinds import GLASS, PART_SOLID, SOLID
from taskct.phantoms.chest import ChestSettings, Tissue
from taskct.phantoms.chest.chest_anatomy import ChestAnatomy
from taskct.phantoms.chest.chest_tissues import GLASS_LABEL, NODULE_LABEL
from taskct.phantoms.chest.nodules import draw_nodule, grown
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import make_patient

CLEAN = ChestSettings(noise_hu=0.0)
QUIET = ChestSettings(noise_hu=0.0, nodule_share=0, infection_share=0, effusion_share=0, distractors=False)
SICK = ChestSettings(
    noise_hu=0.0, nodule_share=1, infection_share=0, effusion_share=0, distractors=False, diameter_mm=(12, 30)
)


def test_the_same_seed_and_number_give_the_same_chest_and_other_numbers_another() -> None:
    one, again, other = (make_patient(2, n, site="chest", shape=(48, 64), slices=2).case.hu for n in (5, 5, 6))
    assert torch.equal(one, again)
    assert float((one - other).abs().mean()) > 20


def test_a_slice_is_that_height_of_the_volume() -> None:
    volume = make_patient(0, 3, site="chest", shape=(5, 48, 64), spacing_mm=(20.0, 7.0, 7.0))
    affine = volume.case.affine_mm
    assert affine is not None
    canvas = ChestAnatomy(0, 3, ChestSettings()).paint(float(affine[0, 3] + 3 * 20.0), Axes.centred((48, 64), (7.0, 7.0)))
    assert np.array_equal(canvas.hu, volume.case.hu[3].numpy())


def test_tissues_have_the_hu_of_clinical_ct() -> None:
    patient = make_patient(0, 1, site="chest", shape=(30, 96, 128), spacing_mm=(7.0, 4.2, 4.2), organs=True, settings=QUIET)
    hu, organs = patient.case.hu, patient.organs
    assert organs is not None
    median = lambda tissue: float(hu[organs == tissue].median())
    assert -930 < median(Tissue.LUNG) < -780
    assert -125 < median(Tissue.FAT) < -70 and 20 < median(Tissue.MUSCLE) < 75
    assert median(Tissue.CORTEX) > 350 and 20 < median(Tissue.HEART) < 180
    lung_l = float((organs == Tissue.LUNG).sum()) * np.prod(patient.case.spacing_mm) / 1e6
    assert 2.0 < lung_l < 7.5  # litres; adults hold 3 to 6 in inspiration
    assert (
        float(hu[:, 0].max()) < -800 and float(hu[:, :, 0].max()) < 100
    )  # air round the patient; the couch may reach the side
    assert patient.case.labels is not None and int(patient.case.labels.max()) == 0  # a healthy chest has no label


def test_heart_and_liver_lie_on_their_sides() -> None:
    patient = make_patient(0, 4, site="chest", shape=(24, 64, 96), spacing_mm=(9.0, 6.0, 6.0), organs=True, settings=QUIET)
    assert patient.organs is not None
    middle = lambda tissue: float((patient.organs == tissue).nonzero()[:, 2].float().mean()) - 47.5
    assert middle(Tissue.HEART) > 1.5 and middle(Tissue.LIVER) < 0  # columns run to the patient's left


@pytest.mark.parametrize("number", [0, 3, 7])
def test_nodules_are_labelled_where_they_are_recorded_with_the_level_recorded(number: int) -> None:
    model = ChestAnatomy(1, number, SICK)
    assert model.lesions
    for index, nodule in enumerate(model.lesions, start=1):
        z, y, x = nodule.centre_mm
        near = np.arange(-20, 21, dtype=np.float32)
        axes = Axes(near + np.float32(y), near + np.float32(x), (1.0, 1.0))
        canvas = model.paint(z, axes, texture=False)
        assert canvas.lesion[20, 20] in (index, 0)
        if canvas.lesion[20, 20] != index:
            continue  # an airway or another nodule was painted there
        assert canvas.organ[20, 20] == Tissue.NODULE
        assert canvas.hu[20, 20] == pytest.approx(model.tones[Tissue.LUNG] + nodule.contrast_hu, abs=60)
        area = float((canvas.lesion == index).sum())
        assert area == pytest.approx(np.pi * nodule.radius_mm**2, rel=0.9)  # uneven, partly beside the lung


def test_findings_are_known_present_or_absent() -> None:
    healthy = make_patient(0, 0, site="chest", shape=(48, 64), slices=1, settings=QUIET).facts["findings"]
    assert not any(healthy.values())
    sick = ChestSettings(nodule_share=1, infection_share=1, effusion_share=1, noise_hu=0)
    patient = make_patient(0, 2, site="chest", shape=(20, 96, 128), spacing_mm=(10.0, 4.2, 4.2), settings=sick)
    assert all(patient.facts["findings"][name] for name in ("nodule", "infection", "effusion"))
    labels = patient.case.labels
    assert labels is not None and {GLASS_LABEL, NODULE_LABEL} <= set(labels.unique().tolist())
    assert {lesion.kind for lesion in patient.lesions} >= {"ground glass"}


def test_infection_prefers_the_back_and_the_pleura() -> None:
    sick = ChestSettings(nodule_share=0, infection_share=1, effusion_share=0, noise_hu=0, distractors=False)
    patches = [one for n in range(8) for one in ChestAnatomy(3, n, sick).lesions if one.kind == "ground glass"]
    at = [one.centre_mm[1] for one in patches]
    assert len(at) > 20 and np.mean(at) > 5


def test_a_fluid_level_lies_at_the_back_of_its_side() -> None:
    sick = ChestSettings(nodule_share=0, infection_share=0, effusion_share=1, noise_hu=0, distractors=False)
    for number in range(4):
        model = ChestAnatomy(5, number, sick)
        canvas = model.paint(-40.0, Axes.centred((96, 128), (4.2, 4.2)), texture=False)
        places = np.argwhere(canvas.organ == Tissue.EFFUSION)
        assert len(places) > 5 and places[:, 0].mean() > 52
        sides = {side for side, _ in model.disease.effusions}
        assert ({-1} if (places[:, 1] < 62).mean() > 0.95 else {1} if (places[:, 1] > 65).mean() > 0.95 else {-1, 1}) == sides


def test_nodules_grow_by_their_doubling_time() -> None:
    for k, (kind, solid, part) in enumerate(((SOLID, 1.0, 0.0), (PART_SOLID, 0.0, 1.0), (GLASS, 0.0, 0.0))):
        one = draw_nodule(Draws(k, "n"), diameter_mm=(9, 9), solid=solid, part_solid=part, lung_hu=-850)
        assert one.kind == kind
        later = grown(one, one.doubling_days)
        assert later.volume_mm3 == pytest.approx(2 * one.volume_mm3)
        assert grown(later, -one.doubling_days).radius_mm == pytest.approx(one.radius_mm)
        assert later.core_share >= one.core_share
    for days in (float("nan"), float("inf"), -float("inf"), 1e9, -1e9):
        with pytest.raises(InputError, match="finite number of days"):
            grown(one, days)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), low=st.floats(3, 10), spread=st.floats(0, 20))
def test_every_nodule_keeps_to_the_ranges_of_its_kind(seed: int, low: float, spread: float) -> None:
    one = draw_nodule(Draws(seed, "n"), diameter_mm=(low, low + spread), solid=0.5, part_solid=0.25, lung_hu=-860)
    assert low - 1e-6 <= 2 * one.radius_mm <= low + spread + 1e-6
    assert one.kind != PART_SOLID or 2 * one.radius_mm >= 6
    assert (one.core_share > 0) == (one.kind == PART_SOLID)
    assert one.contrast_hu > 100  # every nodule is denser than lung


def test_vessels_and_airways_stay_in_the_lungs_and_thin_out() -> None:
    model = ChestAnatomy(0, 0, QUIET)
    assert len(model.vessels.start) > 300
    tips = model._depth(model.vessels.end)
    assert np.quantile(tips, 0.9) < 12  # the last rods may touch the pleura
    assert model.vessels.radii[:, 1].min() < 0.8 < model.vessels.radii[:, 0].max() < 9


def test_chests_are_a_cohort_like_any_other() -> None:
    cohort = Cohort("chest", {"train": 1}, shape=(48, 64), slices_per_patient=2)
    assert cohort.pixel_mm[1] * 64 >= 1.16 * 460
    assert cohort.patient(0).case.case_id == "chest-0000"


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"solid \+ part_solid up to 1"):
        ChestSettings(solid=0.8, part_solid=0.4)
    with pytest.raises(ConfigError, match="within 2 to 60 mm"):
        ChestSettings(diameter_mm=(1, 30))
    with pytest.raises(ConfigError, match="nodule_share from 0 to 1"):
        ChestSettings(nodule_share=2)
