"""What the project promises as a whole: a clean environment, exact pins, one version."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from places import ROOT

import taskct


def test_torchvision_and_gpl_packages_are_absent():
    for name in ("torchvision", "lightning", "astra", "libjpeg", "hydra"):
        assert importlib.util.find_spec(name) is None, f"{name} must not be in this environment"


def test_every_dependency_is_pinned_and_every_pin_is_exact():
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.count("==") == 1 for line in pins)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(n for group in project["optional-dependencies"].values() for n in group)]
    names = {w.split(">")[0].split("=")[0].split("[")[0].strip().lower().replace("_", "-") for w in wanted}
    assert names <= pinned, f"not pinned: {sorted(names - pinned)}"


def test_the_version_is_stated_once():
    assert taskct.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_a_file_name_stands_once_in_the_tree_and_no_file_is_long():
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    verbs = ROOT / "src" / "taskct" / "cli"  # a verb names its file
    names = Counter(f.name for f in files if f.parent != verbs and f.name not in ("__init__.py", "__main__.py", "conftest.py"))
    assert [name for name, count in names.items() if count > 1] == []
    long = {str(f.relative_to(ROOT)): count for f in files if (count := len(f.read_text(encoding="utf-8").splitlines())) > 400}
    assert long == {}


def test_every_place_of_the_architecture_page_exists():
    page = (
        (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Where things go")[1].split("## Decisions")[0]
    )
    places = [place for place in re.findall(r"`([\w/]+(?:/[\w/]+|\.py))`", page) if "<" not in place]
    assert len(places) > 20 and [p for p in places if not (ROOT / "src" / "taskct" / p).exists()] == []


def test_messages_count_in_words_that_fit_the_number():
    def texts(file: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value

    sources = (ROOT / "src").rglob("*.py")
    assert [(f.name, text) for f in sources for text in texts(f) if re.search(r"[a-z]\((s|es|ies)\)", text)] == []
