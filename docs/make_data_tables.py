"""Write the tables of docs/data.md between their markers: projector errors (law 3) and public data.

python docs/make_data_tables.py            writes docs/data.md
python docs/make_data_tables.py --check    changes nothing; exit code 1 when the page is not what this would write
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from taskct.data.sets.public_sets import list_data
from taskct.geometry import Grid

PAGE = Path(__file__).with_name("data.md")
LAW_TESTS = Path(__file__).parents[1] / "tests" / "data" / "test_data_phantoms.py"


def law_3() -> list[str]:
    """Relative RMS error per beam of the tests and per grid."""
    tests = _load(LAW_TESTS)
    rows = []
    for beams, phantom, sizes in ((tests.BEAMS_2D, tests.SLICE, (32, 64, 128)), (tests.BEAMS_3D, tests.BODY, (16, 32, 64))):
        dims = 2 if phantom is tests.SLICE else 3
        rows += ["| beam | " + " | ".join(f"{100 / n:.1f} mm" for n in sizes) + " |", "|---|" + "---|" * len(sizes)]
        for name, beam in beams.items():
            errors = [tests._relative_error(phantom, Grid((n,) * dims, 100 / n), beam) for n in sizes]
            rows.append(f"| {name} | " + " | ".join(f"{100 * e:.2g} %" for e in errors) + " |")
        rows.append("")
    return rows[:-1]


def catalogue() -> list[str]:
    """The public sets."""
    rows = ["| name | content | licence | size | where |", "|---|---|---|---|---|"]
    for d in list_data():
        flags = "".join(f" **{flag}**" for flag in d.flags)
        rows.append(f"| `{d.name}` | {d.content} | {d.licence}{flags} | {d.size} | {d.where} |")
    return rows


def page() -> str:
    """The whole page with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    for marker, rows in (("law 3", law_3()), ("catalogue", catalogue())):
        block = "\n".join([f"<!-- {marker} -->", *rows, "<!-- end -->"])
        text = re.sub(rf"<!-- {marker} -->.*?<!-- end -->", lambda _, b=block: b, text, flags=re.DOTALL)
    return text


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    made = page()
    if "--check" in sys.argv[1:]:
        sys.exit(made != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(made, encoding="utf-8")
