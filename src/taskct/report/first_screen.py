"""What pages show first, below their opening sentences: a row of pictures, a small table, and links to the rest."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taskct.report.page import folded


def figure_row(figures: Sequence[str], key: str, *, kind: str = "") -> str:
    """Figures side by side and the line below them, both HTML; '' without figures. `kind` is a further class of the row."""
    if not figures:
        return ""
    return f"<div class='row{f' {kind}' if kind else ''}'>{''.join(figures)}</div><p class='key'>{key}</p>"


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
