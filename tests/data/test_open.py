from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import DataError, FileFormatError, InputError, TaskctError, UnitsError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import SkippedCaseWarning, iter_cases, open_case, open_cases


def _case(seed: int = 0) -> Case:
    draw = torch.Generator().manual_seed(seed)
    hu = torch.randint(-1024, 2000, (4, 6, 8), generator=draw).float()
    labels = torch.randint(0, 3, (4, 6, 8), generator=draw).to(torch.int16)
    labels[0, 0, :3] = torch.tensor([0, 1, 2])
    affine = np.diag([3.0, 0.8, 0.8, 1.0])
    affine[:3, 3] = [-100.0, 20.0, -30.0]
    return Case(hu=hu, spacing_mm=(3.0, 0.8, 0.8), affine_mm=affine, labels=labels)


def _simpleitk(case: Case, path: Path) -> Path:
    itk = pytest.importorskip("SimpleITK")
    image = itk.GetImageFromArray(case.hu.numpy().astype(np.int16))
    image.SetSpacing(case.spacing_mm[::-1])
    image.SetOrigin(case.affine_mm[:3, 3][::-1].tolist())
    itk.WriteImage(image, str(path))
    return path


# law 6 --------------------------------------------------------------------------------------------------------------


def test_every_format_gives_the_identical_volume(tmp_path):
    case = _case()
    write_nifti(case, tmp_path / "a.nii")
    write_nifti(case, tmp_path / "a.nii.gz")
    write_series(case, tmp_path / "dicom")
    paths = [tmp_path / "a.nii", tmp_path / "a.nii.gz", tmp_path / "dicom"]
    paths += [_simpleitk(case, tmp_path / f"a{s}") for s in (".mha", ".mhd", ".nrrd", ".nhdr")]
    for path in paths:
        again = open_case(path)
        assert torch.equal(again.hu, case.hu), path
        assert np.allclose(again.affine_mm, case.affine_mm, atol=1e-5) and again.spacing_mm == pytest.approx(case.spacing_mm)


@pytest.mark.real_data
def test_a_real_series_is_the_same_as_dicom_and_as_nifti(real_data):
    dicom = open_case(
        real_data / "dicom_totalseg_siemens_j2k",
        labels=real_data / "abdomen_totalseg_siemens20" / "labels_totalsegmentator.nii.gz",
    )
    nifti = open_case(real_data / "abdomen_totalseg_siemens20" / "ct.nii.gz")
    assert torch.equal(dicom.hu, nifti.hu)
    assert np.allclose(dicom.affine_mm, nifti.affine_mm, atol=1e-3)  # NIfTI stores float32, positions reach 500 mm
    liver = dicom.hu[dicom.labels == 5]
    assert len(liver) == 366_708 and float(liver.mean()) == pytest.approx(89, abs=0.5)  # as the source of the data states


# contracts ----------------------------------------------------------------------------------------------------------


def test_the_content_decides_and_not_the_name(tmp_path):
    write_nifti(_case(), tmp_path / "a.nii")
    shutil.move(tmp_path / "a.nii", tmp_path / "noname")
    assert open_case(tmp_path / "noname").hu.shape == (4, 6, 8)
    write_nifti(_case(), tmp_path / "b.nii.gz")
    shutil.move(tmp_path / "b.nii.gz", tmp_path / "b.nii")
    assert open_case(tmp_path / "b.nii").hu.shape == (4, 6, 8)


def test_water_is_what_the_caller_says(tmp_path):
    write_nifti(_case(), tmp_path / "a.nii")
    assert open_case(tmp_path / "a.nii", mu_water_per_mm=0.02).mu_water_per_mm == 0.02


