"""The shell of the project: workflows that parse, a drawing that shows today's layers, pages whose links lead somewhere."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")])
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def architecture() -> dict[str, Any]:
    """The functions of docs/make_architecture.py."""
    return runpy.run_path(str(ROOT / "docs/make_architecture.py"))


def test_the_committed_drawing_shows_todays_layers_and_arrows(architecture):
    names, arrows, numbers = architecture["drawn"](architecture["FIGURE"].read_text())
    advice = "the drawing is out of date: run python docs/make_architecture.py"
    assert names == [name for row in architecture["layers"]() for name in row], advice
    assert arrows == set(architecture["imports"]()), advice
    for name, now in architecture["floors"]().items():
        then = numbers[name]
        assert abs(then.lines - now.lines) <= 0.25 * now.lines and abs(then.files - now.files) <= 0.25 * now.files + 1, advice


def test_a_drawing_shows_what_the_imports_say_and_nothing_else(architecture, tmp_path):
    source = tmp_path / "src/taskct"
    for name in ("core", "nets", "cli"):
        (source / name).mkdir(parents=True)
        (source / name / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        "[[tool.importlinter.contracts]]\ntype = 'layers'\ncontainers = ['taskct']\n"
        "layers = ['cli', '(viewer) | nets', 'core']\n"
    )
    (source / "cli/run.py").write_text("def run():\n    import taskct.core.units\n    from taskct import nets\n")
    (source / "nets/net.py").write_text("import torch\nfrom taskct.core import units\nfrom taskct.nets import other\n")
    names, arrows, numbers = architecture["drawn"](architecture["drawing"](tmp_path))
    assert names == ["cli", "nets", "core"]
    assert arrows == {("cli", "core"), ("cli", "nets"), ("nets", "core")}
    assert (numbers["cli"].files, numbers["cli"].lines) == (2, 3)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name} links to {target}"


def test_every_page_of_the_documentation_is_listed_on_its_first_page_or_on_a_page_that_is():
    linked = lambda page: {
        (page.parent / t.split("#")[0]).resolve() for t in re.findall(r"\]\(([^)\s]+\.md)[^)]*\)", page.read_text())
    }
    reached = linked(ROOT / "docs/index.md")
    for page in list(reached):
        reached |= linked(page) if page.exists() else set()
    pages = {p.resolve() for p in PAGES if p.is_relative_to(ROOT / "docs")} - {(ROOT / "docs/index.md").resolve()}
    assert pages <= reached, sorted(p.name for p in pages - reached)


def test_the_workflows_are_yaml_whose_jobs_have_steps_and_known_runners():
    assert {path.stem for path in WORKFLOWS} >= {"tests", "wheels", "docs"}
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["name"] and workflow[True], path  # YAML 1.1 reads the key `on` as True
        assert workflow["permissions"] == {"contents": "read"}, path
        for job in workflow["jobs"].values():
            assert all(("uses" in step) != ("run" in step) for step in job["steps"]), path
            assert job["runs-on"] in ("${{ matrix.os }}", "ubuntu-24.04")
            if "matrix.os" in job["runs-on"]:
                assert set(job["strategy"]["matrix"]["os"]) == {"ubuntu-24.04", "ubuntu-24.04-arm", "macos-15"}


def test_the_tests_run_on_every_python_that_the_package_claims():
    (matrix,) = [
        job["strategy"]["matrix"]["python"]
        for job in yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"].values()
        if "strategy" in job
    ]
    claimed = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if c.startswith("Programming Language :: Python :: 3.")]
    assert matrix == claimed and PROJECT["requires-python"] == f">={claimed[0]}"


def test_every_make_target_that_is_named_anywhere_exists():
    targets = set(re.findall(r"^([\w./-]+):(?!=)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    places = [*PAGES, *WORKFLOWS, ROOT / ".pre-commit-config.yaml", ROOT / ".ci/run"]
    for place in places:
        for target in re.findall(r"(?:`|^\s*(?:- run: |entry: |\$ )?)make ([a-z]+)\b", place.read_text(), flags=re.MULTILINE):
            assert target in targets, f"{place.name} names make {target}"


def test_the_hook_before_a_commit_runs_what_people_and_ci_run():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repository["hooks"]
    assert hook["entry"] == "make check" and hook["language"] == "system" and not hook["pass_filenames"]
    dry = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports", "pytest"):
        assert tool in dry


OUR_FILES = re.compile(r"`((?:src|tests|docs|benchmarks|configs)/[\w./-]+\.(?:py|toml|md|svg|txt|cpp|cu|h|json|csv))`")
OUR_MODULES = re.compile(
    r"`((?:core|geometry|physics|nets|recon|task|data|phantoms|simulate|evaluation|training|systems)/[\w/]+\.py)`"
)
OUR_IMPORTS = re.compile(r"^from (taskct[\w.]*) import ([\w, ]+)", flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_ours_that_a_page_names_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    for name in OUR_FILES.findall(text):
        if "NAME" not in name and "/a/" not in name and not name.startswith("benchmarks/results/"):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
    for name in OUR_MODULES.findall(text):
        assert (ROOT / "src/taskct" / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_imports_from_exists_and_has_the_names(page: Path):
    for module, names in OUR_IMPORTS.findall(page.read_text(encoding="utf-8")):
        found = importlib.import_module(module)
        for name in names.split(","):
            assert hasattr(found, name.strip()), f"{page.name} imports {name.strip()} from {module}"
