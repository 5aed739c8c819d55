from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from taskct.core.errors import GeometryError, InputError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.label_grid import overlap_share
from taskct.data.labels import read_labels
from taskct.data.nifti import write_nifti
from taskct.data.open import open_case, open_cases
from taskct.data.volume import Volume


def _case() -> Case:
    affine = np.diag([2.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-100.0, 20.0, -30.0]
    return Case(hu=torch.full((10, 12, 14), 40.0), spacing_mm=(2.0, 1.0, 1.0), affine_mm=affine)


def _map(path: Path, values: np.ndarray, *, shift_mm=(0.0, 0.0, 0.0), scale=1.0) -> Path:
    affine = _case().affine_mm.copy()
    affine[:3, :3] *= scale
    affine[:3, 3] += shift_mm
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine[np.ix_([2, 1, 0, 3], [2, 1, 0, 3])]
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), ras), path)
    return path


def _ones() -> np.ndarray:
    values = np.zeros((10, 12, 14))
    values[3:7, 4:9, 5:10] = 1
    return values


@pytest.mark.parametrize("resample", [False, True])
@pytest.mark.parametrize(
    ("shift_mm", "away"), [((500.0, 0, 0), "500 mm apart"), ((0, 0, -11.0), "x -11"), ((15.0, 6.0, 0), "16 mm apart")]
)
def test_labels_of_another_place_are_refused_with_their_distance(tmp_path, shift_mm, away, resample):
    path = _map(tmp_path / "l.nii", _ones(), shift_mm=shift_mm)
    with pytest.raises(GeometryError, match=away) as caught:
        read_labels(path, _case(), resample=resample)
    assert "resample_labels" not in str(caught.value)  # which would make all of them zero


def test_overlap_is_the_share_of_the_smaller_box():
    case = _case()
    whole = Volume(np.zeros((10, 12, 14), np.uint8), case.affine_mm)
    assert overlap_share(whole, case) == 1.0
    part = Volume(np.zeros((2, 3, 4), np.uint8), case.affine_mm)  # a cut-out of the CT, and a CT that is one of the map's
    assert overlap_share(part, case) == 1.0 and overlap_share(whole, case.take(slice(2, 4))) == 1.0
    affine = case.affine_mm.copy()
    affine[0, 3] += 10.0
    assert overlap_share(Volume(whole.values, affine), case) == pytest.approx(0.5)


def test_labels_that_all_lie_outside_a_part_of_the_ct_are_refused(tmp_path):
    path = _map(tmp_path / "l.nii", _ones())
    with pytest.raises(GeometryError, match="none of its labelled voxels lies in the CT"):
        read_labels(path, _case().take(slice(0, 2)), resample=True)


def test_classes_lost_by_resampling_are_named(tmp_path):
    values = _ones()
    values[8:, 4:9, 5:10] = 2  # beyond the part of the CT that is asked for
    values[1:5, 0:2, 0:2] = 3  # a quarter of it inside
    path = _map(tmp_path / "l.nii", values)
    labels, _, notes = read_labels(path, _case().take(slice(4, 8)), names={2: "tumour"}, resample=True)
    assert labels.unique().tolist() == [0, 1, 3]
    assert "label 2 (tumour) is lost to resampling" in notes
    assert "label 3 loses 75 % of its volume to resampling" in notes
    assert not any("label 1" in n for n in notes)


def test_a_small_class_between_coarse_samples_is_told_of(tmp_path):
    values = np.zeros((20, 24, 28))
    values[4:12, 4:12, 4:12], values[15, 15, 15] = 1, 2
    path = _map(tmp_path / "l.nii", values, scale=0.5)
    _, _, notes = read_labels(path, _case(), resample=True)
    assert any(n.startswith("label 2 is lost to resampling") for n in notes)
    assert not any("label 1" in n for n in notes)  # it has an eighth of the voxels, and all of its volume


@pytest.mark.parametrize("resample", [False, True])
def test_a_map_without_any_label_is_refused(tmp_path, resample):
    path = _map(tmp_path / "l.nii", np.zeros((10, 12, 14)))
    with pytest.raises(UnsupportedDataError, match="labels no voxel of the CT"):
        read_labels(path, _case(), resample=resample)


def test_a_name_for_a_number_that_no_voxel_has_is_refused(tmp_path):
    write_nifti(_case(), tmp_path / "ct.nii")
    path = _map(tmp_path / "l.nii", _ones())
    assert open_case(tmp_path / "ct.nii", labels=path, label_names={1: "liver"}).label_names == {1: "liver"}
    with pytest.raises(InputError, match=r"l\.nii: no voxel has label 5 \(liver\); the labels hold 1"):
        open_case(tmp_path / "ct.nii", labels=path, label_names={5: "liver"})
    with pytest.raises(InputError, match="but no labels"):
        open_case(tmp_path / "ct.nii", label_names={5: "liver"})


def test_over_many_cases_a_name_must_occur_in_one(tmp_path):
    for name, number in (("a", 1), ("b", 2)):
        write_nifti(_case(), tmp_path / "ct" / f"{name}.nii")
        (tmp_path / "l").mkdir(exist_ok=True)
        _map(tmp_path / "l" / f"{name}.nii", number * _ones())
    cases = open_cases(tmp_path / "ct", labels=tmp_path / "l", label_names={1: "liver", 2: "tumour"})
    assert len(cases) == 2
    with pytest.raises(InputError, match=r"no voxel of any case has label 5 \(spleen\)"):
        open_cases(tmp_path / "ct", labels=tmp_path / "l", label_names={1: "liver", 5: "spleen"})


@pytest.mark.parametrize("shift_mm", [(10.0, 0.0, 0.0), (0.0, -6.0, 0.0), (0.0, 0.0, 7.0)])
def test_labels_that_are_shifted_by_half_the_volume_are_of_another_place(tmp_path, shift_mm):
    path = _map(tmp_path / "l.nii", np.ones((10, 12, 14)), shift_mm=shift_mm)
    with pytest.raises(GeometryError, match="lie elsewhere than the CT"):
        read_labels(path, _case(), resample=True)


def test_a_map_of_the_shape_of_the_ct_that_lies_elsewhere_is_told_of(tmp_path):
    _, _, notes = read_labels(_map(tmp_path / "l.nii", _ones(), shift_mm=(0.0, 2.0, 0.0)), _case(), resample=True)
    assert any(
        "as many samples as the CT along each axis, but lie elsewhere: their middles are 2 mm apart" in note for note in notes
    )
