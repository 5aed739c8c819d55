"""The table of an evaluation: one row per case, slice, method, dose, metric and region, with all that the numbers need."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from taskct.core.errors import FileFormatError, InputError, unknown_name
from taskct.core.files import write_text
from taskct.core.open_files import parsing, read_text
from taskct.evaluation.statistics import Interval, bootstrap_mean, paired_difference

SECONDS = "seconds"  # reconstruction time per slice (or volume), kept beside the metrics
ALL = "all"  # the region of the whole mask
_MAX_CSV_BYTES = 2**30


class DoseLevel(NamedTuple):
    """One dose of a table: the fraction of full dose used, and the photons per detector pixel at full dose."""

    fraction: float
    photons: float

    @property
    def used_photons(self) -> float:
        """Photons per detector pixel in this scan."""
        return self.fraction * self.photons


class Row(NamedTuple):
    """One measured value; `slice` is None for a volume. The fields are the columns of table.csv."""

    case: str
    patient: str
    slice: int | None
    method: str
    dose_fraction: float
    photons: float
    metric: str
    region: str
    value: float

    @property
    def dose(self) -> DoseLevel:
        """The dose of the scan."""
        return DoseLevel(self.dose_fraction, self.photons)


@dataclass(frozen=True, eq=False)
class Example:
    """Images of one slice, for the report: HU (Y, X), truth and what each method made of it at each dose."""

    case: str
    slice: int
    spacing_mm: tuple[float, float]
    truth_hu: Tensor
    recon_hu: dict[tuple[str, DoseLevel], Tensor] = field(default_factory=dict)
    labels: Tensor | None = None
    mask: Tensor | None = None
    label_names: dict[int, str] = field(default_factory=dict)


class Summary(NamedTuple):
    """Mean over patients of one method at one dose, with its interval."""

    method: str
    dose: DoseLevel
    metric: str
    region: str
    interval: Interval


@dataclass(eq=False)
class Table:
    """Rows in long form, and what they were measured with.

    `settings` are plain values: protocol, metric definitions, doses, methods, geometry, seed. `cases` describes each case,
    `notes` holds what the caller adds (tuning, remarks), `provenance` what made the table. `images` are the examples.
    Rows are not to be changed afterwards: make a new Table (`merge_tables` joins several).
    """

    rows: list[Row]
    settings: dict[str, Any] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    images: list[Example] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._index: dict[tuple[str, str, DoseLevel, str], list[Row]] = {}
        for row in self.rows:
            self._index.setdefault((row.metric, row.method, row.dose, row.region), []).append(row)

    @cached_property
    def methods(self) -> list[str]:
        """Methods in the order in which they were given; the first is the baseline of comparisons."""
        return _unique(r.method for r in self.rows)

    @cached_property
    def doses(self) -> list[DoseLevel]:
        """Doses, the highest first."""
        return sorted({r.dose for r in self.rows}, key=lambda d: -d.used_photons)

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics in the order of the protocol, without the time."""
        return _unique(r.metric for r in self.rows if r.metric != SECONDS)

    @cached_property
    def regions(self) -> list[str]:
        """Regions, 'all' first, then the labelled ones that cover most slices."""
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.region] = counts.get(row.region, 0) + 1
        return sorted(counts, key=lambda name: (name != ALL, -counts[name], name))

    @cached_property
    def patients(self) -> list[str]:
        """Patient identifiers."""
        return _unique(r.patient for r in self.rows)

    def select(self, metric: str, method: str, dose: DoseLevel | float, *, region: str = ALL) -> list[Row]:
        """The rows of one metric, method, dose (a level, or its fraction) and region, case by case."""
        self._check(metric, method)
        return self._index.get((metric, method, self.dose_level(dose), region), [])

    def dose_level(self, dose: DoseLevel | float) -> DoseLevel:
        """The dose of this table that a fraction means; InputError when none or several do."""
        if isinstance(dose, tuple):
            return dose
        found = [d for d in self.doses if math.isclose(d.fraction, dose, rel_tol=1e-9)]
        if len(found) != 1:
            have = ", ".join(f"{d.fraction:g} of {d.photons:g} photons" for d in self.doses)
            raise InputError(f"dose {dose!r} names {len(found)} doses of this table; it has {have}; give a DoseLevel")
        return found[0]

    def summary(
        self,
        metric: str | None = None,
        *,
        region: str | None = ALL,
        level: float = 0.95,
        interval: str = "expanded",
        seed: int = 0,
    ) -> list[Summary]:
        """Mean over patients with a bootstrap interval, per method and dose; all metrics unless one is named.

        `region=None` takes every region. `interval` is a method of `evaluate.statistics`.
        """
        metrics = self.metrics if metric is None else [metric]
        regions = self.regions if region is None else [region]
        found = []
        for name in metrics:
            for where in regions:
                for dose in self.doses:
                    for method in self.methods:
                        rows = self.select(name, method, dose, region=where)
                        if rows:
                            values, patients = [r.value for r in rows], [r.patient for r in rows]
                            mean = bootstrap_mean(values, patients, level=level, method=interval, seed=seed)
                            found.append(Summary(method, dose, name, where, mean))
        return found

    def paired(
        self,
        metric: str,
        method: str,
        baseline: str,
        *,
        dose: DoseLevel | float,
        baseline_dose: DoseLevel | float | None = None,
        region: str = ALL,
        level: float = 0.95,
        interval: str = "expanded",
        seed: int = 0,
    ) -> Interval:
        """Mean over patients of method - baseline in the same slices, with its interval; at one dose or two different ones.

        >>> rows = [Row("a", "a", 0, m, 1.0, 1e5, "rmse_hu", "all", v) for m, v in (("fbp", 20.0), ("tv", 12.0))]
        >>> Table(rows).paired("rmse_hu", "tv", "fbp", dose=1.0).mean
        -8.0
        """
        ours = {(r.case, r.slice): r for r in self.select(metric, method, dose, region=region)}
        other = dose if baseline_dose is None else baseline_dose
        theirs = {(r.case, r.slice): r for r in self.select(metric, baseline, other, region=region)}
        both = [key for key in ours if key in theirs]
        return paired_difference(
            [ours[k].value for k in both],
            [theirs[k].value for k in both],
            [ours[k].patient for k in both],
            level=level,
            method=interval,
            seed=seed,
        )

    def label(self, metric: str) -> dict[str, str]:
        """label, unit, better ('higher', 'lower', 'zero') and definition of a metric of this table."""
        if metric == SECONDS:
            return {"label": "Time", "unit": "s", "better": "lower", "definition": "seconds per slice or volume, wall clock"}
        known = self.settings.get("metrics", {})
        plain = {"label": metric, "unit": "", "better": "lower", "definition": "not stated"}
        return plain | known.get(metric, {})

    def csv_text(self) -> str:
        """The rows as CSV with a header line; values to 9 digits, an empty slice for a volume."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Row._fields)
        for row in self.rows:
            place = "" if row.slice is None else row.slice
            numbers = [f"{v:.9g}" for v in (row.dose_fraction, row.photons)]
            writer.writerow([*row[:2], place, row.method, *numbers, *row[6:8], f"{row.value:.9g}"])
        return text.getvalue()

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the rows as CSV."""
        write_text(path, self.csv_text(), overwrite=overwrite)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write table.csv, table.json and images.safetensors into a run folder, made new unless it is one."""
        from taskct.evaluation.storage import save_table

        save_table(self, folder, overwrite=overwrite)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Table:
        """The table that `save` wrote."""
        from taskct.evaluation.storage import read_table

        return read_table(folder)

    def __str__(self) -> str:
        """Methods x doses of the first metric, as text for a terminal."""
        if not self.metrics:
            return "Table without rows"
        metric = self.metrics[0]
        about = self.label(metric)
        cells = {(s.method, s.dose): str(s.interval) for s in self.summary(metric)}
        header = ["", *[f"{d.fraction:.4g} dose" for d in self.doses]]
        lines = [header, *[[m, *[cells.get((m, d), "-") for d in self.doses]] for m in self.methods]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        body = "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
        return f"{about['label']} [{about['unit']}], mean over {len(self.patients)} patient(s) with interval\n{body}"

    def _check(self, metric: str, method: str) -> None:
        if metric not in {*self.metrics, SECONDS}:
            raise unknown_name("metric", metric, [*self.metrics, SECONDS])
        if method not in self.methods:
            raise unknown_name("method", method, self.methods)


def read_rows(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a table.csv; FileFormatError, with the line, for a file that is none."""
    found = Path(path)
    with parsing(found, "CSV"):
        reader = csv.reader(io.StringIO(read_text(found, limit_bytes=_MAX_CSV_BYTES, what="table"), newline=""), strict=True)
        header = next(reader, [])
        if tuple(header) != Row._fields:
            raise FileFormatError(f"{found}: expected the columns {', '.join(Row._fields)}, got {', '.join(header)[:200]}")
        return [_row(cells, found, reader.line_num) for cells in reader]


