"""What was read of a step's folder is kept for a process, and read anew when the folder was made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from taskct.core.errors import InputError
from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.experiments.cohort_images import images_of, keep_images
from taskct.experiments.folder_cache import read_once


def test_a_folder_is_read_once_for_each_further_argument_and_again_when_a_file_of_it_is_replaced(tmp_path: Path) -> None:
    read: list[tuple[str, int]] = []

    @read_once(4)
    def first_line(folder: Path, part: str, *, times: int = 1) -> str:
        read.append((part, times))
        return (folder / part).read_text() * times

    (tmp_path / "a").write_text("old ")
    assert first_line(tmp_path, "a") == first_line(tmp_path / ".", "a") == "old " and first_line(tmp_path, "a", times=2)
    assert read == [("a", 1), ("a", 2)]
    (tmp_path / "new").write_text("new ")
    (tmp_path / "new").replace(tmp_path / "a")
    assert first_line(tmp_path, "a") == "new " and read[2:] == [("a", 1)]


def test_images_of_an_experiment_that_was_begun_again_in_its_place_are_the_new_ones(tmp_path: Path) -> None:
    # they were those of the experiment before: networks were trained and judged on its patients
    folder = tmp_path / "images"
    for value in (0.01, 0.02):
        images = ImageSet(torch.full((2, 1, 8, 8), value), ["a", "b"])
        keep_images(Run.create(folder, {}), "train", images)
        assert torch.equal(images_of(folder, "train").mu, images.mu)
        shutil.rmtree(folder)
    with pytest.raises(InputError):
        images_of(folder, "train")