def test_lits_pairs_volumes_and_segmentations(tmp_path):
    for number in (10, 2):
        write_nifti(_case(number), tmp_path / f"volume-{number}.nii")
        write_nifti_labels(_case(number), tmp_path / f"segmentation-{number}.nii")
    cases = open_cases(tmp_path)
    assert [c.case_id for c in cases] == ["volume-2", "volume-10"]
    assert cases[0].label_names == {1: "liver", 2: "liver tumour"}
    assert torch.equal(cases[1].labels, _case(10).labels) and torch.equal(cases[1].hu, _case(10).hu)


def test_msd_reads_images_labels_and_names(tmp_path):
    for number in (0, 1):
        write_nifti(_case(number), tmp_path / "imagesTr" / f"liver_{number}.nii.gz")
        write_nifti_labels(_case(number), tmp_path / "labelsTr" / f"liver_{number}.nii.gz")
    (tmp_path / "imagesTr" / "._liver_0.nii.gz").write_bytes(b"a trace of another system")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "liver", "2": "cancer"}}))
    cases = open_cases(tmp_path)
    assert [c.case_id for c in cases] == ["liver_0", "liver_1"] and cases[0].label_names == {1: "liver", 2: "cancer"}
    assert torch.equal(cases[1].labels, _case(1).labels)


def test_totalsegmentator_masks_become_one_label_map(tmp_path):
    case = _case()
    for subject in ("s0001", "s0002"):
        write_nifti(case, tmp_path / subject / "ct.nii.gz")
        for number, organ in ((1, "liver"), (2, "spleen")):
            mask = replace(case, labels=(case.labels == number).to(torch.int16))
            write_nifti_labels(mask, tmp_path / subject / "segmentations" / f"{organ}.nii.gz")
    cases = open_cases(tmp_path)
    assert [c.case_id for c in cases] == ["s0001", "s0002"] and cases[0].label_names == {1: "liver", 2: "spleen"}
    assert torch.equal(cases[0].labels, case.labels)
    one = open_case(tmp_path / "s0001")
    assert torch.equal(one.labels, case.labels) and one.case_id == "s0001"


@pytest.mark.parametrize("upwards", [True, False])
def test_chaos_masks_follow_the_positions_of_their_slices(tmp_path, upwards):
    from PIL import Image

    case = _case()
    write_series(case, tmp_path / "raw")
    files = sorted((tmp_path / "raw").iterdir(), key=_height, reverse=not upwards)
    place = tmp_path / "CT" / "7"
    (place / "DICOM_anon").mkdir(parents=True)
    (place / "Ground").mkdir()
    for number, file in enumerate(files):
        shutil.copy(file, place / "DICOM_anon" / f"i{number:04d},0000b.dcm")
        z = number if upwards else len(files) - 1 - number
        mask = (case.labels[z] == 1).numpy().astype(np.uint8) * 255
        Image.fromarray(mask).save(place / "Ground" / f"liver_GT_{number:03d}.png")
    (found,) = open_cases(tmp_path)
    assert found.case_id == "chaos-7" and found.label_names == {1: "liver"}
    assert torch.equal(found.hu, case.hu) and torch.equal(found.labels == 1, case.labels == 1)
    (place / "Ground" / "liver_GT_000.png").write_bytes(b"\x89PNG no")
    with pytest.raises(FileFormatError, match=r"liver_GT_000.png: cannot be read as PNG"):
        open_cases(tmp_path)


def _height(path: Path) -> float:
    import pydicom

    return float(pydicom.dcmread(path).ImagePositionPatient[2])


def test_a_mixture_of_files_and_series_is_read_at_any_depth(tmp_path):
    write_nifti(_case(1), tmp_path / "one.nii.gz")
    write_series(_case(3), tmp_path / "sub" / "series")
    _simpleitk(_case(2), tmp_path / "sub" / "two.nrrd")
    (tmp_path / "readme.txt").write_text("a note")
    cases = {c.case_id: c for c in iter_cases(tmp_path)}
    assert sorted(cases) == ["one", "series", "two"]
    assert torch.equal(cases["series"].hu, _case(3).hu)


