"""The tables of docs/dose.md are what the code computes."""

from __future__ import annotations

import subprocess
import sys

from places import ROOT


def test_the_tables_of_the_dose_page_are_those_that_the_code_writes() -> None:
    script = ROOT / "docs" / "make_dose_table.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
