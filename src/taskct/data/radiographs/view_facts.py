"""The pose of one view from its header and the pose file: what is known and from where, what is missing or contradicts."""

from __future__ import annotations

from dataclasses import dataclass, field

from taskct.core.errors import ConfigError
from taskct.data.radiographs.film_header import COARSE_DEG, Conflict, FilmHeader
from taskct.data.radiographs.pose_file import ASSUMED, BY_SIDE, NEEDED, ViewPose

TRUST = ("header", "poses")
_FACTS = {  # name in the pose file -> attribute of DICOM, tolerance
    "source_iso_mm": ("DistanceSourceToPatient", 2.0),
    "source_detector_mm": ("DistanceSourceToDetector", 2.0),
    "pixel_mm": ("ImagerPixelSpacing", 0.0),
    "row_mm": ("ImagerPixelSpacing", 0.0),
    "angle_deg": ("PositionerPrimaryAngle", 2.0),
    "tilt_deg": ("PositionerSecondaryAngle", 2.0),
}
_RELATIVE = 0.01  # of a length that both state


@dataclass(frozen=True)
class ViewFacts:
    """Numbers of one view by their names in the pose file, where each came from, and what is wrong with them."""

    values: dict[str, float]
    origin: dict[str, str]
    missing: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)


def view_facts(view: str, given: ViewPose, header: FilmHeader | None, *, trust: str | None = None) -> ViewFacts:
    """Join what the pose file and the header say of a view.

    Numbers that both state must agree (1 %, 2 mm or 2 degrees; 30 degrees for a ViewPosition): else both are named in
    `contradictions`, as are two attributes of one header that say it differently, unless the pose file states the number.
    `trust` "header" or "poses" says which to believe instead, and a note tells it.
    """
    if trust is not None and trust not in TRUST:
        raise ConfigError(f"trust expects 'header', 'poses' or None, got {trust!r}")
    values, origin, wrong, notes = {}, {}, [], []
    for name, (attribute, tolerance) in _FACTS.items():
        mine = getattr(given, name)
        theirs = None if header is None else getattr(header, name)
        from_where = _attribute(name, attribute, header)
        conflict = None if header is None else header.conflicts.get(name)
        agreed = mine is None or theirs is None or _agree(name, mine, theirs, tolerance, header)
        if not agreed and (trust is not None or conflict is None or not _decides(name, mine, conflict)):
            both = f"{view}: {name} is {mine:g} in the pose file and {theirs:g} by {from_where}"
            if trust is None:
                wrong.append(f"{both}; correct one of them, or say which to trust (trust='header' or 'poses')")
            else:
                notes.append(f"{both}; the {'header' if trust == 'header' else 'pose file'} was trusted, as asked")
            mine = None if trust == "header" else mine
        if conflict is not None:
            said = f"{view}: {conflict.words}"
            if mine is not None:
                notes.append(f"{said}; {mine:g} of the pose file was taken")
            elif trust == "header":
                notes.append(f"{said}; {theirs:g} by {from_where} was taken, as asked")
            else:
                wrong.append(f"{said}; state {name} in the pose file")
        if mine is not None:
            values[name], origin[name] = float(mine), "pose file"
        elif theirs is not None:
            values[name], origin[name] = float(theirs), from_where
    if "row_mm" not in values and "pixel_mm" in values:
        values["row_mm"], origin["row_mm"] = values["pixel_mm"], "pixel_mm"
    if "tilt_deg" not in values:
        values["tilt_deg"], origin["tilt_deg"] = 0.0, ASSUMED
        notes.append(f"{view}: tilt_deg is not given: a source that is not lifted towards head or feet was assumed")
    if origin.get("angle_deg") == BY_SIDE:
        notes.append(
            f"{view}: the angle was taken from ViewPosition, which says only from which side; nothing says that the view was "
            "exactly so"
        )
    missing = tuple(name for name in NEEDED if name not in values)
    return ViewFacts(values, origin, missing, tuple(wrong), tuple(notes))


def _attribute(name: str, usual: str, header: FilmHeader | None) -> str:
    if header is None:
        return usual
    if name == "angle_deg":
        return header.angle_from or usual
    if name == "source_iso_mm":
        return header.iso_from or usual
    return usual


def _decides(name: str, mine: float, conflict: Conflict) -> bool:
    """Whether a pose file takes the side of the second of two attributes that differ."""
    apart = abs(mine - conflict.value)
    return (abs((apart + 180) % 360 - 180) if name == "angle_deg" else apart) <= conflict.within


def _agree(name: str, mine: float, theirs: float, tolerance: float, header: FilmHeader | None) -> bool:
    if name == "angle_deg":
        allowed = COARSE_DEG if header is not None and header.coarse else tolerance
        return abs((mine - theirs + 180) % 360 - 180) <= allowed
    if name == "tilt_deg":
        return abs(mine - theirs) <= tolerance
    return abs(mine - theirs) <= max(tolerance if name.startswith("source") else 0.0, _RELATIVE * abs(theirs))
