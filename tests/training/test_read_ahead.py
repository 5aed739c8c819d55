"""Reading ahead changes nothing but the time that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from image_sets import KINDS
from torch import Tensor

from taskct.core.errors import FileFormatError
from taskct.data.images import ImageSet
from taskct.training.read_ahead import ReadAhead


def numbers_of(step: int) -> Tensor:
    return torch.tensor([(3 * step) % 6, (step + 1) % 6])


@pytest.mark.parametrize("kind", ["in memory", "part of a cohort"])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_images_of_a_step_are_the_same_whoever_reads_them_and_when(kind: str, workers: int, tmp_path: Path) -> None:
    images = KINDS[kind](tmp_path)
    ahead = ReadAhead(images, numbers_of, neighbours=1, workers=workers)
    for step in [0, 1, 2, 3, 4, 9, 2, 3]:  # a training that is resumed begins anywhere
        read, plain = ahead.take(step), images.take(numbers_of(step), neighbours=1)
        assert read.ids == plain.ids and torch.equal(read.mu, plain.mu)
        assert read.stack is not None and plain.stack is not None and torch.equal(read.stack, plain.stack)


class Counting:
    """A storage of zeros that counts what is read, and fails at row 5."""

    shape, has_labels = (4, 4), False
    target_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.read_rows: list[int] = []

    def __len__(self) -> int:
        return 1000

    def read(self, rows):
        from taskct.data.image_source import Pixels

        if 5 in rows:
            raise FileFormatError("row 5 is damaged")
        self.read_rows += rows
        return Pixels(torch.zeros(len(rows), 1, 4, 4))


def test_no_more_is_read_ahead_than_the_depth_and_nothing_twice() -> None:
    storage = Counting()
    ahead = ReadAhead(ImageSet(storage, ["p"] * 1000), lambda step: torch.tensor([10 + step]), depth=3)
    for step in range(20):
        ahead.take(step)
        assert len(storage.read_rows) <= step + 4
    assert sorted(set(storage.read_rows)) == sorted(storage.read_rows) and len(storage.read_rows) <= 23


def test_an_error_of_a_read_ahead_comes_in_its_own_step() -> None:
    ahead = ReadAhead(ImageSet(Counting(), ["p"] * 1000), lambda step: torch.tensor([step]), depth=3)
    for step in range(5):
        ahead.take(step)
    with pytest.raises(FileFormatError, match="row 5"):
        ahead.take(5)
