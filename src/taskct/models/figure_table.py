"""The figures of a card as small tables: a row for what was measured, a column for each dose."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from taskct.models.model_card import Figure, images_of

_LABEL = 46  # letters of a row's name in a line


def figure_table(figures: Sequence[Figure]) -> list[str]:
    """Lines of the tables, one for each of those in whom was measured; their first line says who.

    `Figure.of` is "WHO", or "WHO; NAME: VALUE; ...": what stands behind a semicolon gets a row below its figure.

    >>> two = [Figure(what="RMSE", mean=9.0, photons=n, of="ct-a; TV: 9.5", patients=1, images=1) for n in (1000.0, 500.0)]
    >>> print("\\n".join(figure_table(two)))
    ct-a; 1 image of 1 patient
      photons per pixel  1,000  500
      RMSE                   9    9
        TV                 9.5  9.5
    """
    lines: list[str] = []
    for who, those in _groups(figures).items():
        doses = sorted({f.photons or 0.0 for f in those}, reverse=True)
        rows = [["photons per pixel", *(f"{n:,.0f}" if n else "" for n in doses)]] if any(doses) else []
        for what in dict.fromkeys(f.what for f in those):
            at = {f.photons or 0.0: f for f in those if f.what == what}
            name, *rest = textwrap.wrap(what, _LABEL, subsequent_indent="  ")
            rows += [[name, *(_cell(at[n]) if n in at else "" for n in doses)], *([line] for line in rest)]
            notes = {n: dict(_notes(f)) for n, f in at.items()}
            for name in dict.fromkeys(name for one in notes.values() for name in one):
                rows.append([f"  {name}", *(notes.get(n, {}).get(name, "") for n in doses)])
        lines += [who] if who else []
        lines += _aligned(rows)
    return lines


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells in columns, the first one to the left."""
    wide = [max(len(row[k]) for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    for row in rows:
        cells = [row[0].ljust(wide[0]), *(cell.rjust(width) for cell, width in zip(row[1:], wide[1:], strict=False))]
        yield f"  {'  '.join(cells)}".rstrip()


def _cell(figure: Figure) -> str:
    return f"{figure.mean:g}" if figure.low is None else str(figure)


def _groups(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    """Figures by who was measured, in words."""
    found: dict[str, list[Figure]] = {}
    for f in figures:
        counted = images_of(f.images, f.patients) if f.patients else ""
        who = "; ".join(filter(None, [f.of.partition(";")[0].strip(), counted]))
        found.setdefault(who, []).append(f)
    return found


def _notes(figure: Figure) -> Iterator[tuple[str, str]]:
    for part in figure.of.split(";")[1:]:
        name, _, value = part.strip().partition(": ")
        yield name, value
