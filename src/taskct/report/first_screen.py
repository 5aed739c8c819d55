"""What pages show first, below their opening sentences: a row of pictures, a small table, and links to the rest."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taskct.report.page import folded

_KEYS = "Alt+D; in Firefox Alt+Shift+D, on a Mac Control+Option+D"


def figure_row(figures: Sequence[str], about: str, window: str = "", *, difference: str = "", kind: str = "") -> str:
    """Figures side by side and the line below them, all HTML; '' without figures. `kind` is a further class of the row.

    With `difference`, which replaces `window` in the line, a checkbox above shows the second pictures of `with_difference`
    in the place of the first ones. It needs no script; paper shows the first ones.
    """
    if not figures:
        return ""
    row = f"<div class='row{f' {kind}' if kind else ''}'>{''.join(figures)}</div>"
    if not difference:
        return f"{row}<p class='key'>{f'{about} {window}'.strip()}</p>"
    switch = (
        "<input type='checkbox' id='differences' accesskey='d'>"
        f"<label for='differences' title='{_KEYS}'>Show differences from full dose (key D)</label>"
    )
    key = f"{about} <span class='plain'>{window}</span><span class='minus'>{difference}</span>"
    return f"<div class='switched'>{switch}{row}<p class='key'>{key}</p></div>"


def with_difference(image: str, difference: str) -> str:
    """Two pictures in one place, of which the checkbox of the row shows one."""
    return f"<div class='plain'>{image}</div><div class='minus'>{difference}</div>"


def small_table(heads: Sequence[str], bodies: Sequence[str], key: str) -> str:
    """The small table: cells of its head and rows of each body as HTML, and in `key` what they are, as text."""
    filled = "".join(f"<tbody>{rows}</tbody>" for rows in bodies)
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    table = f"<table class='numbers first-table'>{head}{filled}</table>"
    return f"<div class='scroll'>{table}</div><p class='key'>{escape(key)}</p>"


def folded_rest(parts: Sequence[tuple[str, str, str, str]]) -> tuple[str, str]:
    """Parts (anchor, heading, what is inside, content) -> links to those with content, and all of them folded."""
    links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _, content in parts if content)
    return f"<nav>{links}</nav>", "".join(folded(anchor, name, content, about=about) for anchor, name, about, content in parts)
