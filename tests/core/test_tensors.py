"""Other types, precisions and shapes get the line that makes the right tensor, and that line works."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from taskct.core.errors import GeometryError, InputError
from taskct.core.tensors import check_tensor, refuse_nan


def advice_for(x, shape=(4, 6)) -> str:
    with pytest.raises(GeometryError) as caught:
        check_tensor(x, who="Projector", name="mu", shape=shape, advice="resample it")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6)),
        np.zeros((4, 6), np.float32),
        np.zeros((4, 6), np.int16),
        np.zeros((3, 4, 6)),
        np.zeros((3, 1, 4, 6), np.float32),
        np.zeros((4, 6))[::-1],
        np.zeros((4, 6), order="F"),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}{a.strides}",
)
def test_the_line_for_a_numpy_array_makes_a_tensor_that_fits(array):
    text = advice_for(array)
    assert f"expects mu as a torch tensor of shape (B, 1, 4, 6), got a numpy array of shape {array.shape}; pass torch" in text
    line = re.search(r"pass (.*)$", text)[1]
    check_tensor(eval(line, {"torch": torch, "mu": array}), who="Projector", name="mu", shape=(4, 6), advice="")


def test_other_types_precisions_and_shapes_are_told_what_to_do():
    assert "got a list; pass torch.as_tensor(mu).float()" in advice_for([[0.0]])
    assert "got a NoneType" in advice_for(None)
    assert "in float32 or float64, got torch.float16; call .float()" in advice_for(torch.zeros(1, 1, 4, 6, dtype=torch.half))
    assert "got (4, 6); pass mu[None, None]" in advice_for(torch.zeros(4, 6))
    assert "got (2, 4, 6); pass mu[:, None]" in advice_for(torch.zeros(2, 4, 6))
    assert advice_for(torch.zeros(1, 1, 6, 4)).endswith("got (1, 1, 6, 4); resample it")
    assert "expects at least one image in mu, got an empty batch (0, 1, 4, 6)" in advice_for(torch.zeros(0, 1, 4, 6))


def test_nan_is_found_in_tables_and_lists_of_any_numbers() -> None:
    fine = {"a": torch.ones(2), "b": [np.zeros(3), torch.zeros(2, dtype=torch.int64), (torch.ones(1, dtype=torch.bool),)]}
    refuse_nan(fine, who="a reader")
    refuse_nan(torch.tensor([float("inf")]), who="a reader")
    for odd in (np.array([1.0, np.nan]), torch.tensor([float("nan"), 0.0], dtype=torch.float16)):
        with pytest.raises(InputError, match="a reader answers NaN, 1 of 2 numbers; did it overflow in 16 bits"):
            refuse_nan({**fine, "c": [odd]}, who="a reader")
