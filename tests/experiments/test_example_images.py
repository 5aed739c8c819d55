"""Example images: what a step writes is what pages and the viewer read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.core.errors import FileFormatError
from taskct.core.runs import Run
from taskct.evaluation.rows import DoseLevel
from taskct.experiments.example_images import EXAMPLES, example_key, read_examples, save_examples

HALF, FULL = DoseLevel(0.5, 1000.0), DoseLevel(1.0, 1000.0)


def test_images_and_marks_come_back_by_dose_and_reader_and_other_doses_are_left_out(tmp_path: Path):
    run = Run.create(tmp_path / "step", {})
    hu, marks = torch.arange(24.0).reshape(2, 1, 3, 4), torch.ones(2, 3, 4, dtype=torch.uint8)
    tensors = {
        example_key("hu", 500.0): hu.half(),
        example_key("hu", 1000.0): hu.half(),
        example_key("one@home", 500.0): marks,
    }
    save_examples(run, tensors, numbers=[7, 2], spacing_mm=(2.0, 1.5), label_names={1: "liver"})
    kept = read_examples(run, [HALF])
    assert kept is not None and (kept.numbers, kept.spacing_mm) == ((7, 2), (2.0, 1.5)) and kept.label_names == {1: "liver"}
    assert list(kept.hu) == [HALF] and torch.equal(kept.hu[HALF], hu[:, 0])
    assert list(kept.marks) == [(HALF, "one@home")] and torch.equal(kept.marks[HALF, "one@home"], marks)


def test_tensors_of_another_kind_are_no_images_and_damaged_facts_are_named(tmp_path: Path):
    run = Run.create(tmp_path / "step", {})
    run.save_tensors(EXAMPLES, {"volume": torch.zeros(2, 2)})
    assert read_examples(run, [FULL]) is None
    run.save_tensors(EXAMPLES, {"hu@1000": torch.zeros(1, 1, 2, 2)}, metadata={"slices": "[1"}, overwrite=True)
    with pytest.raises(FileFormatError, match=EXAMPLES):
        read_examples(run, [FULL])