def test_a_label_map_beside_a_ct_is_its_labels_and_no_ct(tmp_path):
    for name in ("p1", "p2", "p3"):
        write_nifti(_case(int(name[1])), tmp_path / "many" / f"{name}.nii.gz")
    for name in ("p1_labels", "p2-seg", "p9_mask"):
        write_nifti_labels(_case(int(name[1])), tmp_path / "many" / f"{name}.nii.gz")
    with pytest.warns(SkippedCaseWarning, match="p9_mask"):
        cases = {c.case_id: c for c in open_cases(tmp_path / "many")}
    assert sorted(cases) == ["p1", "p2", "p3"]
    assert torch.equal(cases["p1"].labels, _case(1).labels) and torch.equal(cases["p2"].labels, _case(2).labels)
    assert cases["p3"].labels is None

    write_nifti(_case(4), tmp_path / "one" / "ct.nii.gz")
    write_nifti_labels(_case(4), tmp_path / "one" / "labels_of_a_tool.nii.gz")
    (only,) = open_cases(tmp_path / "one")
    assert only.case_id == "ct" and torch.equal(only.labels, _case(4).labels)

    write_nifti(_case(5), tmp_path / "odd" / "masked.nii.gz")  # a word within a word is none
    write_nifti(_case(6), tmp_path / "odd" / "segment.nii.gz")
    assert [c.case_id for c in open_cases(tmp_path / "odd")] == ["masked", "segment"]


def test_a_folder_of_labels_with_the_same_names_is_used(tmp_path):
    for number in (0, 1):
        write_nifti(_case(number), tmp_path / "ct" / f"{number}.nii.gz")
        write_nifti_labels(_case(number), tmp_path / "seg" / f"{number}.nii.gz")
    cases = open_cases(tmp_path / "ct", labels=tmp_path / "seg", label_names={1: "liver"})
    assert torch.equal(cases[1].labels, _case(1).labels) and cases[1].label_names == {1: "liver"}


