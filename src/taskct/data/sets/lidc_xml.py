"""The XML of LIDC-IDRI: what each of four readers marked in one CT, in pixels of its slices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.open_files import read_start
from taskct.data.sets.safe_xml import Node, read_xml

CT_ROOT, RADIOGRAPH_ROOT = "LidcReadMessage", "IdriReadMessage"
RATINGS = (
    "subtlety", "internalStructure", "calcification", "sphericity", "margin", "lobulation", "spiculation", "texture",
    "malignancy",
)  # fmt: skip
_MOST_RATINGS = {"calcification": 6, "internalStructure": 4}  # of the others 5; each from 1
_MOST_PIXELS = 100_000  # of one outline
_HEAD_BYTES = 65_536
_FIRST_ELEMENT = re.compile(
    r"\ufeff?(?:\s|<\?(?:(?!\?>).)*\?>|<!--(?:(?!-->).)*-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\])?[^>]*>)*<(?:[\w.-]+:)?([\w.-]+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Outline:
    """One outline on one slice: the edge's (row, column) pixels, which lie just outside; `hole`: its inside is left out."""

    sop_uid: str
    z_mm: float
    pixels: tuple[tuple[int, int], ...]
    hole: bool = False


@dataclass(frozen=True)
class ReaderMark:
    """What one reader (0 to 3) marked: `kind` is "nodule" (3 mm and more), "small nodule" or "non-nodule" (one point each)."""

    reader: int
    name: str
    kind: str
    outlines: tuple[Outline, ...]
    ratings: Mapping[str, int]


def on_scale(name: str, rating: int) -> bool:
    """Whether a rating is one of its scale: 1 to 5, of calcification to 6, of internalStructure to 4."""
    return 1 <= rating <= _MOST_RATINGS.get(name, 5)


NODULE_MARK, SMALL_MARK, OTHER_MARK = "nodule", "small nodule", "non-nodule"


@dataclass(frozen=True)
class ReadMessage:
    """The marks of one CT. `readers` is how many sessions there are."""

    path: Path
    series_uid: str
    readers: int
    marks: tuple[ReaderMark, ...]


def root_of(path: Path) -> str:
    """ "LidcReadMessage" (of a CT) or "IdriReadMessage" (of a radiograph) for an XML file of LIDC-IDRI, "" for others."""
    head = read_start(path, _HEAD_BYTES)
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
    found = _FIRST_ELEMENT.match(text)
    return found[1] if found and found[1] in (CT_ROOT, RADIOGRAPH_ROOT) else ""


def read_message(path: Path) -> ReadMessage:
    """The marks of one CT; FileFormatError for damage, UnsupportedDataError for XML of something else."""
    root = read_xml(path)
    if root.name != CT_ROOT:
        raise UnsupportedDataError(f"{path}: a {root.name}; expected the {CT_ROOT} of a CT of LIDC-IDRI")
    header = root.first("ResponseHeader")
    uid = "" if header is None else header.words("SeriesInstanceUid")
    if not uid:
        raise FileFormatError(f"{path}: names no SeriesInstanceUid, so the CT that it speaks of is not known")
    sessions = list(root.all("readingSession"))
    if not sessions:
        raise FileFormatError(f"{path}: holds no readingSession, so nobody's reading is known; the file is damaged")
    marks = [mark for reader, session in enumerate(sessions) for mark in _session(path, reader, session)]
    return ReadMessage(path, uid, len(sessions), tuple(marks))


def _session(path: Path, reader: int, session: Node) -> list[ReaderMark]:
    found = []
    for node in session.all("unblindedReadNodule"):
        outlines = tuple(_outline(path, roi) for roi in node.all("roi"))
        if not outlines:
            raise FileFormatError(f"{path}: nodule {node.words('noduleID')!r} of reader {reader + 1} has no outline")
        points = all(len(o.pixels) == 1 for o in outlines)
        about = node.first("characteristics")
        ratings = {} if about is None else {n: _whole(path, about, n) for n in RATINGS if about.words(n)}
        found.append(ReaderMark(reader, node.words("noduleID")[:80], SMALL_MARK if points else NODULE_MARK, outlines, ratings))
    for node in session.all("nonNodule"):
        found.append(ReaderMark(reader, node.words("nonNoduleID")[:80], OTHER_MARK, (_outline(path, node, "locus"),), {}))
    return found


def _outline(path: Path, node: Node, points: str = "edgeMap") -> Outline:
    pixels = tuple((_whole(path, p, "yCoord"), _whole(path, p, "xCoord")) for p in node.all(points))
    inclusion = node.words("inclusion").upper() or "TRUE"
    if not 0 < len(pixels) <= _MOST_PIXELS or inclusion not in ("TRUE", "FALSE"):
        raise FileFormatError(f"{path}: an outline of {len(pixels)} points with inclusion {inclusion[:20]!r}; damaged")
    try:
        z_mm = float(node.words("imageZposition"))
    except ValueError:
        z_mm = float("nan")
    return Outline(node.words("imageSOP_UID"), z_mm, pixels, hole=inclusion == "FALSE")


def _whole(path: Path, node: Node, name: str) -> int:
    text = node.words(name)
    try:
        return int(text)
    except ValueError:
        raise FileFormatError(f"{path}: expected a whole number as {name}, got {text[:40]!r}") from None
