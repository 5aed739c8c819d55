"""The CTs of a folder by names for their outputs, before any of them is read."""

from __future__ import annotations

from pathlib import Path

from taskct.core.errors import InputError
from taskct.data.naming import case_name
from taskct.data.open import case_places
from taskct.data.sets.case_place import CasePlace


def named_places(folder: Path, *, labels: Path | None = None) -> dict[str, CasePlace]:
    """Every CT of a folder, `case_places`, by a name of its own; damaged ones too, so that each is reported.

    A name is the case's where it is plain, otherwise made of its path in the folder: `case-` and eight digits, the same every
    time. Names that occur twice get the folder's name or those digits in front. InputError for a file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: --each expects a folder of CTs, not a file")
    found: dict[str, CasePlace] = {}
    for place in case_places(folder, labels=labels):
        inside = f"{place.name.resolve().relative_to(folder.resolve())}/{place.series_uid or ''}"
        stem = place.case_id.rpartition("/")[2] or place.name.name.partition(".")[0]
        name = case_name(stem, inside)
        if name in found:
            parent = place.name.parent.name
            name = f"{case_name(parent, str(place.name.parent))}-{name}"
        found[name if name not in found else case_name("", inside)] = place
    return found
