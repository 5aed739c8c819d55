from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from dicom_files import FRAME_OF_REFERENCE, INTERCEPT, SERIES, STUDY, ct_slice, enhanced, save, save_stack, stored_slice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from taskct.core.errors import DataError, FileFormatError, InputError, UnsupportedDataError
from taskct.data.dicom.identity import patient_pseudonym, replaced_uid
from taskct.data.dicom.series import read_series

# --- laws


def test_a_series_becomes_hu_in_rising_z_with_its_affine(tmp_path):
    hu = save_stack(tmp_path)
    case = read_series(tmp_path)
    assert np.array_equal(case.hu.numpy(), hu)
    assert case.spacing_mm == (2.0, 0.75, 0.5)
    expected = [[2, 0, 0, -50], [0, 0.75, 0, -90.25], [0, 0, 0.5, -100.5], [0, 0, 0, 1]]
    assert np.array_equal(case.affine_mm, expected)
    assert case.patient_id == patient_pseudonym("MRN-4711")
    assert "4711" not in repr(case)  # what goes into tables and reports names no one
    assert case.provenance["kernel"] == "Br38f" and case.provenance["kvp"] == 120
    assert case.provenance["notes"] == []


def test_the_provenance_names_series_study_and_frame_by_the_uids_of_a_deidentified_copy(tmp_path):
    save_stack(tmp_path)
    facts = read_series(tmp_path).provenance
    for name, uid in (("series_uid", SERIES), ("study_uid", STUDY), ("frame_of_reference_uid", FRAME_OF_REFERENCE)):
        assert facts[name] == replaced_uid(uid, deidentify=True) != uid


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shuffle=st.randoms(use_true_random=False), slices=st.integers(2, 6), step_mm=st.sampled_from([0.6, 1.0, 2.5, 5.0]))
def test_file_names_and_their_order_mean_nothing(tmp_path_factory, shuffle: random.Random, slices: int, step_mm: float):
    folder = tmp_path_factory.mktemp("shuffled")
    names = [f"{n:02d}.dat" for n in range(slices)]
    shuffle.shuffle(names)
    hu = save_stack(folder, slices=slices, step_mm=step_mm, names=names)
    case = read_series(folder)
    files = sorted(folder.iterdir())
    shuffle.shuffle(files)
    again = read_series(files)
    assert np.array_equal(case.hu.numpy(), hu)
    assert torch.equal(again.hu, case.hu) and np.array_equal(again.affine_mm, case.affine_mm)
    assert case.spacing_mm[0] == pytest.approx(step_mm, abs=1e-9)  # positions are texts of at most 16 characters


def test_files_in_subfolders_without_a_suffix_and_beside_strangers_are_found(tmp_path):
    hu = save_stack(tmp_path / "DICOM" / "S0001", names=["a", "b.txt", "c.nii", "d.dcm"])
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert np.array_equal(read_series(tmp_path).hu.numpy(), hu)


@settings(max_examples=15, deadline=None)
@given(slope=st.sampled_from([1.0, 0.5, 2.0, 0.25, 1.001]), intercepts=st.lists(st.integers(-1100, 0), min_size=3, max_size=3))
def test_rescale_is_applied_slice_by_slice(tmp_path_factory, slope: float, intercepts: list[int]):
    folder = tmp_path_factory.mktemp("rescale")

    def change(number, made):
        made.RescaleSlope, made.RescaleIntercept = slope, intercepts[number]

    save_stack(folder, slices=3, change=change)
    expected = np.stack([stored_slice(n) * slope + intercepts[n] for n in range(3)])
    assert np.array_equal(read_series(folder).hu.numpy(), expected.astype(np.float32))


def test_slices_stored_head_first_or_flipped_arrive_in_the_same_orientation(tmp_path):
    hu = save_stack(tmp_path / "plain")

    def flip(number, made):  # rows run from back to front, columns from left to right
        made.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        made.ImagePositionPatient = [-100.5 + 0.5 * 19, -90.25 + 0.75 * 15, -50.0 + 2.0 * number]
        made.PixelData = stored_slice(number)[::-1, ::-1].tobytes()

    save_stack(tmp_path / "flipped", change=flip)
    plain, flipped = read_series(tmp_path / "plain"), read_series(tmp_path / "flipped")
    assert np.array_equal(plain.hu.numpy(), hu) and torch.equal(plain.hu, flipped.hu)
    assert np.allclose(plain.affine_mm, flipped.affine_mm, atol=1e-9)  # nanometre


