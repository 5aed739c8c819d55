from __future__ import annotations

import pytest
from dicom_files import SERIES, save, save_stack
from pydicom.dataset import Dataset
from rtstruct_files import item

from taskct.core.errors import UnsupportedDataError
from taskct.data.dicom.dicom_info import inspect_series
from taskct.data.dicom.series import read_series


def _notes(folder, *, slices=6, first=1, step=1, **changes):
    def number(k: int, made: Dataset) -> None:
        made.InstanceNumber = first + step * k

    save_stack(folder, slices=slices, change=number, **changes)
    return [n for n in read_series(folder).provenance["notes"] if "missing" in n]


@pytest.mark.parametrize("first, step, end", [(2, 1, "lower"), (7, -1, "upper"), (4, 1, "lower")])
def test_numbers_that_begin_late_tell_of_slices_missing_at_an_end(tmp_path, first, step, end):
    low = min(first, first + 5 * step)
    (note,) = _notes(tmp_path, first=first, step=step)
    missing = "1 slice" if low == 2 else f"{low - 1} slices"
    assert note == f"InstanceNumber runs from {low} to {low + 5}: {missing} may be missing at the {end} end"


@pytest.mark.parametrize("first, step", [(1, 1), (0, 1), (6, -1), (5, 1), (267, 1), (1, 2)])
def test_whole_series_and_excerpts_are_not_suspected(tmp_path, first, step):
    assert _notes(tmp_path, first=first, step=step) == []


@pytest.mark.parametrize("keyword", ["ImagesInAcquisition", "NumberOfSlices", "NumberOfSeriesRelatedInstances"])
def test_a_count_above_what_is_there_tells_of_missing_slices(tmp_path, keyword):
    assert _notes(tmp_path / "whole", **{keyword: 6}) == []
    (note,) = _notes(tmp_path / "short", **{keyword: 8})
    assert note == f"{keyword} is 8, and 6 images are here: slices at an end may be missing"


@pytest.mark.parametrize("keyword", ["ImagesInAcquisition", "NumberOfSeriesRelatedInstances"])
def test_a_count_in_one_of_the_files_is_enough(tmp_path, keyword):
    def told(k: int, made: Dataset) -> None:
        made.InstanceNumber = k + 1
        if k == 2:
            setattr(made, keyword, 7)

    save_stack(tmp_path, slices=6, change=told)
    assert any(n.startswith(f"{keyword} is 7, and 6 images") for n in read_series(tmp_path).provenance["notes"])


def _referrer(kind: str, uids: list[str], series: str) -> Dataset:
    """An object that says on which images of a series it was made; a DICOMDIR that lists them after another series."""
    images = [item(ReferencedSOPInstanceUID=uid) for uid in uids]
    made = item(
        SOPInstanceUID="1.2.9.9", SeriesInstanceUID="1.2.9", Modality="OT", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"
    )
    if kind == "SEG":
        made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
        made.ReferencedSeriesSequence = [item(SeriesInstanceUID=series, ReferencedInstanceSequence=images)]
    elif kind == "RTSTRUCT":
        made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
        places = [item(SeriesInstanceUID=series, ContourImageSequence=images)]
        made.ReferencedFrameOfReferenceSequence = [item(RTReferencedStudySequence=[item(RTReferencedSeriesSequence=places)])]
    elif kind == "report":
        places = [item(SeriesInstanceUID=series, ReferencedSOPSequence=images)]
        made.CurrentRequestedProcedureEvidenceSequence = [item(ReferencedSeriesSequence=places)]
    else:
        made.SOPClassUID = "1.2.840.10008.1.3.10"
        records = [item(DirectoryRecordType="SERIES", SeriesInstanceUID="1.2.8")]
        records += [item(DirectoryRecordType="IMAGE", ReferencedSOPInstanceUIDInFile="1.2.8.1")]
        records += [item(DirectoryRecordType="SERIES", SeriesInstanceUID=series)]
        records += [item(DirectoryRecordType="IMAGE", ReferencedSOPInstanceUIDInFile=uid) for uid in uids]
        made.DirectoryRecordSequence = [*records, item(DirectoryRecordType="STUDY"), records[1]]
    return made


@pytest.mark.parametrize("kind", ["SEG", "RTSTRUCT", "report", "DICOMDIR"])
def test_what_another_object_says_of_the_series_tells_of_a_lost_last_slice(tmp_path, kind):
    save_stack(tmp_path, slices=6)
    uids = [f"{SERIES}.{k + 1}" for k in range(6)]
    save(_referrer(kind, uids, SERIES), tmp_path / "index")
    missing = lambda: [n for n in read_series(tmp_path).provenance["notes"] if "missing" in n]
    assert missing() == []
    (tmp_path / "IM005").unlink()
    wanted = "index names 6 images of this series, and 1 of them are not here: slices at an end may be missing"
    assert missing() == [wanted] and wanted in inspect_series(tmp_path)[0].oddities
    save(_referrer(kind, uids[:3], SERIES), tmp_path / "index")  # made on a part of the series
    assert missing() == []
    save(_referrer(kind, uids, "1.2.777"), tmp_path / "index")  # of another series
    assert missing() == []


def test_a_last_slice_that_nothing_counts_leaves_no_trace(tmp_path):
    assert _notes(tmp_path, slices=5) == []


def test_a_concatenation_without_one_of_its_parts_is_refused(tmp_path):
    save_stack(tmp_path, slices=3, ConcatenationUID="1.2.9", InConcatenationTotalNumber=4, InConcatenationNumber=1)
    with pytest.raises(UnsupportedDataError, match="1 of the 4 parts of a concatenation"):
        read_series(tmp_path)
