"""A table of numbers that may be wider than the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def wide_table(caption: str, heads: Sequence[str], body: Sequence[str]) -> str:
    """`caption` and the rows of `body` are HTML, `heads` are not.

    >>> "<th scope='col'>a &lt; b</th>" in wide_table("<b>A</b>", ["", "a < b"], ["<tr><td></td><td>1</td></tr>"])
    True
    """
    head = "".join(f"<th scope='col'>{escape(h)}</th>" for h in heads)
    return (
        f"<div class='wide'><table class='numbers dense'><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
