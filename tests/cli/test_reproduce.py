"""`taskct reproduce` and the demo: whole experiments from the command line, at a size of seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_task_adaptive import SIZES

from taskct.cli.demo import show_system
from taskct.core import workers
from taskct.core.runs import is_run
from taskct.systems.adaptive.experiment import PRESETS

pytestmark = pytest.mark.slow

Says = Callable[..., tuple[int, str, str]]


def test_the_experiments_are_listed(taskct_says: Says) -> None:
    code, out, _ = taskct_says("reproduce", "--list")
    told = dict(line.split(maxsplit=1) for line in out.strip().splitlines())
    assert code == 0 and {"task-adaptive", "dose", "chest", "biplanar"} <= set(told)
    assert told["task-adaptive"].startswith("reconstructions trained for a frozen reader")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("task-adaptve",), "did you mean 'task-adaptive'"),
        (("task-adaptive", "--small", "--full"), "small and full are two sizes"),
        (("--small",), "which experiment?"),
        (("dose", "--preset", "fpb"), "did you mean 'fbp'"),
        (("task-adaptive", "--only-report"), "not the folder of an experiment"),
        (("task-adaptive", "--set", "losses=plainn"), "did you mean 'plain'"),
        (("task-adaptive", "--set", "seds=2"), "did you mean 'seeds'"),
        (
            ("task-adaptive", "--small", "--cluster", "slrum"),
            "expected the address of a Dask scheduler such as tcp://host:8786",
        ),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_before_any_work(
    taskct_says: Says, tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    code, _, err = taskct_says("reproduce", *words, "--out", tmp_path / "new")
    assert code == 2 and text in err and not (tmp_path / "new").exists()


def test_the_demo_that_trains_is_the_experiment_in_small_and_a_second_call_finds_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {
        **SIZES, "losses": ("plain", "label-0.5"), "bounds": (), "audit": 1, "photons": (16384.0,), "tv_strengths": (1.0,),
        "reader_patients": 4, "test_patients": 3, "slices": 2, "validation_patients": 1,
    }  # fmt: skip
    monkeypatch.setitem(PRESETS, "small", small)
    monkeypatch.setattr(workers, "cores", lambda: 1)
    lines: list[str] = []
    show_system("adaptive", tmp_path / "demo", train=True, say=lines.append)
    assert is_run(tmp_path / "demo")
    said = "\n".join(lines)
    assert "under unseen readers is confirmed" in said and "Tables: " in said
    assert (tmp_path / "demo" / "report.html").stat().st_size > 50_000
    again: list[str] = []
    show_system("adaptive", tmp_path / "demo", train=True, say=again.append)
    assert sum(": done in" in line for line in again) == 1  # only the page is made anew


@pytest.mark.parametrize("verb", [("evaluate", "phantom:abdomen"), ("dose", "fbp", "--keep", "rmse_hu<=20")])
def test_evaluate_and_dose_take_the_same_words_for_workers(taskct_says: Says, tmp_path: Path, verb: tuple[str, ...]) -> None:
    for words, text in (
        (("--cluster", "slrum"), "expected the address of a Dask scheduler"),
        (("--workers", "2", "--cluster-config", tmp_path / "no.toml"), "no.toml"),
    ):
        code, _, err = taskct_says(*verb, "--out", tmp_path / "new", *words)
        assert code == 2 and text in err and not (tmp_path / "new").exists()
