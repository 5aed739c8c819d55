"""The folder of an experiment in the viewer: what its steps wrote, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lopsided_phantom import lopsided

from taskct.core.errors import InputError
from taskct.core.runs import Run, load_run
from taskct.core.units import to_hu
from taskct.data.images import ImageSet
from taskct.evaluation.rows import Row
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import keep_images
from taskct.viewer.experiment_study import experiment_studies, unfinished_words
from taskct.viewer.picture_layers import Layers


def _record(folder: Path, name: str, done: bool) -> None:
    (folder / ".steps").mkdir(exist_ok=True)
    (folder / ".steps" / f"{name}.json").write_text(json.dumps({"done": done}))


def _scored(folder: Path, method: str, hu: torch.Tensor, marks: torch.Tensor) -> None:
    """A step that scored a method at 500 of 1000 photons, with images 3 and 1 as examples."""
    run = Run.create(folder, {"method": method, "seed": 0})
    row = Row(method, "a", "a", None, 0.5, 1000.0, "dice", "tumour", 0.5, "one", None)
    Table([row], readers={"one": "training"}).save(folder)
    run.write_json("about.json", {"method": method, "seed": 0})
    facts = {"slices": [3, 1], "spacing_mm": [2.0, 1.5], "label_names": {1: "liver", 2: "tumour"}}
    tensors = {"hu@500": hu[:, None].half(), "one@500": marks}
    run.save_tensors("examples.safetensors", tensors, metadata={k: json.dumps(v) for k, v in facts.items()})


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    Run.create(folder, {"experiment": {"name": "task-adaptive-demo"}})
    case = lopsided()
    drawn = Run.create(folder / "images", {"patients": {"test": 1}})
    images = ImageSet(case.mu, ["a"] * 4, case.labels.long(), [f"a/{z}" for z in range(4)])
    keep_images(drawn, "test", images)
    truth = to_hu(images.mu)[:, 0][[3, 1]]
    _scored(folder / "score-fbp", "FBP", truth + 20, torch.full((2, 32, 48), 2, dtype=torch.uint8))
    _scored(folder / "score-full", "full dose", truth, torch.ones(2, 32, 48, dtype=torch.uint8))
    for name, done in (("images", True), ("score-fbp", True), ("score-full", True), ("report", True)):
        _record(folder, name, done)
    return folder


def test_examples_come_with_truth_labels_and_what_readers_marked(experiment: Path):
    first, second = experiment_studies(load_run(experiment))
    assert [study.facts.planes for study in (first, second)] == [("a/3",), ("a/1",)]
    facts = first.facts
    assert facts.methods == ("truth", "FBP") and facts.spacing_mm[1:] == (2.0, 1.5) and facts.unfinished == ""
    assert [(d.fraction, d.photons) for d in facts.doses] == [(0.5, 1000.0)]
    torch.testing.assert_close(first.image(1, 0, 0) - first.image(0, 0, 0), torch.full((32, 48), 20.0), atol=0.6, rtol=0)
    assert first.scores(1, 0, 0)[0].value == pytest.approx(20, abs=0.1)
    assert torch.equal(second.labels(0), lopsided().labels[1].long())
    layers = Layers(first)
    assert layers.readers == ("one",) and layers.classes == ("liver", "tumour")
    assert set(layers.plane("marks", 1, 0, 0, reader="one")[2]) == {2}
    assert set(layers.plane("marks", 0, 0, 0, reader="one")[2]) == {1}  # of the full-dose images


def test_what_is_not_done_is_said_and_the_rest_is_shown(experiment: Path):
    _record(experiment, "report", False)
    (experiment / ".steps" / "score-net.error").write_text("no memory\n")
    (study, _) = experiment_studies(load_run(experiment))
    assert study.facts.unfinished == ("unfinished: 3 steps done, report begun, score-net failed; the same command resumes it")


def test_examples_of_an_experiment_of_another_kind_are_not_taken_for_slices(experiment: Path):
    other = Run.create(experiment / "row-atlas", {"row": "atlas"})
    Table([]).save(other.folder)
    other.write_json("about.json", {"row": "atlas", "seed": None})
    other.save_tensors("examples.safetensors", {"volume": torch.zeros(2, 2, 2)})
    assert len(experiment_studies(load_run(experiment))) == 2


def test_an_experiment_without_images_yet_is_refused_with_what_it_waits_for(tmp_path: Path):
    Run.create(tmp_path / "new", {"experiment": {"name": "task-adaptive"}})
    _record(tmp_path / "new", "images", False)
    assert unfinished_words(tmp_path / "new") == "unfinished: 0 steps done, images begun; the same command resumes it"
    with pytest.raises(InputError, match="no example images yet: it is unfinished"):
        experiment_studies(load_run(tmp_path / "new"))
