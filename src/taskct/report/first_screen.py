"""How a page begins: a sentence, what speaks against it, pictures, a small table, the words of these; the rest is folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from taskct.core.names import plural
from taskct.report.plain_words import word_key

_MOST_NAMED = 4
_KEYS = "Alt+D; in Firefox Alt+Shift+D, on a Mac Control+Option+D"


def page_body(
    title: str,
    first: str,
    parts: Sequence[tuple[str, str, str, str]],
    *,
    lead: str = "",
    made: str = "Made with taskct",
    words: Mapping[str, str] | None = None,
    others: Mapping[str, str] | None = None,
) -> str:
    """The content of a page: title, a line about what was done, the first screen as HTML, and parts that are folded.

    A part is (anchor, heading, what is inside, content); links above lead to those that have content. The words of the first
    screen are explained below it (`word_key`), those of `words` as this page means them. `others` are further pages of the
    same run, {address: what they show}.
    """
    links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _, content in parts if content)
    key = word_key(f"{lead} {first}", words)
    said = [escape(lead)] if lead else []
    said += ["<a class='jump' tabindex='-1' href='#key'>What the words mean</a>"] if key else []
    about = f"<p class='lead'>{' '.join(said)}</p>" if said else ""
    pages = "".join(f"<a href='{escape(where, quote=True)}'>{escape(what)}</a>" for where, what in (others or {}).items())
    more = f"<nav class='pages'>More of this run: {pages}</nav>" if pages else ""
    head = f"<header><h1>{escape(title)}</h1>{about}{first}{key}{more}<nav>{links}</nav></header>\n"
    rest = "".join(folded(anchor, name, content, about=inside) for anchor, name, inside, content in parts)
    return f"{head}{rest}<footer>{escape(made)}. Research use only.</footer>"


def opening(
    answer: str,
    against: str | Sequence[str] = (),
    *,
    missing: Sequence[str] = (),
    piece: str = "step",
    whole: str = "experiment",
) -> str:
    """The first lines of a page: one sentence, and below it each that speaks against it.

    `missing` names the pieces of the whole that are not done yet: a line above the sentence says so.
    """
    note = ""
    if missing:
        named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
        steps = f"{plural(len(missing), piece)} of this {whole} {'is' if len(missing) == 1 else 'are'} not done yet"
        note = f"<p class='unfinished'>Unfinished: {steps} ({escape(named)}). Everything below may change.</p>"
    lines = [against] if isinstance(against, str) else against
    but = "".join(f"<p class='but'>{escape(line)}</p>" for line in dict.fromkeys(lines) if line)
    return f"{note}<p class='answer'>{escape(answer)}</p>{but}"


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


def folded(anchor: str, heading: str, content: str, *, about: str = "") -> str:
    """A headed part that is closed until it is asked for, by a click or by a link to its anchor; '' without content.

    `about` says in a few words what is inside.
    """
    if not content:
        return ""
    more = f"<small>{escape(about)}</small>" if about else ""
    return (
        f"<details class='fold'><summary><h2>{escape(heading)}</h2>{more}</summary><div id=\"{anchor}\">{content}</div>"
        "</details>\n"
    )
