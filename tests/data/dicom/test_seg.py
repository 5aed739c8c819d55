"""DICOM SEG on the samples of a case, by geometry."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from dicom_files import FRAME_OF_REFERENCE, save, save_stack
from pydicom import dcmread
from pydicom.dataset import Dataset

from taskct.core.errors import DataError, FileFormatError, GeometryError, InputError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.dicom.seg import read_seg
from taskct.data.dicom.series import read_series
from taskct.data.dicom.write_seg import write_seg

SHAPE = (4, 16, 20)


def _item(**values) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def segmentation(frames, *, names=("Liver",), flipped=False, offset_mm=(0.0, 0.0, 0.0), **changes) -> Dataset:
    """A SEG file; `frames` are (slice number, segment number, mask (16, 20))."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.7.1"
    made.Modality, made.FrameOfReferenceUID, made.SegmentationType = "SEG", FRAME_OF_REFERENCE, "BINARY"
    made.Rows, made.Columns, made.NumberOfFrames = 16, 20, len(frames)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 1, 1, 0, 0
    made.SegmentSequence = [_item(SegmentNumber=n + 1, SegmentLabel=name) for n, name in enumerate(names)]
    sign = -1 if flipped else 1
    made.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[sign, 0, 0, 0, sign, 0])],
            PixelMeasuresSequence=[_item(PixelSpacing=[0.75, 0.5], SliceThickness=2)],
        )
    ]
    corner = (-100.5 + 0.5 * 19, -90.25 + 0.75 * 15) if flipped else (-100.5, -90.25)
    made.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[
                _item(
                    ImagePositionPatient=[
                        corner[0] + offset_mm[0],
                        corner[1] + offset_mm[1],
                        -50.0 + 2 * number + offset_mm[2],
                    ]
                )
            ],
            SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=segment)],
        )
        for number, segment, _ in frames
    ]
    masks = np.stack([mask[::sign, ::sign] for _, _, mask in frames])
    packed = np.packbits(masks.astype(np.uint8).ravel(), bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


def some_mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE[1:]) > 0.7


@pytest.fixture
def case(tmp_path):
    save_stack(tmp_path / "ct")
    return read_series(tmp_path / "ct")


@pytest.mark.parametrize("flipped", [False, True])
def test_frames_in_any_order_land_on_their_slices(case, tmp_path, flipped):
    masks = {3: some_mask(3), 0: some_mask(0)}  # slices 1 and 2 have no frame
    made = segmentation([(n, 1, m) for n, m in masks.items()], flipped=flipped)
    labels, names = read_seg(save(made, tmp_path / "seg.dcm"), case)
    assert labels.shape == SHAPE and labels.dtype == torch.int16 and names == {1: "Liver"}
    for number in range(4):
        expected = masks.get(number, np.zeros(SHAPE[1:], bool))
        assert np.array_equal(labels[number].numpy(), expected.astype(np.int16))


def test_several_segments_keep_their_numbers(case, tmp_path):
    left = np.zeros(SHAPE[1:], bool)
    left[:, :5] = True
    made = segmentation([(1, 1, left), (1, 2, ~left)], names=("Liver", "Tumour"))
    labels, names = read_seg(save(made, tmp_path / "seg.dcm"), case)
    assert names == {1: "Liver", 2: "Tumour"}
    assert np.array_equal(labels[1].numpy(), np.where(left, 1, 2))


def test_label_maps_are_read(case, tmp_path):
    values = (some_mask(1) * 2).astype(np.uint8)
    made = segmentation(
        [(2, 1, some_mask(1))],
        names=("Liver", "Tumour"),
        SegmentationType="LABELMAP",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=values.tobytes(),
    )
    labels, _ = read_seg(save(made, tmp_path / "seg.dcm"), case)
    assert np.array_equal(labels[2].numpy(), values.astype(np.int16))


def test_the_only_seg_of_a_folder_is_found(case, tmp_path):
    save(segmentation([(0, 1, some_mask(0))]), tmp_path / "ct" / "seg")
    assert int(read_seg(tmp_path / "ct", case)[0].sum()) == int(some_mask(0).sum())
    save(segmentation([(0, 1, some_mask(0))]), tmp_path / "ct" / "seg2")
    with pytest.raises(InputError, match="2 DICOM SEG files"):
        read_seg(tmp_path / "ct", case)


@pytest.mark.parametrize("offset_mm", [(0.25, 0, 0), (0, 0, 1.0), (0, 0.1, 0), (0, 0, 20.0), (-10.0, 0, 0)])
def test_another_grid_is_refused(case, tmp_path, offset_mm):
    path = save(segmentation([(1, 1, np.ones(SHAPE[1:], bool))], offset_mm=offset_mm), tmp_path / "seg.dcm")
    with pytest.raises(GeometryError) as error:
        read_seg(path, case)
    assert str(error.value).startswith(str(path)) and "give the segmentation" in str(error.value)


def test_another_frame_of_reference_is_refused(case, tmp_path):
    path = save(segmentation([(1, 1, some_mask(0))], FrameOfReferenceUID="1.9.9"), tmp_path / "seg.dcm")
    with pytest.raises(GeometryError, match="FrameOfReferenceUID"):
        read_seg(path, case)


