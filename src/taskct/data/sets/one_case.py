"""The one CT that a folder holds, with its labels; a refusal that names them all when there are several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.data.formats import VOLUME_READERS, promised_kind
from taskct.data.sets.case_place import CasePlace
from taskct.data.sets.layouts import LAYOUTS, cases_of, folders_below

_MOST_NAMED = 4
_MASKS = "segmentations"  # of TotalSegmentator: one mask per organ, for the one volume beside it


def one_case(folder: Path, *, series_uid: str | None = None, warn: bool = True) -> CasePlace:
    """The place of the one CT at or below `folder`, searched to the bottom.

    `series_uid` chooses a DICOM series, whatever else lies there. Raises InputError that names what there is to choose from
    when a folder holds a series and a volume, in one place or nested, or several volumes.
    """
    whole = CasePlace(folder, "", series_uid=series_uid)
    if series_uid is not None:
        return whole
    for layout in LAYOUTS:
        found = layout(folder).places
        if len(found) == 1 and (found[0].labels is not None or found[0].marks is not None):
            return found[0]
    folders = [folder, *folders_below(folder)]
    if not any(promised_kind(f) in VOLUME_READERS for d in folders for f in d.iterdir()):
        return whole  # DICOM alone: reading it chooses among its series
    masks = folder / _MASKS
    beside = [d for d in folders if masks not in (d, *d.parents)] if masks.is_dir() else folders
    places = cases_of(beside, warn=warn)
    series = {p.series_uid for p in places if not isinstance(p.image, Path)}
    volumes = [p for p in places if isinstance(p.image, Path)]
    if series and volumes:
        raise InputError(_choice(folder, [p for p in places if not isinstance(p.image, Path)], volumes))
    if len(volumes) > 1:
        names = ", ".join(str(v.name.relative_to(folder)) for v in volumes[:_MOST_NAMED])
        more = ", ..." if len(volumes) > _MOST_NAMED else ""
        raise InputError(
            f"{folder}: holds {len(volumes)} volumes ({names}{more}); name one of them, or use open_cases for all"
        )
    if not volumes and len(places) != 1:
        return whole
    (place,) = places
    if place.labels is not None and masks.is_dir():
        raise InputError(f"{folder}: labels may be {place.labels.name} or {_MASKS}; choose with labels=... (--labels)")
    own = place.labels or (masks if masks.is_dir() else None)
    if not volumes:
        return replace(whole, labels=own, series_uid=place.series_uid)
    return replace(place, case_id=folder.resolve().name, labels=own)


def two_forms(places: list[CasePlace]) -> list[tuple[CasePlace, CasePlace]]:
    """Pairs of a DICOM series and a volume that lie in one folder, or one above the other: perhaps one CT twice."""
    series = [p for p in places if not isinstance(p.image, Path)]
    volumes = [p for p in places if isinstance(p.image, Path) and p.image.is_file()]
    pairs = []
    for one in series:
        for other in volumes:
            a, b = one.name, other.name.parent
            if a == b or a in b.parents or b in a.parents or len(places) == 2:
                pairs.append((one, other))
    return pairs


def two_forms_words(place: CasePlace) -> str:
    """That a series and a volume lie in one folder, for messages."""
    return (
        f"{place.name}: lies in one folder with {place.other_form}, a DICOM series and a volume that may be the same CT; open "
        "one of them by its own path (open_case of the volume's file, or of the folder with series_uid=...)"
    )


def choice_words(folder: Path, places: list[CasePlace]) -> list[str]:
    """A line for every series that lies with a volume: what there is to choose from, and how."""
    pairs = two_forms(places)
    return [_choice(folder, [one], [other]) for one, other in pairs[:_MOST_NAMED]]


def _choice(folder: Path, series: list[CasePlace], volumes: list[CasePlace]) -> str:
    listed = [f"the DICOM series {p.series_uid or '(no UID)'} in {_below(p.name, folder)}" for p in series[:_MOST_NAMED]]
    listed += [str(_below(v.name, folder)) for v in volumes[:_MOST_NAMED]]
    left = len(series) + len(volumes) - len(listed)
    more = f" and {left} more" if left else ""
    uid = next((p.series_uid for p in series if p.series_uid), None)
    by_uid = f"series_uid={uid!r} (--series {uid})" if uid else "moving the volume elsewhere"
    return (
        f"{folder}: holds a DICOM series and a volume, perhaps the same CT twice: {', '.join(listed)}{more}; choose the "
        f"volume by its path {volumes[0].name}, or the series by {by_uid}"
    )


def _below(path: Path, folder: Path) -> str:
    relative = path.relative_to(folder) if path.is_relative_to(folder) else path
    return "this folder" if str(relative) == "." else str(relative)
