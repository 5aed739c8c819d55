"""Frames -> one regular stack: order and spacing from the positions along the slice normal, nothing from names or numbers.

Tolerances. Two frames closer than 0.01 mm are at the same place. Steps may differ from their median by 2 % or 0.02 mm,
and no frame may lie more than 10 % of a step from where an even stack has it. Positions that are rounded to 0.1 mm are
judged by the best even stack: when it explains every one of them to half of the last digit, it is taken instead of them.
The stack may lean from the slice normal by 0.05 degrees; a tilted gantry leans by degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taskct.core.errors import UnsupportedDataError
from taskct.core.names import plural
from taskct.data.dicom.slice_headers import Frame, spacing_between_mm
from taskct.data.dicom.values import text

SAME_PLACE_MM = 0.01
STEP_TOLERANCE = 0.02
STEP_TOLERANCE_MM = 0.02
DRIFT_TOLERANCE = 0.10
LEAN_TOLERANCE_DEG = 0.05

_DIRECTION_TOLERANCE = 1e-3  # of direction cosines within a series
_PIXEL_TOLERANCE = 1e-3  # relative, of PixelSpacing within a series


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames in rising order along the slice normal. `twins` are further frames at a place, as (kept, repeated).

    `affine_mm` maps an array index (slice, row, column, 1) to the patient's (z, y, x, 1) in mm.
    """

    frames: list[Frame]
    twins: list[tuple[Frame, Frame]]
    affine_mm: np.ndarray
    notes: tuple[str, ...]


def arrange(frames: Sequence[Frame], *, name: str, untilt: bool = False) -> Stack:
    """Order frames into a regular stack; refuses, by name, whatever is not one. `name` begins every message.

    With `untilt` the stack of a tilted gantry is arranged as well: its affine is then sheared.
    """
    if not frames:
        raise UnsupportedDataError(f"{name}: holds no slices")
    if len(frames) == 1:
        return _single(frames[0])
    _check_alike(frames, name)
    normal = frames[0].normal
    places = {id(f): float(_position(f) @ normal) for f in frames}
    # the rest of the key decides between frames at one place, whatever order the files came in
    ordered = sorted(frames, key=lambda f: (places[id(f)], f.file.sop_uid, str(f.file.path), f.index))
    kept, twins = [ordered[0]], []
    for frame in ordered[1:]:
        if np.abs(_position(frame) - _position(kept[-1])).max() < SAME_PLACE_MM:
            twins.append((kept[-1], frame))
        else:
            kept.append(frame)
    if len(kept) == 1:
        single = _single(kept[0])
        return Stack(single.frames, twins, single.affine_mm, single.notes)
    first, step, notes = _even(kept, np.array([places[id(f)] for f in kept]), normal, name, untilt=untilt)
    notes += _orientation_notes(kept[0])
    thickness = kept[0].thickness_mm
    spacing = float(np.linalg.norm(step))
    if thickness is not None and thickness < 0.99 * spacing:
        notes.append(f"slices of {thickness:g} mm every {spacing:g} mm: there is unseen tissue between them")
    return Stack(kept, twins, _affine(kept[0], step, first), tuple(notes))


def _single(frame: Frame) -> Stack:
    notes = _orientation_notes(frame)
    thickness = frame.thickness_mm or spacing_between_mm(frame)
    if thickness is None:
        thickness = 1.0
        notes.append("one slice of unknown thickness: 1 mm assumed")
    if frame.position is None or frame.orientation is None:
        notes.append("no position or orientation in the file: taken as an axial slice at the origin")
    return Stack([frame], [], _affine(frame, frame.normal * thickness, frame.position), tuple(notes))


def _affine(first: Frame, step: np.ndarray, position: np.ndarray | None) -> np.ndarray:
    orientation = np.array([1.0, 0, 0, 0, 1, 0]) if first.orientation is None else first.orientation
    affine = np.eye(4)
    affine[:3, 0] = step[::-1]
    affine[:3, 1] = orientation[:2:-1] * first.pixel_mm[0]  # one row down
    affine[:3, 2] = orientation[2::-1] * first.pixel_mm[1]  # one column to the right
    if position is not None:
        affine[:3, 3] = position[::-1]
    return np.round(affine, 12)  # a step of 2 mm found from two positions is 2, not 1.9999999999999998


