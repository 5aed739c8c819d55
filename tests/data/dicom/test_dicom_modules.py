"""The page that says which file is for which quirk names all files."""

from __future__ import annotations

import re
from pathlib import Path

from taskct.data import dicom


def test_every_module_is_named_where_quirks_are_sorted() -> None:
    page = (dicom.__doc__ or "").split("belongs:")[1]
    named = re.findall(r"[a-z_]+", " ".join(line[4:29] for line in page.splitlines()))
    there = [path.stem for path in Path(dicom.__path__[0]).glob("*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(there)
