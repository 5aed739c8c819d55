"""A table of measured numbers -> one HTML page that can be shown."""

from __future__ import annotations

import base64
import os
from html import escape

from taskct.core.errors import InputError
from taskct.core.files import refuse_existing, write_text
from taskct.core.names import plural
from taskct.core.runs import Run
from taskct.evaluation.rows import DoseLevel, Example
from taskct.evaluation.table import Table
from taskct.evaluation.windows import Window, window_named
from taskct.report.curve_figures import MOST_PANELS, dose_curves, profile_figure, texture_figure
from taskct.report.first_pictures import first_pictures
from taskct.report.first_screen import opening, page_body
from taskct.report.leading_table import leading_table
from taskct.report.main_finding import main_finding, missing_parts
from taskct.report.noise_section import noise_table
from taskct.report.number_tables import case_table, difference_table, metric_table, region_table, time_table
from taskct.report.number_text import dose_label
from taskct.report.page import page
from taskct.report.pictures import (
    Encoder,
    Region,
    body_region,
    choose_window,
    choose_zoom,
    picture_section,
    profile_columns,
    profile_row,
)
from taskct.report.protocol_section import protocol_section, provenance_section
from taskct.report.verdict import primary_metric, verdict

MAX_PAGE_BYTES = 6 * 2**20
_IMAGE_BYTES = 4 * 2**20  # of the page; the rest is for figures and the embedded CSV
_CSV_BYTES = 1 * 2**20
_MOST_EXAMPLES = 3
_MOST_SIDE_BY_SIDE = 5  # doses up to which two tables fit beside one another


def write_report(
    table: Table | Run | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    metric: str | None = None,
    window: str | Window | tuple[float, float] | None = None,
    zoom: tuple[int, int, int] | None = None,
    overwrite: bool = False,
) -> None:
    """Write one self-contained HTML file about a table, a run, or a run folder: no script, no network, below about 6 MB.

    It begins with one sentence, a row of pictures and a small table; the rest is folded. All words are computed from the means
    and paired intervals of `metric` (default: the first of the protocol); methods are called separated only where an interval
    allows it. `window` is a name (soft tissue, liver, lung, bone, brain), a Window
    or (level, width) in HU, by default chosen per slice. `zoom` is (row, column, side) in pixels of the zoomed square, by
    default on the smallest label or the richest structure. Raises OutputExistsError unless `overwrite`.
    """
    refuse_existing(path, overwrite=overwrite)
    if isinstance(table, Run):
        table = Table.read(table.folder)
    elif not isinstance(table, Table):
        table = Table.read(table)
    if not table.rows:
        raise InputError("a report expects a table with rows, got an empty one; evaluate first")
    shown = None if window is None else window_named(window)
    heading = title or "Image quality at reduced dose"
    write_text(path, page(heading, _body(table, heading, metric, shown, zoom)), overwrite=overwrite)


def _body(table: Table, heading: str, metric: str | None, window: Window | None, zoom: tuple[int, int, int] | None) -> str:
    main = metric or primary_metric(table)
    encoder = Encoder(_IMAGE_BYTES)
    examples = table.images[:_MOST_EXAMPLES]
    square = _square(zoom, examples[0]) if examples else None
    first = first_pictures(table, main, encoder, window=window, zoom=square) + leading_table(table, main)
    pictures = "".join(picture_section(table, e, encoder, window=window, zoom=_square(zoom, e)) for e in examples)
    regions = "".join(region_table(table, d) for d in _two_doses(table))
    parts = [
        ("words", "In words", "each finding, and what limits it", _words(table, main)),
        ("numbers", "Methods and doses", "every metric", _numbers(table, main)),
        ("curves", "Dose curves", "", _curves(table)),
        ("images", "Images", "every method and dose", pictures + ("<p class='note'>@image-note@</p>" if pictures else "")),
        ("profiles", "Profiles and noise texture", "", _details(table, examples, window, zoom)),
        ("regions", "Regions", "", regions),
        ("cases", "Cases", "one line each, and the table as CSV", _cases(table, main)),
        ("protocol", "Protocol", "definitions, simulation, geometry", protocol_section(table)),
        ("provenance", "Provenance", "", provenance_section(table)),
    ]
    answer, limited = main_finding(table, main)
    begin = opening(answer, limited, missing=missing_parts(table), piece="part", whole="evaluation")
    version = table.provenance.get("versions", {})
    made = f"Made with taskct {version.get('taskct', '')}" if isinstance(version, dict) else "Made with taskct"
    html = encoder.replace(page_body(heading, begin + first, parts, lead=_lead(table), made=made))
    return html.replace("@image-note@", escape(encoder.note))


