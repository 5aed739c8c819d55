"""The task-adaptive experiment: whole, resumable to the bit, and able to grow."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from places import SUPPORT, child_env
from small_task_adaptive import settings
from waiting import wait_for

from taskct.core.errors import ConfigError, InputError, OutputExistsError
from taskct.core.runs import load_run
from taskct.evaluation.table import Table
from taskct.experiments import Records, run_steps
from taskct.experiments.engine import do_last
from taskct.experiments.step_record import RECORDS
from taskct.systems.adaptive.experiment import LOSSES, PRESETS, Arm, TaskAdaptive, task_adaptive_steps
from taskct.systems.adaptive.experiment.adaptive_summary import bound_word
from taskct.systems.adaptive.experiment.scoring import RETRAININGS, lesion_pairs
from taskct.systems.catalogue import reproduce

pytestmark = pytest.mark.slow

LABEL, PLAIN = Arm("unet", "label-0.5"), Arm("unet", "plain")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment."""
    folder = tmp_path_factory.mktemp("experiment")
    run_steps(task_adaptive_steps, settings(), folder, say=str)
    return folder


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def test_every_method_is_scored_at_every_dose_under_every_kind_of_reader(done: Path) -> None:
    rows = _rows(done / "report" / "summary.csv")
    methods = {r["method"] for r in rows}
    assert methods == {
        "full dose", "FBP", "TV, tuned", PLAIN.method, LABEL.method, "FBP + U-Net, joint", "FBP + U-Net, sequential"
    }  # fmt: skip
    of = lambda method, reader: {r["photons"] for r in rows if r["method"] == method and r["reader"] == reader}
    for method in methods - {"full dose"}:
        assert of(method, "unseen") == of(method, "training") == {"65536", "16384"}
    assert of(PLAIN.method, "retrained") and of("FBP", "retrained")
    assert of("FBP + U-Net, joint", "own") and of("FBP + U-Net, sequential", "own") and not of(LABEL.method, "own")


def test_sequential_training_is_the_plain_image_under_the_reader_retrained_on_it(done: Path) -> None:
    rows = _rows(done / "report" / "summary.csv")
    value = lambda method, reader: [
        r["mean"] for r in rows if (r["method"], r["reader"], r["metric"]) == (method, reader, "dice_pooled")
    ]
    assert value("FBP + U-Net, sequential", "own") == value(PLAIN.method, "retrained")
    assert value("FBP + U-Net, sequential", "unseen") == value(PLAIN.method, "unseen")


def test_the_page_shows_numbers_images_with_outlines_curves_and_a_verdict_in_words(done: Path) -> None:
    html = (done / "report" / "report.html").read_text(encoding="utf-8")
    assert "Unfinished" not in html
    for part in ("Negative controls", "Lesions put in and taken out", "vector-effect='non-scaling-stroke'", "data:image/svg"):
        assert (part in html) == (part != "Negative controls")  # this one was trained without controls
    words = (done / "report" / "summary.txt").read_text(encoding="utf-8")
    assert words.startswith("No gain of unseen readers is confirmed: ")
    assert "no gain in Dice of the tumour of a patient under unseen readers is confirmed" in words
    assert "! FBP + U-Net, label loss .5: Only one unseen reader" in words and "training seed" in words
    first = _rows(done / "report" / "gains.csv")[0]
    assert first["baseline"] == PLAIN.method and int(first["patients"]) > 1 and first["seeds"] == "1"
    assert ", one training each; bold" in html


def _forget(folder: Path, root: str) -> None:
    """Take the step `root` out of an experiment, and all that stand on it."""
    steps = task_adaptive_steps(settings())
    gone = {root}
    for step in steps:  # in order: what a step needs stands before it
        if gone & {step.name, *step.needs}:
            gone.add(step.name)
            shutil.rmtree(folder / step.name)
            for record in (folder / RECORDS).glob(f"{step.name}.*"):
                record.unlink()
    assert {root, PLAIN.name, LABEL.name, f"scores-{PLAIN.name}", f"bound-{PLAIN.name}", "report"} <= gone


