"""Folding of volumes, and dense blocks."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.nets import DenseBlock, fold_volume, unfold_volume


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_unfolding_undoes_folding_and_neighbours_stay_together(factor: int) -> None:
    x = torch.randn(2, 3, 8, 4, 12)
    folded = fold_volume(x, factor)
    assert folded.shape == (2, 3 * factor**3, 8 // factor, 4 // factor, 12 // factor)
    assert torch.equal(unfold_volume(folded, factor), x)
    block = x[0, 1, :factor, :factor, :factor].flatten()
    assert torch.equal(folded[0, factor**3 : 2 * factor**3, 0, 0, 0], block)


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"divide by it, got \(4, 5, 4\)"):
        fold_volume(torch.zeros(1, 1, 4, 5, 4))


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_a_dense_block_keeps_its_input_and_adds_what_each_layer_grows(norm: str) -> None:
    block = DenseBlock(3, 5, layers=3, growth=4, norm=norm)
    x = torch.randn(1, 5, 4, 4, 4)
    y = block(x.clone())
    assert y.shape[1] == block.outputs == 17
    assert torch.equal(y[:, :5], x)
