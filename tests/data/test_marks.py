from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from taskct.core.errors import GeometryError, InputError
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.marks import MARKS, Marks
from taskct.data.samples import ImageBatch
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.cohort import Cohort
from taskct.phantoms.lesions.insertion import insert_lesion, remove_lesion
from taskct.phantoms.patient import make_patient
from taskct.training.augment import Augmentation

NODULE, BOTH = {"nodule": ("nodule",)}, {"nodule": ("nodule",), "infection": ("glass", "dense")}


def two_that_touch() -> Marks:
    instances = torch.zeros(8, 10, dtype=torch.int16)
    instances[2:5, 1:4], instances[3:6, 4:6], instances[7, 9] = 1, 2, 3
    kinds = {1: "nodule", 2: "nodule", 3: "glass"}
    return Marks(instances, kinds, masked=frozenset(["nodule", "glass", "dense"]))


def test_lesions_that_touch_stay_two_boxes_and_one_class() -> None:
    marks = two_that_touch()
    boxes = marks.boxes(NODULE)
    assert boxes is not None and boxes.corners.tolist() == [[2, 1, 5, 4], [3, 4, 6, 6]]
    area = marks.class_map(NODULE)
    assert area is not None and int((area == 1).sum()) == 9 + 6 and area.dtype == torch.int64


def test_absent_differs_from_unknown() -> None:
    nobody, none_there = Marks.nothing_known((4, 4)), Marks(torch.zeros(4, 4, dtype=torch.int16), masked=frozenset(["nodule"]))
    assert nobody.class_map(NODULE) is None and nobody.boxes(NODULE) is None and math.isnan(nobody.presence(NODULE)[0])
    empty = none_there.boxes(NODULE)
    assert empty is not None and empty.corners.shape == (0, 4) and empty.known.tolist() == [True]
    assert none_there.presence(NODULE).tolist() == [0.0]
    known = none_there.boxes(BOTH)
    assert known is not None and known.known.tolist() == [True, False] and none_there.class_map(BOTH) is None


def test_a_finding_is_known_without_a_place_and_a_part_of_the_image_need_not_show_it() -> None:
    marks = Marks(torch.zeros(4, 4, dtype=torch.int16), findings={"nodule": True, "infection": False})
    assert marks.presence(BOTH).tolist() == [1.0, 0.0]
    assert math.isnan(marks.crop(slice(0, 2), slice(0, 2)).presence(BOTH)[0])
    assert marks.crop(slice(0, 2), slice(0, 2)).presence(BOTH)[1] == 0.0


def test_boxes_of_marks_without_masks_come_back_and_hide_no_smaller_one() -> None:
    marks = Marks.of_boxes((9, 9), [(1, 1, 4, 5), (2, 2, 3, 3), (6, 6, 9, 9)], ["nodule"] * 3, boxed=frozenset(["nodule"]))
    boxes = marks.boxes(NODULE)
    assert boxes is not None and boxes.corners.tolist() == [[1, 1, 4, 5], [2, 2, 3, 3], [6, 6, 9, 9]]
    assert marks.class_map(NODULE) is None and marks.presence(NODULE).tolist() == [1.0]
    with pytest.raises(InputError, match="reaches out"):
        Marks.of_boxes((9, 9), [(1, 1, 4, 10)], ["nodule"])
    with pytest.raises(InputError, match="covered whole"):
        Marks.of_boxes((9, 9), [(1, 1, 4, 4), (1, 1, 4, 4)], ["nodule"] * 2)


def test_what_is_ignored_counts_neither_way() -> None:
    marks = two_that_touch().ignoring_small(7, ("nodule",))
    boxes = marks.boxes(NODULE)
    assert boxes is not None and boxes.corners.tolist() == [[2, 1, 5, 4]] and boxes.ignored.tolist() == [[3, 4, 6, 6]]
    only_small = two_that_touch().ignoring_small(100, ("nodule",))
    assert math.isnan(only_small.presence(NODULE)[0])


def test_patches_of_one_infection_become_one_instance() -> None:
    instances = torch.zeros(6, 8, dtype=torch.int16)
    instances[1:3, 1:3], instances[3:5, 3:5], instances[1, 7], instances[5, 0] = 1, 2, 3, 4
    marks = Marks(instances, {1: "glass", 2: "dense", 3: "glass", 4: "nodule"}, masked=frozenset(["glass", "dense", "nodule"]))
    joined = marks.joined(("glass", "dense"), as_kind="infection")
    boxes = joined.boxes({"infection": ("infection",), "nodule": ("nodule",)})
    assert boxes is not None
    found = sorted(zip(boxes.classes.tolist(), boxes.corners.tolist(), strict=True))
    assert found == [(0, [1, 1, 5, 5]), (0, [1, 7, 2, 8]), (1, [5, 0, 6, 1])]
    assert joined.masked == {"infection", "nodule"}


def test_boxes_derived_after_augmentation_bound_the_moved_class_map() -> None:
    marks = two_that_touch()
    augment = Augmentation(shift_share=0.1, rotate_deg=20.0, scale=0.2)
    _, moved = augment(torch.zeros(1, 1, 8, 10), marks.instances[None], torch.Generator().manual_seed(3))
    assert moved is not None
    now = marks.with_map(moved[0])
    boxes, area = now.boxes(NODULE), now.class_map(NODULE)
    assert boxes is not None and area is not None and len(boxes.corners) == 2
    rows, cols = np.where(area.numpy() == 1)
    low, high = boxes.corners[:, :2].amin(0), boxes.corners[:, 2:].amax(0)
    assert (low.tolist(), high.tolist()) == ([rows.min(), cols.min()], [rows.max() + 1, cols.max() + 1])


