"""Draw the layers of the package from its import statements: docs/figures/architecture.svg.

    python docs/make_architecture.py

The rows are those of the import contract in pyproject.toml; files, lines and arrows are counted in src/taskct. A test holds
the drawing to the layers and arrows of today.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "docs/figures/architecture.svg"
WIDTH, BOX_HEIGHT, GAP, LEFT, TOP = 960, 46, 34, 20, 64


@dataclass(frozen=True)
class Floor:
    """A folder of the package: how many files and lines it has."""

    name: str
    files: int
    lines: int


def layers(root: Path = ROOT) -> list[list[str]]:
    """The rows of the contract, highest first; the names of a row may not import each other. Folders to come are left out."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == ["taskct"])
    split = ([name.strip() for name in row.split("|")] for row in rows)
    exists = lambda name: (root / "src/taskct" / name).is_dir()
    named = ([name.strip("()") for name in row if exists(name.strip("()"))] for row in split)
    return [row for row in named if row]


def floors(root: Path = ROOT) -> dict[str, Floor]:
    """Files and lines of each folder."""
    found = {}
    for row in layers(root):
        for name in row:
            paths = sorted((root / "src/taskct" / name).rglob("*.py"))
            found[name] = Floor(name, len(paths), sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths))
    return found


def imports(root: Path = ROOT) -> Counter[tuple[str, str]]:
    """(importing folder, imported folder) -> number of import statements, those within functions too."""
    counted: Counter[tuple[str, str]] = Counter()
    for name in (name for row in layers(root) for name in row):
        for path in (root / "src/taskct" / name).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module == "taskct":
                    modules = [f"taskct.{alias.name}" for alias in node.names]
                for module in modules:
                    if (found := re.match(r"taskct\.(\w+)", module)) and found[1] != name:
                        counted[name, found[1]] += 1
    return counted


def drawing(root: Path = ROOT) -> str:
    """The SVG: one row per layer, one box per folder, one arrow per pair of folders, as wide as its imports are many."""
    rows, facts, arrows = layers(root), floors(root), imports(root)
    height = TOP + len(rows) * (BOX_HEIGHT + GAP) + 10
    boxes: dict[str, tuple[float, float, float]] = {}  # left, top, width
    for number, row in enumerate(rows):
        usable = WIDTH - 2 * LEFT
        width = min(250.0, (usable - 30 * (len(row) - 1)) / len(row))
        start = LEFT + (usable - len(row) * width - 30 * (len(row) - 1)) / 2
        for place, name in enumerate(row):
            boxes[name] = (start + place * (width + 30), TOP + number * (BOX_HEIGHT + GAP), width)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        "<title>Layers of taskct: imports point down only</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<text x="20" y="28" font-size="18">Layers of taskct: imports point down only</text>',
        f'<text x="20" y="48" fill="#555">{sum(f.files for f in facts.values())} files, '
        f"{sum(f.lines for f in facts.values()):,} lines; the width of an arrow is the number of its imports; "
        "a bar between two boxes is a wall</text>",
    ]
    for (above, below), count in sorted(arrows.items()):
        parts.append(_arrow(boxes[above], boxes[below], above, below, count))
    for row in rows:
        for name in row:
            left, top, width = boxes[name]
            middle = left + width / 2
            fact = facts[name]
            parts.append(
                f'<g class="folder" id="{name}">'
                f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="5" fill="#eef3f8" '
                'stroke="#3b5b7a"/>'
                f'<text x="{middle:.0f}" y="{top + 20:.0f}" text-anchor="middle" font-weight="bold">{name}</text>'
                f'<text x="{middle:.0f}" y="{top + 37:.0f}" text-anchor="middle" font-size="11" fill="#444" '
                f'data-files="{fact.files}" data-lines="{fact.lines}">{fact.files} files, {fact.lines:,} lines</text></g>'
            )
        for left_one in row[:-1]:
            left, top, width = boxes[left_one]
            x = left + width + 15
            parts.append(
                f'<line class="wall" x1="{x:.0f}" y1="{top - 4:.0f}" x2="{x:.0f}" y2="{top + BOX_HEIGHT + 4:.0f}" '
                'stroke="#a33" stroke-width="4"/>'
            )
    return "\n".join([*parts, "</svg>", ""])


def drawn(svg: str) -> tuple[list[str], set[tuple[str, str]], dict[str, Floor]]:
    """What a drawing shows: folders from the top, arrows, and the numbers of each folder."""
    names = re.findall(r'<g class="folder" id="(\w+)">', svg)
    arrows = {(a, b) for a, b in re.findall(r'data-from="(\w+)" data-to="(\w+)"', svg)}
    numbers = re.findall(r'id="(\w+)">.*?data-files="(\d+)" data-lines="(\d+)"', svg)
    return names, arrows, {name: Floor(name, int(files), int(lines)) for name, files, lines in numbers}


def _arrow(above: tuple[float, float, float], below: tuple[float, float, float], name: str, other: str, count: int) -> str:
    """A curve from the lower edge of one box to the upper edge of another, with the number of imports as its tooltip."""
    x1, y1 = above[0] + above[2] / 2, above[1] + BOX_HEIGHT
    x2, y2 = below[0] + below[2] / 2, below[1]
    bend = 0 if y2 - y1 < 2 * GAP else (150 if (len(name) + len(other)) % 2 else -150) * min(1.0, (y2 - y1) / 500)
    return (
        f'<path class="arrow" data-from="{name}" data-to="{other}" fill="none" stroke="#3b5b7a" stroke-opacity="0.35" '
        f'stroke-width="{0.6 + min(count, 60) / 12:.1f}" '
        f'd="M{x1:.0f} {y1:.0f} C{x1 + bend:.0f} {y1 + GAP:.0f} {x2 + bend:.0f} {y2 - GAP:.0f} {x2:.0f} {y2:.0f}">'
        f"<title>{name} imports {other}: {count} times</title></path>"
    )


if __name__ == "__main__":
    FIGURE.write_text(drawing(), encoding="utf-8")
    print(FIGURE)
