"""The table of scores: one row per method, case, item, dose, metric and region, with reader and training seed where there are.

    summary, mean, paired      means over patients (and seeds), and differences of two methods, with intervals
    contrast, matrix           any weighted sum of scores; the values by seed and patient that all of these rest on
    select, of_reader          rows; what one reader measured
    to_pandas, to_csv, save    out; `Table.read` reads what `save` wrote

Intervals are over patients; where rows have training seeds or readers, over seeds and patients together.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from taskct.core.errors import InputError, unknown_name
from taskct.core.files import write_text
from taskct.core.notebook_html import fact_card
from taskct.evaluation.matrices import Matrix, aligned, columns_of, matrix_of, mean_of_readers
from taskct.evaluation.rows import ALL, NOISE_FREE, SECONDS, UNSEEN, DoseLevel, Example, Row, TableParts, rows_as_csv
from taskct.evaluation.seeded import mean_of, ratio_of, seeded_bootstrap
from taskct.evaluation.statistics import UNBOUNDED, Interval, bootstrap_mean, over_patients, paired_difference
from taskct.evaluation.storage import read_table, save_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ALL", "SECONDS", "DoseLevel", "Example", "Row", "Summary", "Table"]

Readers = str | Sequence[str] | None
"""One reader by name, several (their mean), 'unseen' for all of that role; None: the unseen ones, where there are readers."""


class Summary(NamedTuple):
    """Mean over patients of one method at one dose, with its interval."""

    method: str
    dose: DoseLevel
    metric: str
    region: str
    interval: Interval


@dataclass(eq=False)
class Table(TableParts):
    """Rows in long form, and what they were measured with.

    `settings` are plain values: protocol, metric definitions, doses, methods, geometry, seed. `cases` describes each case,
    `notes` holds what the caller adds (tuning, remarks), `provenance` what made the table. `images` are the examples.
    `readers` gives each reader its role, one of ROLES. A metric whose definition in settings["metrics"] has `above` and
    `below` ({metric: weight} each) is the ratio of those sums over patients, computed from their rows.
    Rows are not to be changed afterwards: make a new Table (`merged_tables.merge_tables` joins several).
    """

    def __post_init__(self) -> None:
        self.readers = self.readers or {r.reader: "" for r in self.rows if r.reader}
        self._index: dict[tuple[str, str, DoseLevel, str, str], list[Row]] = {}
        for row in self.rows:
            self._index.setdefault((row.metric, row.method, row.dose, row.region, row.reader), []).append(row)

    @cached_property
    def methods(self) -> list[str]:
        """Methods in the order in which they were given; the first is the baseline of comparisons."""
        return _unique(r.method for r in self.rows)

    @cached_property
    def doses(self) -> list[DoseLevel]:
        """Doses, the highest first; without NOISE_FREE."""
        return sorted({r.dose for r in self.rows} - {NOISE_FREE}, key=lambda d: -d.used_photons)

    @cached_property
    def noise_free(self) -> bool:
        """Whether there are rows of scans without noise, at the dose NOISE_FREE."""
        return any(r.dose == NOISE_FREE for r in self.rows)

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics of the rows in the order of the protocol, without the time and without ratios."""
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

    @cached_property
    def seeds(self) -> list[int]:
        """Training seeds; none for methods without training."""
        return sorted({r.seed for r in self.rows if r.seed is not None})

    def of_role(self, role: str) -> list[str]:
        """Readers with a role, in the panel's order."""
        return [name for name, one in self.readers.items() if one == role]

    def select(self, metric: str, method: str, dose: DoseLevel | float, *, region: str = ALL, reader: str = "") -> list[Row]:
        """The rows of one metric, method, dose (a level, or its fraction), region and reader, case by case."""
        self._check(metric, method)
        return self._index.get((metric, method, self.dose_level(dose), region, reader), [])

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
        dose: DoseLevel | float | None = None,
        region: str | None = ALL,
        reader: Readers = None,
        level: float = 0.95,
        interval: str = "expanded",
        seed: int = 0,
    ) -> list[Summary]:
        """`mean` of each method at each dose where it was measured; all metrics and doses unless one is named.

        `region=None` takes every region.
        """
        doses = self.doses if dose is None else [self.dose_level(dose)]
        regions = self.regions if region is None else [region]
        names = self._reader_names(reader)
        found = []
        for name in self.metrics if metric is None else [metric]:
            for where in regions:
                for at in doses:
                    for method in self.methods:
                        if self._has(name, method, at, where, names):
                            mean = self.mean(
                                name, method, dose=at, region=where, reader=names, level=level, interval=interval, seed=seed
                            )
                            found.append(Summary(method, at, name, where, mean))
        return found

    def mean(
        self,
        metric: str,
        method: str,
        *,
        dose: DoseLevel | float,
        region: str = ALL,
        reader: Readers = None,
        level: float = 0.95,
        interval: str = "expanded",
        seed: int = 0,
    ) -> Interval:
        """Mean over patients (and training seeds), or the ratio of their sums; its interval ends at the bounds of the metric.

        `interval` is a method of `evaluate.statistics`; it is not used where there are seeds or readers.
        """
        if self._over_seeds(metric):
            found = self.contrast(metric, [(1.0, method, dose, reader)], region=region, level=level, seed=seed)
        else:
            rows = self.select(metric, method, dose, region=region)
            found = bootstrap_mean([r.value for r in rows], [r.patient for r in rows], level=level, method=interval, seed=seed)
        return found.within(*self._about(metric).get("bounds", UNBOUNDED))

    def paired(
        self,
        metric: str,
        method: str,
        baseline: str,
        *,
        dose: DoseLevel | float,
        baseline_dose: DoseLevel | float | None = None,
        region: str = ALL,
        reader: Readers = None,
        baseline_reader: Readers = None,
        level: float = 0.95,
        interval: str = "expanded",
        seed: int = 0,
    ) -> Interval:
        """method - baseline with its interval, at one dose or two, under one reader (or the mean of several) or under two.

        Paired by item, or by seed and patient where there are seeds or readers; a difference of two AUC ends at -1 and 1.

        >>> rows = [Row(m, "a", "a", 0, 1.0, 1e5, "rmse_hu", "all", v) for m, v in (("fbp", 20.0), ("tv", 12.0))]
        >>> Table(rows).paired("rmse_hu", "tv", "fbp", dose=1.0).mean
        -8.0
        """
        other = dose if baseline_dose is None else baseline_dose
        furthest = float(np.diff(self._about(metric).get("bounds", UNBOUNDED))[0])
        if self._over_seeds(metric):
            terms = [(1.0, method, dose, reader), (-1.0, baseline, other, baseline_reader or reader)]
            return self.contrast(metric, terms, region=region, level=level, seed=seed).within(-furthest, furthest)
        ours = {(r.case, r.item): r for r in self.select(metric, method, dose, region=region)}
        theirs = {(r.case, r.item): r for r in self.select(metric, baseline, other, region=region)}
        both = [key for key in ours if key in theirs]
        after, before = ([side[k].value for k in both] for side in (ours, theirs))
        patients = [ours[k].patient for k in both]
        found = paired_difference(after, before, patients, level=level, method=interval, seed=seed)
        return found.within(-furthest, furthest)

    def contrast(
        self,
        metric: str,
        terms: Sequence[tuple[float, str, DoseLevel | float, Readers]],
        *,
        region: str = ALL,
        level: float = 0.95,
        seed: int = 0,
    ) -> Interval:
        """Weighted sum of scores, terms (weight, method, dose, reader), all paired by seed and patient.

        With weights 1, -1, -1, 1 of two methods under two readers it says whether the readers differ about a gain.
        """
        parts = [self.matrix(metric, method, dose=d, region=region, reader=reader) for _, method, d, reader in terms]
        weights = np.array([term[0] for term in terms])
        value = ratio_of if self.ratio(metric) else mean_of

        def total(means: np.ndarray) -> np.ndarray:
            scores = [value(part) for part in columns_of(parts, means)]
            return np.asarray(np.stack(scores, axis=-1) @ weights)

        joined = aligned(parts)
        return seeded_bootstrap(joined.columns, total, level=level, seed=seed, trained=joined.trained)

    def matrix(
        self, metric: str, method: str, *, dose: DoseLevel | float, region: str = ALL, reader: Readers = None
    ) -> Matrix:
        """Values by seed and patient, cases of a patient averaged; several readers averaged.

        A ratio has two columns for each reader, the sum above and that below: `ratio_of` is the mean of the readers' ratios,
        so no reader that marks more counts more.
        """
        self._check(metric, method)
        names = self._reader_names(reader)
        ratio = self.ratio(metric)
        if ratio is None:
            return mean_of_readers([self._values(metric, method, dose, region, name) for name in names])
        parts = []
        for name in names:
            for weights in ratio:
                terms = []
                for part, weight in weights.items():
                    one = self._values(part, method, dose, region, name)
                    terms.append(Matrix(weight * one.columns, one.seeds, one.patients))
                joined = aligned(terms)
                parts.append(Matrix(joined.columns.sum(0, keepdims=True), joined.seeds, joined.patients))
        return aligned(parts)

    def ratio(self, metric: str) -> tuple[Mapping[str, float], Mapping[str, float]] | None:
        """The sums, {metric: weight} above and below, whose ratio a metric is; None for one that rows hold themselves."""
        about = self._about(metric)
        return (about["above"], about["below"]) if "above" in about and "below" in about else None

    def of_reader(self, reader: str, *, metrics: Iterable[str] | None = None) -> Table:
        """What one reader measured, seeds averaged, as a table without readers: for reports of images."""
        wanted = set(self.metrics if metrics is None else metrics)
        gathered: dict[Row, list[float]] = {}
        for row in self.rows:
            if row.reader == reader and row.metric in wanted:
                gathered.setdefault(row._replace(value=0.0, reader="", seed=None), []).append(row.value)
        if not gathered:
            raise unknown_name("reader", reader, dict.fromkeys(r.reader for r in self.rows))
        rows = [key._replace(value=float(np.mean(values))) for key, values in gathered.items()]
        settings = self.settings | {"reader": reader, "reader_role": self.readers.get(reader, "")}
        return Table(rows, settings, list(self.cases), dict(self.notes), dict(self.provenance), list(self.images))

    def renamed(self, method: str, new: str, *, readers: Mapping[str, str] | None = None) -> Table:
        """The rows of one method under another name, and of some readers under others: {old: new}."""
        names = readers or {}
        rows = [r._replace(method=new, reader=names.get(r.reader, r.reader)) for r in self.rows if r.method == method]
        return Table(rows, dict(self.settings), list(self.cases), dict(self.notes), readers=dict(self.readers))

    def label(self, metric: str) -> dict[str, str]:
        """label, unit, better ('higher', 'lower', 'zero') and definition of a metric of this table."""
        if metric == SECONDS:
            return {"label": "Time", "unit": "s", "better": "lower", "definition": "seconds per slice or volume, wall clock"}
        plain = {"label": metric, "unit": "", "better": "lower", "definition": "not stated"}
        return plain | {k: v for k, v in self._about(metric).items() if k in plain}

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame, a column per field of Row; `item` and `seed` are nullable integers.

        Raises InputError where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise InputError("to_pandas needs pandas; pip install 'taskct[pandas]'") from error
        frame = pd.DataFrame(self.rows, columns=list(Row._fields))
        return frame.astype({"item": "Int64", "seed": "Int64", "value": "float64"})

    def csv_text(self) -> str:
        """The rows as CSV with a header line; see `evaluation.rows`."""
        return rows_as_csv(self.rows)

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the rows as CSV."""
        write_text(path, self.csv_text(), overwrite=overwrite)

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write table.csv, table.json and images.safetensors into a run folder, made new unless it is one."""
        save_table(self, folder, overwrite=overwrite)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Table:
        """The table that `save` wrote."""
        parts = read_table(folder)
        return cls(parts.rows, parts.settings, parts.cases, parts.notes, parts.provenance, parts.images, parts.readers)

    def __str__(self) -> str:
        """Methods x doses of the first metric, as text for a terminal."""
        if not self.metrics:
            return "Table without rows"
        metric = self.metrics[0]
        about = self.label(metric)
        cells = {(s.method, s.dose): str(s.interval) for s in self.summary(metric)}
        header = ["", *DoseLevel.names(self.doses)]
        lines = [header, *[[m, *[cells.get((m, d), "-") for d in self.doses]] for m in self.methods]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        body = "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)
        return f"{about['label']} [{about['unit']}], {over_patients(len(self.patients))}\n{body}"

    def __repr__(self) -> str:
        doses = ", ".join(name.removesuffix(" dose") for name in DoseLevel.names(self.doses))
        what, people = ", ".join([*self.methods]), len(self.patients)
        of = "" if "photons" in doses else " of full dose"
        words = f"{what} at {doses}{of}; {', '.join(self.metrics)}; {people} patient{'s' * (people != 1)}"
        return f"Table({len(self.rows)} rows{': ' + words if self.rows else ''})"

    def _repr_html_(self) -> str:
        title, *lines = str(self).split("\n")
        facts = {line.split("  ")[0]: line.partition("  ")[2].strip() for line in lines[1:]}
        rest = ", ".join(self.metrics[1:])
        return fact_card(title, facts | {"also measured": rest, "to see all": "taskct.show(table), table.summary(metric)"})

    def _about(self, metric: str) -> Mapping[str, Any]:
        return self.settings.get("metrics", {}).get(metric, {})

    def _over_seeds(self, metric: str) -> bool:
        """Whether intervals are over seeds and patients: where there are seeds or readers, and for ratios of sums."""
        return bool(self.seeds or self.readers) or self.ratio(metric) is not None

    def _check(self, metric: str, method: str) -> None:
        if metric not in {*self.metrics, SECONDS} and self.ratio(metric) is None:
            ratios = [name for name in self.settings.get("metrics", {}) if self.ratio(name)]
            raise unknown_name("metric", metric, [*self.metrics, *ratios, SECONDS])
        if method not in self.methods:
            raise unknown_name("method", method, self.methods)

    def _reader_names(self, reader: Readers) -> list[str]:
        """Names whose rows are averaged; [''] in a table without readers."""
        if reader is None:
            if not self.readers:
                return [""]
            reader = UNSEEN
        if not isinstance(reader, str):
            if not reader:
                raise InputError(f"expected one reader or more, got none; this table has {', '.join(self.readers) or 'none'}")
            return list(reader)
        if reader == UNSEEN and reader not in self.readers:
            found = self.of_role(UNSEEN)
            if not found:
                have = ", ".join(self.readers) or "none"
                raise InputError(f"this table has no unseen reader; name one of its readers: {have}")
            return found
        if reader and reader not in self.readers:
            raise unknown_name("reader", reader, self.readers)
        return [reader]

    def _has(self, metric: str, method: str, dose: DoseLevel, region: str, readers: Sequence[str]) -> bool:
        ratio = self.ratio(metric)
        parts = [metric] if ratio is None else [*ratio[0], *ratio[1]]
        return all((part, method, dose, region, name) in self._index for part in parts for name in readers)

    def _values(self, metric: str, method: str, dose: DoseLevel | float, region: str, reader: str) -> Matrix:
        level = self.dose_level(dose)
        rows = self._index.get((metric, method, level, region, reader), [])
        if not rows:
            who = f", reader {reader!r}" if reader else ""
            raise InputError(
                f"no value of {metric!r} for method {method!r}, region {region!r}{who} at "
                f"{level.fraction:g} of {level.photons:g} photons"
            )
        return matrix_of(rows)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
