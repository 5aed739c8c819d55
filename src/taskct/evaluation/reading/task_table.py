"""The table of what readers made of images: `Row` of an evaluation with the reader and the training seed beside it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from taskct.core.errors import FileFormatError, InputError, unknown_name
from taskct.core.files import existing_path, write_texts
from taskct.core.open_files import parsing, read_json, read_text
from taskct.evaluation.reading.matrices import Matrix, aligned, mean_of_readers
from taskct.evaluation.reading.measures import RATIOS, describe_metric, is_metric
from taskct.evaluation.reading.seeded import SeededInterval, mean_of, ratio_of, seeded_bootstrap
from taskct.evaluation.table import DoseLevel, Row, Table

IMAGE = "image"  # the reader of measures that need none: PSNR, SSIM
UNSEEN = "unseen"  # stands for the mean over all readers of that role
ROLES = ("training", UNSEEN, "retrained", "own", "control", IMAGE)
_MAX_CSV_BYTES = 2**31


class TaskRow(NamedTuple):
    """A `Row` of one reader and one training seed (UNTRAINED for methods without training)."""

    case: str
    patient: str
    slice: int | None
    method: str
    dose_fraction: float
    photons: float
    metric: str
    region: str
    value: float
    reader: str
    seed: int

    @property
    def dose(self) -> DoseLevel:
        """The dose of the scan."""
        return DoseLevel(self.dose_fraction, self.photons)


@dataclass(eq=False)
class TaskTable:
    """Rows of a reader panel. `readers` name -> role of ROLES; `notes` are plain values."""

    rows: list[TaskRow]
    readers: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index: dict[tuple[str, str, DoseLevel, str, str], list[TaskRow]] = {}
        for row in self.rows:
            key = (row.metric, row.method, row.dose, row.region, row.reader)
            self._index.setdefault(key, []).append(row)

    @property
    def methods(self) -> list[str]:
        """Methods in the order in which they were read."""
        return list(dict.fromkeys(r.method for r in self.rows))

    @property
    def doses(self) -> list[DoseLevel]:
        """Doses, the highest first."""
        return sorted({r.dose for r in self.rows}, key=lambda d: -d.used_photons)

    @property
    def metrics(self) -> list[str]:
        """Metrics of the rows; those of RATIOS are computed from them."""
        return list(dict.fromkeys(r.metric for r in self.rows))

    def of_role(self, role: str) -> list[str]:
        """Readers with a role, in the panel's order."""
        return [name for name, one in self.readers.items() if one == role]

    def mean(
        self, metric: str, method: str, *, dose: DoseLevel, region: str, reader: str | Sequence[str] = UNSEEN, seed: int = 0
    ) -> SeededInterval:
        """Mean over seeds and patients (or the ratio of their sums, for RATIOS) with its interval."""
        part = self.matrix(metric, method, dose=dose, region=region, reader=reader)
        return seeded_bootstrap(part.columns, ratio_of if metric in RATIOS else mean_of, seed=seed)

    def difference(
        self,
        metric: str,
        method: str,
        baseline: str,
        *,
        dose: DoseLevel,
        region: str,
        baseline_dose: DoseLevel | None = None,
        reader: str | Sequence[str] = UNSEEN,
        baseline_reader: str | Sequence[str] | None = None,
        seed: int = 0,
    ) -> SeededInterval:
        """method - baseline, paired by seed and patient; under one reader (or the mean of several), or under two."""
        other = baseline_reader or reader
        terms = [(1.0, method, dose, reader), (-1.0, baseline, baseline_dose or dose, other)]
        return self.contrast(metric, terms, region=region, seed=seed)

    def contrast(
        self,
        metric: str,
        terms: Sequence[tuple[float, str, DoseLevel, str | Sequence[str]]],
        *,
        region: str,
        seed: int = 0,
    ) -> SeededInterval:
        """Weighted sum of scores, terms (weight, method, dose, reader), all paired by seed and patient.

        With weights 1, -1, -1, 1 of two methods under two readers it says whether the readers differ about a gain.
        """
        parts = [self.matrix(metric, method, dose=d, region=region, reader=reader) for _, method, d, reader in terms]
        weights = np.array([term[0] for term in terms])
        width = len(parts[0].columns)
        value = ratio_of if metric in RATIOS else mean_of

        def total(means: np.ndarray) -> np.ndarray:
            scores = [value(means[..., width * k : width * (k + 1)]) for k in range(len(weights))]
            return np.asarray(np.stack(scores, axis=-1) @ weights)

        return seeded_bootstrap(aligned(parts).columns, total, seed=seed)

    def share_recovered(
        self,
        metric: str,
        method: str,
        baseline: str,
        *,
        dose: DoseLevel,
        region: str,
        reader: str | Sequence[str] = UNSEEN,
        bound_reader: str = "retrained",
        bound_method: str | None = None,
        gap_reader: str | Sequence[str] | None = None,
        seed: int = 0,
    ) -> SeededInterval:
        """(method - baseline) / (bound - baseline): the share of what a reader retrained on the baseline's images regains.

        The bound is `bound_reader` on the images of `bound_method` (the baseline). `gap_reader` is the reader that was
        retrained, before that, on the baseline's images: readers of other architectures start from other scores, so the gap
        is that of the one that was retrained (`reader` without). Where the gap itself is not separated from 0, no share
        means anything: its ends are NaN.
        """
        seen = {"dose": dose, "region": region}
        parts = [
            self.matrix(metric, method, reader=reader, **seen),  # type: ignore[arg-type]
            self.matrix(metric, baseline, reader=reader, **seen),  # type: ignore[arg-type]
            self.matrix(metric, bound_method or baseline, reader=bound_reader, **seen),  # type: ignore[arg-type]
            self.matrix(metric, baseline, reader=gap_reader or reader, **seen),  # type: ignore[arg-type]
        ]
        both = aligned(parts).columns
        width = len(parts[0].columns)
        value = ratio_of if metric in RATIOS else mean_of

        def four(m: np.ndarray) -> list[np.ndarray]:
            return [value(m[..., k * width : (k + 1) * width]) for k in range(4)]

        def gap(m: np.ndarray) -> np.ndarray:
            *_, bound, start = four(m)
            return np.asarray(bound - start)

        def share(m: np.ndarray) -> np.ndarray:
            ours, low, bound, start = four(m)
            return np.asarray((ours - low) / np.where(bound == start, np.nan, bound - start))

        room = seeded_bootstrap(both, gap, seed=seed)
        found = seeded_bootstrap(both, share, seed=seed)
        if room.low > 0:
            return found
        return SeededInterval(
            found.mean, math.nan, math.nan, found.n_patients, found.n_values, found.level, "no gap", 0, found.n_seeds
        )

    def matrix(
        self, metric: str, method: str, *, dose: DoseLevel, region: str, reader: str | Sequence[str] = UNSEEN
    ) -> Matrix:
        """Values by seed and patient, cases of a patient averaged, several readers averaged; two columns for RATIOS."""
        if not is_metric(metric) and metric not in self.metrics:
            raise unknown_name("metric", metric, [*self.metrics, *RATIOS])
        if method not in self.methods:
            raise unknown_name("method", method, self.methods)
        names = self._readers(reader)
        if metric not in RATIOS:
            return mean_of_readers([self._values(metric, method, dose, region, name) for name in names])
        parts = []
        for weights in (RATIOS[metric].above, RATIOS[metric].below):
            terms = []
            for part, weight in weights.items():
                one = mean_of_readers([self._values(part, method, dose, region, name) for name in names])
                terms.append(Matrix(weight * one.columns, one.seeds, one.patients))
            joined = aligned(terms)
            parts.append(Matrix(joined.columns.sum(0, keepdims=True), joined.seeds, joined.patients))
        return aligned(parts)

    def to_table(self, reader: str, *, metrics: Iterable[str] | None = None) -> Table:
        """What one reader measured as a `Table`, seeds averaged: for reports, summaries and CSV of the evaluation."""
        wanted = set(self.metrics if metrics is None else metrics)
        gathered: dict[Row, list[float]] = {}
        for row in self.rows:
            if row.reader == reader and row.metric in wanted:
                gathered.setdefault(Row(*row[:8], 0.0), []).append(row.value)
        if not gathered:
            raise unknown_name("reader", reader, dict.fromkeys(r.reader for r in self.rows))
        rows = [key._replace(value=float(np.mean(values))) for key, values in gathered.items()]
        about = {name: describe_metric(name) for name in dict.fromkeys(r.metric for r in rows)}
        settings = {"metrics": about, "reader": reader, "reader_role": self.readers.get(reader, "")}
        return Table(rows, settings=settings, notes=dict(self.notes))

    @classmethod
    def merged(cls, tables: Iterable[TaskTable]) -> TaskTable:
        """Tables of one panel, made method by method, as one. Notes are those of the first; lists in them are joined."""
        rows: list[TaskRow] = []
        readers: dict[str, str] = {}
        notes: dict[str, Any] = {}
        for table in tables:
            rows += table.rows
            readers |= {name: role for name, role in table.readers.items() if name not in readers}
            for name, value in table.notes.items():
                if name == "biases":
                    notes[name] = [*notes.get(name, []), *value]
                else:
                    notes.setdefault(name, value)
        order = {role: k for k, role in enumerate(ROLES)}
        return cls(rows, dict(sorted(readers.items(), key=lambda kv: order.get(kv[1], len(order)))), notes)

    def renamed(self, method: str, new: str, readers: dict[str, str] | None = None) -> TaskTable:
        """The rows of one method under another name, and of some readers under others: {old: new}."""
        names = readers or {}
        rows = [r._replace(method=new, reader=names.get(r.reader, r.reader)) for r in self.rows if r.method == method]
        return TaskTable(rows, dict(self.readers), dict(self.notes))

    def csv_text(self) -> str:
        """The rows as CSV with a header line: the columns of table.csv, then reader and seed."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(TaskRow._fields)
        for r in self.rows:
            place = "" if r.slice is None else r.slice
            numbers = [f"{v:.9g}" for v in (r.dose_fraction, r.photons)]
            writer.writerow([*r[:2], place, r.method, *numbers, *r[6:8], f"{r.value:.9g}", r.reader, r.seed])
        return text.getvalue()

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write task.csv and task.json into a folder."""
        about = {"readers": self.readers, "notes": self.notes, "metrics": {m: describe_metric(m) for m in self.metrics}}
        texts = {"task.json": json.dumps(about, indent=1, default=str) + "\n", "task.csv": self.csv_text()}
        write_texts(folder, texts, overwrite=overwrite)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> TaskTable:
        """The table that `save` wrote; FileFormatError, with the place, for files that are none."""
        path = existing_path(Path(folder) / "task.json", what="task table")
        try:
            about = read_json(path)
            return cls(read_task_rows(Path(folder) / "task.csv"), dict(about["readers"]), dict(about["notes"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FileFormatError(f"{path}: does not describe a task table ({type(error).__name__}: {error})") from error

    def _readers(self, reader: str | Sequence[str]) -> list[str]:
        if not isinstance(reader, str):
            return list(reader)
        if reader == UNSEEN and reader not in self.readers:
            found = self.of_role(UNSEEN)
            if not found:
                raise InputError("this table has no unseen reader; name a reader, or give the panel some")
            return found
        if reader not in self.readers:
            raise unknown_name("reader", reader, self.readers)
        return [reader]

    def _values(self, metric: str, method: str, dose: DoseLevel, region: str, reader: str) -> Matrix:
        """One column: the mean over each patient's defined values, NaN where a patient has none."""
        rows = self._index.get((metric, method, dose, region, reader), [])
        if not rows:
            raise InputError(
                f"no value of {metric!r} for method {method!r}, region {region!r}, reader {reader!r} at "
                f"{dose.fraction:g} of {dose.photons:g} photons"
            )
        seeds = tuple(sorted({r.seed for r in rows}))
        patients = tuple(dict.fromkeys(r.patient for r in rows))
        gathered: dict[tuple[int, str], list[float]] = {}
        for r in rows:
            if not math.isnan(r.value):
                gathered.setdefault((r.seed, r.patient), []).append(r.value)
        table = [[float(np.mean(gathered.get((s, p), [math.nan]))) for p in patients] for s in seeds]
        return Matrix(np.array(table, dtype=np.float64)[None], seeds, patients)


def read_task_rows(path: str | os.PathLike[str]) -> list[TaskRow]:
    """The rows of a task.csv; FileFormatError, with the line, for a file that is none."""
    found = Path(path)
    with parsing(found, "CSV"):
        reader = csv.reader(
            io.StringIO(read_text(found, limit_bytes=_MAX_CSV_BYTES, what="task table"), newline=""), strict=True
        )
        if tuple(next(reader, [])) != TaskRow._fields:
            raise FileFormatError(f"{found}: expected the columns {', '.join(TaskRow._fields)}")
        return [_row(cells, found, reader.line_num) for cells in reader]


def _row(cells: Sequence[str], path: Path, line: int) -> TaskRow:
    try:
        case, patient, place, method, fraction, photons, metric, region, value, reader, seed = cells
        numbers = float(fraction), float(photons)
        return TaskRow(
            case, patient, int(place) if place else None, method, *numbers, metric, region, float(value), reader, int(seed)
        )
    except ValueError as error:
        raise FileFormatError(f"{path}, line {line}: not a row of a task table ({error})") from error
