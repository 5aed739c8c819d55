"""What the project promises as a whole: names, layers, a light import, a clean environment."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib

import pytest
from places import ROOT

import taskct


def test_every_public_name_can_be_imported_and_every_importable_name_is_public():
    for name in taskct.__all__:
        assert getattr(taskct, name) is not None
    assert sorted(taskct.__all__) == dir(taskct)
    loose = {n for n in vars(taskct) if not n.startswith("_")} - set(taskct.__all__)
    submodules = {p.stem for p in (ROOT / "src/taskct").iterdir()}
    assert loose - submodules <= {"annotations", "importlib", "Any"}


def test_public_names_have_docstrings_with_shapes_or_units():
    for name in set(taskct.__all__) - {"__version__"}:
        assert len((getattr(taskct, name).__doc__ or "").split()) > 8, f"{name} needs a docstring"


def test_a_misspelt_public_name_gets_the_list_of_names():
    with pytest.raises(AttributeError, match=r"has no attribute 'Projecter'; public names: .*Projector"):
        _ = taskct.Projecter


def test_importing_the_package_loads_neither_torch_nor_any_heavy_library():
    code = "import sys, taskct; print([m for m in ('torch', 'numpy', 'matplotlib', 'pydicom', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_projector_loads_without_readers_plots_or_the_command_line():
    code = (
        "import sys, taskct; taskct.Projector, taskct.Grid, taskct.Dose;"
        "print([m for m in ('matplotlib', 'pydicom', 'nibabel', 'h5py', 'typer', 'rich', 'skimage') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


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


def test_a_planted_upward_import_breaks_the_layers(tmp_path):
    source = tmp_path / "src" / "taskct"
    for path in sorted((ROOT / "src/taskct").rglob("*.py")):
        copy = source / path.relative_to(ROOT / "src/taskct")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    lint = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    run = lambda: subprocess.run([sys.executable, "-c", lint], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run().returncode == 0
    with (source / "geometry" / "grid.py").open("a") as f:
        f.write("\nfrom taskct.physics.projector import Projector  # planted\n")
    broken = run()
    assert broken.returncode == 1
    assert "taskct.geometry is not allowed to import taskct.physics" in broken.stdout


def test_the_version_is_stated_once():
    assert taskct.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
