"""The examples of the documentation run as they stand, without a warning, and each draws a picture at least."""

from __future__ import annotations

import ast
import runpy
import warnings
from pathlib import Path

import pytest
from places import ROOT

from taskct.report import Shown

EXAMPLES = sorted((ROOT / "docs/gallery").glob("plot_*.py"))


def test_there_are_examples_for_the_jobs_of_a_first_day() -> None:
    names = " ".join(path.stem for path in EXAMPLES)
    jobs = ("first_scan", "own_ct", "own_network", "own_task", "monai", "nnunet", "dose_search", "learned_dose", "observers")
    more = ("measured", "cone_beam", "resume", "several_processes", "astra", "scikit_image", "deepinv", "shipped_networks")
    assert len(EXAMPLES) >= 14
    assert all(job in names for job in (*jobs, *more))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem.removeprefix("plot_"))
def test_an_example_begins_with_its_title_and_draws_at_the_end_of_a_block(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    title, line, *_ = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert line == "=" * len(title) and len(title) > 5
    blocks = [ast.parse(block).body for block in text.split("# %%\n")]
    ends = [ast.unparse(body[-1]) for body in blocks if body]
    assert any(end.startswith("taskct.show(") for end in ends), "the gallery draws what the last line of a block returns"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem.removeprefix("plot_"))
def test_an_example_runs_and_draws(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    begin = Shown.__init__

    def counted(self: Shown, words: str, *more: object, **options: str) -> None:
        drawn.append(words)
        begin(self, words, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Shown, "__init__", counted)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # an example that warns teaches the warning
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            pytest.skip(str(ended))
    assert drawn and not list(tmp_path.glob("*.png"))
