"""A network with several heads learns from partly labelled images; it resumes, and processes share it."""

from __future__ import annotations

import signal
from pathlib import Path

import own_process
import pytest
import torch
from heads_job import BATCH, Heads, TwoHeads, job
from places import SUPPORT

from taskct.core.errors import DataError
from taskct.core.runs import load_run
from taskct.training import AnswerPenalty, Objective, Player, TrainSettings, fit

JOB = SUPPORT / "heads_job.py"


def start(folder: Path, *, kill: int = -1) -> int:
    return own_process.run(JOB, folder, kill).returncode


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_run(folder).load_tensors("weights.safetensors")[0]


def test_each_head_learns_from_the_images_that_are_labelled_for_it(tmp_path: Path) -> None:
    job(str(tmp_path / "run"))
    lines = load_run(tmp_path / "run").metrics()
    steps = [line for line in lines if line["kind"] == "train"]
    source = Heads(TrainSettings(steps=12, batch=BATCH))
    for k, line in enumerate(steps):
        batch = source.batch(k)
        # log_every 1: a line names what its batch was labelled for, and nothing else
        assert ("grade" in line) == (batch.count("grade") > 0) and ("organ" in line) == (batch.count("organ") > 0)
    assert 0 < sum("grade" in line for line in steps) < len(steps)  # both happen
    first, last = (line for line in lines if line["kind"] == "validation")
    assert last["organ"] < first["organ"]


def test_validation_means_count_labelled_images_and_the_total_is_made_of_the_means(tmp_path: Path) -> None:
    done = job(str(tmp_path / "run"), steps=2, validate_every=2)
    line = next(line for line in load_run(tmp_path / "run").metrics() if line["kind"] == "validation")
    source = Heads(TrainSettings(steps=2, batch=BATCH))
    checks = source.of(source.checks, torch.arange(6), 0)
    from taskct.task import HuWindow

    with torch.no_grad():
        answers = done.model(HuWindow(40, 400)(checks.mu))
    grade = (answers["grade"][3] - checks.targets["grade"][3]).square()  # the only labelled one of six
    seen = checks.labelled["organ"]
    organ = torch.nn.functional.cross_entropy(answers["organ"][seen], checks.targets["organ"][seen])
    assert line["grade"] == pytest.approx(float(grade), rel=1e-4) and line["organ"] == pytest.approx(float(organ), rel=1e-4)
    assert line["total"] == pytest.approx(line["organ"] + 0.5 * line["grade"], rel=1e-6)


def test_a_batch_without_any_label_moves_nothing(tmp_path: Path) -> None:
    class Nobody(Heads):
        def batch(self, step: int):  # type: ignore[no-untyped-def]
            batch = super().batch(step)
            return type(batch)(**{**vars(batch), "labelled": {"grade": torch.zeros(BATCH, dtype=torch.bool)}})

    from taskct.core.runs import Run
    from taskct.task import HuWindow

    net = TwoHeads()
    before = {n: t.clone() for n, t in net.state_dict().items()}
    settings = TrainSettings(steps=3, batch=BATCH, weight_decay=0.1, log_every=1)
    objective = Objective({"grade": (1.0, AnswerPenalty(torch.nn.MSELoss(), task="grade"))})
    player = Player(net, objective, lambda net, batch: batch.with_answers(net(HuWindow(40, 400)(batch.mu))))
    done = fit(player, Nobody(settings), Run.create(tmp_path / "run", {}), settings)
    assert done.steps == 3 and done.skipped == 0
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert [line for line in done.run.metrics() if line["kind"] == "train"] == []


def test_a_head_without_a_finite_loss_is_named(tmp_path: Path) -> None:
    class Broken(Heads):
        def of(self, images, numbers, step):  # type: ignore[no-untyped-def]
            batch = super().of(images, numbers, step)
            return type(batch)(**{**vars(batch), "targets": {**batch.targets, "grade": batch.targets["grade"] * torch.nan}})

    from taskct.core.runs import Run
    from taskct.task import HuWindow

    settings = TrainSettings(steps=30, batch=BATCH, most_bad_steps=2)
    terms = {"organ": (1.0, AnswerPenalty(torch.nn.CrossEntropyLoss(), task="organ")),
             "grade": (1.0, AnswerPenalty(torch.nn.MSELoss(), task="grade"))}  # fmt: skip
    player = Player(TwoHeads(), Objective(terms), lambda net, batch: batch.with_answers(net(HuWindow(40, 400)(batch.mu))))
    with pytest.raises(DataError, match=r"2 steps in a row gave no finite loss \(in grade\)"):
        fit(player, Broken(settings), Run.create(tmp_path / "run", {}), settings)


def test_partly_labelled_training_resumes_bit_equal_after_a_kill(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    job(str(tmp_path / "whole"))
    torch.set_num_threads(threads)
    assert start(tmp_path / "killed", kill=7) == -signal.SIGKILL
    assert start(tmp_path / "killed") == 0
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], tensor) for name, tensor in killed.items())


def test_two_ranks_with_labels_in_one_of_them_end_where_one_process_ends(tmp_path: Path) -> None:
    ranks = own_process.run_ranks(2, JOB, tmp_path / "two", -1)
    assert [one.returncode for one in ranks] == [0, 0], ranks
    assert start(tmp_path / "one") == 0
    one, both = weights(tmp_path / "one"), weights(tmp_path / "two")
    # means over labelled pixels: organs of two ranks weigh by images, which hold as many pixels each
    assert max(float((one[k] - both[k]).abs().max()) for k in one) < 1e-5
    logged = [[line.get("grade") is not None for line in load_run(tmp_path / n).metrics()] for n in ("one", "two")]
    assert logged[0] == logged[1]
