"""Tables between the markers of a page, for the scripts that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def correction_words(savings: Sequence[tuple[str, str, float]]) -> str:
    """How many doses were compared and corrected together, and which do not differ: (arm, rival, corrected p) each.

    >>> print(correction_words([("arm", "fixed", 0.01), ("arm", "modulation a=0.5", 0.3)]))
    2 comparisons with strategies that do not learn, corrected together (Holm). In 1 the doses differ (p below .05).
    They are not shown to differ for arm against modulation a=0.5 (p = 0.3).
    """
    alike = [f"{arm} against {rival} (p = {p:.1g})" for arm, rival, p in savings if not p < 0.05]
    differ = len(savings) - len(alike)
    words = (
        f"{len(savings)} comparisons with strategies that do not learn, corrected together (Holm). In {differ} the doses "
        "differ (p below .05)."
    )
    return f"{words}\nThey are not shown to differ for {'; '.join(alike)}." if alike else words


def filled(path: Path, tables: Mapping[str, str]) -> str:
    """The text of a page with each table between `<!-- begin NAME -->` and `<!-- end NAME -->`."""
    page = path.read_text(encoding="utf-8")
    for name, text in tables.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{path}: has no markers {begin} and {end}")
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page
