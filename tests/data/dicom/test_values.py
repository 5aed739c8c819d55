"""Values of DICOM headers: empty is absent, damaged is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from taskct.core.errors import FileFormatError
from taskct.data.dicom.values import integer, items, number, numbers, text, value, words

FILE = Path("a.dcm")


def _made(**values: object) -> Dataset:
    made = Dataset()
    for keyword, content in values.items():
        setattr(made, keyword, content)
    return made


@pytest.mark.parametrize("content", ["", None, []])
def test_what_is_empty_is_as_if_it_were_absent(content):
    made = _made(KVP=content, InstanceNumber=content, SeriesDescription=content, PixelSpacing=content)
    for header in (made, Dataset()):
        assert value(FILE, header, "KVP") is None and number(FILE, header, "KVP") is None
        assert integer(FILE, header, "InstanceNumber") is None and numbers(FILE, header, "PixelSpacing", 2) is None
        assert words(FILE, header, "SeriesDescription") == () and text(FILE, header, "SeriesDescription") == ""
    assert (
        items(FILE, Dataset(), "ReferencedSeriesSequence")
        == items(FILE, _made(ReferencedSeriesSequence=[]), "ReferencedSeriesSequence")
        == []
    )


def test_values_are_read_as_what_they_are():
    made = _made(KVP="120", InstanceNumber="7", PixelSpacing=["0.5", "0.75"], ImageType=["ORIGINAL ", " AXIAL"], Rows=0)
    assert number(FILE, made, "KVP") == 120.0 and integer(FILE, made, "InstanceNumber") == 7
    assert numbers(FILE, made, "PixelSpacing", 2) == (0.5, 0.75) and words(FILE, made, "ImageType") == ("ORIGINAL", "AXIAL")
    assert value(FILE, made, "Rows") == 0 and integer(FILE, made, "Rows") == 0  # nought is a value


@pytest.mark.parametrize(
    ("read", "keyword", "content", "why"),
    [
        (number, "KVP", ["120", "80"], "expected 1 finite number"),
        (integer, "KVP", "1.5", "expected a whole number"),
        (items, "SeriesDescription", "text", "expected a sequence"),
    ],
)
def test_other_values_are_refused_by_file_and_name(read, keyword, content, why):
    with pytest.raises(FileFormatError, match=rf"^a\.dcm: {keyword} is .*{why}.*damaged$"):
        read(FILE, _made(**{keyword: content}), keyword)
    with pytest.raises(FileFormatError, match="expected 3 finite number"):
        numbers(FILE, _made(PixelSpacing=["1", "2"]), "PixelSpacing", 3)
