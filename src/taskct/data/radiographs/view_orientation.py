"""Which way a picture lies: quarter turns and flips that bring the head up and the columns along the detector's axis.

The upright picture of a view is the one that its source sees, head up: of an AP film the patient's right is at the left side,
of a film with the source at the patient's left the face is at the left side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taskct.core.names import plural
from taskct.data.radiographs.film_header import FilmHeader
from taskct.data.radiographs.pose_file import ViewPose
from taskct.geometry.radiographs import RadiographPose

_WAYS = {"L": (0, 0, 1), "R": (0, 0, -1), "P": (0, 1, 0), "A": (0, -1, 0), "H": (1, 0, 0), "F": (-1, 0, 0)}  # z, y, x
_CLEAR = 0.5  # cosine above which two directions are called the same


@dataclass(frozen=True)
class Layout:
    """Clockwise quarter turns of the picture, then mirrored left to right and upside down where asked; `why` in words."""

    quarter_turns: int = 0
    flip_columns: bool = False
    flip_rows: bool = False
    why: str = "assumed: head up, as the source sees the patient"

    def upright(self, values: np.ndarray) -> np.ndarray:
        """(rows, columns) with the head up, columns along the detector's axis."""
        turned = np.rot90(values, -self.quarter_turns)
        turned = turned[:, ::-1] if self.flip_columns else turned
        return np.ascontiguousarray(turned[::-1] if self.flip_rows else turned)


def layout_of(pose: RadiographPose, given: ViewPose, header: FilmHeader | None) -> tuple[Layout, list[str]]:
    """The layout of a view, and what contradicts: the pose file first, then PatientOrientation, then the field's own flip."""
    said = None if header is None else _from_orientation(pose, header)
    told = given.quarter_turns, given.flip_columns, given.flip_rows
    problems = []
    if any(t is not None for t in told):
        mine = Layout((given.quarter_turns or 0) % 4, bool(given.flip_columns), bool(given.flip_rows), "the pose file")
        if isinstance(said, Layout) and not _same(mine, said):
            problems.append(f"{_words(mine)} by the pose file, but {_words(said)} by {said.why}")
        return mine, problems
    if isinstance(said, str):
        return Layout(), [said]
    if said is not None:
        return said, []
    if header is not None and (header.field_flipped or header.field_turn_deg):
        turn = (header.field_turn_deg or 0) // 90
        # The field was turned clockwise and then mirrored. Mirroring first and turning back is turning on and then mirroring.
        turns = (turn if header.field_flipped else -turn) % 4
        return Layout(turns, bool(header.field_flipped), False, "FieldOfViewRotation and FieldOfViewHorizontalFlip"), []
    return Layout(), []


def _from_orientation(pose: RadiographPose, header: FilmHeader) -> Layout | str | None:
    """The layout that PatientOrientation implies, None without it, words where it contradicts the pose."""
    if len(header.orientation) != 2:
        return None
    along_columns, along_rows = (_way(letters) for letters in header.orientation)  # increasing column, increasing row
    if along_columns is None or along_rows is None:
        return None
    _, across, rise = pose.axes
    name = "PatientOrientation " + "\\".join(header.orientation)
    for turns in range(4):
        right, down = _after_turns(along_columns, along_rows, turns)
        if abs(right @ across) > _CLEAR and abs(down @ rise) > _CLEAR:
            return Layout(turns, bool(right @ across < 0), bool(down @ rise > 0), name)
    return (
        f"{name} does not fit a source at angle_deg {pose.angle_deg:g}: columns would run towards {_nearest(across)} or "
        f"{_nearest(-across)}, rows towards {_nearest(rise)} or {_nearest(-rise)}"
    )


def _after_turns(right: np.ndarray, down: np.ndarray, turns: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions of increasing column and row after clockwise quarter turns of the picture."""
    for _ in range(turns):
        right, down = -down, right
    return right, down


def _way(letters: str) -> np.ndarray | None:
    """A direction such as 'L', 'PR' or 'LAH' as a unit vector (z, y, x)."""
    if not letters or any(letter not in _WAYS for letter in letters):
        return None
    total = np.sum([np.array(_WAYS[letter]) / 3**k for k, letter in enumerate(letters)], axis=0)
    size = float(np.linalg.norm(total))
    return None if size < 1e-9 else np.asarray(total / size)


def _nearest(way: np.ndarray) -> str:
    return max(_WAYS, key=lambda letter: float(np.dot(_WAYS[letter], way)))


def _same(one: Layout, other: Layout) -> bool:
    """Whether two layouts do the same to a picture."""
    probe = np.arange(6).reshape(2, 3)
    first, second = one.upright(probe), other.upright(probe)
    return first.shape == second.shape and bool((first == second).all())


def _words(layout: Layout) -> str:
    done = [plural(layout.quarter_turns, "quarter turn")] if layout.quarter_turns else []
    done += ["mirrored columns"] if layout.flip_columns else []
    done += ["mirrored rows"] if layout.flip_rows else []
    return " and ".join(done) or "as it lies"
