"""One numbering of classes for labels and readers."""

from __future__ import annotations

import math

import torch

from taskct.viewer.class_maps import class_names, overlap, renumbered


def test_a_label_and_a_readers_class_of_one_meaning_have_one_number():
    classes = class_names({3: "Liver", 9: "liver_tumor"}, [], [("background", "tumour", "liver", "spleen")])
    assert classes == ("liver", "tumour", "spleen")
    assert renumbered(torch.tensor([[0, 3, 9]]), {3: "Liver", 9: "liver_tumor"}, classes).tolist() == [[0, 1, 2]]
    assert renumbered(torch.tensor([[0, 1, 2]]), {1: "tumour", 2: "liver"}, classes).tolist() == [[0, 2, 1]]


def test_labels_without_names_go_by_their_numbers():
    classes = class_names({}, [2, 700], [])
    assert renumbered(torch.tensor([[700, 2, 0]]), {}, classes).tolist() == [[2, 1, 0]]


def test_the_dice_of_a_class():
    ours, theirs = torch.tensor([[1, 1, 0, 2]]), torch.tensor([[1, 0, 1, 0]])
    assert overlap(ours, theirs, 1) == 0.5
    assert math.isnan(overlap(ours, theirs, 2))
