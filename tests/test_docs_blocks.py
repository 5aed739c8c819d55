"""The Python of the pages that need nothing but the package runs as it is printed."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from pathlib import Path

import pytest
import torch
from places import ROOT

from taskct.data.dicom.derived_series import write_series
from taskct.phantoms import phantom_case

RUN = ("dose.md", "extending.md", "geometry.md", "reconstruction.md")
YOURS = {  # names that a page says are the reader's own
    "dose-optimisation.md": {"A", "cases", "model", "other", "reader"},
    "large-sets.md": {"cases", "cohort", "labels", "mu", "patient_ids"},
    "metrics.md": {"A", "case_ids", "net", "p", "train", "truth"},
    "models.md": {"A", "p"},
    "real-ct-network.md": {"A", "mu_fbp", "p"},
    "cohort.md": {"labels", "reader", "unseen"},
    "task-evaluation.md": {
        "audit", "other_net", "other_seed", "reader", "reports", "retrained", "seconds", "test_sets", "validation_sets",
    },
}  # fmt: skip
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_every_name_of_a_block_is_imported_or_made_on_its_page(page: Path) -> None:
    known = set(dir(builtins)) | YOURS.get(page.name, set())
    for block in blocks(page):
        nodes = list(ast.walk(ast.parse(block)))
        for node in nodes:
            if isinstance(node, ast.alias):
                known.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.arg):
                known.add(node.arg)
        names = [node for node in nodes if isinstance(node, ast.Name)]
        known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        assert sorted({node.id for node in names} - known) == []


@pytest.mark.parametrize("name", RUN)
def test_the_blocks_of_a_page_run_one_after_the_other(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = phantom_case("abdomen", shape=(60, 32, 32), spacing_mm=(5.0, 11.2, 11.2))
    write_series(case.take(slice(0, 44)), tmp_path / "series")
    made: dict[str, object] = {}
    for block in blocks(ROOT / "docs" / name):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # an example that warns teaches the warning
            exec(compile(block, name, "exec"), made)
    assert made.keys() - {"__builtins__"}
    assert all(bool(value.isfinite().all()) for value in made.values() if isinstance(value, torch.Tensor))
