"""Cells of the tables on a bi-planar page."""

from __future__ import annotations

from taskct.evaluation.statistics import Interval
from taskct.report.number_text import number, span


def cell(interval: Interval | None, unit: str = "") -> str:
    """A mean with its interval, or a dash."""
    if interval is None:
        return "<td>–</td>"
    ends = span(interval, unit)
    return f"<td>{number(interval.mean, unit)}{f'<small>{ends}</small>' if ends else ''}</td>"