def test_overlapping_segments_are_refused(case, tmp_path):
    full = np.ones(SHAPE[1:], bool)
    path = save(segmentation([(1, 1, full), (1, 2, full)], names=("Liver", "Tumour")), tmp_path / "seg.dcm")
    with pytest.raises(UnsupportedDataError, match=r"1 \(Liver\) and 2 \(Tumour\) overlap in 320 pixels"):
        read_seg(path, case)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SegmentationType": "FRACTIONAL"}, "probabilities"),
        ({"SegmentationType": "OTHER"}, "SegmentationType"),
        ({"PixelData": b"\0" * 8}, "truncated"),
        ({"NumberOfFrames": 3}, "truncated"),
        ({"SegmentSequence": []}, "described"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "not DICOM SEG"),
        ({"Rows": 60000, "Columns": 60000, "NumberOfFrames": 9000}, "limit"),
    ],
)
def test_a_wrong_segmentation_is_refused_by_name(case, tmp_path, changes, words):
    path = save(segmentation([(1, 1, some_mask(0))], **changes), tmp_path / "seg.dcm")
    with pytest.raises(DataError) as error:
        read_seg(path, case)
    assert words in str(error.value) and str(error.value).startswith(str(path))


def test_frames_must_be_described(case, tmp_path):
    made = segmentation([(1, 1, some_mask(0)), (2, 1, some_mask(1))])
    del made.PerFrameFunctionalGroupsSequence[1]
    with pytest.raises(FileFormatError, match="2 frames and describes 1"):
        read_seg(save(made, tmp_path / "seg.dcm"), case)


def test_a_written_seg_is_read_back_and_has_no_dciodvfy_error(case, tmp_path):
    pytest.importorskip("highdicom")
    labels = torch.zeros(SHAPE, dtype=torch.int16)
    labels[1, 3:9, 4:12], labels[2, 3:9, 4:12] = 1, 5
    labelled = replace(case, labels=labels, label_names={1: "spleen", 5: "liver"})
    write_series(labelled, tmp_path / "out", source=tmp_path / "ct")
    own = replace(read_series(tmp_path / "out"), labels=labels, label_names=labelled.label_names)
    for number, (each, source) in enumerate(((labelled, tmp_path / "ct"), (own, tmp_path / "out"))):
        path = write_seg(each, tmp_path / f"seg{number}.dcm", source=source, algorithm="threshold")
        again, names = read_seg(path, each)
        assert names == {1: "spleen", 2: "liver"}  # DICOM numbers segments from 1 without gaps
        assert torch.equal(again, torch.where(labels == 5, 2, labels))
        if tool := shutil.which("dciodvfy"):
            done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
            assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
    assert b"Doe" in (tmp_path / "seg0.dcm").read_bytes()  # it belongs to the patient of its source ...
    assert b"Doe" not in (tmp_path / "seg1.dcm").read_bytes()  # ... and to nobody on a de-identified one


def test_lesions_are_not_coded_as_organs(case, tmp_path):
    pytest.importorskip("highdicom")
    labels = torch.zeros(SHAPE, dtype=torch.int16)
    labels[1, 3:5, 4:12], labels[1, 6:8, 4:12], labels[2, 3:9, 4:12] = 1, 2, 5
    labelled = replace(case, labels=labels, label_names={1: "nodule", 2: "consolidation", 5: "liver"})
    path = write_seg(labelled, tmp_path / "seg.dcm", source=tmp_path / "ct", lesions=[1, 2])
    coded = [
        tuple(getattr(one, f"SegmentedProperty{what}CodeSequence")[0].CodeMeaning for what in ("Category", "Type"))
        for one in dcmread(path).SegmentSequence
    ]
    abnormal = "Morphologically Abnormal Structure"
    assert coded == [(abnormal, "Nodule"), (abnormal, abnormal), ("Anatomical Structure", "Organ")]
    assert read_seg(path, labelled)[1] == {1: "nodule", 2: "consolidation", 3: "liver"}
    if tool := shutil.which("dciodvfy"):
        done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
        assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


def test_a_seg_of_a_folder_of_several_series_refers_to_the_one_that_was_read(case, tmp_path):
    # a CT that was chosen by its series could have no SEG: the folder was said to hold several
    pytest.importorskip("highdicom")
    both = tmp_path / "both"
    for name, hu in (("one", case.hu), ("two", case.hu + 50)):
        write_series(case.with_hu(hu), both / name)
    labels = torch.zeros(SHAPE, dtype=torch.int16)
    labels[1, 3:9, 4:12] = 1
    for name in ("one", "two"):
        uid = dcmread(next((both / name).iterdir())).SeriesInstanceUID
        chosen = replace(read_series(both, series_uid=uid), labels=labels, label_names={1: "liver"})
        path = write_seg(chosen, tmp_path / f"{name}.dcm", source=both)
        assert dcmread(path).ReferencedSeriesSequence[0].SeriesInstanceUID == uid


def test_labels_on_other_samples_and_no_labels_are_not_written(case, tmp_path):
    pytest.importorskip("highdicom")
    with pytest.raises(InputError, match="no labels"):
        write_seg(case, tmp_path / "seg.dcm", source=tmp_path / "ct")
    elsewhere = Case(hu=case.hu, spacing_mm=case.spacing_mm, labels=torch.ones(SHAPE, dtype=torch.int16))
    with pytest.raises(GeometryError, match="give the segmentation"):
        write_seg(elsewhere, tmp_path / "seg.dcm", source=tmp_path / "ct")
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.real_data
def test_a_real_liver_lies_on_liver(real_data):
    folder = real_data / "dicom_seg_liver_3slice"
    case = read_series([folder / f"0{n}.dcm" for n in (1, 2, 3)])
    labels, names = read_seg(folder / "liver.dcm", case)
    assert names == {1: "Liver"}
    assert [int((s > 0).sum()) for s in labels] == [36233, 35645, 35220]  # feet first
    assert 20 < float(case.hu[labels == 1].median()) < 70  # liver without or with little contrast
