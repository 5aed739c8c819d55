from __future__ import annotations

import pytest
from dicom_files import save_stack
from pydicom.dataset import Dataset

from taskct.core.errors import UnsupportedDataError
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
    assert note == f"InstanceNumber runs from {low} to {low + 5}: {low - 1} slice(s) may be missing at the {end} end"


@pytest.mark.parametrize("first, step", [(1, 1), (0, 1), (6, -1), (5, 1), (267, 1), (1, 2)])
def test_whole_series_and_excerpts_are_not_suspected(tmp_path, first, step):
    assert _notes(tmp_path, first=first, step=step) == []


@pytest.mark.parametrize("keyword", ["ImagesInAcquisition", "NumberOfSeriesRelatedInstances"])
def test_a_count_above_what_is_there_tells_of_missing_slices(tmp_path, keyword):
    assert _notes(tmp_path / "whole", **{keyword: 6}) == []
    (note,) = _notes(tmp_path / "short", **{keyword: 8})
    assert note == f"{keyword} is 8, and 6 image(s) are here: slices at an end may be missing"


def test_a_concatenation_without_one_of_its_parts_is_refused(tmp_path):
    save_stack(tmp_path, slices=3, ConcatenationUID="1.2.9", InConcatenationTotalNumber=4, InConcatenationNumber=1)
    with pytest.raises(UnsupportedDataError, match="1 of the 4 parts of a concatenation"):
        read_series(tmp_path)
