"""Tables of intervals on a bi-planar page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taskct.evaluation.statistics import Interval
from taskct.report.number_text import number, span


def cell(interval: Interval | None, unit: str = "") -> str:
    """A mean with its interval, or a dash."""
    if interval is None:
        return "<td>–</td>"
    ends = span(interval, unit)
    return f"<td>{number(interval.mean, unit)}{f'<small>{ends}</small>' if ends else ''}</td>"


def wide_table(caption: str, heads: Sequence[str], body: Sequence[str]) -> str:
    """A table that may be wider than the page; `caption` is HTML, `heads` are not."""
    head = "".join(f"<th scope='col'>{escape(h)}</th>" for h in heads)
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
