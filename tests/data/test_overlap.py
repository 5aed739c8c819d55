from __future__ import annotations

import itertools

import numpy as np
import pytest

from taskct.data.overlap import Painting


def _nested() -> dict[int, np.ndarray]:
    masks = {n: np.zeros((1, 20, 20), bool) for n in (1, 2, 3)}
    masks[1][0, 2:18, 2:18] = masks[2][0, 5:12, 5:12] = masks[3][0, 8:10, 8:10] = True
    return masks


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_what_lies_inside_stays_in_any_order(order):
    masks = _nested()
    painting = Painting((1, 20, 20))
    for number in order:
        painting.add(number, masks[number])
    assert np.array_equal(painting.labels, np.where(masks[3], 3, np.where(masks[2], 2, masks[1])))
    assert any("smaller one was taken" in n for n in painting.notes({}, of="masks"))


def test_classes_that_lose_most_of_themselves_are_named():
    painting = Painting((1, 4, 10))
    whole, most, none = (np.zeros((1, 4, 10), bool) for _ in range(3))
    whole[0, 0, :8] = most[0, 0, :5] = True
    none[0, 2] = True
    for number, mask in enumerate((whole, most, none), start=1):
        painting.add(number, mask)
    notes = painting.notes({1: "liver"}, of="masks")
    assert notes[1:] == ["label 1 (liver) loses 62 % of its volume to smaller ones inside"]
    assert Painting((1, 2, 2)).notes({}, of="masks") == []