def _lead(table: Table) -> str:
    images = len({(r.case, r.item) for r in table.rows})
    doses = ", ".join(dose_label(d, table.doses) for d in table.doses)
    volumes = all(r.item is None for r in table.rows)
    what = plural(images, "volume" if volumes else "slice")
    return f"{', '.join(table.methods)} at {doses} dose; {plural(len(table.patients), 'patient')}, {what}."


def _words(table: Table, metric: str | None) -> str:
    return "".join(f"<p{' class=caution' if s.caution else ''}>{escape(s.text)}</p>" for s in verdict(table, metric=metric))


def _numbers(table: Table, main: str | None) -> str:
    first = []
    if main is not None:
        first.append(metric_table(table, main))
        if len(table.methods) > 1:
            first.append(difference_table(table, main))
    rest = [metric_table(table, m, photons=False) for m in table.metrics if m != main]
    if len(table.patients) > 1:
        words = "Mean over patients; small: 95 % interval. Bold: best, and separated from the second."
    else:
        words = "Mean over the images of one patient, without intervals."
    parts = [noise_table(table, m) for m in dict.fromkeys([main, "rmse_hu"]) if m in table.metrics]
    tables = "".join([*first, *(p for p in parts if p), *rest, time_table(table)])
    side = " class='pair'" if len(table.doses) <= _MOST_SIDE_BY_SIDE else ""
    words += " Under the dose: photons per detector pixel in air."
    return f"<p class='key'>{words} Definitions are in the protocol below.</p><div{side}>{tables}</div>"


def _curves(table: Table) -> str:
    if len(table.doses) < 2 or not table.metrics:
        return ""
    fixed = [m for m in table.metrics if m.endswith("_fr")]  # they differ from the others by the range alone
    order = [m for m in table.metrics if m not in fixed] + fixed
    uri = dose_curves(table, order)
    bars = "bars: 95 % intervals over patients" if len(table.patients) > 1 else "one patient, no intervals"
    left_out = order[MOST_PANELS:]
    rest = f" Not drawn: {', '.join(table.label(m)['label'] for m in left_out)}." if left_out else ""
    return (
        f"<figure class='plot'><img alt='metrics against dose' src=\"{uri}\">"
        f"<figcaption>Mean over patients; {bars}. Points of one dose are set apart sideways for legibility."
        f"{escape(rest)}</figcaption></figure>"
    )


def _details(table: Table, examples: list[Example], window: Window | None, zoom: tuple[int, int, int] | None) -> str:
    parts = []
    lowest = table.doses[-1]
    for example in examples[:1]:
        square = _square(zoom, example) or choose_zoom(example, window or choose_window(table, example))
        columns = profile_columns(square, body_region(example))
        uri = profile_figure(example, table.methods, lowest, row=profile_row(square), cols=columns)
        caption = (
            f"HU along the line marked in {example.case}, slice {example.slice}, at {dose_label(lowest, table.doses)} dose. "
            "Dashed: truth."
        )
        image = f"<img alt='line profiles' src=\"{uri}\">"
        if uri:
            parts.append(f"<figure class='plot'>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    texture = texture_figure(table, lowest)
    if texture is not None:
        parts.append(
            f"<figure class='plot small'><img alt='noise power spectra' src=\"{texture[0]}\">"
            f"<figcaption>{escape(texture[1])}</figcaption></figure>"
        )
    return "".join(parts)


def _cases(table: Table, main: str | None) -> str:
    if main is None:
        return ""
    text, name = table.csv_text(), "table.csv"
    note = "every value of this page"
    if len(text) > _CSV_BYTES:
        whole = [r for r in table.rows if r.region == "all"]
        text, name, note = Table(whole).csv_text(), "table-all.csv", "all but the regions, which are in the run folder"
    if len(text) > _CSV_BYTES:
        return case_table(table, main) + "<p class='key'>The table is too large to be embedded; it is in the run folder.</p>"
    uri = "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode()).decode()
    link = f"<p><a download='{name}' href=\"{uri}\">Download {name}</a> <span class='key'>({note})</span></p>"
    return case_table(table, main) + link


def _two_doses(table: Table) -> list[DoseLevel]:
    return [table.doses[-1]] if len(table.doses) == 1 else [table.doses[-1], table.doses[0]]


def _square(zoom: tuple[int, int, int] | None, example: Example) -> Region | None:
    if zoom is None:
        return None
    row, column, side = zoom
    height, width = example.truth_hu.shape
    if not (side >= 4 and 0 <= row <= height - side and 0 <= column <= width - side):
        raise InputError(f"zoom expects (row, column, side) inside {height} x {width} pixels with side >= 4, got {zoom}")
    return Region(row, row + side, column, column + side)
