from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from dicom_files import SERIES, save_stack

from taskct.core.errors import FileFormatError, InputError
from taskct.data.case import Case
from taskct.data.dicom.series import read_series
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import SkippedCaseWarning, open_case, open_cases
from taskct.report.file_description import describe_path as described

PLACES = {
    "one folder": (".", "."),
    "series below": ("dicom", "."),
    "volume below": (".", "nifti"),
    "side by side": ("dicom", "nifti"),
    "volume deep below": ("a", "b/c/d"),
    "series deep below": ("a/b/c", "d"),
}


def _both(root: Path, dicom: str, nifti: str) -> tuple[Path, Path]:
    save_stack(root / dicom)
    volume = root / nifti / "converted.nii.gz"
    write_nifti(read_series(root / dicom), volume)
    return root / dicom, volume


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_a_series_and_a_volume_are_refused_with_both_named(tmp_path, places):
    _, volume = _both(tmp_path, *places)
    with pytest.raises(InputError) as caught:
        open_case(tmp_path)
    said = str(caught.value)
    assert said.startswith(str(tmp_path)) and SERIES in said and "converted.nii.gz" in said and "series_uid" in said
    assert torch.equal(open_case(volume).hu, open_case(tmp_path, series_uid=SERIES).hu)
    assert open_case(tmp_path, series_uid=SERIES).provenance["format"] == "DICOM"


@pytest.mark.parametrize(("volumes", "more"), [(2, ""), (4, ""), (6, " and 2 more")])
def test_of_many_volumes_beside_a_series_four_are_named_and_the_others_counted(tmp_path, volumes, more):
    save_stack(tmp_path)
    for number in range(volumes):
        write_nifti(read_series(tmp_path, series_uid=SERIES), tmp_path / f"volume-{number}.nii.gz")
    with pytest.raises(InputError) as caught:
        open_case(tmp_path)
    said = str(caught.value).split(";")[0]
    assert said.count(".nii.gz") == min(volumes, 4) and said.endswith(more or ".nii.gz") and (" more" in said) == bool(more)


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_info_says_that_there_is_a_choice_to_make(tmp_path, places):
    _both(tmp_path, *places)
    said = "\n".join(described(tmp_path))
    assert "perhaps the same CT twice" in said and "converted.nii.gz" in said and SERIES in said


def test_many_cases_of_which_one_comes_in_two_forms(tmp_path):
    _both(tmp_path / "p1", ".", ".")
    save_stack(tmp_path / "p2", SeriesInstanceUID="1.2.77")
    with pytest.raises(FileFormatError, match=r"2 of 3 cases.*converted\.nii\.gz.*one folder"):
        open_cases(tmp_path)
    with pytest.warns(SkippedCaseWarning):
        assert len(open_cases(tmp_path, skip_bad=True)) == 1


def test_a_ct_that_comes_in_two_formats_in_folders_side_by_side_is_refused_with_both_named(tmp_path):
    _both(tmp_path, "dicom", "nifti")
    with pytest.raises(FileFormatError, match=r"has the same values as .*: one CT in two formats, .*skip_bad=True") as caught:
        open_cases(tmp_path)
    assert f"{tmp_path}/nifti/converted.nii.gz" in str(caught.value) and f"{tmp_path}/dicom" in str(caught.value)
    with pytest.warns(SkippedCaseWarning, match="one CT in two formats"):
        assert len(open_cases(tmp_path, skip_bad=True)) == 1


def test_two_volume_formats_are_two_formats_too(tmp_path):
    case = Case(torch.arange(60.0).reshape(3, 4, 5), (1.0, 1.0, 1.0))
    write_nifti(case, tmp_path / "a" / "ct.nii")
    (tmp_path / "b").mkdir()
    head = "ObjectType = Image\nNDims = 3\nElementSpacing = 1 1 1\nDimSize = 5 4 3\nElementType = MET_FLOAT\n"
    (tmp_path / "b" / "ct.mha").write_bytes((head + "ElementDataFile = LOCAL\n").encode() + case.hu.numpy().tobytes())
    with pytest.raises(FileFormatError, match=r"ct\.mha: has the same values as .*ct\.nii: one CT in two formats"):
        open_cases(tmp_path)


