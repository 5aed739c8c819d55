"""A run folder in the viewer: the images and scores that it holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from lopsided_phantom import lopsided

from taskct.evaluation.table import Table
from taskct.viewer.run_study import studies_of_table


def test_the_kept_slices_of_a_case_are_one_stack_with_the_runs_images_and_scores(run_folder: Path):
    table = Table.read(run_folder)
    (study,) = studies_of_table(table, title="run")
    facts = study.facts
    assert facts.methods == ("truth", "fbp", "dim") and [d.fraction for d in facts.doses] == [1, 0.1]
    assert facts.planes == ("slice 1", "slice 2") and facts.shown == ((), (0, 1), (0, 1))
    assert torch.equal(study.image(0, 0, 1), lopsided().hu[2])  # whole numbers to 2048 are exact in the 16 bits of a run
    example = next(e for e in table.images if e.slice == 2)
    assert torch.equal(study.image(2, 1, 1), example.recon_hu["dim", facts.doses[1]])
    row = next(
        r for r in table.rows
        if (r.method, r.item, r.dose, r.metric, r.region) == ("dim", 2, facts.doses[1], "rmse_hu", "all")
    )  # fmt: skip
    score = study.scores(2, 1, 1)[0]
    assert (score.label, score.unit, score.better) == ("RMSE", "HU", "lower") and score.value == row.value
    assert study.scores(0, 0, 1) == ()


def test_a_lesion_of_the_labels_is_listed_in_its_slice_at_its_centre_with_its_size(run_folder: Path):
    (study,) = studies_of_table(Table.read(run_folder), title="run")
    (lesion,) = study.lesions()
    assert (lesion.name, lesion.plane, lesion.row, lesion.column) == ("liver tumour", 1, 21.5, 32.5)
    assert lesion.diameter_mm == pytest.approx(2 * (4 * 6 * 2.0 * 1.5 / torch.pi) ** 0.5)


def test_what_was_read_stays_when_the_file_of_the_run_is_written_over(run_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_folder, tmp_path / "run")
    (study,) = studies_of_table(Table.read(copy), title="run")
    labels, truth = study.labels(1), study.image(0, 0, 1)
    assert labels is not None
    before = labels.sum().item(), truth.sum().item()
    images = copy / "images.safetensors"
    with images.open("r+b") as file:
        file.write(bytes(images.stat().st_size))
    assert (labels.sum().item(), truth.sum().item()) == before and before[0] > 0
