"""Lesions of a labelled case as places to jump to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from taskct.data.case import Case
from taskct.viewer.study import Lesion

LESION_WORDS = ("lesion", "tumor", "tumour", "nodule", "cyst", "metasta", "cancer", "infection")
_MOST = 200


def is_lesion(name: str) -> bool:
    """Whether the name of a label is that of a lesion.

    >>> is_lesion("Liver tumour"), is_lesion("liver")
    (True, False)
    """
    return any(word in name.lower() for word in LESION_WORDS)


def lesions_of_case(case: Case) -> tuple[Lesion, ...]:
    """Each lesion of the marks, else each connected piece of labels that are lesions, else each labelled region as one.

    A lesion lies in the plane of its largest section, at the centre of that section; its diameter is that of a circle of this
    area. Sorted by plane from the feet; of more than 200 the largest are kept.
    """
    if case.marks is not None and case.marks.kinds:
        found = list(_pieces(case.marks.instances.numpy(), dict(case.marks.kinds), case, split=False))
    elif case.labels is not None:
        labels = case.labels.numpy()
        names = {int(n): case.label_names.get(int(n), f"label {n}") for n in np.unique(labels) if n > 0}
        lesions = {number: name for number, name in names.items() if is_lesion(name)}
        found = list(_pieces(labels, lesions or names, case, split=bool(lesions)))
    else:
        return ()
    largest = sorted(found, key=lambda one: -one.diameter_mm)[:_MOST]
    return tuple(sorted(largest, key=lambda one: (one.plane, one.row, one.column)))


def _pieces(values: np.ndarray, names: Mapping[int, str], case: Case, *, split: bool) -> Iterator[Lesion]:
    """One lesion for each number, or for each connected piece of it, numbered where there are several."""
    from scipy.ndimage import find_objects, label

    compact = np.searchsorted(numbers := np.array(sorted(names)), values)  # label maps may hold any numbers
    compact = np.where(numbers[np.minimum(compact, len(numbers) - 1)] == values, compact + 1, 0).astype(np.int32)
    for position, box in enumerate(find_objects(compact, max_label=len(numbers)), start=1):
        if box is None:
            continue
        name, inside = names[int(numbers[position - 1])], compact[box] == position
        if not split:
            yield _place(inside, box, name, case)
            continue
        parts, count = label(inside, structure=np.ones((3, 3, 3)))
        for part, own in enumerate(find_objects(parts), start=1):
            moved = tuple(slice(b.start + o.start, b.start + o.stop) for b, o in zip(box, own, strict=True))
            yield _place(parts[own] == part, moved, f"{name} {part}" if count > 1 else name, case)


def _place(inside: np.ndarray, box: tuple[slice, ...], name: str, case: Case) -> Lesion:
    """The largest section of a piece, a bool map of its box."""
    areas = inside.sum((1, 2))
    plane = int(areas.argmax())
    rows, columns = np.nonzero(inside[plane])
    mm2 = float(areas[plane]) * case.spacing_mm[1] * case.spacing_mm[2]
    centre = (float(rows.mean()) + box[1].start, float(columns.mean()) + box[2].start)
    return Lesion(name, plane + box[0].start, *centre, 2 * float(np.sqrt(mm2 / np.pi)))