def test_a_killed_experiment_ends_with_the_same_bytes(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)  # what comes before the networks is not what is killed
    _forget(tmp_path, PLAIN.base)
    words = [sys.executable, str(SUPPORT / "small_task_adaptive.py"), str(tmp_path)]
    process = subprocess.Popen(words, env=child_env(), start_new_session=True, stdout=subprocess.DEVNULL)
    wait_for((tmp_path / PLAIN.base / "metrics.jsonl").exists, "the first lines of the base's training")
    os.killpg(process.pid, signal.SIGKILL)  # both processes at once, in the middle of a training
    process.wait()
    assert not Records(tmp_path).done(PLAIN.name)
    task_adaptive_steps(settings())[-1].work.run(tmp_path, "report")  # the page of what there is, as --only-report writes it
    part = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<p class='unfinished'>Unfinished: " in part and f"scores-{PLAIN.name}" in part
    assert "No task loss has been compared with its baseline yet." in part
    run_steps(task_adaptive_steps, settings(), tmp_path, say=str)
    for name in (PLAIN.base, PLAIN.name, LABEL.name, f"bound-{PLAIN.name}"):
        ours, theirs = (load_run(folder / name).load_tensors("weights.safetensors")[0] for folder in (tmp_path, done))
        assert all(bool((ours[k] == theirs[k]).all()) for k in theirs), name
    for name in ("summary.csv", "gains.csv"):
        assert (tmp_path / "report" / name).read_bytes() == (done / "report" / name).read_bytes()


def test_more_arms_add_to_the_table_and_leave_the_rest_alone(done: Path) -> None:
    before = (done / f"scores-{PLAIN.name}" / "table.csv").stat().st_mtime_ns
    lines: list[str] = []
    run_steps(task_adaptive_steps, settings(losses=("plain", "label-0.5", "joint", "random-network")), done, say=lines.append)
    assert (done / f"scores-{PLAIN.name}" / "table.csv").stat().st_mtime_ns == before
    assert {line.partition(":")[0] for line in lines} == {
        "unet-random-network-s0", "scores-unet-random-network-s0", "report"
    }  # fmt: skip
    assert "Negative controls at this dose" in (done / "report" / "summary.txt").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="task_steps = 8, now 9"):
        run_steps(task_adaptive_steps, settings(task_steps=9), done, say=str)


def test_what_is_done_can_be_shown_before_the_rest_is(done: Path, tmp_path: Path) -> None:
    more = settings(losses=("plain", "label-0.5", "joint", "label-0.9"))  # the last is not done
    made = do_last(task_adaptive_steps(more), done)
    methods = {r["method"] for r in _rows(made / "summary.csv")}
    assert LABEL.method in methods and Arm("unet", "label-0.9").method not in methods
    assert not Records(done).done(Arm("unet", "label-0.9").name)
    with pytest.raises(InputError, match="no step is done"):
        do_last(task_adaptive_steps(more), tmp_path)


