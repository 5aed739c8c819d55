"""Lesion records against the images and labels that they describe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from taskct.phantoms.abdomen import CohortSettings, Organ
from taskct.phantoms.abdomen.abdomen_anatomy import AbdomenAnatomy
from taskct.phantoms.abdomen.abdomen_site import labels_from_organs
from taskct.phantoms.lesions import Lesion
from taskct.phantoms.lesions.record import CORE, draw_shape, lesion_distance, profile_hu
from taskct.phantoms.painting.draws import Draws
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import make_patient

CLEAN = CohortSettings(noise_hu=0.0, healthy_share=0.0, distractors=False, width_mm=(300, 360))


def _lesion(seed: int, radius_mm: float, roughness: float, **changes: object) -> Lesion:
    shape = draw_shape(Draws(seed, "shape"), radius_mm=radius_mm, roughness=roughness)
    return Lesion((0.0, 0.0, 0.0), radius_mm, -40.0, **shape, **changes)  # type: ignore[arg-type]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.floats(3, 25), roughness=st.floats(0, 0.5))
def test_a_lesion_has_the_volume_of_its_sphere_however_rough(seed: int, radius: float, roughness: float) -> None:
    lesion = _lesion(seed, radius, roughness)
    step = radius / 12
    line = np.arange(-2.2 * radius, 2.2 * radius, step, dtype=np.float32)
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    distance, _ = lesion_distance(lesion, x, y, z)
    assert float((distance < 0).sum()) * step**3 == pytest.approx(lesion.volume_mm3, rel=0.02)  # grid of a 12th radius


@pytest.mark.parametrize("pattern", ["plain", "necrotic", "rim"])
def test_the_core_has_the_recorded_contrast_in_every_pattern(pattern: str) -> None:
    lesion = _lesion(1, 10.0, 0.2, pattern=pattern, rim_hu=15.0)
    share = np.linspace(0, 1.2, 200, dtype=np.float32)
    level = profile_hu(lesion, share)
    assert np.allclose(level[share < CORE - 0.01], -40.0)
    if pattern == "rim":
        assert level.max() > 0  # brighter than the organ somewhere


def test_labels_match_the_records_in_volume_place_and_slices() -> None:
    measured = 0
    for number in range(3):
        patient = make_patient(11, number, shape=(56, 104, 136), spacing_mm=(3.5, 3.2, 3.2), settings=CLEAN, texture=False)
        labels = patient.case.labels
        assert labels is not None and patient.case.affine_mm is not None
        total = float((labels == 2).sum()) * float(np.prod(patient.case.spacing_mm))
        assert total == pytest.approx(sum(one.visible_mm3 for one in patient.lesions), rel=1e-6)  # no tumour without record
        for one in patient.lesions:
            if one.radius_mm < 8 or not one.slices or one.slices[0] == 0 or one.slices[-1] == len(labels) - 1:
                continue  # two voxels across, or cut by the volume's end: counted, not measured
            at = np.linalg.solve(patient.case.affine_mm, np.array([*one.centre_mm, 1.0]))[:3].round().astype(int)
            assert labels[tuple(at)] == 2
            assert one.slices[0] <= at[0] <= one.slices[-1]
            if one.visible_mm3 > 0.8 * one.volume_mm3:  # else the liver's surface cuts it
                assert one.visible_mm3 == pytest.approx(one.volume_mm3, rel=0.12)  # voxels of a third of the radius
                measured += 1
    assert measured >= 3


def test_the_contrast_in_the_noise_free_image_is_the_record() -> None:
    measured = 0
    for number in range(3):
        patient = make_patient(
            12, number, shape=(50, 88, 112), spacing_mm=(4.0, 3.8, 3.8), settings=CLEAN, texture=False, organs=True
        )
        case = patient.case
        assert case.affine_mm is not None and patient.organs is not None
        at = np.stack(np.meshgrid(*(np.arange(n) for n in case.hu.shape), indexing="ij"), -1)
        places = at * np.diag(case.affine_mm)[:3] + case.affine_mm[:3, 3]
        for one in patient.lesions:
            if one.radius_mm < 9:
                continue
            _, share = lesion_distance(one, *(places[..., k].astype(np.float32) for k in (2, 1, 0)))
            core = torch.from_numpy(share < 0.4) & (patient.organs == int(Organ.TUMOUR))
            if core.sum() < 5:
                continue
            contrast = float(case.hu[core].median()) - patient.facts["liver_hu"]
            assert contrast == pytest.approx(one.contrast_hu, abs=0.5)  # nothing but rounding and a soft edge's tail
            measured += 1
    assert measured >= 3


def test_no_tumour_lies_outside_the_liver_even_when_planted_across_its_surface() -> None:
    axes = Axes.centred((128, 128), (4.0, 4.0))
    model = AbdomenAnatomy(13, 0, CLEAN)
    low, high = model.extent_mm
    z_mm = 0.5 * low + 0.5 * high
    model.lesions = ()
    without = labels_from_organs(model.paint(z_mm, axes).organ) == 1
    surface = np.argwhere(without & ~ndimage.binary_erosion(without))[::5]  # against ribs, lung, kidney, bowel, gallbladder
    places = [(z_mm, float(axes.y_mm[y]), float(axes.x_mm[x])) for y, x in surface]
    model.lesions = tuple(replace(_lesion(k, 14.0, 0.3), centre_mm=place) for k, place in enumerate(places))
    canvas = model.paint(z_mm, axes)
    tumour = canvas.organ == Organ.TUMOUR
    assert tumour.sum() > 200
    assert not (tumour & ~without).any()
    assert np.array_equal(canvas.lesion > 0, tumour)  # each tumour pixel has its record, and no other pixel has one


def test_distractors_are_recorded_and_not_labelled_tumour() -> None:
    settings = CohortSettings(noise_hu=0.0, healthy_share=1.0)
    kinds = set()
    for number in range(12):
        patient = make_patient(14, number, shape=(32, 32), slices=2, settings=settings)
        kinds |= {one.kind for one in patient.distractors}
        assert patient.lesions == ()
        assert not bool((patient.case.labels == 2).any())
    assert {"cyst", "haemangioma", "focal fat", "perfusion"} <= kinds


def test_radius_and_contrast_keep_to_the_settings() -> None:
    settings = CohortSettings(radius_mm=(4.0, 9.0), contrast_hu=(-30.0, -20.0), bright_share=0.0, healthy_share=0.0)
    found = [one for n in range(10) for one in make_patient(15, n, shape=(32, 32), slices=1, settings=settings).lesions]
    assert len(found) > 20
    assert all(4.0 <= one.radius_mm <= 9.0 and -30.0 <= one.contrast_hu <= -20.0 for one in found)
    assert len({one.pattern for one in found}) == 3