def test_marks_on_another_grid_or_of_fractions_are_refused() -> None:
    with pytest.raises(GeometryError, match="whole numbers"):
        Marks(torch.zeros(4, 4))
    with pytest.raises(InputError, match="kind"):
        Marks(torch.ones(2, 2, dtype=torch.int16)).presence(NODULE)
    with pytest.raises(GeometryError, match="grid of its images"):
        ImageSet(torch.zeros(1, 1, 4, 4), ["a"]).with_marks([Marks.nothing_known((5, 4))])
    with pytest.raises(GeometryError, match="marks on the samples"):
        Case(torch.zeros(1, 4, 4), (1.0, 1.0, 1.0), marks=Marks.nothing_known((2, 4, 4)))


def test_a_built_in_chest_is_known_whole_and_its_masks_are_its_labels() -> None:
    ill = ChestSettings(nodule_share=1.0, infection_share=1.0, effusion_share=1.0)
    cohort = Cohort("chest", {"train": 1}, shape=(48, 64), slices_per_patient=3, settings=ill, seed=6)
    images = cohort.images("train", marks=True, progress=False)
    classes = {
        "nodule": ("solid nodule", "part-solid nodule", "ground-glass nodule"),
        "ground glass": ("ground glass",),
        "consolidation": ("consolidation",),
        "effusion": ("effusion",),
    }
    assert images.label_values() == (0, 1, 2, 4)
    for sample in images:
        assert sample.marks is not None and sample.labels is not None
        area = sample.marks.class_map(classes)
        assert area is not None and torch.equal(area, sample.labels.long())
    streamed = cohort.images("train", marks=True, in_memory=False)
    assert all(torch.equal(a.marks.instances, b.marks.instances) for a, b in zip(images, streamed, strict=True))  # type: ignore[union-attr]
    assert [m is not None for m in ImageBatch.of(list(images[:2])).marks] == [True, True]
    assert not cohort.images("train", in_memory=False).has_marks


def test_a_case_keeps_its_marks_in_step_with_what_is_put_in_and_taken_out() -> None:
    case = make_patient(0, 1, shape=(6, 48, 64), spacing_mm=(5.0, 6.0, 6.0)).case
    assert case.marks is not None and case.labels is not None
    tumour = {"liver tumour": ("tumour",)}
    place = torch.nonzero(case.labels == 1)[100].tolist()
    assert case.affine_mm is not None
    z, y, x = (case.affine_mm @ [*place, 1.0])[:3]
    more = insert_lesion(case, radius_mm=9.0, contrast_hu=-50.0, centre_mm=(z, y, x), seed=0)
    assert more.marks is not None and more.labels is not None
    area = more.marks.class_map(tumour)
    assert (
        area is not None and torch.equal(area > 0, more.labels == 2) and int((area > 0).sum()) > int((case.labels == 2).sum())
    )
    less = remove_lesion(more, centre_mm=(z, y, x), seed=0)
    assert less.marks is not None and less.labels is not None
    area = less.marks.class_map(tumour)
    assert area is not None and torch.equal(area > 0, less.labels == 2)
    assert less.take(slice(1, 3)).marks.shape == (2, 48, 64)  # type: ignore[union-attr]
    assert MARKS in ImageSet.from_cases([less]).target_names


@pytest.mark.parametrize("box", [[math.nan, 0, 3, 3], [0, 0, math.inf, 3], [0, 3, 3]])
def test_boxes_that_are_not_two_corners_of_finite_numbers_are_named(box: list[float]) -> None:
    with pytest.raises(InputError, match="box 1 expects 4 finite numbers"):
        Marks.of_boxes((8, 8), [[0, 0, 2, 2], box], ["nodule", "nodule"])


def test_maps_without_numbers_of_instances_are_refused_wherever_they_are_asked() -> None:
    for odd in (torch.ones(4, 4, dtype=torch.bool), torch.zeros(0, 4, dtype=torch.int16)):
        with pytest.raises(GeometryError, match="Marks expects instances as whole numbers"):
            Marks(odd)
    below = Marks(torch.full((4, 4), -1), masked=frozenset(["nodule"]))
    for ask in (below.boxes, below.presence, below.class_map):
        with pytest.raises(InputError, match="instances of 0 or more, got -1"):
            ask(NODULE)
    with pytest.raises(InputError, match="instances of 0 or more, got -1"):
        below.ignoring_small(3, ["nodule"])


def test_a_text_where_kinds_belong_is_not_taken_letter_by_letter() -> None:
    with pytest.raises(InputError, match="a set of kinds as masked, got the text 'nodule'"):
        Marks(torch.zeros(4, 4, dtype=torch.int16), masked="nodule")  # type: ignore[arg-type]
    for ask in (two_that_touch().boxes, two_that_touch().presence, two_that_touch().class_map):
        with pytest.raises(InputError, match="class 'nodule' expects a list of kinds, got the text 'nodule'"):
            ask({"nodule": "nodule"})


@pytest.mark.parametrize("ask", ["class_map", "boxes"])
def test_a_kind_of_two_classes_and_a_class_without_kinds_are_refused(ask: str) -> None:
    marks = Marks(torch.tensor([[0, 1, 2]]), {1: "a", 2: "b"}, masked=frozenset(["a", "b"]))
    with pytest.raises(InputError, match="'a' belongs to the classes 'one' and 'two'"):
        getattr(marks, ask)({"one": ["a"], "two": ["b", "a"]})
    for question in (ask, "presence"):
        with pytest.raises(InputError, match="'two' has no kind of lesion"):
            getattr(marks, question)({"one": ["a"], "two": []})
    assert marks.presence({"any": ["a", "b"], "one": ["a"]}).tolist() == [1, 1]  # of findings both may be true