def test_bad_cases_are_named_together_or_left_out_with_a_warning(tmp_path):
    write_nifti(_case(), tmp_path / "good.nii")
    (tmp_path / "text.nii").write_text("hello")
    (tmp_path / "short.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(DataError, match="2 of 3 cases") as caught:
        open_cases(tmp_path)
    assert "text.nii" in str(caught.value) and "short.nrrd" in str(caught.value)
    with pytest.warns(SkippedCaseWarning) as warned:
        assert [c.case_id for c in open_cases(tmp_path, skip_bad=True)] == ["good"]
    assert len(warned) == 2


# bad input ----------------------------------------------------------------------------------------------------------


def _refused(path: Path, error: type[TaskctError], reason: str) -> None:
    for reader in (open_case, open_cases):
        with pytest.raises(error, match=reason) as caught:
            reader(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_missing_path_is_refused(tmp_path):
    _refused(tmp_path / "nothing", InputError, "no such file")


def test_an_empty_folder_is_refused(tmp_path):
    _refused(tmp_path, InputError, "holds no")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd", "a.h5"])
@pytest.mark.parametrize("content", [b"", b"hello world, this is text\n" * 40, bytes(600)])
def test_a_name_that_promises_what_the_content_is_not_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    _refused(tmp_path / name, FileFormatError, "its content is")


def test_an_array_is_no_path_and_the_error_says_how_it_becomes_a_case() -> None:
    for array in (np.zeros((2, 3, 4)), torch.zeros(2, 3, 4)):
        for opened in (open_case, open_cases):
            with pytest.raises(InputError, match=r"got an array of shape \(2, 3, 4\); .* Case\(hu, spacing_mm\)"):
                opened(array)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected the path of a CT as str or Path, got int 3"):
        open_case(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.png", "a.jpg", "a.tif"])
def test_arrays_and_pictures_in_files_are_refused_with_what_to_give(name: str, tmp_path: Path) -> None:
    heads = {"a.png": b"\x89PNG\r\n\x1a\n", "a.jpg": b"\xff\xd8\xff\xe0", "a.tif": b"II*\x00"}
    kind = {"a.npy": "a NumPy array", "a.npz": "NumPy arrays", "a.png": "a PNG", "a.jpg": "a JPEG", "a.tif": "a TIFF"}[name]
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    np.savez(tmp_path / "a.npz", hu=np.zeros((2, 3, 4)))
    for one, head in heads.items():
        (tmp_path / one).write_bytes(head + bytes(600))
    with pytest.raises(UnsupportedDataError, match=rf"{name}: .*{kind}.*give the DICOM, NIfTI.*Case\(hu, spacing_mm\)"):
        open_case(tmp_path / name)


def test_unknown_content_is_refused_with_the_formats_that_are_read(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    _refused(tmp_path / "a.txt", UnsupportedDataError, "DICOM, NIfTI")


def test_several_volumes_in_one_folder_need_a_choice(tmp_path):
    write_nifti(_case(0), tmp_path / "a.nii")
    write_nifti(_case(1), tmp_path / "b.nii")
    with pytest.raises(InputError, match="holds 2 volumes"):
        open_case(tmp_path)


def test_one_label_file_labels_the_one_case_of_a_folder(tmp_path):
    case = _case()
    write_series(case, tmp_path / "ct")
    labels = write_nifti_labels(case, tmp_path / "seg.nii.gz") or tmp_path / "seg.nii.gz"
    (found,) = open_cases(tmp_path / "ct", labels=labels)
    assert torch.equal(found.labels.long(), case.labels.long())
    write_nifti(case, tmp_path / "ct" / "second.nii.gz")
    with pytest.raises(InputError, match="one label file for 2 cases; give a folder"):
        open_cases(tmp_path / "ct", labels=labels)


@pytest.mark.real_data
def test_a_dicom_seg_labels_the_series_beside_it(real_data):
    folder = real_data / "dicom_seg_liver_3slice"
    (found,) = open_cases(folder, labels=folder / "liver.dcm")
    assert found.labels.unique().tolist() == [0, 1]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_case_of_values_that_are_not_finite_cannot_be_made(bad):
    with pytest.raises(UnitsError, match="got 1 NaN or infinite"):
        Case(torch.tensor([[[0.0, bad]]]), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.mha"])
def test_a_volume_that_is_a_link_out_of_its_folder_is_noted(tmp_path, name):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    here.mkdir()
    case = _case()
    if name == "ct.mha":
        elsewhere.mkdir()
        z, y, x = case.hu.shape
        head = f"ObjectType = Image\nNDims = 3\nElementSpacing = 1 1 2\nDimSize = {x} {y} {z}\nElementType = MET_FLOAT\n"
        (elsewhere / name).write_bytes((head + "ElementDataFile = LOCAL\n").encode() + case.hu.numpy().tobytes())
    else:
        write_nifti(case, elsewhere / name)
    (here / name).symlink_to(elsewhere / name)
    (elsewhere / f"again-{name}").symlink_to(name)  # within its folder
    told = [open_case(f).provenance["notes"] for f in (here / name, elsewhere / name, elsewhere / f"again-{name}")]
    assert ["the file is a symbolic link out of its folder" in notes for notes in told] == [True, False, False]


@pytest.mark.parametrize(("bad", "more"), [(3, ""), (7, "; and 4 more")])
def test_three_cases_that_cannot_be_read_are_named_and_the_others_counted(tmp_path, bad, more):
    for number in range(bad):
        (tmp_path / f"case-{number}.nii").write_bytes(b"no volume at all, but some bytes")
    with pytest.raises(FileFormatError) as caught:
        open_cases(tmp_path)
    said = str(caught.value)
    assert (
        f"{bad} of {bad} cases" in said and said.count("[3]") == 1 and "[4]" not in said and said.endswith(more or said[-5:])
    )
    assert ("more" in said) == bool(more)