def _position(frame: Frame) -> np.ndarray:
    assert frame.position is not None  # _check_alike has refused the others
    return frame.position


def _check_alike(frames: Sequence[Frame], name: str) -> None:
    for frame in frames:
        if frame.position is None or frame.orientation is None:
            what = "ImagePositionPatient" if frame.position is None else "ImageOrientationPatient"
            raise UnsupportedDataError(
                f"{frame.file.path}: {what} is missing, so its place among {len(frames)} slices is unknown; export the series "
                "again, or read the file alone"
            )
    _refuse_mixed(name, "sizes", [f"{f.shape[0]} x {f.shape[1]}" for f in frames])
    if any(not np.allclose(f.pixel_mm, frames[0].pixel_mm, rtol=_PIXEL_TOLERANCE, atol=0) for f in frames):
        _refuse_mixed(name, "pixel spacings", [f"{f.pixel_mm[0]:g} x {f.pixel_mm[1]:g} mm" for f in frames])
    directions = np.array([f.orientation for f in frames])
    if np.abs(directions - directions[0]).max() > _DIRECTION_TOLERANCE:
        _refuse_mixed(name, "orientations", [str(np.round(d, 3).tolist()) for d in directions])


def _refuse_mixed(name: str, what: str, values: list[str]) -> None:
    kinds = {v: values.count(v) for v in sorted(set(values))}
    if len(kinds) > 1:
        listed = ", ".join(f"{count} of {kind}" for kind, count in list(kinds.items())[:4])
        raise UnsupportedDataError(
            f"{name}: slices of different {what} in one series: {listed}; give a list of files of one kind"
        )