def test_coronal_slices_are_reordered_and_noted(tmp_path):
    def coronal(number, made):
        made.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        made.ImagePositionPatient = [-100.5, -90.25 + 2.0 * number, 50.0]

    save_stack(tmp_path, change=coronal)
    case = read_series(tmp_path)
    assert case.hu.shape == (16, 4, 20) and case.spacing_mm == (0.75, 2.0, 0.5)
    assert float(case.hu[-1, 2, 7]) == int(stored_slice(2)[0, 7]) + INTERCEPT  # the first row is the one nearest the head
    assert any("coronal" in note for note in case.provenance["notes"])


def test_enhanced_ct_is_read_through_its_functional_groups(tmp_path):
    made, hu = enhanced(order=[2, 0, 1])
    case = read_series(save(made, tmp_path / "enhanced.dcm"))
    assert np.array_equal(case.hu.numpy(), hu) and case.spacing_mm == (2.0, 0.75, 0.5)


# --- what is handled and noted


def test_an_exact_repetition_is_dropped_and_noted(tmp_path):
    hu = save_stack(tmp_path)
    save(ct_slice(-48.0, 1), tmp_path / "copy")
    case = read_series(tmp_path)
    assert np.array_equal(case.hu.numpy(), hu)
    assert any("repeats another exactly" in note for note in case.provenance["notes"])


def test_scouts_beside_slices_are_left_out_and_noted(tmp_path):
    hu = save_stack(tmp_path)
    save(ct_slice(0, 50, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), tmp_path / "scout")
    save(ct_slice(0, 51, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="1.9"), tmp_path / "scout2")
    case = read_series(tmp_path)
    assert np.array_equal(case.hu.numpy(), hu)
    assert any("1 localizer" in note for note in case.provenance["notes"])


def test_a_scout_frame_of_an_enhanced_file_is_left_out(tmp_path):
    made, hu = enhanced()
    groups = made.PerFrameFunctionalGroupsSequence[2]
    groups.CTImageFrameTypeSequence = [Dataset()]
    groups.CTImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    case = read_series(save(made, tmp_path / "enhanced.dcm"))
    assert np.array_equal(case.hu.numpy(), hu[:2])
    assert any("1 localizer" in note for note in case.provenance["notes"])


def test_one_slice_without_position_is_read_and_noted(tmp_path):
    path = save(ct_slice(0, 0, ImagePositionPatient=None, ImageOrientationPatient=None), tmp_path / "one.dcm")
    case = read_series(path)
    assert case.hu.shape == (1, 16, 20) and case.spacing_mm[0] == 3.0
    assert any("no position" in note for note in case.provenance["notes"])


def test_one_tilted_slice_is_read_with_its_orientation(tmp_path):
    tilted = [1, 0, 0, 0, 0.9272, -0.3746]
    case = read_series(save(ct_slice(0, 0, ImageOrientationPatient=tilted), tmp_path / "one.dcm"))
    assert any("22.0 deg" in note for note in case.provenance["notes"])


def test_one_of_several_series_is_chosen_by_uid(tmp_path):
    hu = save_stack(tmp_path / "a")
    save_stack(tmp_path / "b", SeriesInstanceUID="1.2.9", SeriesDescription="Lung 1.0")
    assert np.array_equal(read_series(tmp_path, series_uid=SERIES).hu.numpy(), hu)
    with pytest.raises(UnsupportedDataError) as error:
        read_series(tmp_path)
    for word in (str(tmp_path), "series_uid", SERIES, "Abdomen 2.0", "1.2.9", "Lung 1.0"):
        assert word in str(error.value)
    with pytest.raises(InputError, match=r"no series '7'.*Lung 1\.0"):
        read_series(tmp_path, series_uid="7")


# --- what is refused, by name


def _gap(number, made):
    made.ImagePositionPatient = [-100.5, -90.25, -50.0 + 2.0 * (number + 2 * (number > 1))]


def _uneven(number, made):
    made.ImagePositionPatient = [-100.5, -90.25, -50.0 + 2.0 * number + 0.5 * (number == 2)]


def _drifting(number, made):  # every step within tolerance, the sum not
    made.ImagePositionPatient = [-100.5, -90.25, -50.0 + 2.0 * number + 0.019 * abs(number - 20)]


def _tilted(number, made):
    made.ImageOrientationPatient = [1, 0, 0, 0, 0.9272, -0.3746]


def _turned(number, made):
    if number == 1:
        made.ImageOrientationPatient = [0, 1, 0, -1, 0, 0]


def _other_size(number, made):
    if number == 1:
        made.Rows, made.Columns, made.PixelData = 8, 8, b"\0" * 128


def _other_spacing(number, made):
    if number == 1:
        made.PixelSpacing = [0.5, 0.5]


def _no_position(number, made):
    if number == 1:
        del made.ImagePositionPatient


