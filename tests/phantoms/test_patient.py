"""Built-in patients: what every one of them promises."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.phantoms.abdomen import CohortSettings, Organ
from taskct.phantoms.abdomen.abdomen_site import ABDOMEN
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import Patient, anatomy, make_patient

CLEAN = CohortSettings(noise_hu=0.0)
SHAPE, SPACING_MM = (40, 72, 96), (4.5, 5.5, 5.5)


@pytest.fixture(scope="module")
def volume() -> Patient:
    """A whole patient without texture and noise."""
    return make_patient(0, 1, shape=SHAPE, spacing_mm=SPACING_MM, texture=False, organs=True, settings=CLEAN)


def test_the_same_seed_and_number_give_the_same_bytes() -> None:
    anatomy.cache_clear()
    first = make_patient(5, 2, shape=(64, 64), slices=2)
    anatomy.cache_clear()
    again = make_patient(5, 2, shape=(64, 64), slices=2)
    assert torch.equal(first.case.hu, again.case.hu)
    assert first.lesions == again.lesions


def test_the_order_in_which_slices_are_painted_changes_nothing() -> None:
    model = anatomy(ABDOMEN, 0, 4, CohortSettings())
    axes = Axes.centred((48, 64), (7.0, 7.0))
    forwards = [model.paint(z, axes).hu for z in (-40.0, 0.0, 30.0)]
    backwards = [model.paint(z, axes).hu for z in (30.0, 0.0, -40.0)]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards[::-1], strict=True))


def test_different_patients_and_different_seeds_differ() -> None:
    images = [make_patient(s, n, shape=(48, 64), slices=1).case.hu for s, n in ((0, 0), (0, 1), (1, 0))]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert float((images[a] - images[b]).abs().mean()) > 20  # other sizes and places, not only other noise


def test_a_slice_is_that_height_of_the_volume_to_the_last_bit() -> None:
    volume = make_patient(0, 9, shape=(5, 64, 96), spacing_mm=(7.0, 5.5, 5.5))
    model = anatomy(ABDOMEN, 0, 9, CohortSettings())
    axes = Axes.centred((64, 96), (5.5, 5.5))
    assert volume.case.affine_mm is not None
    for k in (0, 3):
        canvas = model.paint(float(volume.case.affine_mm[0, 3] + k * 7.0), axes)
        assert np.array_equal(canvas.hu, volume.case.hu[k].numpy())


def test_a_patient_is_continuous_in_z() -> None:
    model = anatomy(ABDOMEN, 0, 3, CLEAN)
    axes = Axes.centred((64, 96), (5.5, 5.5))
    here, near, far = (model.paint(z, axes).hu for z in (0.0, 0.05, 12.0))
    assert np.abs(here - near).mean() < 0.06 * np.abs(here - far).mean()  # 0.4 % of the way changes a few percent at most


def test_the_same_patient_on_another_grid_is_the_same_patient() -> None:
    coarse = make_patient(0, 6, shape=(64, 64), spacing_mm=8.0, slices=3, texture=False, settings=CLEAN)
    fine = make_patient(0, 6, shape=(128, 128), spacing_mm=4.0, slices=3, texture=False, settings=CLEAN)
    pooled = torch.nn.functional.avg_pool2d(fine.case.hu[:, None], 2)[:, 0]
    inner = (fine.case.labels == 1).float()
    inside = torch.nn.functional.avg_pool2d(inner[:, None], 2)[:, 0] == 1
    off = (pooled - coarse.case.hu)[inside].abs()
    assert float(off.median()) < 0.5  # most of the liver is flat without texture
    liver_ml = [float((p.case.labels > 0).sum()) * float(np.prod(p.case.spacing_mm)) for p in (coarse, fine)]
    assert liver_ml[0] == pytest.approx(liver_ml[1], rel=0.04)  # edge pixels of 8 mm


def test_the_body_is_as_wide_as_its_record_and_within_the_settings() -> None:
    narrow = CohortSettings(width_mm=(260.0, 480.0), noise_hu=0)
    for number in range(4):
        patient = make_patient(3, number, shape=(128, 128), slices=3, settings=narrow)
        assert 260 <= patient.facts["width_mm"] <= 480
        shown = (patient.case.hu > -500).any(0).any(0).nonzero()
        seen_mm = float(shown.max() - shown.min() + 1) * patient.case.spacing_mm[2]
        assert seen_mm == pytest.approx(patient.facts["width_mm"], abs=22)  # deformation of 3.5 mm SD a side, 4 mm pixels
        assert float(patient.case.hu[:, 0].max()) < -900  # the default field of view holds the whole body
        assert float(patient.case.hu[:, -1].max()) < -900


def test_the_liver_has_the_recorded_brightness_and_a_human_size(volume: Patient) -> None:
    assert volume.organs is not None
    liver = volume.case.hu[volume.organs == int(Organ.LIVER)]
    assert float(liver.median()) == pytest.approx(volume.facts["liver_hu"], abs=0.01)  # no texture, no noise: flat
    litres = float((volume.case.labels > 0).sum()) * np.prod(SPACING_MM) / 1e6  # type: ignore[union-attr, operator]
    assert 0.7 < litres < 3.0


def test_tissue_values_keep_their_clinical_order() -> None:
    for number in range(8):
        hu = anatomy(ABDOMEN, 2, number, CLEAN).tones
        assert hu[Organ.AIR] < hu[Organ.LUNG] < hu[Organ.FAT] < hu[Organ.CYST] < hu[Organ.MUSCLE] < hu[Organ.KIDNEY]
        assert hu[Organ.MUSCLE] < hu[Organ.AORTA] < hu[Organ.CORTEX]
        assert 60 <= hu[Organ.LIVER] <= 150


def test_texture_leaves_the_mean_and_noise_has_the_stated_size() -> None:
    settings = CohortSettings(width_mm=(340, 340), noise_hu=10.0, healthy_share=1.0, distractors=False)
    plain = make_patient(0, 11, shape=(128, 128), slices=6, texture=False, organs=True, settings=settings)
    clean = make_patient(
        0,
        11,
        shape=(128, 128),
        slices=6,
        texture=False,
        settings=CohortSettings((340, 340), noise_hu=0, healthy_share=1, distractors=False),
    )
    assert plain.organs is not None
    noise = (plain.case.hu - clean.case.hu)[plain.organs == int(Organ.LIVER)]
    assert float(noise.std()) == pytest.approx(10.0, rel=0.05)  # thousands of nearly independent pixels
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.3)


def test_a_case_carries_its_identity_and_frame(volume: Patient) -> None:
    case = volume.case
    assert case.case_id == "abdomen-0001" == case.patient_id
    assert dict(case.label_names) == {0: "background", 1: "liver", 2: "tumour"}
    assert case.provenance["patient"] == 1
    middle = sum(volume.extent_mm) / 2
    assert case.affine_mm is not None
    assert case.affine_mm[0, 3] == pytest.approx(middle - (SHAPE[0] - 1) / 2 * SPACING_MM[0])
    assert volume.organ_names[int(Organ.LIVER_VESSEL)] == "liver vessel"


def test_impossible_requests_are_refused_with_advice() -> None:
    with pytest.raises(GeometryError, match=r"expects shape \(Y, X\) or \(Z, Y, X\)"):
        make_patient(0, 0, shape=(128,))
    with pytest.raises(GeometryError, match=r"one spacing_mm from 0\.1 to 20 mm per axis"):
        make_patient(0, 0, shape=(32, 32), spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="slices >= 1"):
        make_patient(0, 0, shape=(32, 32), slices=0)
    with pytest.raises(InputError, match="patient number from 0 to"):
        make_patient(0, -1)
    with pytest.raises(ConfigError, match=r"width_mm as \(low, high\).*got \(480, 260\)"):
        CohortSettings(width_mm=(480, 260))
    with pytest.raises(ConfigError, match=r"darker than the liver.*bright_share"):
        CohortSettings(contrast_hu=(-70, 20))


def test_a_patient_is_the_same_to_the_byte_however_many_threads_linear_algebra_takes() -> None:
    draw = (
        "import hashlib, torch; from taskct import Cohort; torch.set_num_threads(1); "
        "hu = Cohort('abdomen', {'train': 1}, shape=(96, 96), slices_per_patient=1).images('train', progress=False).mu; "
        "print(hashlib.sha256(hu.numpy().tobytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", draw],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(found) == 1
