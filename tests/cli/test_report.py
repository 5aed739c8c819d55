"""`taskct report` makes a page of a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taskct.data.case import Case
from taskct.evaluation import evaluate
from taskct.geometry import ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    hu = torch.full((2, 32, 32), -1000.0)
    hu[:, 8:20, 12:26] = 40.0
    case = Case(hu, (5.0, 2.0, 2.0), case_id="ct")
    A = Projector(case.slice_grid, ParallelBeam(views=30, cols=80, pixel_mm=1.0))
    evaluate({"fbp": fbp}, [case], A, Dose(1e4), out=str(tmp_path / "run"))
    return tmp_path / "run"


def test_a_page_is_written_beside_the_table_or_where_it_is_wanted(run_folder: Path, taskct_says: Says) -> None:
    for page, words in (
        (run_folder / "report.html", ()),
        (run_folder.parent / "p.html", ("--out", run_folder.parent / "p.html")),
    ):
        code, out, err = taskct_says("report", run_folder, *words)
        assert (code, err) == (0, "") and str(page) in out
        assert page.read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_page_that_exists_is_kept_without_overwrite(run_folder: Path, taskct_says: Says) -> None:
    (run_folder / "report.html").write_text("mine")
    code, _, err = taskct_says("report", run_folder)
    assert code == 2 and "exists already" in err and (run_folder / "report.html").read_text() == "mine"
    assert taskct_says("report", run_folder, "--overwrite")[0] == 0


def test_what_is_no_run_is_refused_and_what_is_damaged_is_a_bad_file(run_folder: Path, taskct_says: Says) -> None:
    code, _, err = taskct_says("report", run_folder.parent)
    assert code == 2 and "not a run folder" in err
    (run_folder / "table.csv").write_text("a,b\n1,2\n")
    code, _, err = taskct_says("report", run_folder)
    assert code == 3 and "table.csv: expected the columns" in err and err.count("\n") == 1


def test_the_page_never_takes_the_place_of_a_table_or_of_weights(run_folder: Path, taskct_says: Says) -> None:
    before = (run_folder / "table.csv").read_bytes()
    code, _, err = taskct_says("report", run_folder, "--out", run_folder / "table.csv", "--overwrite")
    assert code == 2 and "table.csv: the report is a page; give a name that ends in .html" in err
    assert (run_folder / "table.csv").read_bytes() == before
