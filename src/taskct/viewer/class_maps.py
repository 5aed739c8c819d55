"""Labels and readers' answers in one numbering of classes, so that a contour has one colour wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from taskct.core.class_names import plain_class

_MOST_CLASSES = 254
_FEW = 65536


def class_names(label_names: Mapping[int, str], numbers: Iterable[int], readers: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The classes of a page: those of the labels (named by their number where they have no name), then those of readers alone.

    >>> class_names({1: "liver", 2: "liver tumour"}, [1, 2], [("background", "liver", "tumour", "spleen")])
    ('liver', 'tumour', 'spleen')
    """
    own = [plain_class(label_names.get(n, f"label {n}")) for n in sorted(set(numbers) | set(label_names)) if n > 0]
    foreign = [plain_class(name) for classes in readers for name in classes[1:]]
    return tuple(dict.fromkeys([*own, *foreign]))[:_MOST_CLASSES]


def numbers_of(labels: Tensor) -> list[int]:
    """The numbers that a label map has, in order; counted instead of sorted where they are small.

    >>> numbers_of(torch.tensor([[0, 5], [5, 1]]))
    [0, 1, 5]
    """
    array = labels.numpy().ravel()
    if array.size and array.dtype.kind in "iu" and array.min() >= 0 and array.max() < _FEW:
        return [int(n) for n in np.flatnonzero(np.bincount(array))]
    return [int(n) for n in np.unique(array)]


def renumbered(values: Tensor, names: Mapping[int, str], classes: Sequence[str]) -> Tensor:
    """A map of any numbers (Y, X) -> uint8 (Y, X): 1 + the position of each class, 0 for what is none of them.

    >>> renumbered(torch.tensor([[0, 5]]), {5: "spleen"}, ("liver", "spleen")).tolist()
    [[0, 2]]
    """
    found = np.zeros(tuple(values.shape), dtype=np.uint8)
    array = values.numpy()
    for number in np.unique(array).tolist():
        name = plain_class(names.get(int(number), f"label {int(number)}"))
        if number > 0 and name in classes:
            found[array == number] = 1 + classes.index(name)
    return torch.from_numpy(found)


def overlap(marked: Tensor, truth: Tensor, index: int) -> float:
    """Dice of the class `index` of two maps; NaN where the truth has none of it."""
    ours, theirs = marked == index, truth == index
    if not bool(theirs.any()):
        return float("nan")
    return 2 * float((ours & theirs).sum()) / float(ours.sum() + theirs.sum())
