from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError, InputError
from taskct.data.images import ImageSet
from taskct.data.label_shares import LabelShares
from taskct.data.marks import Marks

CLASSES = {"nodule": ("nodule",)}


def images() -> ImageSet:
    one = torch.zeros(4, 4, dtype=torch.int16)
    one[1:3, 1:3] = 1
    marks = Marks(one, {1: "nodule"}, masked=frozenset(["nodule"]))
    patients = [f"p{k // 2}" for k in range(40)]
    return ImageSet(torch.zeros(40, 1, 4, 4), patients).with_marks([marks] * 40)


def known(shares: LabelShares, seed: int = 0) -> tuple[set[str], set[str], set[str]]:
    masks, boxes, told = set(), set(), set()
    for sample in shares.of(images(), CLASSES, seed=seed):
        marks = sample.marks
        if marks is None:
            continue
        masks |= {sample.patient_id} if marks.class_map(CLASSES) is not None else set()
        boxes |= {sample.patient_id} if marks.boxes(CLASSES) is not None else set()
        told |= {sample.patient_id} if marks.presence(CLASSES)[0] == 1 else set()
    return masks, boxes, told


def test_shares_are_of_patients_and_what_follows_from_a_label_is_known_too() -> None:
    masks, boxes, told = known(LabelShares(masks=0.1, boxes=0.3, findings=0.5))
    assert (len(masks), len(boxes), len(told)) == (2, 6, 10) and masks < boxes < told


def test_a_smaller_share_lies_within_a_larger_one_and_the_seed_chooses_it() -> None:
    few, more = (known(LabelShares(masks=s, boxes=s))[0] for s in (0.2, 0.6))
    assert few < more
    assert known(LabelShares(masks=0.2, boxes=0.2), seed=1)[0] != few


def test_scarce_boxes_beside_all_masks_are_refused() -> None:
    with pytest.raises(ConfigError, match="boxes follow from masks"):
        LabelShares(masks=1.0, boxes=0.1)
    with pytest.raises(InputError, match="marks"):
        LabelShares().of(ImageSet(torch.zeros(1, 1, 4, 4), ["a"]), CLASSES)
