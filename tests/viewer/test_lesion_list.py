"""Places to jump to."""

from __future__ import annotations

import torch

from taskct.data.case import Case
from taskct.data.marks import Marks
from taskct.viewer.lesion_list import lesions_of_case


def _case(labels: torch.Tensor, names: dict[int, str], **more: object) -> Case:
    return Case(torch.zeros(labels.shape), (5.0, 1.0, 1.0), labels=labels, label_names=names, **more)


def test_each_connected_piece_of_a_lesion_is_one_at_its_largest_section():
    labels = torch.zeros(6, 20, 20, dtype=torch.int64)
    labels[:, 2:18, 2:18] = 7
    labels[1, 3:5, 3:5] = 300
    labels[2, 3:7, 3:7] = 300
    labels[4, 10:12, 12:14] = 300
    first, second = lesions_of_case(_case(labels, {7: "liver", 300: "tumour"}))
    assert (first.name, first.plane, first.row, first.column) == ("tumour 1", 2, 4.5, 4.5)
    assert (second.name, second.plane, second.row, second.column) == ("tumour 2", 4, 10.5, 12.5)
    assert first.diameter_mm > second.diameter_mm


def test_without_a_lesion_the_labelled_regions_are_listed_and_without_labels_nothing():
    labels = torch.zeros(3, 8, 8, dtype=torch.uint8)
    labels[1, 2:4, 2:6] = 4
    (only,) = lesions_of_case(_case(labels, {}))
    assert (only.name, only.plane, only.row, only.column) == ("label 4", 1, 2.5, 3.5)
    assert lesions_of_case(Case(torch.zeros(1, 4, 4), (1.0, 1.0, 1.0))) == ()


def test_marks_come_before_labels():
    labels = torch.ones(2, 8, 8, dtype=torch.uint8)
    instances = torch.zeros(2, 8, 8, dtype=torch.int16)
    instances[1, 6, 1] = 3
    marks = Marks(instances, {3: "solid nodule"}, masked=frozenset(["solid nodule"]))
    (only,) = lesions_of_case(_case(labels, {1: "lung"}, marks=marks))
    assert (only.name, only.plane, only.row, only.column) == ("solid nodule", 1, 6.0, 1.0)