@pytest.mark.parametrize(
    ("change", "words", "slices"),
    [
        (_gap, "2 slices are missing", 6),
        (_uneven, "uneven", 5),
        (_drifting, "beside an even stack", 40),
        (_tilted, "tilted by 22.0 deg", 4),
        (_turned, "different orientations", 4),
        (_other_size, "3 of 16 x 20, 1 of 8 x 8", 4),
        (_other_spacing, "different pixel spacings", 4),
        (_no_position, "ImagePositionPatient is missing", 4),
    ],
)
def test_an_uneven_stack_is_refused_by_name(tmp_path, change, words, slices):
    save_stack(tmp_path, slices=slices, change=change)
    with pytest.raises(UnsupportedDataError) as error:
        read_series(tmp_path)
    assert words in str(error.value) and str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)


def test_rounded_positions_are_no_gap(tmp_path):
    def rounded(number, made):
        made.ImagePositionPatient = [-100.5, -90.25, round(-50.0 + 0.6667 * number, 2)]

    save_stack(tmp_path, slices=30, change=rounded)
    assert read_series(tmp_path).spacing_mm[0] == pytest.approx(0.6667, abs=0.0005)  # half a hundredth over 29 steps


def test_two_different_images_at_one_place_are_refused(tmp_path):
    save_stack(tmp_path)
    save(ct_slice(-48.0, 77, AcquisitionNumber=2), tmp_path / "second")
    with pytest.raises(UnsupportedDataError, match=r"at the place of.*AcquisitionNumber"):
        read_series(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RescaleSlope": None}, "RescaleSlope is missing"),
        ({"RescaleIntercept": None}, "RescaleIntercept is missing"),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"RescaleSlope": 500}, "are no HU"),
        ({"RescaleType": "OD"}, "RescaleType is 'OD'"),
        ({"RescaleType": "US", "ImageType": ["DERIVED", "SECONDARY", "PERFUSION"]}, "PERFUSION"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME1"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PixelSpacing": None}, "PixelSpacing is missing"),
        ({"PixelSpacing": [0, 0.5]}, "PixelSpacing"),
        ({"PixelRepresentation": None}, "PixelRepresentation"),
        ({"BitsStored": 12, "HighBit": 15}, "HighBit"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 bits"),
        ({"BitsStored": 8, "HighBit": 7}, "do not fit into 8"),
        ({"Rows": 60000}, "at most 8192"),
        ({"Rows": 0}, "0 x 20"),
        ({"Rows": 4000, "Columns": 4000}, "truncated"),
        ({"Rows": 8}, "inconsistent"),
        ({"PixelData": b"\0\0" * 319}, "truncated"),
        ({"PixelData": None}, "no pixel data"),
        ({"NumberOfFrames": 2}, "2 frames in a plain CT"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "unit vectors"),
        ({"ImageOrientationPatient": [1, 0, 0]}, "ImageOrientationPatient"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "only localizers"),
        ({"Modality": "PT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}, "no CT images"),
        ({"Modality": "MR"}, "no CT images"),
    ],
)
def test_a_wrong_slice_is_refused_by_name(tmp_path, changes, words):
    path = save(ct_slice(0, 0, **changes), tmp_path / "one.dcm")
    with pytest.raises(DataError) as error:
        read_series(path)
    assert words in str(error.value) and str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["nan", "inf", "1,5", "0x10", "abc"])
def test_a_number_that_is_none_is_refused_with_its_content(tmp_path, text):
    made = ct_slice(0, 0)
    path = save(made, tmp_path / "one.dcm")
    data = path.read_bytes()
    tag = b"\x28\x00\x53\x10DS"  # RescaleSlope
    at = data.index(tag)
    value = text.encode().ljust(len(text) + len(text) % 2)
    path.write_bytes(data[: at + 6] + len(value).to_bytes(2, "little") + value + data[at + 8 + data[at + 6] :])
    with pytest.raises(FileFormatError, match="RescaleSlope"):
        read_series(path)


def test_perfusion_maps_are_refused(tmp_path):
    path = save(enhanced(unit="US")[0], tmp_path / "map.dcm")
    with pytest.raises(UnsupportedDataError, match="not HU"):
        read_series(path)


def test_frames_and_their_descriptions_must_agree(tmp_path):
    made, _ = enhanced()
    del made.PerFrameFunctionalGroupsSequence[0]
    with pytest.raises(FileFormatError, match="3 frames and describes 2"):
        read_series(save(made, tmp_path / "enhanced.dcm"))


def test_a_volume_above_the_limit_is_refused_before_it_is_made(tmp_path):
    save_stack(tmp_path)
    with pytest.raises(FileFormatError, match="limit"):
        read_series(tmp_path, limit_bytes=1000)


