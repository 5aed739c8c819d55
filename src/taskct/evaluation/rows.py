"""The rows of a table of scores, what belongs to them, and their CSV."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from taskct.core.csv_cells import csv_lines, plain_cell
from taskct.core.errors import FileFormatError
from taskct.core.open_files import parsing, read_text

SECONDS = "seconds"  # reconstruction time per slice (or volume), kept beside the metrics
ALL = "all"  # the region of the whole mask
IMAGE = "image"  # the reader of measures that need none, in a table with readers: PSNR, SSIM
UNSEEN = "unseen"  # stands for the mean over all readers of that role
NOT_EVALUATED = "not evaluated"  # the note of a table that names cases which failed
ROLES = ("training", UNSEEN, "retrained", "own", "control", IMAGE)
_RENAMED = {"slice": "item"}  # columns that earlier versions wrote under other names
_OPTIONAL = ("reader", "seed")
_NO_SEED = -1  # what earlier versions wrote for methods without training
_MAX_CSV_BYTES = 2**31


class DoseLevel(NamedTuple):
    """One dose of a table: the fraction of full dose used, and the photons per detector pixel at full dose."""

    fraction: float
    photons: float

    @property
    def used_photons(self) -> float:
        """Photons per detector pixel in this scan."""
        return self.fraction * self.photons

    @staticmethod
    def names(doses: Sequence[DoseLevel]) -> list[str]:
        """Doses by their fractions, or by their photons where two have one fraction.

        >>> DoseLevel.names([DoseLevel(0.5, 1e5)]), DoseLevel.names([DoseLevel(1.0, 1e5), DoseLevel(1.0, 1e4)])
        (['0.5 dose'], ['1e+05 photons', '1e+04 photons'])
        """
        if len({d.fraction for d in doses}) < len(doses):
            return [f"{d.used_photons:.4g} photons" for d in doses]
        return [f"{d.fraction:.4g} dose" for d in doses]

    @classmethod
    def checked(cls, fraction: float, photons: float) -> DoseLevel:
        """A dose that was read from a file; ValueError unless both numbers are finite and not negative, or it is NOISE_FREE.

        >>> DoseLevel.checked(0.5, 1000.0).used_photons
        500.0
        """
        dose = cls(fraction, photons)
        if dose != NOISE_FREE and not (fraction >= 0 and photons >= 0 and math.isfinite(fraction * photons)):
            raise ValueError(f"a dose of {fraction:g} of {photons:g} photons")
        return dose


NOISE_FREE = DoseLevel(1.0, math.inf)  # of the reconstructions of scans without noise


class Row(NamedTuple):
    """One measured value. The fields are the columns of table.csv, in this order.

    `item` is the slice or image within the case, None for a volume or the case as a whole. `reader` is the task network that
    read the image, '' where none did; `seed` that of the method's training, None for methods without training.
    """

    method: str
    case: str
    patient: str
    item: int | None
    dose_fraction: float
    photons: float
    metric: str
    region: str
    value: float
    reader: str = ""
    seed: int | None = None

    @property
    def dose(self) -> DoseLevel:
        """The dose of the scan."""
        return DoseLevel(self.dose_fraction, self.photons)

    @property
    def key(self) -> tuple[Any, ...]:
        """All but the value: no two rows of a table share it."""
        return self._replace(value=0.0)


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


@dataclass(eq=False)
class TableParts:
    """What a `Table` is made of and what a run folder keeps of it; see there."""

    rows: list[Row]
    settings: dict[str, Any] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    images: list[Example] = field(default_factory=list)
    readers: dict[str, str] = field(default_factory=dict)


def rows_as_csv(rows: Iterable[Row]) -> str:
    """Rows as CSV with a header line: numbers to 9 digits, empty cells for an item or seed of None and a reader of ''.

    Names that a spreadsheet would run as formulas begin with an apostrophe (`core.csv_cells`), which `read_rows` takes off.
    """
    return csv_lines(itertools.chain([Row._fields], map(_cells, rows)))


def _cells(r: Row) -> list[object]:
    item, seed = ("" if number is None else number for number in (r.item, r.seed))
    numbers = [f"{v:.9g}" for v in (r.dose_fraction, r.photons)]
    return [r.method, r.case, r.patient, item, *numbers, r.metric, r.region, f"{r.value:.9g}", r.reader, seed]


def read_rows(path: str | os.PathLike[str]) -> list[Row]:
    """The rows of a table.csv, columns in any order; FileFormatError names the line that is not a row.

    Files of earlier versions, without the columns reader and seed and with `slice` for `item`, are read as well.
    """
    found = Path(path)
    with parsing(found, "CSV"):
        text = read_text(found, limit_bytes=_MAX_CSV_BYTES, what="table")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        places = _places(next(reader, []), found)
        return [_row(cells, places, found, reader.line_num) for cells in reader]


def _places(header: Sequence[str], path: Path) -> list[int | None]:
    """Where each field of a Row stands in a line; None for an optional one that is missing."""
    names = [_RENAMED.get(name, name) for name in header]
    required = [name for name in Row._fields if name not in _OPTIONAL]
    if set(required) - set(names) or set(names) - set(Row._fields) or len(set(names)) != len(names):
        raise FileFormatError(f"{path}: expected the columns {', '.join(Row._fields)}, got {', '.join(header)[:200]}")
    return [names.index(name) if name in names else None for name in Row._fields]


def _row(cells: Sequence[str], places: Sequence[int | None], path: Path, line: int) -> Row:
    try:
        if len(cells) != sum(p is not None for p in places):
            raise ValueError(f"{len(cells)} cells")
        method, case, patient, item, fraction, photons, metric, region, value, reader, seed = (
            "" if p is None else plain_cell(cells[p]) for p in places
        )
        number = int(seed) if seed else _NO_SEED
        dose = DoseLevel.checked(float(fraction), float(photons))
        return Row(
            method,
            case,
            patient,
            int(item) if item else None,
            *dose,
            metric,
            region,
            float(value),
            reader,
            None if number == _NO_SEED else number,
        )
    except ValueError as error:
        raise FileFormatError(f"{path}, line {line}: not a row of a table ({error})") from error
