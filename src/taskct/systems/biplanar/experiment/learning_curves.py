"""How a training went: the validation score by steps, to its end."""

from __future__ import annotations

from pathlib import Path

from taskct.core.runs import load_run
from taskct.systems.biplanar.pages.biplanar_story import Curve


def read_curve(folder: Path) -> Curve:
    """The curve of a training's folder."""
    found = [line for line in load_run(folder).metrics() if line.get("kind") == "validation" and "psnr3d" in line]
    return Curve(tuple(int(line["step"]) for line in found), tuple(float(line["psnr3d"]) for line in found))