def test_a_copy_in_the_same_format_is_noted(tmp_path):
    case = Case(torch.arange(60.0).reshape(3, 4, 5), (1.0, 1.0, 1.0))
    for name in ("a", "b"):
        write_nifti(case, tmp_path / f"{name}.nii")
    one, other = open_cases(tmp_path)
    note = f"has the same values as the case {one.case_id}: averages and splits count this CT twice"
    assert note not in one.provenance["notes"] and note in other.provenance["notes"]


def test_label_maps_are_no_second_form(tmp_path):
    save_stack(tmp_path)
    case = read_series(tmp_path)
    labels = torch.ones(case.hu.shape, dtype=torch.int16)
    write_nifti_labels(Case(case.hu, case.spacing_mm, labels=labels, affine_mm=case.affine_mm), tmp_path / "labels.nii.gz")
    assert torch.equal(open_case(tmp_path).labels, labels)


def test_several_volumes_below_a_folder_need_a_choice(tmp_path):
    case = Case(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 500, (1.0, 1.0, 1.0))
    write_nifti(case, tmp_path / "a.nii")
    write_nifti(case, tmp_path / "deep" / "b.nii")
    with pytest.raises(InputError, match=r"holds 2 volumes \(a\.nii, deep/b\.nii\)"):
        open_case(tmp_path)


def test_two_volumes_of_one_number_are_refused(tmp_path):
    case = Case(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 500, (1.0, 1.0, 1.0))
    for name in ("volume-0.nii", "volume-0.nii.gz"):
        write_nifti(case, tmp_path / name)
    with pytest.raises(InputError, match="has the number of"):
        open_cases(tmp_path)


def test_what_a_layout_leaves_out_is_warned_of(tmp_path):
    case = Case(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 500, (1.0, 1.0, 1.0))
    write_nifti(case, tmp_path / "volume-0.nii")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(open_cases(tmp_path)) == 1
    write_nifti(case, tmp_path / "other.nii")
    save_stack(tmp_path / "series")
    with pytest.warns(SkippedCaseWarning, match=r"other\.nii.*series"):
        assert len(open_cases(tmp_path)) == 1


def test_masks_stored_as_images_are_no_ct(tmp_path):
    hu = save_stack(tmp_path / "ct")
    for number, name in enumerate(("liver", "spleen")):
        pixels = np.zeros((16, 20), np.uint16)
        pixels[2:5, 3 + number :] = 255
        changes = {"SeriesInstanceUID": f"1.2.8.{number}", "RescaleIntercept": 0, "RescaleType": None}
        save_stack(tmp_path / name, change=lambda k, made, p=pixels: setattr(made, "PixelData", p.tobytes()), **changes)
    case = open_case(tmp_path)
    assert np.array_equal(case.hu.numpy(), hu)
    assert any("2 series of masks" in n for n in case.provenance["notes"])
    with pytest.warns(SkippedCaseWarning, match="liver.*hold masks and not CT"):
        (only,) = open_cases(tmp_path)
    assert np.array_equal(only.hu.numpy(), hu)
    shutil.rmtree(tmp_path / "ct")
    assert len(open_cases(tmp_path)) == 2  # nothing else here: whatever they are, they are read


def test_a_label_map_and_a_folder_of_masks_need_a_choice(tmp_path):
    case = Case(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 500, (1.0, 1.0, 1.0))
    labelled = Case(case.hu, case.spacing_mm, labels=torch.ones(3, 4, 5, dtype=torch.int16))
    write_nifti(case, tmp_path / "ct.nii")
    write_nifti_labels(labelled, tmp_path / "ct_labels.nii")
    (tmp_path / "segmentations").mkdir()
    write_nifti_labels(labelled, tmp_path / "segmentations" / "liver.nii")
    with pytest.raises(InputError, match=r"labels may be ct_labels\.nii or segmentations"):
        open_case(tmp_path)


def test_info_says_which_series_are_masks(tmp_path):
    save_stack(tmp_path / "ct")
    pixels = np.zeros((16, 20), np.uint16)
    pixels[2:5] = 255
    change = lambda k, made: setattr(made, "PixelData", pixels.tobytes())
    save_stack(tmp_path / "liver", change=change, SeriesInstanceUID="1.2.8", RescaleIntercept=0)
    said = "\n".join(described(tmp_path))
    assert said.count("a mask, to be given as labels") == 1
