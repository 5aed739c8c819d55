"""Which slices words mean, and which are shown."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.evaluation.slices import choose_kept, slice_numbers, slices_from_text


@pytest.mark.parametrize(
    ("text", "meant"),
    [("5", 5), ("-1", -1), ("3:9", slice(3, 9)), (":", slice(None)), ("0:8:2", slice(0, 8, 2)), ("4:", slice(4, None))],
)
def test_words_are_read_as_python_slices(text, meant):
    assert slices_from_text(text) == meant


@pytest.mark.parametrize("text", ["", "a", "1:b", "0:8:0", "1:2:3:4", ":::", "1.5"])
def test_words_that_mean_no_slices_are_refused(text):
    with pytest.raises(InputError, match="expects one number or FIRST:END"):
        slices_from_text(text)


def _case(name: str, slices: int = 9, labelled: int | None = None) -> Case:
    labels = None
    if labelled is not None:
        labels = torch.zeros(slices, 4, 4, dtype=torch.int16)
        labels[labelled], labels[labelled - 1, 0, 0] = 1, 2
    return Case(torch.zeros(slices, 4, 4), (1.0, 1.0, 1.0), name, labels=labels)


def test_slices_of_a_case_are_checked():
    case = _case("a")
    assert slice_numbers(case, slice(2, 8, 3)) == [2, 5] and slice_numbers(case, {"a": [1]}) == [1]
    for wrong, why in (([9], "slices 0 to 8, got 9"), ([], "none of case a"), ([1, 1], "some twice"), ({"b": [1]}, "none")):
        with pytest.raises(InputError, match=why):
            slice_numbers(case, wrong)


def test_kept_slices_are_spread_over_a_case_and_begin_with_the_one_that_shows_most():
    everywhere = list(range(9))
    assert choose_kept([(_case("a"), everywhere)], 1) == [("a", 4)]
    assert choose_kept([(_case("a"), everywhere)], 3) == [("a", 2), ("a", 5), ("a", 7)]
    assert choose_kept([(_case("a", labelled=7), everywhere)], 1) == [("a", 7)]
    two = choose_kept([(_case("a", labelled=7), everywhere), (_case("b"), everywhere)], 4)
    assert [name for name, _ in two] == ["a", "b", "a", "b"] and two[0] == ("a", 7) and len(set(two)) == 4
    assert choose_kept([(_case("a"), [3])], 5) == [("a", 3)]
    assert choose_kept([(_case("a"), [1, 2, 3])], 3) == [("a", 1), ("a", 3), ("a", 2)]