def test_a_path_without_dicom_says_so(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="holds no DICOM file"):
        read_series(tmp_path)
    with pytest.raises(FileFormatError, match="is not a DICOM file"):
        read_series(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="no such file"):
        read_series(tmp_path / "missing")
    with pytest.raises(InputError, match="empty list"):
        read_series([])


# --- stacks that are even behind what their headers say


def _rounded(folder, step_mm: float, *, digits: int = 1, slices: int = 8, bend: dict[int, float] | None = None, **changes):
    def place(number: int, made: Dataset) -> None:
        z = round(step_mm * number + (bend or {}).get(number, 0.0), digits)
        made.ImagePositionPatient = [-100.5, -90.25, z]

    save_stack(folder, slices=slices, change=place, **changes)
    return read_series(folder)


@pytest.mark.parametrize("step_mm", [0.625, 0.6, 1.25, 0.75, 1.33])
@pytest.mark.parametrize("slices", [8, 40])
def test_positions_rounded_to_a_tenth_are_judged_by_the_best_even_stack(tmp_path, step_mm, slices):
    case = _rounded(tmp_path, step_mm, slices=slices, SliceThickness=step_mm)
    assert case.spacing_mm[0] == pytest.approx(step_mm, rel=1e-9)
    places = case.affine_mm[0, 3] + case.spacing_mm[0] * np.arange(slices)
    assert np.abs(places - step_mm * np.arange(slices)).max() <= 0.05 + 1e-9
    noted = [n for n in case.provenance["notes"] if "rounded to 0.1 mm" in n]
    assert bool(noted) == (np.ptp(np.diff(np.round(step_mm * np.arange(slices), 1))) > 0.06)


def test_without_a_stated_step_the_best_one_is_found(tmp_path):
    case = _rounded(tmp_path, 0.625, slices=40, SliceThickness=None)
    assert case.spacing_mm[0] == pytest.approx(0.625, abs=0.002)


@pytest.mark.parametrize("bend", [{4: 0.2}, {7: 0.2}, {k: 0.05 * k for k in range(4, 8)}, {k: 0.625 for k in range(5, 8)}])
def test_rounding_does_not_excuse_what_is_uneven(tmp_path, bend):
    with pytest.raises(UnsupportedDataError, match=r"uneven|missing|beside an even stack"):
        _rounded(tmp_path, 0.625, bend=bend)


@pytest.mark.parametrize("unit", ["US", "us", "UNSPECIFIED"])
def test_ct_of_an_unspecified_unit_is_hu_and_noted(tmp_path, unit):
    hu = save_stack(tmp_path, RescaleType=unit)
    case = read_series(tmp_path)
    assert np.array_equal(case.hu.numpy(), hu)
    assert case.provenance["notes"] == [f"RescaleType is {unit} (unspecified): CT values were taken as HU"]


def test_frames_of_one_file_are_told_apart(tmp_path):
    made, _ = enhanced(4)
    made.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0].ImagePositionPatient = [-100.5, -90.25, -40.0]
    path = save(made, tmp_path / "e.dcm")
    with pytest.raises(UnsupportedDataError, match=r"between e\.dcm frame 3 and e\.dcm frame 4"):
        read_series(path)


@pytest.mark.parametrize(("thickness_mm", "noted"), [(1.0, True), (1.97, True), (1.99, False), (2.0, False), (4.0, False)])
def test_tissue_between_thin_slices_is_noted_as_unseen(tmp_path, thickness_mm, noted):
    save_stack(tmp_path, step_mm=2.0, SliceThickness=thickness_mm)
    wanted = [f"slices of {thickness_mm:g} mm every 2 mm: there is unseen tissue between them"] if noted else []
    assert read_series(tmp_path).provenance["notes"] == wanted


def test_a_multi_frame_scout_is_known_by_its_file_where_its_frames_do_not_say(tmp_path):
    made, hu = enhanced()
    save(made, tmp_path / "a" / "ct.dcm")
    assert np.array_equal(read_series(tmp_path / "a").hu.numpy(), hu)
    made, _ = enhanced()
    made.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    save(made, tmp_path / "b" / "scout.dcm")
    with pytest.raises(UnsupportedDataError, match="only localizers"):
        read_series(tmp_path / "b")


def test_a_series_whose_slices_name_two_patients_is_refused_without_naming_them(tmp_path):
    for k in range(4):
        save(ct_slice(2.0 * k, k, PatientID="MRN-4711" if k < 3 else "MRN-4712"), tmp_path / f"{k}.dcm")
    with pytest.raises(UnsupportedDataError, match=r"slices of one series name 2 patients \(patient-\w+ in .*dcm") as refused:
        read_series(tmp_path)
    assert "MRN" not in str(refused.value)
