"""Docstrings of taskct are plain text: this turns them into reStructuredText that shows every character as written.

`name`                      code
name    what it means       lines in two columns become a definition list
indented lines              are shown as they stand
>>> code                    is kept with its answer
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TWO_COLUMNS = re.compile(r"^(\S(?:.*?\S)?)\s{2,}(\S.*)$")
_SPECIAL = re.compile(r"([\\*|_`<>])")


def to_rst(lines: list[str]) -> list[str]:
    """The lines of a docstring, without their common indent, as reStructuredText.

    >>> to_rst(["Gives `x` * 2.", "", "a    first", "bc   second", "     line"])
    ['Gives ``x`` \\\\* 2.', '', '``a``', '    first', '``bc``', '    second line', '']
    """
    found: list[str] = []
    for block in _blocks(lines):
        if block[0].startswith(">>>"):
            found += ["", *block, ""]
        elif all(line.startswith("  ") for line in block):
            found += ["", "::", "", *("    " + line for line in block), ""]
        elif len(rows := _rows(block)) > 1:
            found += [line for name, text in rows for line in (f"``{name}``", f"    {_inline(text)}")] + [""]
        else:
            found += [*_inline("\n".join(block)).split("\n"), ""]
    return found


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines of one kind: split at blank lines, and where indented lines follow others or an example begins."""
    block: list[str] = []
    for line in [*lines, ""]:
        starts = bool(block) and (
            not line.strip()
            or (line.startswith(">>>") and not block[0].startswith(">>>"))
            or (line.startswith("  ") != block[-1].startswith("  ") and not _two_columns(block) and not _example(block))
        )
        if starts:
            yield block
            block = []
        if line.strip():
            block.append(line.rstrip())


def _example(block: list[str]) -> bool:
    return block[0].startswith(">>>")


def _two_columns(block: list[str]) -> bool:
    return _TWO_COLUMNS.match(block[0]) is not None


def _rows(block: list[str]) -> list[tuple[str, str]]:
    """(name, text) of lines in two columns, deeper lines belonging to the one above; none where a line is something else."""
    rows: list[tuple[str, str]] = []
    for k, line in enumerate(block):
        if found := _TWO_COLUMNS.match(line):
            rows.append((found[1].replace("`", ""), found[2]))
        elif rows and line.startswith("   "):
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}".strip())
        elif rows and k + 1 < len(block) and block[k + 1].startswith("   "):  # a long name, whose text is below it
            rows.append((line.replace("`", ""), ""))
        else:
            return []
    return rows


def _inline(text: str) -> str:
    """Code in backticks as literals, everything else escaped."""
    parts = re.split(r"(`[^`\n]+(?:\n[^`\n]+)?`)", text)
    made = ""
    for k, part in enumerate(parts):
        if k % 2 == 0:
            made += _SPECIAL.sub(r"\\\1", part)
            continue
        before = "" if not made or made[-1] in " \n([{'\"/-:" else "\\ "
        after = "\\ " if k + 1 < len(parts) and re.match(r"[^\s'\")\]}>/:.,;!?-]", parts[k + 1]) else ""
        made += f"{before}``{' '.join(part[1:-1].split())}``{after}"
    return made
