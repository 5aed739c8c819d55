"""What the project promises as a whole: a clean environment, exact pins, one version."""

from __future__ import annotations

import importlib.util
import tomllib

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