def _row(cells: Sequence[str], path: Path, line: int) -> Row:
    try:
        case, patient, place, method, fraction, photons, metric, region, value = cells
        return Row(
            case, patient, int(place) if place else None, method, float(fraction), float(photons), metric, region, float(value)
        )
    except ValueError as error:
        raise FileFormatError(f"{path}, line {line}: not a row of a table ({error})") from error


def merge_tables(tables: Iterable[Table], *, settings: Mapping[str, Any] | None = None) -> Table:
    """One table of several that share a protocol (other methods, other cases); settings are the first one's unless given."""
    parts = list(tables)
    if not parts:
        raise InputError("merge_tables expects at least one table")
    if any(t.settings.get("metrics") != parts[0].settings.get("metrics") for t in parts):
        raise InputError("these tables were measured under different protocols; evaluate them under one")
    first = parts[0]
    cases = {c["case_id"]: c for t in parts for c in t.cases}
    merged = dict(settings or first.settings)
    merged["methods"] = {k: v for t in parts for k, v in t.settings.get("methods", {}).items()}
    notes = {k: v for t in parts for k, v in t.notes.items()}
    rows = [r for t in parts for r in t.rows]
    keys = [r[:8] for r in rows]
    if len(set(keys)) != len(keys):
        raise InputError("these tables hold the same case, method and dose twice; rename a method or drop a table")
    return Table(rows, merged, list(cases.values()), notes, first.provenance, [e for t in parts for e in t.images])


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
