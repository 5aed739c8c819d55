"""The walls between the floors of the package: an import that breaks one makes `lint-imports`, and so `make test`, fail."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from places import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

# A planted import -> what is printed about it.
BREACHES = {
    "geometry -> physics": "taskct.geometry is not allowed to import taskct.physics",
    "recon -> task": "taskct.recon is not allowed to import taskct.task",
    "task -> recon": "taskct.task is not allowed to import taskct.recon",
    "training -> evaluation": "taskct.training is not allowed to import taskct.evaluation",
    "evaluation -> training": "taskct.evaluation is not allowed to import taskct.training",
    "testing -> training": "taskct.testing is not allowed to import taskct.training",
    "simulate -> cli": "taskct.simulate is not allowed to import taskct.cli",
    "systems.adaptive -> systems.alara": "taskct.systems.adaptive is not allowed to import taskct.systems.alara",
    "systems.alara -> systems.catalogue": "taskct.systems.alara is not allowed to import taskct.systems.catalogue",
    "core -> ": "taskct.core is not allowed to import taskct",
    "systems.adaptive.experiment -> ": "taskct.systems.adaptive.experiment is not allowed to import taskct",
}


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A package with the folders of ours, all of them empty, under our contracts: linted in a second."""
    source = ROOT / "src/taskct"
    for path in [*source.rglob("__init__.py"), source / "systems/catalogue.py"]:
        copy = tmp_path / "taskct" / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("")
    for contract in CONTRACTS:
        for exception in contract.get("ignore_imports", []):
            plant(tmp_path, *exception.removeprefix("taskct.").split(" -> taskct."))
            plant(tmp_path, exception.split(" -> taskct.")[1], "")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return tmp_path


def plant(folder: Path, importer: str, imported: str) -> None:
    """Let `taskct.IMPORTER` import `taskct.IMPORTED`; "" is the root as an importer, and no import as what is imported."""
    place = folder / "taskct" / importer.replace(".", "/")
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    line = f"import taskct.{imported}\n" if imported else ""
    path.write_text((path.read_text() if path.exists() else "") + line)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def test_the_skeleton_itself_keeps_every_contract(skeleton):
    done = lint(skeleton)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize("breach", BREACHES)
def test_a_planted_import_breaks_its_wall_and_is_named(skeleton, breach):
    importer, imported = breach.split(" -> ")
    if imported:
        plant(skeleton, importer, imported)
    else:
        path = skeleton / "taskct" / importer.replace(".", "/") / "__init__.py"
        path.write_text("import taskct\n")
    done = lint(skeleton)
    assert done.returncode == 1, done.stdout + done.stderr
    assert BREACHES[breach] in done.stdout


def test_a_planted_import_circle_is_named(skeleton):
    (skeleton / "taskct/data/left.py").write_text("import taskct.data.right\n")
    (skeleton / "taskct/data/right.py").write_text("from taskct.data import left\n")
    done = lint(skeleton)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "left" in done.stdout and "right" in done.stdout and "1 broken" in done.stdout


def test_a_new_folder_without_a_place_in_the_layers_is_refused(skeleton):
    (skeleton / "taskct/helpers").mkdir()
    (skeleton / "taskct/helpers/__init__.py").write_text("")
    done = lint(skeleton)
    assert done.returncode == 1
    assert "helpers" in done.stdout


def test_no_exception_to_the_contracts_is_left():
    allowed = {"taskct.evaluation.table -> taskct.evaluation.storage"}
    assert {line for c in CONTRACTS for line in c.get("ignore_imports", [])} <= allowed
