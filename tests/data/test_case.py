from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskct.core.errors import GeometryError
from taskct.data.case import Case
from taskct.data.nifti import write_nifti
from taskct.data.open import open_case

# A field that is linear in the patient's position: wherever a sample claims to lie, its value says where it does lie.
_FIELD = np.array([1.0, 0.125, 0.03125])  # HU per mm along z, y, x


def _marked(shape, spacing_mm, first_mm) -> Case:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = first_mm
    case = Case(torch.zeros(shape), spacing_mm, affine_mm=affine)
    return replace(case, hu=torch.from_numpy(_told(case)))


def _told(case: Case) -> np.ndarray:
    at = np.stack([*np.meshgrid(*map(np.arange, case.hu.shape), indexing="ij"), np.ones(case.hu.shape)])
    return np.tensordot(_FIELD, np.tensordot(case.affine_mm, at, 1)[:3], 1).astype(np.float32)


def _lies_where_it_says(case: Case, atol: float = 2e-3) -> bool:
    lengths = np.linalg.norm(case.affine_mm[:3, :3], axis=0)
    return np.allclose(case.hu.numpy(), _told(case), atol=atol) and np.allclose(lengths, case.spacing_mm, rtol=1e-6)


cases = st.builds(
    _marked,
    st.tuples(st.integers(2, 7), st.integers(2, 5), st.integers(2, 5)),
    st.tuples(*[st.floats(0.3, 6.0)] * 3),
    st.tuples(*[st.floats(-400, 400)] * 3),
)


@settings(max_examples=60, deadline=None)
@given(case=cases, data=st.data())
def test_slices_that_are_taken_lie_where_they_lay(case, data):
    start = data.draw(st.integers(0, len(case.hu) - 1))
    stop = data.draw(st.integers(start + 1, len(case.hu)))
    step = data.draw(st.integers(1, 3))
    part = case.take(slice(start, stop, step))
    assert len(part.hu) == len(range(start, stop, step)) and _lies_where_it_says(part)
    again = part.take(data.draw(st.integers(-len(part.hu), len(part.hu) - 1)))
    assert len(again.hu) == 1 and _lies_where_it_says(again)


@settings(max_examples=60, deadline=None)
@given(case=cases, data=st.data())
def test_other_values_are_taken_on_the_same_samples_alone(case, data):
    assert _lies_where_it_says(case.with_hu(case.hu.clone()))
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    if shape == tuple(case.hu.shape):
        return
    with pytest.raises(GeometryError, match=r"with_hu expects values on the samples"):
        case.with_hu(torch.zeros(shape))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases, data=st.data())
def test_a_part_that_is_written_and_read_lies_where_it_lay(case, data, tmp_path):
    start = data.draw(st.integers(0, len(case.hu) - 1))
    part = case.take(slice(start, None)).with_hu(case.hu[start:])
    write_nifti(part, tmp_path / "part.nii", overwrite=True)
    assert _lies_where_it_says(open_case(tmp_path / "part.nii"), atol=5e-3)  # NIfTI holds places in float32


def test_a_case_whose_affine_tells_other_distances_cannot_be_made():
    case = Case(torch.zeros(3, 4, 5), (2.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="affine_mm with steps of spacing_mm"):
        replace(case, spacing_mm=(4.0, 1.0, 1.0))
    for wrong in (np.eye(3), np.full((4, 4), np.nan)):
        with pytest.raises(GeometryError, match="finite affine_mm"):
            Case(torch.zeros(3, 4, 5), (1.0, 1.0, 1.0), affine_mm=wrong)


def test_arrays_are_answered_by_what_makes_tensors_of_them() -> None:
    hu = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(
        GeometryError, match=r"expects hu as a torch tensor, got ndarray; pass torch\.as_tensor\(hu\)\.float\(\)"
    ):
        Case(hu, (1.0, 1.0, 1.0))  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match=r"labels as a torch tensor, got ndarray; pass torch\.as_tensor\(labels\)$"):
        Case(torch.from_numpy(hu), (1.0, 1.0, 1.0), labels=hu.astype(np.uint8))  # type: ignore[arg-type]


@pytest.mark.parametrize("hu", [torch.zeros(4, 4), torch.zeros(1, 2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.float64)])
def test_values_of_another_kind_or_number_of_axes_are_refused(hu: torch.Tensor) -> None:
    with pytest.raises(GeometryError, match=r"Case expects hu as float32 \(Z, Y, X\), got torch\.float"):
        Case(hu, (1.0, 1.0, 1.0))


def test_values_that_are_not_dense_are_refused():
    with pytest.raises(GeometryError, match=r"Case expects hu as a dense tensor, got torch\.sparse_coo; call \.to_dense"):
        Case(torch.zeros(2, 3, 4).to_sparse(), (1.0, 1.0, 1.0))
