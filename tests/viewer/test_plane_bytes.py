"""Bytes for the browser hold the values that the arrays hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lopsided_phantom import lopsided

from taskct.core.errors import ResourceError
from taskct.data.nifti import read_nifti
from taskct.viewer import plane_bytes as module
from taskct.viewer.plane_bytes import plane_bytes, volume_nifti


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[-1024.0, 3071.0], [0.0, 1.0]], "i2"),
        ([[0.25, -1000.0], [1.0, 2.0]], "f4"),
        ([[40000.0, 0.0], [0.0, 0.0]], "f4"),
        ([[float("nan"), 0.0], [0.0, 0.0]], "f4"),
    ],
)
def test_no_value_changes_on_its_way(values: list[list[float]], kind: str):
    dtype, data = plane_bytes(torch.tensor(values))
    assert dtype == kind
    assert np.array_equal(np.frombuffer(data, f"<{dtype}"), np.ravel(values), equal_nan=True)


def test_class_maps_are_bytes():
    assert plane_bytes(torch.tensor([[0, 7]], dtype=torch.uint8)) == ("u1", b"\x00\x07")


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_a_volume_is_sent_as_a_nifti_file_of_the_same_case(tmp_path: Path, off: float):
    case = lopsided()
    case = case.with_hu(case.hu + off)
    size, parts = volume_nifti(case)
    path = tmp_path / "sent.nii"
    path.write_bytes(b"".join(parts))
    back = read_nifti(path)
    assert path.stat().st_size == size
    assert torch.equal(back.hu, case.hu) and np.allclose(back.affine_mm, case.affine_mm)


def test_every_second_sample_lies_where_it_lay(tmp_path: Path):
    case = lopsided()
    path = tmp_path / "half.nii"
    path.write_bytes(b"".join(volume_nifti(case, step=2)[1]))
    back = read_nifti(path)
    assert torch.equal(back.hu, case.hu[::2, ::2, ::2])
    first, second = (affine @ [1, 2, 3, 1] for affine in (back.affine_mm, case.affine_mm @ np.diag([2, 2, 2, 1])))
    assert np.allclose(first, second)


def test_a_volume_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_VOLUME_BYTES", 1000)
    with pytest.raises(ResourceError, match="--slices"):
        volume_nifti(lopsided())
