from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.task.boxes import giou, iou, keep_surest


def some_boxes(count: int, dims: int, seed: int, *, whole: bool = True) -> Tensor:
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 12, (count, dims)) if whole else rng.uniform(0, 12, (count, dims))
    size = rng.integers(1, 8, (count, dims)) if whole else rng.uniform(0.5, 8, (count, dims))
    return torch.tensor(np.concatenate([low, low + size], 1), dtype=torch.float64)


def iou_by_counting(a: Tensor, b: Tensor) -> float:
    """Samples of whole-numbered boxes, counted."""
    dims = len(a) // 2
    at = np.indices((20,) * dims)
    inside = [np.all([(at[d] >= int(v[d])) & (at[d] < int(v[d + dims])) for d in range(dims)], 0) for v in (a, b)]
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum())


@pytest.mark.parametrize("dims", [2, 3])
def test_iou_counts_samples(dims: int) -> None:
    a, b = some_boxes(6, dims, 0), some_boxes(5, dims, 1)
    counted = [[iou_by_counting(one, other) for other in b] for one in a]
    assert torch.allclose(iou(a, b), torch.tensor(counted, dtype=torch.float64))


@pytest.mark.parametrize("dims", [2, 3])
def test_giou_is_iou_less_the_empty_share_of_the_hull_and_has_its_gradient(dims: int) -> None:
    a, b = (some_boxes(7, dims, s, whole=False).requires_grad_() for s in (2, 3))
    hull = torch.cat([torch.minimum(a, b)[:, :dims], torch.maximum(a, b)[:, dims:]], 1)
    size = lambda v: (v[:, dims:] - v[:, :dims]).prod(1)
    plain = iou(a, b).diagonal()
    union = (size(a) + size(b)) / (1 + plain)
    assert torch.allclose(giou(a, b), plain - (size(hull) - union) / size(hull))
    assert torch.autograd.gradcheck(lambda x: giou(x, b.detach()), a)


def kept_by_brute_force(boxes: Tensor, scores: Tensor, overlap: float) -> list[int]:
    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda k: (float(scores[k]), -k))
        kept.append(best)
        left = [k for k in left if k != best and iou(boxes[k][None], boxes[best][None]).item() <= overlap]
    return kept


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 1.0])
def test_what_is_kept_is_what_a_brute_force_keeps(dims: int, overlap: float) -> None:
    for seed in range(5):
        boxes = some_boxes(25, dims, seed)
        scores = torch.tensor(np.random.default_rng(seed).integers(0, 6, 25) / 6)  # with ties
        assert keep_surest(boxes, scores, overlap=overlap).tolist() == kept_by_brute_force(boxes, scores, overlap)


def test_no_boxes_keep_none_and_odd_ones_are_refused() -> None:
    assert keep_surest(torch.zeros(0, 4), torch.zeros(0)).tolist() == []
    with pytest.raises(InputError, match="NaN"):
        keep_surest(torch.zeros(1, 4), torch.tensor([float("nan")]))
    with pytest.raises(GeometryError, match=r"\(n, 4\) or \(n, 6\)"):
        iou(torch.zeros(1, 5), torch.zeros(1, 5))