def test_bounds_are_those_of_the_method_itself(done: Path) -> None:
    table = Table.read(done / f"scores-bound-{PLAIN.name}")
    assert {r.method for r in table.rows} == {PLAIN.method} and {r.reader for r in table.rows} == {"retrained"}
    assert not (done / f"scores-bound-{LABEL.name}").exists()


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment whose bases end by patience and whose retrained readers have all that a bound needs."""
    folder = tmp_path_factory.mktemp("bounded")
    run_steps(task_adaptive_steps, settings(**BOUNDED), folder, say=str)
    return folder


BOUNDED = {
    "losses": ("plain", "label-0.5"), "readers": ("unet_fast", "unet_thin", "unet_small"),
    "bound_readers": ("unet_thin", "unet_small"), "bound_patients": 3,
    "bound_each_dose": True, "base_steps": 160, "base_patience": 2, "flat_gain": 0.9, "retrain_steps": 16,
    "retrain_patience": 2, "audit": 0, "tv_strengths": (1.0,), "test_patients": 3, "slices": 2,
}  # fmt: skip


def test_a_base_ends_where_validation_is_flat_and_its_curve_is_kept(bounded: Path) -> None:
    base = _rows(bounded / "report" / "bases.csv")
    assert [b["base"] for b in base] == ["FBP + U-Net"] and base[0]["plateau"] == "True" and int(base[0]["steps"]) < 160
    curve = _rows(bounded / "report" / "base_curves.csv")
    assert [int(r["step"]) for r in curve] == list(range(40, int(base[0]["steps"]) + 1, 40))
    assert "plateau:" in (bounded / "report" / "report.html").read_text(encoding="utf-8")


def test_readers_are_retrained_at_each_dose_of_unseen_patients_and_give_a_bound_by_name(bounded: Path) -> None:
    names = {p.name for p in bounded.iterdir() if p.name.startswith("bound-")}
    each = {f"bound-{PLAIN.name}-{net}-{n}" for net in ("unet_thin", "unet_small") for n in (65536, 16384)}
    assert each < names and "bound-full-dose-unet_thin" in names
    table = Table.read(bounded / f"scores-bound-{PLAIN.name}-unet_thin-16384")
    assert {r.reader for r in table.rows} == {"retrained unet_thin"} and {r.dose.used_photons for r in table.rows} == {16384.0}
    known = set(load_run(bounded / "images").load_tensors("bounds.safetensors")[1]["patients"].split('"')[1::2])
    assert known and not known & set(
        load_run(bounded / "images").load_tensors("train.safetensors")[1]["patients"].split('"')[1::2]
    )
    scores = {r["score"] for r in _rows(bounded / "report" / "gains.csv")}
    assert {"per patient", "lesions at 1 false alarm", "pooled"} <= scores
    reached = [n for t in sorted(bounded.glob("scores-bound-*")) for n in Table.read(t).notes["retrainings"]]
    assert len(reached) == 10 and ("lower bound" in (bounded / "report" / "report.html").read_text(encoding="utf-8")) != all(
        one["plateau"] for one in reached
    )


def test_comparisons_are_counted_and_corrected_together(bounded: Path) -> None:
    rows = [r for r in _rows(bounded / "report" / "gains.csv") if r["comparisons"]]
    counts = {r["comparisons"] for r in rows}
    assert counts == {str(sum(bool(r["p_corrected"]) for r in rows))}
    assert all(float(r["p_corrected"]) >= float(r["p"]) for r in rows if r["p_corrected"])


def test_a_bound_is_called_one_only_with_all_that_it_needs() -> None:
    assert settings(**BOUNDED).earns_a_bound
    assert not settings(**{**BOUNDED, "bound_readers": ("unet_fast", "unet_thin")}).earns_a_bound  # one unseen reader alone
    for lacking in ("bound_readers", "bound_patients", "bound_each_dose", "retrain_patience"):
        assert not settings(**{k: v for k, v in BOUNDED.items() if k != lacking}).earns_a_bound
    with pytest.raises(ConfigError, match="unknown name in bound_readers"):
        settings(bound_readers=("unet_thick",))


def test_an_unfinished_experiment_has_no_bound_where_one_of_its_retrained_readers_is_missing() -> None:
    wanted = settings(**BOUNDED)
    made = [
        {"method": PLAIN.method, "seed": 0, "reader": net, "photons": 65536.0, "steps": 9, "plateau": True}
        for net in ("unet_thin", "unet_small")
    ]
    word = lambda found: bound_word(Table([], notes={RETRAININGS: found}), wanted)
    assert word(made) == "bound" and word(made[:1]) == "lower bound" and word([]) == "lower bound"
    assert word([*made, {**made[0], "photons": 16384.0}]) == "lower bound"


def test_sequential_training_has_its_own_reader_where_that_of_the_losses_is_not_retrained(bounded: Path) -> None:
    own = [r for r in _rows(bounded / "report" / "summary.csv") if r["reader"] == "own" and r["metric"] == "dice"]
    assert {r["method"] for r in own} == {"FBP + U-Net, sequential"}


def test_lesions_of_the_audit_are_in_test_patients_and_differ_by_one_lesion() -> None:
    pairs = lesion_pairs(settings(size=64, audit=4))
    assert {pair.kind for pair in pairs} == {"inserted", "removed"}
    for pair in pairs:
        assert pair.without.case_id[-1] in "89" and 0 < int(pair.region.sum()) < 200


def test_arms_that_decide_come_first_and_seeds_are_added_for_the_main_ones() -> None:
    arms = TaskAdaptive(models=("unet", "unrolled"), seeds=2, main_losses=("plain",)).arms
    assert [a.name for a in arms[:4]] == ["unet-plain-s0", "unrolled-plain-s0", "unet-label-0.5-s0", "unrolled-label-0.5-s0"]
    assert [a.name for a in arms if a.seed] == ["unet-plain-s1", "unrolled-plain-s1"]
    assert {a.loss for a in arms} == set(LOSSES)


def test_presets_are_settings_and_their_graphs_are_whole() -> None:
    for changes in PRESETS.values():
        steps = task_adaptive_steps(TaskAdaptive(**changes))
        assert steps[-1].name == "report" and all(f"scores-{a.name}" in steps[-1].needs for a in TaskAdaptive(**changes).arms)


def test_without_bounds_no_reader_is_retrained() -> None:
    names = [step.name for step in task_adaptive_steps(settings(bounds=()))]
    assert not [name for name in names if "bound" in name]


def test_impossible_settings_are_refused_with_their_reason() -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        settings(losses=("plain", "labels"))
    with pytest.raises(ConfigError, match="two different readers"):
        settings(readers=("unet_fast",))
    with pytest.raises(ConfigError, match="from the highest to the lowest"):
        settings(photons=(100.0, 200.0))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        reproduce("task-adaptive", tmp_path, preset="small")
