"""Your own chest CT: a folder of CT with masks, with a table of boxes, or with both; what they show is yours to say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from taskct.core.errors import FileFormatError, GeometryError, InputError, unknown_name
from taskct.core.names import plural
from taskct.data.case import Case
from taskct.data.marks import Marks
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.layouts import find_cases
from taskct.data.sets.mark_painting import OUTSIDE, MarkPainter
from taskct.data.sets.mark_tables import MarkRow, read_mark_rows
from taskct.data.sets.piece_marks import label_words, marks_of_labels, refuse_unknown_labels
from taskct.data.volume import stem

BOX_COLUMNS = ("x_min_mm", "y_min_mm", "z_min_mm", "x_max_mm", "y_max_mm", "z_max_mm")
BALL_COLUMNS = ("x_mm", "y_mm", "z_mm", "diameter_mm")
SPACES = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}
UNLISTED = ("unknown", "absent")
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class PlainMarks:
    """Marks of one case from its label map, from rows of a table, or both.

    `mask_kinds` says which label holds which kind; a label that it does not name is refused, unless it is among `other_labels`
    (organs, say). `rows` are boxes or balls in mm, in the LPS or RAS `space`; None: the table does not speak of this case.
    """

    table: Path | None = None
    rows: tuple[MarkRow, ...] | None = None
    mask_kinds: Mapping[int, str] = field(default_factory=dict)
    box_kinds: frozenset[str] = frozenset()
    other_labels: frozenset[int] = frozenset()
    space: str = "LPS"
    outside: str = "refuse"

    @property
    def files(self) -> tuple[Path, ...]:
        """The table."""
        return () if self.table is None else (self.table,)

    @property
    def without_labels(self) -> PlainMarks:
        """Marks of the table."""
        return replace(self, mask_kinds={})

    def add(self, case: Case) -> Case:
        """See `MarkSource`."""
        marks: Marks | None = None
        notes: list[str] = []
        if case.labels is not None and self.mask_kinds:
            refuse_unknown_labels(
                case,
                {*self.mask_kinds, *self.other_labels},
                words=f"name it beside {label_words(self.mask_kinds)}, or list it in other_labels",
            )
            marks = marks_of_labels(case, self.mask_kinds)
        if self.rows is not None:
            boxed, notes = self._boxes(case)
            if marks is None:
                marks = boxed
            else:
                marks, more = _together(marks, boxed, case)
                notes += more
        about = {**case.provenance, "notes": [*case.provenance.get("notes", []), *notes]}
        return replace(case, marks=marks, provenance=about)

    def _boxes(self, case: Case) -> tuple[Marks, list[str]]:
        painter = MarkPainter(case)
        notes: list[str] = []
        sign = SPACES[self.space]
        for row in sorted(self.rows or (), key=_size, reverse=True):
            kind = row.values["kind"]
            try:
                if "x_mm" in row.values:
                    centre = [s * v for s, v in zip(sign, row.numbers("x_mm", "y_mm", "z_mm"), strict=True)]
                    painter.ball(centre, row.number("diameter_mm"), kind, where=row.where)
                else:
                    painter.box(_edges(painter, row, sign), kind, where=row.where)
            except GeometryError as error:
                if self.outside != "skip":
                    raise
                notes.append(f"left out: {error}")
        return painter.marks(boxed=self.box_kinds), [*notes, *painter.notes()]


def plain_places(
    folder: Path,
    *,
    masks: Mapping[int, str] | None = None,
    boxes: Path | None = None,
    kinds: Collection[str] = (),
    other_labels: Collection[int] = (),
    unlisted: str = "unknown",
    space: str = "LPS",
    outside: str = "refuse",
) -> FoundPlaces:
    """CT of a folder (any layout of `find_cases`) with marks from label maps (`masks`: {label: kind}) and a table `boxes`.

    The table has the columns case (file name without suffix, or case id), kind, and a box (x_min_mm ... z_max_mm) or a ball
    (x_mm, y_mm, z_mm, diameter_mm); `kinds` are all kinds that were looked for. A row without a kind says that its case was
    read and has none. `unlisted` says what holds for a CT without a row: "unknown", or "absent" (a negative).

    Raises InputError for rows of a CT that is not there, for a kind that is not named, and where neither is given.
    """
    if not masks and boxes is None:
        raise InputError(f"{folder}: give masks={{1: 'nodule'}} for its label maps, boxes=... (a CSV file), or both")
    if space not in SPACES:
        raise unknown_name("space", space, SPACES)
    if unlisted not in UNLISTED:
        raise unknown_name("unlisted", unlisted, UNLISTED)
    if outside not in OUTSIDE:
        raise unknown_name("outside", outside, OUTSIDE)
    _check_kinds(masks or {}, kinds)
    places = find_cases(folder)
    if not places:
        raise InputError(f"{folder}: holds no CT")
    rows = None if boxes is None else _rows_by_case(boxes, places, kinds)
    found, left_out = [], []
    for number, place in enumerate(places):
        mine = None if rows is None else rows.get(number, [] if unlisted == "absent" else None)
        marks = PlainMarks(
            table=boxes,
            rows=None if mine is None else tuple(r for r in mine if r.values["kind"]),
            mask_kinds=dict(masks or {}) if place.labels is not None else {},
            box_kinds=frozenset(kinds),
            other_labels=frozenset(other_labels),
            space=space,
            outside=outside,
        )
        found.append(replace(place, marks=marks, may_be_empty=bool(marks.mask_kinds)))
    bare = [p.case_id or _name(p) for p in found if _unknown(p)]
    if bare:
        named = ", ".join(bare[:_MOST_NAMED]) + (", ..." if len(bare) > _MOST_NAMED else "")
        left_out.append(f"{folder}: nothing is known of {len(bare)} of {len(found)} CT (no mask, no row): {named}")
    return FoundPlaces(tuple(found), tuple(left_out))


def _check_kinds(masks: Mapping[int, str], kinds: Collection[str]) -> None:
    if isinstance(kinds, str):
        raise InputError(f"kinds expects a list of names, got the text {kinds!r}; write kinds=[{kinds!r}]")
    for number in masks:
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InputError(f"masks expects label numbers from 1, each with its kind, got {number!r}; 0 is the background")
    for kind in (*masks.values(), *kinds):
        if not isinstance(kind, str) or not kind.strip():
            raise InputError(f"a kind of lesion expects a name, got {kind!r}")


def _unknown(place: CasePlace) -> bool:
    return isinstance(place.marks, PlainMarks) and place.marks.rows is None and not place.marks.mask_kinds


def _name(place: CasePlace) -> str:
    return stem(place.name)


def _rows_by_case(boxes: Path, places: Sequence[CasePlace], kinds: Collection[str]) -> dict[int, list[MarkRow]]:
    """The rows of each place, by its number: several CT may have one file name, such as ct.nii.gz in folders of their own."""
    if not kinds:
        raise InputError(f"{boxes}: name the kinds that were looked for, kinds=('nodule', ...)")
    by_name: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        for name in {_name(place), place.case_id} - {""}:
            by_name.setdefault(name, []).append(number)
    found: dict[int, list[MarkRow]] = {}
    missing = []
    for row in _read(boxes):
        _check(row, kinds)
        same = by_name.get(row.values["case"]) or by_name.get(stem(row.values["case"])) or []
        if len(same) > 1:
            raise InputError(
                f"{row.where}: {row.values['case']!r} stands for {len(same)} CT, {places[same[0]].name} and "
                f"{places[same[1]].name}; "
                "give their files different names, in the table too"
            )
        if not same:
            missing.append(row)
        else:
            found.setdefault(same[0], []).append(row)
    for rows in found.values():
        none = next((row for row in rows if not row.values["kind"]), None)
        if none is not None and any(row.values["kind"] for row in rows):
            raise InputError(
                f"{none.where}: says by an empty kind that {none.values['case']!r} has no lesion, and other rows give it one; "
                "keep one of the two"
            )
    if missing:
        raise InputError(
            f"{missing[0].where}: {plural(len(missing), 'row speaks', 'rows speak')} of a CT that is not here, the "
            f"first of {missing[0].values['case']!r}"
        )
    return found


def _read(boxes: Path) -> list[MarkRow]:
    """Rows of boxes or of balls, by the columns of the first line."""
    from taskct.data.sets.mark_tables import starts_with_columns

    shape = BALL_COLUMNS if starts_with_columns(boxes, ("case", "kind", *BALL_COLUMNS)) else BOX_COLUMNS
    if shape is BALL_COLUMNS and starts_with_columns(boxes, BOX_COLUMNS):
        raise InputError(f"{boxes}: has the columns of boxes and those of balls; keep one of the two")
    return read_mark_rows(boxes, needs=("case", "kind", *shape))


def _check(row: MarkRow, kinds: Collection[str]) -> None:
    """InputError for a kind that was not named, FileFormatError for values that are not numbers or do not make a box."""
    kind = row.values["kind"]
    if not kind:
        return
    if kind not in kinds:
        raise InputError(f"{row.where}: {unknown_name('kind', kind, list(kinds))}")
    if not _size(row) > 0:
        raise FileFormatError(f"{row.where}: an empty box or ball; expected lengths above 0 mm")


def _size(row: MarkRow) -> float:
    if "x_mm" in row.values:
        return row.number("diameter_mm") ** 3
    values = row.numbers(*BOX_COLUMNS)
    return float(np.prod(np.abs(np.subtract(values[3:], values[:3]))))


def _edges(painter: MarkPainter, row: MarkRow, sign: Sequence[float]) -> list[float]:
    """Edges in samples of a box in mm: whatever way its axes run against those of the CT, all eight corners lie in it."""
    values = row.numbers(*BOX_COLUMNS)
    ends = [(s * a, s * b) for s, a, b in zip(sign, values[:3], values[3:], strict=True)]
    corners = np.array([painter.index((x, y, z)) for x in ends[0] for y in ends[1] for z in ends[2]]) + 0.5
    return [*corners.min(0).tolist(), *corners.max(0).tolist()]


def _together(masks: Marks, boxes: Marks, case: Case) -> tuple[Marks, list[str]]:
    """Masks and boxes of one case, and notes: kinds may come from one of the two, not from both."""
    both = masks.masked & boxes.boxed
    if both:
        raise InputError(
            f"case {case.case_id}: {sorted(both)[0]!r} comes from its label map and from the table; keep one of the two"
        )
    merged = boxes.instances.int()  # the numbers of both together may not fit into 16 bits
    shift = max([0, *boxes.kinds])
    inside = masks.instances > 0
    merged[inside] = (masks.instances[inside] + shift).to(merged.dtype)
    hidden = sorted(set(boxes.kinds) - set(merged.unique().tolist()))
    notes = []
    if hidden:
        what = f"the first of kind {boxes.kinds[hidden[0]]}"
        notes.append(
            f"{plural(len(hidden), 'box', 'boxes')}, {what}, {'is' if len(hidden) == 1 else 'are'} covered whole by "
            "lesions of the label map and left out"
        )
    made = Marks(
        merged,
        {
            **{n: kind for n, kind in boxes.kinds.items() if n not in hidden},
            **{n + shift: kind for n, kind in masks.kinds.items()},
        },
        masked=masks.masked,
        boxed=boxes.boxed | masks.boxed,
        only_boxes=boxes.only_boxes - set(hidden),
        ignored=boxes.ignored - set(hidden),
    )
    return made, notes
