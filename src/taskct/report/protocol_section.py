"""How the numbers were made: metrics, masks, dose model, methods, geometry, cases, tuning, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from taskct.core.errors import TaskctError
from taskct.evaluation.evaluation_record import is_uid
from taskct.evaluation.statistics import FEW_PATIENTS
from taskct.evaluation.table import Table
from taskct.geometry.beam_config import beam_from_config, grid_from_config
from taskct.report.geometry_figure import draw_geometry, geometry_words
from taskct.report.number_text import power_of_ten
from taskct.report.style import svg_uri

_MOST_CASES = 40
_MOST_GEOMETRIES = 3
_LONG = 600  # characters of one value


def protocol_section(table: Table) -> str:
    """Everything a reader needs to judge or repeat the numbers."""
    settings = table.settings
    parts = [
        _pairs("Metrics", [(about["label"], _metric_words(about)) for about in map(table.label, table.metrics)]),
        _pairs("Statistics", [("Intervals", _interval_words())]),
        _pairs("Simulation", _simulation(settings)),
        _pairs("Methods", [(name, text) for name, text in _items(settings.get("methods"))]),
        _geometry(settings.get("geometry", [])),
        _cases(table.cases),
    ]
    tuning = table.notes.get("tuning")
    if tuning:
        parts.append(_pairs("Tuning", _flat(tuning)))
    rest = {k: v for k, v in table.notes.items() if k != "tuning"}
    if rest:
        parts.append(_pairs("Notes", _flat(rest)))
    return "".join(parts)


def provenance_section(table: Table) -> str:
    """Versions, commit, command and machine."""
    return _pairs("", _flat(table.provenance))


def _metric_words(about: Mapping[str, str]) -> str:
    definition = about["definition"]
    unit = f" Unit {about['unit']}." if about["unit"] else ""
    better = {"higher": "Higher is better.", "lower": "Lower is better.", "zero": "Nearer to 0 is better."}[about["better"]]
    return f"{definition[:1].upper()}{definition[1:]}.{unit} {better}"


def _interval_words() -> str:
    return (
        "95 %, bootstrap over patients (4000 resamples, fixed seed): slices are averaged within each patient, then patients "
        "are drawn again. Expanded percentile interval (Hesterberg 2015). Differences between methods are paired image by "
        f"image. 'Separated': the paired interval excludes zero and at least {FEW_PATIENTS} patients stand behind it. "
        "Intervals are not corrected for looking at several methods, doses and metrics."
    )


def _simulation(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        ("Truth", "each case as it was read, with whatever noise it has"),
        ("Projection", str(settings.get("simulation", "not stated"))),
        ("Noise", "Poisson counts plus normal read-out noise, then the logarithm; no scatter, one energy, no beam hardening"),
        ("Doses", _dose_words(settings.get("doses"))),
        ("Seed", f"{settings.get('seed', 'not stated')} (noise depends on seed, case and slice; all methods see the same)"),
        ("Slices", str(settings.get("slices", "not stated"))),
    ]
    return found


def _dose_words(doses: Any) -> str:
    """All doses in one line where they are fractions of one full dose, else one after the other."""
    known = [d for d in doses or [] if isinstance(d, Mapping)]
    shared = {(d.get("photons"), d.get("electronic_std"), d.get("floor_photons")) for d in known}
    words = []
    for photons, read_out, floor in sorted(shared, key=str):
        fractions = [
            d.get("fraction", 1) for d in known if d.get("photons") == photons and d.get("electronic_std") == read_out
        ]
        parts = ", ".join(f"{100 * f:.4g}" for f in fractions)
        words.append(
            f"{parts} % of {power_of_ten(photons or 0)} photons per detector pixel in air; read-out noise "
            f"{read_out or 0:.4g} photons; counts below {floor or 0:.3g} are read as that"
        )
    return "; ".join(words) or "not stated"


def _geometry(geometries: Sequence[Any]) -> str:
    blocks = []
    for entry in list(geometries)[:_MOST_GEOMETRIES]:
        try:
            beam, grid = beam_from_config(entry["beam"]), grid_from_config(entry["grid"])
            uri = svg_uri(draw_geometry(grid, beam))
        except (TaskctError, KeyError, TypeError):
            blocks.append("<p>A geometry of this table is not readable.</p>")
            continue
        used = entry.get("views_used", beam.views)
        subset = f" {used} of {beam.views} views used." if used != beam.views else ""
        cases = ", ".join(map(str, entry.get("cases", [])))
        words = escape("; ".join(w for w in geometry_words(grid, beam) if w))
        blocks.append(
            f"<figure class='drawing'><img alt='Scan geometry: {words}' src=\"{uri}\">"
            f"<figcaption>To scale, first view drawn in full.{subset} Cases: {escape(_cut(cases))}.</figcaption></figure>"
        )
    more = len(geometries) - _MOST_GEOMETRIES
    if more > 0:
        blocks.append(f"<p>{more} more geometries are listed in the run folder.</p>")
    return "<h3>Geometry</h3>" + "".join(blocks) if blocks else ""


def _cases(cases: Sequence[Mapping[str, Any]]) -> str:
    if not cases:
        return ""
    rows = []
    for case in list(cases)[:_MOST_CASES]:
        shape = " × ".join(map(str, case.get("shape", [])))
        spacing = " × ".join(f"{float(s):.4g}" for s in case.get("spacing_mm", []))
        slices = case.get("slices") or []
        origin = "; ".join(f"{k}: {v}" for k, v in _facts(case).items())
        cells = (case.get("case_id", ""), case.get("patient_id", ""), shape, spacing, _ranges(slices), origin)
        rows.append("<tr>" + "".join(f"<td class='text'>{escape(_cut(str(c), 240))}</td>" for c in cells) + "</tr>")
    heads = "".join(
        f"<th class='text'>{h}</th>" for h in ("case", "patient", "shape z y x", "spacing / mm", "slices", "origin")
    )
    more = len(cases) - _MOST_CASES
    rest = f"<p>{more} more cases are listed in the run folder.</p>" if more > 0 else ""
    return (
        "<h3>Cases</h3><div class='wide'><table class='numbers dense'><thead><tr>"
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{rest}"
    )


def _facts(case: Mapping[str, Any]) -> dict[str, Any]:
    """Where a case comes from, without UIDs and empty facts."""
    known = case.get("provenance")
    return {k: v for k, v in known.items() if not is_uid(str(k)) and v not in ("", "[]")} if isinstance(known, Mapping) else {}


def _ranges(numbers: Sequence[int]) -> str:
    """Slice numbers in short: 0-3, 7.

    >>> _ranges([0, 1, 2, 3, 7])
    '0–3, 7'
    """
    runs: list[list[int]] = []
    for n in sorted(int(v) for v in numbers):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def _pairs(title: str, pairs: Sequence[tuple[str, str]]) -> str:
    if not pairs:
        return ""
    items = "".join(f"<dt>{escape(_cut(name, 120))}</dt><dd>{escape(_cut(text))}</dd>" for name, text in pairs)
    return (f"<h3>{escape(title)}</h3>" if title else "") + f"<dl>{items}</dl>"


def _flat(values: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested plain values as lines 'a, b' -> text."""
    if isinstance(values, Mapping):
        return [line for key, value in values.items() for line in _flat(value, f"{name}, {key}" if name else str(key))]
    if isinstance(values, list | tuple):
        return [(name, ", ".join(f"{v:.5g}" if isinstance(v, float) else str(v) for v in values))]
    return [(name, f"{values:.6g}" if isinstance(values, float) else str(values))]


def _items(values: Any) -> list[tuple[str, str]]:
    return [(str(k), str(v)) for k, v in values.items()] if isinstance(values, Mapping) else []


def _cut(text: str, most: int = _LONG) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
