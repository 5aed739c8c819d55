"""What the documentation site is made of: all public names, all pages, all keys of the configs; Sphinx itself is not asked."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from places import ROOT

import taskct
from taskct.training.training_config import ObjectivePlan


@pytest.fixture(autouse=True)
def _site_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))


def test_every_public_name_has_its_place_in_the_reference_once() -> None:
    from taskct_site.reference_pages import GROUPS

    listed = [name for _, names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(set(taskct.__all__) - {"__version__"})


def test_the_reference_names_what_the_folders_export_and_no_name_twice(tmp_path: Path) -> None:
    from taskct_site.reference_pages import FOLDERS, write_reference

    write_reference(tmp_path)
    text = "\n".join(path.read_text() for path in sorted(tmp_path.glob("*.rst")))
    assert ".. autofunction:: taskct.show\n" in text and ".. autoclass:: taskct.nets.UNet\n" in text
    entries = [line.split(":: ")[1] for line in text.splitlines() if line.startswith(".. auto")]
    assert len(entries) == len(set(entries))
    index = (tmp_path / "index.rst").read_text()
    assert all(module.replace(".", "-") in index for module in FOLDERS)


def test_docstrings_in_plain_text_become_restructured_text_that_shows_every_character() -> None:
    from taskct_site.plain_docstrings import to_rst

    assert to_rst(["Gives `x`s of *A and b_, |c|."]) == [r"Gives ``x``\ s of \*A and b\_, \|c\|.", ""]
    table = to_rst(
        [
            "units        what it is",
            "long_name_without_text",
            "             said below",
            "last         and on",
            "             more",
        ]
    )
    assert table == [
        "``units``",
        "    what it is",
        "``long_name_without_text``",
        "    said below",
        "``last``",
        "    and on more",
        "",
    ]
    assert to_rst(["Before", "", "    y = x * 2", "", "after"]) == [
        "Before",
        "",
        "",
        "::",
        "",
        "        y = x * 2",
        "",
        "after",
        "",
    ]
    assert to_rst([">>> f(1)", "2"]) == ["", ">>> f(1)", "2", ""]
    assert to_rst(["`std`^2 and `a`, `b`."]) == [r"``std``\ ^2 and ``a``, ``b``.", ""]


def test_every_page_is_in_a_table_of_contents_also_one_that_nobody_listed(tmp_path: Path) -> None:
    from taskct_site.outline import toctrees

    named = set(toctrees(ROOT / "docs").split())
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} <= named
    (tmp_path / "dose.md").write_text("# Dose\n")
    (tmp_path / "new-page.md").write_text("# New\n")
    lists = toctrees(tmp_path)
    assert lists.index(":caption: More") < lists.index("new-page") and "geometry" not in lists


def test_the_reference_of_configs_has_every_key_with_its_default_and_its_meaning(tmp_path: Path) -> None:
    from taskct_site.config_pages import FILES, write_config_reference

    write_config_reference(tmp_path / "config.rst")
    text = (tmp_path / "config.rst").read_text()
    for _, tables in FILES.values():
        for kind in tables.values():
            for field in dataclasses.fields(kind):
                assert f"   * - ``{field.name}``" in text, field.name
    at = text.index("* - ``warm_up``")
    row = text[at : text.index("* - ``bound``")].splitlines()
    assert row[2].strip() == "- ``0``" and row[3].strip() == "- steps over which alpha rises"
    assert ObjectivePlan().warm_up == 0
    assert 'kind = "primal_dual"' in text and "task-adaptive" in text


def test_what_the_site_generates_is_never_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    made = ["docs/examples/index.rst", "docs/reference/index.rst", "docs/sg_execution_times.rst", "build/site/index.html"]
    ignored = subprocess.run(
        ["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert ignored == made
    tracked = subprocess.run(
        ["git", "ls-files", "docs/examples", "docs/reference"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert tracked.stdout == ""
