"""`taskct models` lists the networks of the package and shows a card, or what a run recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from taskct.core.runs import Run
from taskct.models import open_model, shipped_models
from taskct.task.readers import ReaderSpec, make_reader

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_of_a_reader(tmp_path: Path) -> Path:
    run = Run.create(tmp_path / "reader", {"reader": {"net": "unet_thin"}, "data": {"images": 6, "patients": 2}})
    run.save_tensors("weights.safetensors", make_reader(ReaderSpec(net="unet_thin")).state_dict())
    return run.folder


def test_every_network_of_the_package_is_listed_and_shown(taskct_says: Says) -> None:
    code, out, _ = taskct_says("models")
    assert code == 0 and (all(name in out for name in shipped_models()) if shipped_models() else "train one" in out)
    for name in shipped_models():
        code, out, _ = taskct_says("models", "show", name)
        assert code == 0 and "licence" in out and "learnt from" in out and "measured" in out and "limit" in out


def test_every_network_of_the_package_has_a_whole_card_and_they_stay_small() -> None:
    total = 0
    for name in shipped_models():
        card = open_model(name).card
        assert card is not None and card.purpose and card.licence and card.limits and card.figures and card.training_data
        assert card.commit and card.command and card.config_sha256 and card.weights_sha256
        assert all(f.patients and (f.low is not None or f.patients == 1) for f in card.figures)  # one has no interval
        total += sum(file.stat().st_size for file in open_model(name).where.iterdir())
    assert total < 25e6


def test_no_card_confirms_a_gain_without_a_p_that_is_corrected_for_all_comparisons() -> None:
    judged = [f for name in shipped_models() for f in open_model(name).card.figures if "verdict: " in f.of]  # type: ignore[union-attr]
    assert len(judged) == 6 and all("; corrected p: " in f.of for f in judged)
    for figure in judged:
        verdict, p = figure.of.partition("verdict: ")[2].split("; corrected p: ")
        assert verdict != "confirmed" or float(p.split()[-1]) < 0.05


def test_the_figures_of_a_card_are_a_table_with_a_column_for_each_dose(taskct_says: Says) -> None:
    _, out, _ = taskct_says("models", "show", "real-ct-task")
    lines = [line.strip() for line in out.splitlines()]
    heads = [line for line in lines if line.startswith("photons per pixel")]
    rows = [line for line in lines if line.startswith("RMSE in HU")]
    assert len(heads) == len(rows) == 3 and all(len(re.split(r"\s{2,}", line)) == 5 for line in (*heads, *rows))
    assert sum(line.startswith("TV tuned on another slice") for line in lines) == 1
    measured = out[out.index("measured") : out.index("limit ")]
    assert measured.count("\n") < 20 and all(len(line) <= 110 for line in measured.splitlines())


def test_a_run_of_the_user_is_shown_as_its_training_recorded_it(taskct_says: Says, run_of_a_reader: Path) -> None:
    code, out, _ = taskct_says("models", "show", run_of_a_reader)
    assert code == 0 and "card" in out and "none" in out and "[reader]" in out and "MB" in out


def test_a_name_alone_is_shown(taskct_says: Says) -> None:
    assert taskct_says("models", "real-ct-task") == taskct_says("models", "show", "real-ct-task")


def test_words_that_are_none_are_refused_in_one_line(taskct_says: Says, tmp_path: Path) -> None:
    for words, said in (
        (("shw", "x"), "did you mean 'show'"),
        (("show",), "which network?"),
        (("list", "x"), "takes no name"),
        (("show", "nowhere"), "unknown network 'nowhere'"),
        (("nowhere",), "unknown network 'nowhere'"),
        (("show", "unet"), "unknown network 'unet'; did you mean 'abdomen-unet'?"),
        (("show", str(tmp_path)), "not a trained network"),
    ):
        code, _, err = taskct_says("models", *words)
        assert code == 2 and said in err and err.count("\n") == 1
