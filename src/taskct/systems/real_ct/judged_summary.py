"""The scores of all CT as tables and a page: what each goal asks, what was reached, and where it was missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.csv_cells import csv_text
from taskct.core.files import make_folder, write_text
from taskct.core.names import capital
from taskct.experiments.made import Made
from taskct.report.page import page, section
from taskct.report.pictures import Encoder, to_grey
from taskct.systems.real_ct.judge_ct import COLUMNS, METHOD_OF, SHOWN_AT, read_images, read_rows
from taskct.systems.real_ct.judged_ct import JUDGED
from taskct.systems.real_ct.judging import FBP, HANN, TV, TV_WEIGHTED
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment

METHODS = (FBP, HANN, TV, TV_WEIGHTED, *METHOD_OF.values())
SIZES = ("4 mm", "8 mm", "12 mm")
_IMAGE_BYTES = 8 * 2**20
Rows = Sequence[Mapping[str, Any]]
_PICTURES = 190


class Scores:
    """Mean over the slices of a CT, by method, dose, metric and region."""

    def __init__(self, rows: Rows) -> None:
        found: dict[tuple[str, str, str, str, str], list[float]] = defaultdict(list)
        for row in rows:
            found[row["ct"], row["dose"], row["method"], row["metric"], row["region"]].append(float(row["value"]))
        self.means = {key: float(np.mean(values)) for key, values in found.items()}
        self.cts = list(dict.fromkeys(str(row["ct"]) for row in rows))
        self.doses = sorted({str(row["dose"]) for row in rows}, key=lambda d: -float(d))

    def mean(self, ct: str, dose: str, method: str, metric: str, region: str) -> float | None:
        """None where it was not measured."""
        return self.means.get((ct, dose, method, metric, region))

    def regions(self, ct: str) -> list[str]:
        """The regions of a CT, in the order in which they were judged."""
        return list(dict.fromkeys(key[4] for key in self.means if key[0] == ct and key[3] == "bias_hu"))

    def methods(self, ct: str, dose: str) -> list[str]:
        """The methods that were judged."""
        return [m for m in METHODS if (ct, dose, m, "rmse_hu", "body") in self.means]


def write_summary(
    folder: Path, *, settings: RealCTExperiment, judged: Sequence[Made[Path]], observed: Sequence[Made[Path]] = ()
) -> None:
    """scores.csv, tables.md and report.html of the steps that are done; `observed` has observers from more scans."""
    rows = better_observed(
        [row for made in judged if made.done for row in read_rows(made.folder)],
        [row for made in observed if made.done for row in read_rows(made.folder)],
    )
    scores = Scores(rows)
    make_folder(folder)
    write_text(folder / "scores.csv", csv_text(COLUMNS, rows), overwrite=True)
    write_text(folder / "tables.md", "\n".join(tables(scores)) + "\n", overwrite=True)
    encoder = Encoder(_IMAGE_BYTES)
    shown = {ct: _pictures(ct, judged, encoder) for ct in scores.cts}
    parts = "".join(
        section(ct.replace("_", "-"), f"{ct}: {JUDGED[ct].about}", shown[ct] + _html(table_of(scores, ct)))
        for ct in scores.cts
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in goals(scores))
    text = page(
        "A reconstructor for real CT",
        encoder.replace(f"<h1>A reconstructor for real CT</h1><div class='verdict'>{lines}</div>{parts}"),
    )
    write_text(folder / "report.html", text, overwrite=True)


def better_observed(rows: Rows, observed: Rows) -> list[Mapping[str, Any]]:
    """The rows, those of observers replaced where more scans were observed."""
    place = lambda row: tuple(row[column] for column in COLUMNS if column != "value")
    better = {place(row): row for row in observed}
    return [better.get(place(row), row) for row in rows]


def tables(scores: Scores) -> list[str]:
    """All tables as lines of Markdown."""
    lines = []
    for ct in scores.cts:
        about = JUDGED[ct]
        seen = "training saw other slices of this patient" if about.seen else "no training saw this patient"
        lines += [
            f"### {ct}",
            "",
            f"{capital(about.about)}; {seen}; licence of the CT: {about.licence}.",
            "",
        ]
        head, *body = table_of(scores, ct)
        lines += [_line(head), _line(["---"] * 2 + ["--:"] * (len(head) - 2)), *map(_line, body), ""]
    return lines


def table_of(scores: Scores, ct: str) -> list[list[str]]:
    """Head and body: a row for each dose and method."""
    regions = scores.regions(ct)
    head = ["dose", "method", "RMSE", *[f"bias, {r}" for r in regions], "noise, soft tissue", "contrast 4 / 8 / 12 mm",
            "SNR 4 / 8 / 12 mm", "Hotelling 4 / 8 / 12 mm", "CPU s"]  # fmt: skip
    lines = [head]
    for dose in scores.doses:
        for method in scores.methods(ct, dose):
            get = lambda metric, region, d=dose, m=method: scores.mean(ct, d, m, metric, region)
            lines.append([
                f"{100 * float(dose):g} %", method, _text(get("rmse_hu", "body"), 1),
                *[_text(get("bias_hu", r), 1) for r in regions],
                _text(get("noise_hu", "soft tissue"), 1),
                " / ".join(_text(get("contrast_share", s), 2) for s in SIZES),
                " / ".join(_text(get("snr", s), 1) for s in SIZES),
                " / ".join(_text(get("hotelling", s), 1) for s in SIZES),
                _text(get("cpu_s", ""), 2),
            ])  # fmt: skip
    return lines


def goals(scores: Scores) -> list[str]:
    """A sentence for each goal, method and CT that no training saw: reached, or missed and by how much."""
    lines = []
    for ct in scores.cts:
        if JUDGED[ct].seen:
            continue
        for method in METHOD_OF.values():
            found = {dose: _at_dose(scores, ct, dose, method) for dose in scores.doses if float(dose) < 1}
            words = [f"{100 * float(dose):g} %: {text}" for dose, text in found.items() if text]
            if words:
                lines.append(f"{ct}, {method}. " + "; ".join(words) + ".")
    return lines


def _at_dose(scores: Scores, ct: str, dose: str, method: str) -> str:
    get = lambda metric, region, m=method: scores.mean(ct, dose, m, metric, region)
    ours = get("rmse_hu", "body")
    rivals = {m: v for m in (TV_WEIGHTED, TV) if (v := get("rmse_hu", "body", m)) is not None}
    if ours is None or not rivals:
        return ""
    worst = max((abs(get("bias_hu", r) or 0.0), r) for r in scores.regions(ct))
    errors = ", ".join(f"{100 * (ours / v - 1):+.0f} % beside {m.replace(', ', ' with ')}" for m, v in rivals.items())
    words = f"RMSE {errors}, largest bias {worst[0]:.1f} HU ({worst[1]})"
    share, snr = get("contrast_share", "8 mm"), get("snr", "8 mm")
    others = [v for m in (HANN, TV) if (v := get("snr", "8 mm", m)) is not None]
    if share is not None and snr is not None and others:
        words += f", 8 mm: contrast {share:.2f}, SNR {snr:.1f} (best rival {max(others):.1f})"
    return words


def _pictures(ct: str, judged: Iterable[Made[Path]], encoder: Encoder) -> str:
    window = JUDGED[ct].window
    if window is None:
        return "<p class='note'>No picture: this head could be recognised.</p>"
    images: dict[str, np.ndarray] = {}
    for made in judged:
        if made.done and made.name.endswith(ct):
            images |= read_images(made.folder)
    cells = []
    for name in ("full dose", *METHODS):
        if name in images:
            grey = encoder.add(to_grey(torch.from_numpy(images[name].astype(np.float32)), window))
            cells.append(
                f"<figure style='display:inline-block;width:{_PICTURES}px;margin:2px'><img alt='{escape(name)}' "
                f'src="{grey}" style="width:100%"><figcaption>{escape(name)}</figcaption></figure>'
            )
    note = f"<p class='key'>{100 * SHOWN_AT:g} % of the dose; window {escape(str(window))}.</p>"
    return note + "".join(cells)


def _html(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<div class='wide'><table class='numbers dense'><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
