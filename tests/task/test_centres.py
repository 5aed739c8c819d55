from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.task.boxes import Boxes
from taskct.task.centres import CentreBoxes, centre_targets, find_boxes

KNOWN = torch.tensor([True, True])


def boxes(
    *corners: tuple[float, ...], classes: tuple[int, ...] = (), known: Tensor = KNOWN, ignored: Tensor | None = None
) -> Boxes:
    flat = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
    numbers = torch.tensor(classes or (0,) * len(corners), dtype=torch.int64)
    return Boxes(flat, numbers, known, torch.zeros(0, 4) if ignored is None else ignored)


def perfect_answer(target: Boxes, shape: tuple[int, int, int], stride: int) -> dict[str, Tensor]:
    """What cells would say that knew the truth."""
    wanted = centre_targets(target, shape, stride=stride)
    said = torch.full((1, 4, *shape[1:]), 0.0)
    logits = torch.where(wanted.heat == 1, 9.0, -9.0)[None]
    for cell, corner in zip(wanted.cells.tolist(), wanted.corners, strict=True):
        size, centre = (corner[2:] - corner[:2]) / stride, (corner[:2] + corner[2:]) / 2 / stride
        share = (centre - torch.tensor(cell)).clamp(1e-4, 1 - 1e-4)
        said[0, :, cell[0], cell[1]] = torch.cat([size.log(), (share / (1 - share)).log()])
    return {"centres": logits, "boxes": said}


def test_what_knows_the_truth_is_decoded_to_it_and_costs_nothing() -> None:
    target = boxes((3, 4, 9, 12), (10, 1, 12, 3), classes=(0, 1))
    answer = perfect_answer(target, (2, 5, 5), 3)
    (found,) = find_boxes(answer, stride=3)
    assert found.classes.sort().values.tolist() == [0, 1]
    for corner, one in zip(target.corners, target.classes, strict=True):
        assert torch.allclose(found.corners[found.classes == one][0], corner, atol=0.01)
    assert float(CentreBoxes(stride=3)(answer, [target])) < 0.01


def test_lesions_that_touch_stay_two() -> None:
    target = boxes((2, 2, 8, 8), (2, 8, 8, 14))
    wanted = centre_targets(target, (2, 4, 4), stride=4)
    assert int((wanted.heat[0] == 1).sum()) == 2 and len(wanted.cells) == 2
    (found,) = find_boxes(perfect_answer(target, (2, 4, 4), 4), stride=4)
    close = [torch.cdist(found.corners, corner[None]).min() for corner in target.corners]
    assert len(found.scores) >= 2 and max(close) < 0.05


def test_an_unknown_class_and_a_region_to_ignore_cost_nothing_and_absence_does() -> None:
    logits = torch.full((1, 2, 4, 4), -9.0)
    logits[0, 1, 1, 1] = 3.0
    answer, loss = {"centres": logits, "boxes": torch.zeros(1, 4, 4, 4)}, CentreBoxes(stride=4)
    absent = float(loss(answer, [boxes()]))
    unknown = float(loss(answer, [boxes(known=torch.tensor([True, False]))]))
    ignored = float(loss(answer, [boxes(ignored=torch.tensor([[4.0, 4, 8, 8]]))]))
    elsewhere = float(loss(answer, [boxes(ignored=torch.tensor([[8.0, 8, 12, 12]]))]))
    assert absent > 2 and unknown < 0.01 and ignored < 0.01 and elsewhere == pytest.approx(absent)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_gradient_of_the_loss_is_that_of_differences(dims: int) -> None:
    torch.manual_seed(1)
    low = torch.tensor([[1.0] * dims, [4.0] * dims])
    target = Boxes(
        torch.cat([low, low + torch.tensor([[3.0], [5.5]])], 1), torch.tensor([0, 1]), KNOWN, torch.zeros(0, 2 * dims)
    )
    shape = (4,) * dims
    centres, said = (torch.randn(1, c, *shape, dtype=torch.float64, requires_grad=True) for c in (2, 2 * dims))
    loss = CentreBoxes(stride=3)
    assert torch.autograd.gradcheck(lambda a, b: loss({"centres": a, "boxes": b}, [target]), (centres, said))


def test_images_without_lesions_have_a_loss_and_batches_of_other_sizes_none() -> None:
    answer = {"centres": torch.zeros(2, 2, 4, 4), "boxes": torch.zeros(2, 4, 4, 4)}
    assert math.isfinite(float(CentreBoxes(stride=4)(answer, [boxes(), boxes()])))
    with pytest.raises(GeometryError, match="boxes for each of 2 images"):
        CentreBoxes(stride=4)(answer, [boxes()])
    with pytest.raises(GeometryError, match="2 dimensions and 3 classes"):
        centre_targets(boxes((0, 0, 1, 1)), (3, 4, 4), stride=4)


def test_of_boxes_that_overlap_the_surest_is_kept() -> None:
    logits = torch.full((1, 1, 3, 6), -9.0)
    logits[0, 0, 1, 1], logits[0, 0, 1, 4] = 2.0, 1.0
    said = torch.zeros(1, 4, 3, 6)
    said[:, :2] = math.log(6.0)
    (one,) = find_boxes({"centres": logits, "boxes": said}, stride=2, overlap=0.2)
    (two,) = find_boxes({"centres": logits, "boxes": said}, stride=2, overlap=0.9)
    assert one.scores.tolist() == pytest.approx([0.880797], abs=1e-5) and len(two.scores) == 2
    assert len(find_boxes({"centres": logits, "boxes": said}, stride=2, threshold=0.95)[0].scores) == 0


@pytest.mark.parametrize(
    ("corners", "number", "words"),
    [
        ([math.nan, 0, 3, 3], 0, "boxes in it"),
        ([9, 9, 3, 3], 0, "boxes in it"),
        ([100, 100, 110, 110], 0, "boxes in it"),
        ([0, 0, 3, 3], -1, "classes from 0 to 0"),
        ([0, 0, 3, 3], 5, "classes from 0 to 0"),
    ],
)
def test_boxes_that_no_cell_can_learn_are_refused(corners: list[float], number: int, words: str) -> None:
    boxes = Boxes(
        torch.tensor([corners], dtype=torch.float32), torch.tensor([number]), torch.tensor([True]), torch.zeros(0, 4)
    )
    with pytest.raises(InputError, match=words):
        centre_targets(boxes, (1, 8, 8), stride=4)


def test_an_answer_of_nan_is_not_an_image_without_lesions() -> None:
    for name in ("centres", "boxes"):
        answer = {"centres": torch.zeros(1, 2, 4, 4), "boxes": torch.zeros(1, 4, 4, 4)}
        answer[name][0, 1, 2, 3] = math.nan
        with pytest.raises(InputError, match=f"got NaN among the {name}"):
            find_boxes(answer, stride=4)
    with pytest.raises(ConfigError, match="stride >= 1, threshold from 0 to 1 and most >= 1"):
        find_boxes(answer, stride=4, threshold=math.nan)
