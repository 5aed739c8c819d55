"""The shortcut test in words, as a table of the page and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from taskct.core.csv_cells import csv_lines
from taskct.core.names import plural
from taskct.evaluation.statistics import Interval
from taskct.report.number_text import number, span
from taskct.report.wide_table import wide_table
from taskct.systems.chest.scan_origins import COINCIDE, CONFOUNDED, INDEPENDENT, ORIGINS
from taskct.systems.chest.shortcut import ANY_ORIGIN, AS_TRAINED, BY_PROBE, BY_SCORE, BY_UNTRAINED, REVERSED, ShortcutRow

_SAID = {
    COINCIDE: f"Trained on patients with an {CONFOUNDED} from one scanner and all others from another",
    INDEPENDENT: f"Trained on the same patients with scanners that do not depend on the {CONFOUNDED}",
}


def shortcut_lines(rows: Sequence[ShortcutRow]) -> list[str]:
    """What came out, a sentence for each training and one about the encoder."""
    lines = []
    found = {(row.training, row.score): row.interval for row in rows if not row.less}
    for training, words in _SAID.items():
        if (training, AS_TRAINED) not in found:
            continue
        before, anyhow, after, moved = (_text(found[training, s]) for s in (AS_TRAINED, ANY_ORIGIN, REVERSED, BY_SCORE))
        lines.append(
            f"{words}, a findings head detects an {CONFOUNDED} with an AUC of {before} if test patients have the scanners "
            f"of the confounded training, {anyhow} if scanners are independent of it and {after} if they are reversed. Its "
            f"score tells the scanner of slices without an {CONFOUNDED} with an AUC of {moved}."
        )
    if (COINCIDE, BY_PROBE) in found and (INDEPENDENT, BY_PROBE) in found:
        probe, control, first = (
            found[key] for key in ((COINCIDE, BY_PROBE), (INDEPENDENT, BY_PROBE), (COINCIDE, BY_UNTRAINED))
        )
        lines.append(
            f"A linear probe reads the scanner from the encoder's maps with an AUC of {_text(probe)} after the confounded "
            f"training, {_text(control)} after the control and {_text(first)} before any training. That a network can tell "
            "the scanner does not show that its answers depend on it."
        )
    return lines


def shortcut_csv(rows: Sequence[ShortcutRow]) -> str:
    """Every score and difference with its interval over seeds and patients."""
    lines: list[list[object]] = [["training", "score", "less", "mean", "low", "high", "patients", "seeds", "separated"]]
    for row in rows:
        ends = [f"{v:.4f}" if np.isfinite(v) else "" for v in (row.interval.mean, row.interval.low, row.interval.high)]
        apart = ("yes" if row.interval.separated else "no") if row.less else ""
        lines.append([row.training, row.score, row.less, *ends, row.interval.n_patients, row.seeds, apart])
    return csv_lines(lines)


def shortcut_section(rows: Sequence[ShortcutRow]) -> str:
    """Two tables: the scores of both trainings, and what they differ by."""
    if not rows:
        return ""
    trainings = [t for t in (COINCIDE, INDEPENDENT) if any(row.training == t for row in rows)]
    plain = {(row.training, row.score): row for row in rows if not row.less}
    body = [
        f"<tr><th scope='row'>{escape(score)}</th>{''.join(_cell(plain[t, score].interval) for t in trainings)}</tr>"
        for score in dict.fromkeys(score for _, score in plain)
    ]
    seeds = min(row.seeds for row in rows)
    about = (
        f"<b>Disease or scanner</b>: scanners of {escape(' and '.join(f'“{one.name}”' for one in ORIGINS))}; "
        f"{plural(seeds, 'training')} of each kind; intervals over seeds and patients"
    )
    heads = ["", *(f"scanner and {CONFOUNDED} {t} in training" for t in trainings)]
    text = wide_table(about, heads, body)
    less = []
    for row in (row for row in rows if row.less):
        across = row.less == INDEPENDENT
        training = f"{row.training} − {row.less}" if across else row.training
        score = row.score if across else f"{row.score} − {row.less}"
        cells = f"<td class='text'>{escape(score)}</td>{_cell(row.interval, bold=row.interval.separated)}"
        less.append(f"<tr><th scope='row'>{escape(training)}</th>{cells}</tr>")
    caption = "<b>Differences</b>, paired by seeds and patients; bold: separated from zero, not corrected for their number"
    return text + wide_table(caption, ["training", "score", "difference"], less)


def _text(found: Interval) -> str:
    ends = f" [{found.low:.2f}, {found.high:.2f}]" if np.isfinite(found.low) else ""
    return f"{found.mean:.2f}{ends}"


def _cell(interval: Interval, *, bold: bool = False) -> str:
    value = number(interval.mean)
    return f"<td>{f'<b>{value}</b>' if bold else value}<small>{span(interval)}</small></td>"