def _even(
    kept: list[Frame], places_mm: np.ndarray, normal: np.ndarray, name: str, *, untilt: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Place of the first slice, step from slice to slice, and notes; UnsupportedDataError for what is not an even stack."""
    steps = np.diff(places_mm)
    step = float(np.median(steps))
    positions = np.array([_position(f) for f in kept])
    along = np.outer(places_mm - places_mm[0], normal)
    aside = positions - positions[0] - along  # in-plane shift of each slice
    length = places_mm[-1] - places_mm[0]
    if length < SAME_PLACE_MM:
        raise UnsupportedDataError(f"{name}: {len(kept)} slices lie beside one another in one plane; they form no volume")
    rounded_mm = _rounding_mm(positions)
    lean_mm = float(np.linalg.norm(aside[-1]))
    lean_deg = float(np.rad2deg(np.arctan2(lean_mm, length)))
    leans = lean_deg > LEAN_TOLERANCE_DEG and lean_mm > rounded_mm
    if leans and not untilt:
        raise UnsupportedDataError(
            f"{name}: the gantry was tilted by {lean_deg:.1f} deg: each slice lies {lean_mm / (len(kept) - 1):.2f} mm beside "
            "the one before; untilt=True (--untilt) shifts them back by linear interpolation in the slices, which "
            "costs sharpness along one axis; converting to NIfTI does not repair it"
        )
    even = np.linspace(places_mm[0], places_mm[-1], len(kept))
    straight = np.outer(np.linspace(0, 1, len(kept)), aside[-1])
    drift = max(np.abs(places_mm - even).max(), np.linalg.norm(aside - straight, axis=1).max())
    at = int(np.abs(steps - step).argmax())
    jumps = abs(steps[at] - step) > max(STEP_TOLERANCE * step, STEP_TOLERANCE_MM)
    drifts = drift > max(DRIFT_TOLERANCE * step, STEP_TOLERANCE_MM)
    if not (jumps or drifts) and (leans or lean_deg <= LEAN_TOLERANCE_DEG):
        return positions[0], (positions[-1] - positions[0]) / (len(kept) - 1), []
    fitted = _best_even(kept[0], places_mm, normal, rounded_mm)
    if fitted is not None and not leans and np.linalg.norm(aside, axis=1).max() <= np.sqrt(2) * rounded_mm:
        first, mm = fitted
        note = f"slice positions are rounded to {rounded_mm:g} mm: an even stack of {mm:.4g} mm steps explains all of them"
        return positions[0] + aside.mean(0) + (first - places_mm[0]) * normal, mm * normal, [note]
    if jumps:
        _refuse_uneven(kept, steps, at, step, name)
    raise UnsupportedDataError(
        f"{name}: slices lie up to {drift:.3f} mm beside an even stack of {step:.3f} mm steps; resample the series first"
    )


def _rounding_mm(positions: np.ndarray) -> float:
    """0.1, 0.01 or 0.001 mm when every coordinate that changes is a multiple of it; 0 when they have more digits."""
    positions = positions[:, np.ptp(positions, axis=0) > 0]
    for digits in (1, 2, 3):
        if np.abs(positions - np.round(positions, digits)).max() < 1e-7:
            return float(10.0**-digits)
    return 0.0


def _best_even(first: Frame, places_mm: np.ndarray, normal: np.ndarray, rounded_mm: float) -> tuple[float, float] | None:
    """First place and step of an even stack from which x, y, z rounded to `rounded_mm` give every place; None without one.

    The step that the header states is taken if it does; else the one whose largest distance is smallest.
    """
    number = np.arange(len(places_mm))
    spread = lambda step: float(np.ptp(places_mm - step * number))  # twice the largest distance at the best offset
    mean = float(np.polyfit(number, places_mm, 1)[0])
    low, high = 0.9 * mean, 1.1 * mean
    for _ in range(80):  # the spread is convex in the step
        one, two = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, two) if spread(one) < spread(two) else (one, high)
    best = 0.5 * (low + high)
    allowed = rounded_mm * float(np.abs(normal).sum()) * (1 + 1e-6)  # each coordinate adds its share along the normal
    if not (spread(best) <= allowed and rounded_mm <= 2 * DRIFT_TOLERANCE * best):
        return None
    stated = [s for s in (spacing_between_mm(first), first.thickness_mm) if s is not None and spread(s) <= allowed]
    step = float(stated[0]) if stated else best
    rest = places_mm - step * number
    return float(0.5 * (rest.min() + rest.max())), step


def _refuse_uneven(kept: list[Frame], steps: np.ndarray, at: int, step: float, name: str) -> None:
    before, after = kept[at].name, kept[at + 1].name
    times = steps[at] / step
    if times > 1.5 and abs(times - round(times)) < 0.1:
        what = f"{plural(round(times) - 1, 'slice is', 'slices are')} missing: a gap of {steps[at]:.3f} mm"
    else:
        what = f"the slice spacing is uneven: {steps[at]:.3f} mm"
    raise UnsupportedDataError(
        f"{name}: {what} between {before} and {after} where the others are {step:.3f} mm apart "
        f"(tolerance {STEP_TOLERANCE:.0%} or {STEP_TOLERANCE_MM} mm); give a list of files of an even part, or resample first"
    )


def describe_twins(kept: Frame, other: Frame) -> str:
    """How two frames at one place differ in their headers, for the refusal."""
    differ = []
    for keyword in (
        "AcquisitionNumber",
        "AcquisitionTime",
        "ConvolutionKernel",
        "ImageType",
        "KVP",
        "ContentTime",
        "SOPInstanceUID",
    ):
        one, two = (text(f.file.path, f.file.header, keyword) for f in (kept, other))
        if one != two:
            differ.append(f"{keyword} {one or '-'} and {two or '-'}")
    return "; ".join(differ[:3]) or "their headers agree"


def _orientation_notes(frame: Frame) -> list[str]:
    if frame.orientation is None:
        return []
    normal = np.abs(frame.normal)
    off_deg = float(np.rad2deg(np.arccos(min(1.0, normal.max()))))
    plane = ("sagittal", "coronal", "axial")[int(normal.argmax())]
    notes = []
    if plane != "axial":
        notes.append(f"{plane} slices: the array axes were reordered")
    if off_deg > 0.5:
        notes.append(f"slices are turned by {off_deg:.1f} deg from {plane}: the array keeps their axes")
    return notes
