"""Skulls: sizes by age as the growth tables say, deformations as labelled, sutures as wide as recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from taskct import Cohort
from taskct.core.errors import ConfigError
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import Patient, make_patient
from taskct.phantoms.skull import KINDS, SkullSettings, growth
from taskct.phantoms.skull.child import VAULT_Z_MM, draw_child
from taskct.phantoms.skull.skull_anatomy import SkullAnatomy
from taskct.phantoms.skull.skull_tissues import BONE_LABEL, BRAIN_LABEL, SUTURE_LABEL, Tissue


def child_of(kind: str, age: float, *, number: int = 0, size: int = 64, **more: object) -> Patient:
    chosen = SkullSettings(age_months=(age, age), kinds={kind: 1.0}, noise_hu=0.0, pose=False, **more)  # type: ignore[arg-type]
    return make_patient(0, number, site="skull", shape=(size,) * 3, texture=False, organs=True, settings=chosen)


def widths_mm(patient: Patient) -> tuple[float, float]:
    """Length and width of the head (scalp included), widest over the slices of the vault."""
    head = patient.case.hu.numpy() > -400
    step = patient.case.spacing_mm[0]
    vault = head[int((96 + VAULT_Z_MM) / step) :]
    extent = lambda axis: max(np.ptp(np.where(s.any(axis))[0]) + 1 for s in vault if s.any())
    return extent(1) * step, extent(0) * step


def test_the_same_seed_and_number_give_the_same_skull_and_other_numbers_another() -> None:
    one, again, other = (make_patient(2, n, site="skull", shape=(24, 32, 32)).case.hu for n in (5, 5, 6))
    assert torch.equal(one, again)
    assert float((one - other).abs().mean()) > 20


def test_a_slice_is_that_height_of_the_volume() -> None:
    chosen = SkullSettings()
    volume = make_patient(0, 3, site="skull", shape=(9, 48, 48), spacing_mm=(9.0, 4.0, 4.0), settings=chosen)
    affine = volume.case.affine_mm
    assert affine is not None
    canvas = SkullAnatomy(0, 3, chosen).paint(float(affine[0, 3] + 5 * 9.0), Axes.centred((48, 48), (4.0, 4.0)))
    assert np.array_equal(canvas.hu, volume.case.hu[5].numpy())


@pytest.mark.parametrize("age", [0.0, 6.0, 24.0, 240.0])
def test_the_circumference_grows_as_the_standard_says(age: float) -> None:
    measured = []
    for number in range(3):
        patient = child_of("none", age, number=number)
        length, width = (w / 2 for w in widths_mm(patient))
        around = np.pi * (3 * (length + width) - np.sqrt((3 * length + width) * (length + 3 * width)))
        assert around == pytest.approx(patient.facts["circumference_mm"], rel=0.05)  # one voxel of 3 mm, a squarish outline
        measured.append(patient.facts["circumference_mm"])
    assert np.mean(measured) == pytest.approx(growth.at(growth.HEAD_MM, age), abs=34)


def test_deformed_skulls_show_what_they_are_labelled_with() -> None:
    index = {kind: child_of(kind, 8.0, number=1) for kind in ("none", "sagittal", "bicoronal")}
    ratio = {kind: widths_mm(p)[1] / widths_mm(p)[0] for kind, p in index.items()}
    assert ratio["sagittal"] < 0.78 < ratio["none"] < ratio["bicoronal"]
    for kind, patient in index.items():
        assert ratio[kind] == pytest.approx(patient.facts["cranial_index"], abs=0.04)
    for kind, fused in (("sagittal", "sagittal"), ("metopic", "metopic"), ("bicoronal", "coronal left")):
        assert fused not in child_of(kind, 2.0).facts["sutures_mm"]
    coronal = child_of("coronal", 3.0).facts
    assert f"coronal {coronal['side']}" not in coronal["sutures_mm"]


def test_a_positional_plagiocephaly_is_asymmetric_and_an_even_skull_is_not() -> None:
    def diagonals(patient: Patient) -> float:
        """The vault asymmetry index of the clinic: difference of the diagonals 30 degrees beside the middle, by the larger."""
        head = patient.case.hu.numpy()[int((96 + VAULT_Z_MM) / 3)] > -400
        y, x = np.nonzero(head)
        y, x = y - y.mean(), x - x.mean()
        lengths = [
            np.ptp((y * np.cos(t) + x * np.sin(t))[np.abs(x * np.cos(t) - y * np.sin(t)) < 1.5])
            for t in (-np.pi / 6, np.pi / 6)
        ]
        return float(abs(lengths[0] - lengths[1]) / max(lengths))

    deformed = [diagonals(child_of("positional", 6.0, number=n)) for n in range(4)]
    even = [diagonals(child_of("none", 6.0, number=n)) for n in range(4)]
    assert min(deformed) > 0.035 > np.mean(even)  # the clinic calls 3.5 % and more a plagiocephaly


def test_an_open_sagittal_suture_is_as_wide_as_recorded() -> None:
    chosen = SkullSettings(age_months=(0.0, 0.0), kinds={"none": 1.0}, noise_hu=0.0, pose=False)
    model = SkullAnatomy(0, 2, chosen)
    axes = Axes.centred((480, 480), (0.4, 0.4))
    canvas = model.paint(VAULT_Z_MM + 0.85 * model.child.half_height_mm, axes, texture=False)
    rows = np.where((canvas.organ == Tissue.SUTURE)[:, 180:300].any(1))[0]
    back = [r for r in rows if axes.y_mm[r] > 15]
    width = np.median([(canvas.organ[r, 180:300] == Tissue.SUTURE).sum() * 0.4 for r in back])
    assert width == pytest.approx(model.child.sutures_mm["sagittal"], abs=1.0)  # the suture saws: its cut is a little oblique


def test_the_coronal_suture_runs_forward_on_its_way_down_to_the_temple() -> None:
    chosen = SkullSettings(age_months=(0.0, 0.0), kinds={"none": 1.0}, noise_hu=0.0, pose=False)
    model = SkullAnatomy(0, 2, chosen)
    axes = Axes.centred((192, 192), (1.0, 1.0))
    places = []
    for share in (0.8, 0.45, 0.1):
        canvas = model.paint(VAULT_Z_MM + share * model.child.half_height_mm, axes, texture=False)
        rows, cols = np.nonzero(canvas.organ == Tissue.SUTURE)
        y, x = axes.y_mm[rows], axes.x_mm[cols]
        places.append(np.median(y[(x > 15) & (y < 20)]))
    assert places[0] > places[1] > places[2] > -model.child.half_length_mm


@pytest.mark.parametrize("age", [0.0, 12.0, 240.0])
def test_the_orbits_lie_in_the_face_below_the_forehead(age: float) -> None:
    patient = child_of("none", age)
    organs = patient.organs
    assert organs is not None
    step, head = patient.case.spacing_mm[0], patient.case.hu.numpy() > -400
    eyes = np.argwhere(organs.numpy() == Tissue.EYE)
    level, front = int(np.median(eyes[:, 0])), int(eyes[:, 1].min())
    forehead = np.where(head[level + int(22 / step)].any(1))[0].min()
    assert abs(front - forehead) * step < 12  # the globes neither stand on stalks before the face nor lie in the brain
    near = binary_dilation(organs.numpy() == Tissue.EYE, iterations=round(15 / step))
    near[:, : int(np.median(eyes[:, 1]))] = False  # behind the middle of the globes: bone, fat and flesh
    air = (patient.case.hu.numpy() < -800) & (organs.numpy() != Tissue.CAVITY)
    assert (air & near).sum() < 0.02 * near.sum()


def test_the_anterior_fontanelle_has_the_area_recorded() -> None:
    chosen = SkullSettings(age_months=(2.0, 2.0), kinds={"sagittal": 1.0}, noise_hu=0.0, pose=False)
    model = SkullAnatomy(0, 4, chosen)
    assert model.child.fontanelle_mm2 > 300
    axes = Axes.centred((192, 192), (1.0, 1.0))
    top = np.zeros((192, 192), bool)
    for z in np.arange(VAULT_Z_MM + 0.6 * model.child.half_height_mm, VAULT_Z_MM + 1.1 * model.child.half_height_mm, 0.5):
        top |= model.paint(float(z), axes, texture=False).organ == Tissue.SUTURE
    near = top[40:100, 60:132]  # seen from above, about the crown
    assert near.sum() == pytest.approx(model.child.fontanelle_mm2, rel=0.35)  # with the ends of coronal and metopic sutures


def test_bone_lies_outside_the_brain_and_labels_say_so() -> None:
    patient = child_of("none", 12.0)
    labels = patient.case.labels
    assert labels is not None and set(labels.unique().tolist()) == {0, BONE_LABEL, SUTURE_LABEL, BRAIN_LABEL}
    hu = patient.case.hu
    assert float(hu[labels == BRAIN_LABEL].median()) == pytest.approx(31, abs=6)
    assert float(hu[labels == BONE_LABEL].median()) > 450
    brain_ml = float((labels == BRAIN_LABEL).sum()) * np.prod(patient.case.spacing_mm) / 1000
    assert 600 < brain_ml < 1300  # a one-year-old's brain has about 900 ml


@settings(max_examples=25, deadline=None)
@given(
    age=st.floats(0, 240), number=st.integers(0, 500), kind=st.sampled_from(KINDS), family=st.sampled_from(["first", "second"])
)
def test_every_child_is_drawn_within_its_ranges(age: float, number: int, kind: str, family: str) -> None:
    child = draw_child(number, SkullSettings(age_months=(age, age), kinds={kind: 1.0}, family=family))
    assert child.kind == kind and child.age_months == pytest.approx(age)
    assert 0.6 < child.index < 1.06
    assert 45 < child.half_length_mm < 112  # the shortest: a broad head of a newborn in the second percentile, 311 mm round
    assert all(0 < width < 11 for width in child.sutures_mm.values())
    assert 0 <= child.fontanelle_mm2 < 2600 and (age < 26 or child.fontanelle_mm2 == 0)
    assert all(0.9 < t < 11 for t in child.thick_mm.values())
    assert np.allclose(child.rotation @ child.rotation.T, np.eye(3))


def test_the_second_family_closes_its_sutures_by_another_law() -> None:
    def mean(family: str) -> float:
        chosen = SkullSettings(age_months=(4, 4), kinds={"none": 1}, family=family)
        return float(np.mean([draw_child(n, chosen).sutures_mm["sagittal"] for n in range(60)]))

    assert mean("second") > 1.2 * mean("first")


def test_skulls_are_a_cohort_like_any_other() -> None:
    cohort = Cohort("skull", {"train": 2}, shape=(32, 32), slices_per_patient=2)
    sample = cohort.images("train")[0]
    assert sample.mu.shape == (1, 32, 32) and sample.labels is not None and int(sample.labels.max()) <= 3
    assert sample.id == "skull-0000-s00" and sample.patient_id == "skull-0000"
    assert cohort.pixel_mm[0] * 32 == pytest.approx(201, abs=2)  # the longest head of two years, with air


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"within 0 to 240 months, got \(3, 1\)"):
        SkullSettings(age_months=(3, 1))
    with pytest.raises(ConfigError, match="unknown kind of skull 'sagital'; did you mean 'sagittal'"):
        SkullSettings(kinds={"sagital": 1.0})
    with pytest.raises(ConfigError, match="at least one kind"):
        SkullSettings(kinds={"none": 0.0})
    with pytest.raises(ConfigError, match="shares of kinds from 0, got none = inf"):
        SkullSettings(kinds={"none": float("inf")})
