from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import DataError
from taskct.data.padding import odd_hu_range, refuse_impossible_hu, replace_padding


@pytest.mark.parametrize("value", [-2000.0, -2048.0, -3024.0])
def test_vendor_padding_becomes_air_and_is_noted(value):
    hu = np.array([value, -1024.0, -1100.0, 3071.0], dtype=np.float32)
    kept = hu.copy()
    replaced, note = replace_padding(hu)
    assert replaced.tolist() == [-1000.0, -1024.0, -1100.0, 3071.0] and replaced.dtype == np.float32
    assert f"{value:g}" in note
    assert np.array_equal(hu, kept)


def test_without_padding_nothing_changes():
    hu = np.array([-1024.0, 0.0], dtype=np.float32)
    replaced, note = replace_padding(hu, padding_value=0.0)  # a declared value that water has is not trusted
    assert replaced is hu and note is None


def test_a_declared_padding_below_air_becomes_air():
    replaced, note = replace_padding(np.array([-1200.0, -1024.0], dtype=np.float32), padding_value=-1200.0)
    assert replaced.tolist() == [-1000.0, -1024.0] and "-1200" in note


def test_values_that_are_no_hu_are_noted():
    assert odd_hu_range(np.array([-1024.0, 3071.0])) is None
    assert "normalised" in odd_hu_range(np.array([0.0, 1.0]))
    assert "not an image" in odd_hu_range(np.array([5.0, 5.0]))
    assert "range of CT" in odd_hu_range(np.array([-1000.0, 65535.0]))


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0), (0.0, 0.08), (-1000.0, 2e5), (-2e5, 3000.0)])
def test_values_that_cannot_be_hu_are_refused_with_advice(ends):
    with pytest.raises(DataError, match="HU") as caught:
        refuse_impossible_hu("ct.nii", np.array(ends))
    assert str(caught.value).startswith("ct.nii: values from")


@pytest.mark.parametrize("ends", [(-1024.0, 65535.0), (0.0, 0.0), (0.0, 3926.0), (-32768.0, 3071.0)])
def test_values_that_are_only_odd_are_not_refused(ends):
    refuse_impossible_hu("ct.nii", np.array(ends))
