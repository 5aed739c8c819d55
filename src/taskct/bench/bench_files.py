"""A benchmark on disk: JSON with everything, CSV with the rows, Markdown with the table, and a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taskct.core.csv_cells import csv_text
from taskct.core.errors import FileFormatError, InputError
from taskct.core.files import atomic_files, encoded, refuse_existing
from taskct.core.open_files import read_json
from taskct.report.style import COLOURS, figure_style, new_figure

SUFFIXES = (".json", ".csv", ".md", ".png")
_COLUMNS = (
    *("case", "work", "threads", "cpu_s", "wall_s", "memory_mib", "updates", "updates_per_s", "limit"),
    *("alone_wall_s", "speed_up", "speed_up_low", "speed_up_high", "machine_speed_up"),
    *("float64_difference", "peer", "peer_cpu_s", "peer_wall_s", "peer_memory_mib", "ratio", "peer_difference"),
)


def outputs(out: str | Path, *, overwrite: bool = False) -> list[Path]:
    """The four files of `out` (a name that ends in .json), refused before the work when one exists."""
    base = Path(out)
    if base.suffix != ".json":
        raise InputError(f"{base}: expected a name that ends in .json; the table and the figure are written beside it")
    paths = [base.with_suffix(suffix) for suffix in SUFFIXES]
    for path in paths:
        refuse_existing(path, overwrite=overwrite)
    return paths


def read_bench(out: str | Path) -> dict[str, Any] | None:
    """The result in OUT.json, such as a run that was stopped left; None when there is none."""
    path = Path(out)
    if not path.exists():
        return None
    try:
        result: dict[str, Any] = read_json(path)
        if not {"machine", "rounds", "rows", "cases", "commit"} <= result.keys() or not isinstance(result["rows"], list):
            raise ValueError
        if not {"processor", "cpus", "kernels"} <= result["machine"].keys():
            raise ValueError
    except (ValueError, AttributeError, FileFormatError) as error:
        raise InputError(f"{path}: expected what `taskct bench` writes; give another name") from error
    return result


def write_bench(
    result: dict[str, Any], out: str | Path, *, overwrite: bool = False, command: str = "taskct bench", figure: bool = True
) -> list[Path]:
    """Write what `run_bench` returned as OUT.json, .csv, .md and .png (with `figure`); returns the paths. They are
    replaced together, so that all are of one benchmark.

    Raises InputError for a name that does not end in .json, OutputExistsError when one exists and `overwrite` is not set.
    """
    paths = outputs(out, overwrite=overwrite)
    rounded = {**result, "command": command, "rows": [_rounded(row) for row in result["rows"]]}
    written = paths if figure else paths[:3]
    with atomic_files(paths[0].parent, [path.name for path in written], overwrite=overwrite) as part:
        (part / paths[0].name).write_bytes(encoded(json.dumps(rounded, indent=1) + "\n"))
        (part / paths[1].name).write_bytes(encoded(csv_text(_COLUMNS, rounded["rows"])))
        (part / paths[2].name).write_bytes(encoded(table(rounded, command=command, figure=paths[3].name)))
        if figure:
            _figure(result).savefig(part / paths[3].name, format="png", dpi=130, bbox_inches="tight")
    return written


def table(result: dict[str, Any], *, command: str, figure: str) -> str:
    """The rows as Markdown: times and ratios, then threads."""
    machine, versions = result["machine"], result["versions"]
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    rate = machine["vector_operations_per_s"]
    first = min(row["threads"] for row in result["rows"])
    once = sorted({row["case"] for row in result["rows"] if row.get("peer_runs", result["rounds"]) < result["rounds"]})
    lines = [
        "# Projectors: speed, limit and agreement",
        "",
        f"Written by `{command}`. {machine['processor']}, {machine['cpus']} CPUs, {machine['kernels']} kernels. {listed}.",
        f"Medians of {result['rounds']} turns that alternate with the peer's; a turn is one run, or the mean of runs until",
        f"{result['turn_s']:g} s have passed. Seconds are CPU seconds over all threads; a busy machine makes both sides",
        "slower, so trust the ratios. Limit: the share of the time that the inner loop's vector operations would take",
        "if nothing else did"
        + (f", at the {rate / 1e9:.2f} thousand million a second that one core was measured to do." if rate else "."),
        "Memory: peak above what was in use before, output included."
        + (f" Of {', '.join(once)} a peer's time is that of one run without a warm-up." if once else ""),
        "",
        "| work | s | 10^9 updates/s | limit | memory, MiB | against float64 | peer | peer, s | ratio | difference |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        if row["threads"] != first:
            continue
        cells = [
            f"{row['case']} / {row['work']}",
            f"{row['cpu_s']:.4f}",
            f"{row['updates_per_s'] / 1e9:.2f}",
            _cell(row, "limit", "{:.0%}"),
            f"{row['memory_mib']:.0f}",
            _cell(row, "float64_difference", "{:.1e}"),
            row.get("peer", ""),
            _cell(row, "peer_cpu_s", "{:.3f}"),
            _cell(row, "ratio", "{:.1f}"),
            _cell(row, "peer_difference", "{:.1e}"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    more = sorted({row["threads"] for row in result["rows"]} - {first})
    if more:
        lines += [
            "",
            f"Wall seconds with more threads beside those with {first}, run in turn, in more and shorter turns than above:",
            "the median of the speed-ups, its 95 % interval, and what vector operations without memory, which only the",
            "machine slows, gained at the same time.",
            "",
            "| work | " + " | ".join(f"{n} threads, s | {first}, s | speed-up | 95 % | machine" for n in more) + " |",
            "|---" * (1 + 5 * len(more)) + "|",
        ]
        by = {(row["case"], row["work"], row["threads"]): row for row in result["rows"]}
        for case, work in dict.fromkeys((row["case"], row["work"]) for row in result["rows"]):
            found = [by.get((case, work, n)) for n in more]
            cells = [cell for row in found for cell in _thread_cells(row or {})]
            lines.append("| " + " | ".join([f"{case} / {work}", *cells]) + " |")
    return "\n".join([*lines, "", f"![Updates a second of each kernel and size]({figure})"]) + "\n"


def _thread_cells(row: dict[str, Any]) -> list[str]:
    low, high = _cell(row, "speed_up_low", "{:.2f}"), _cell(row, "speed_up_high", "{:.2f}")
    return [
        _cell(row, "wall_s", "{:.4f}"),
        _cell(row, "alone_wall_s", "{:.4f}"),
        _cell(row, "speed_up", "{:.2f}"),
        f"{low} to {high}" if low and high else "",
        _cell(row, "machine_speed_up", "{:.2f}"),
    ]


def _cell(row: dict[str, Any], key: str, form: str) -> str:
    return form.format(row[key]) if row.get(key) is not None else ""


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}


def _figure(result: dict[str, Any]) -> Any:
    """Updates a second of every case and work beside those of the peers, on one thread."""
    first = min(row["threads"] for row in result["rows"])
    rows = [row for row in result["rows"] if row["threads"] == first]
    labels = list(dict.fromkeys(f"{row['case']} / {row['work']}" for row in rows))
    kinds = ["taskct", *sorted({row["peer"] for row in rows if row.get("peer")})]
    with figure_style():
        figure, axes = new_figure(7.2, 0.8 + 0.26 * len(labels))
        axis = axes.flat[0]
        for row in rows:
            place = labels.index(f"{row['case']} / {row['work']}")
            axis.plot(row["updates_per_s"] / 1e9, place, "o", color=COLOURS[0])
            if row.get("peer"):
                other = row["updates"] / row["peer_cpu_s"] / 1e9
                axis.plot([other, row["updates_per_s"] / 1e9], [place] * 2, "-", color="#d9d9d9", zorder=0)
                axis.plot(other, place, "s", color=COLOURS[kinds.index(row["peer"])])
        for number, kind in enumerate(kinds):
            axis.plot([], [], "o" if number == 0 else "s", color=COLOURS[number], label=kind)
        axis.set_xscale("log")
        axis.set_yticks(range(len(labels)), labels)
        axis.invert_yaxis()
        axis.set_xlabel("updates a second and core, 10$^9$")
        axis.legend(loc="lower left")
    return figure
