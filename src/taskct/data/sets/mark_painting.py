"""Lesions painted one by one into a map of instances, from masks, balls and boxes in the patient's mm."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch

from taskct.core.errors import FileFormatError, GeometryError, InputError
from taskct.core.names import plural
from taskct.data.case import Case
from taskct.data.marks import Marks

MOST_INSTANCES = 30_000
OUTSIDE = ("refuse", "skip")  # what becomes of a lesion outside of its CT
Window = tuple[slice, slice, slice]


class MarkPainter:
    """Instances on the samples of a case, in the order in which they are painted: a later one covers what is below it."""

    def __init__(self, case: Case) -> None:
        assert case.affine_mm is not None
        self.case, self.shape = case, tuple(case.hu.shape)
        self.instances = np.zeros(self.shape, np.int16)
        self.kinds: dict[int, str] = {}
        self.ignored: set[int] = set()
        self.only_boxes: set[int] = set()
        self.partly: set[str] = set()  # kinds of lesions that were refused as outside of the CT, and reach into it
        self._to_index = np.linalg.inv(case.affine_mm)

    def mask(self, where: np.ndarray, kind: str, *, window: Window | None = None, ignored: bool = False) -> int:
        """One lesion by its true outline, a bool map of the whole case or of a window -> its number."""
        window = window or (slice(None),) * 3
        return self._put(window, where, kind, ignored=ignored, only_box=False)

    def ball(self, centre_xyz_mm: Sequence[float], diameter_mm: float, kind: str, *, where: str, ignored: bool = False) -> int:
        """One lesion of which centre (LPS x, y, z) and diameter are known -> its number.

        Samples whose centre lies in the ball have it, and the one nearest to its middle. GeometryError, beginning with
        `where`, for a centre outside of the CT, FileFormatError for a diameter that none has.
        """
        centre = self.index(centre_xyz_mm)
        nearest = np.rint(centre).astype(int)
        half = np.asarray(diameter_mm / 2 / np.array(self.case.spacing_mm))
        if not (np.isfinite(centre).all() and (nearest >= 0).all() and (nearest < self.shape).all()):
            self._note_reaching(kind, centre - half + 0.5, centre + half + 0.5)
            raise GeometryError(f"{where}: a lesion at {self._place(centre_xyz_mm)} lies outside of the CT ({self._extent()})")
        if not 0 < diameter_mm < 1000:
            raise FileFormatError(f"{where}: expected a diameter above 0 and below 1000 mm, got {diameter_mm:g}")
        low = np.clip(np.minimum(np.ceil(centre - half), nearest), 0, None).astype(int)
        high = np.minimum(np.maximum(np.floor(centre + half), nearest) + 1, self.shape).astype(int)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [((np.arange(a, b) - c) / h) ** 2 for a, b, c, h in zip(low, high, centre, half, strict=True)]
        inside = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] <= 1
        inside[tuple(nearest - low)] = True
        return self._put(window, inside, kind, ignored=ignored, only_box=True)  # type: ignore[arg-type]

    def box(self, edges: Sequence[float], kind: str, *, where: str, ignored: bool = False) -> int:
        """One lesion by its box in samples, (low z, y, x, high z, y, x) edges -> its number.

        GeometryError, beginning with `where`, for a box that reaches out of the CT by a sample or more, FileFormatError for an
        empty one.
        """
        low, high = np.array(edges[:3]), np.array(edges[3:])
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (high > low).all()):
            raise FileFormatError(f"{where}: an empty box, {np.round(edges, 2).tolist()} in samples")
        if (low <= -1).any() or (high >= np.array(self.shape) + 1).any():
            self._note_reaching(kind, low, high)
            raise GeometryError(
                f"{where}: a box from {np.round(low, 1).tolist()} to {np.round(high, 1).tolist()} in samples (z, y, x) "
                f"reaches out of the CT {self.shape}; are its axes those of the CT (LPS or RAS, mm or samples)?"
            )
        first = np.clip(np.rint(low), 0, np.array(self.shape) - 1).astype(int)
        last = np.minimum(np.maximum(np.rint(high), first + 1), self.shape).astype(int)
        window = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        return self._put(window, np.ones(last - first, bool), kind, ignored=ignored, only_box=True)  # type: ignore[arg-type]

    def index(self, place_xyz_mm: Sequence[float]) -> np.ndarray:
        """Fractional samples (z, y, x) of an LPS place (x, y, z) in mm."""
        return np.asarray((self._to_index @ [*reversed([float(v) for v in place_xyz_mm]), 1.0])[:3])

    def marks(
        self, *, masked: Collection[str] = (), boxed: Collection[str] = (), findings: Mapping[str, bool] | None = None
    ) -> Marks:
        """What was painted, with which kinds are known: none of which a lesion was left out that reaches into the CT."""
        kinds = {n: kind for n, kind in self.kinds.items() if n in self._shown()}
        return Marks(
            torch.from_numpy(self.instances),
            kinds,
            masked=frozenset(masked) - self.partly,
            boxed=frozenset(boxed) - self.partly,
            only_boxes=frozenset(self.only_boxes & set(kinds)),
            ignored=frozenset(self.ignored & set(kinds)),
            findings=dict(findings or {}),
        )

    def notes(self) -> list[str]:
        """A sentence on lesions that others cover whole, so that the map does not show them, and on kinds that are unknown."""
        hidden = [n for n in self.kinds if n not in self._shown()]
        unknown = [
            f"a lesion of kind {kind!r} that was left out reaches into the CT, so it is not known where the CT shows this kind"
            for kind in sorted(self.partly)
        ]
        if not hidden:
            return unknown
        return [
            *unknown,
            f"{plural(len(hidden), 'mark')}, the first of kind {self.kinds[hidden[0]]}, "
            f"{'is' if len(hidden) == 1 else 'are'} covered whole by others and left out",
        ]

    def _note_reaching(self, kind: str, low: np.ndarray, high: np.ndarray) -> None:
        """Note a lesion from edge to edge in samples that lies partly in the CT; NaN does not."""
        if (low < np.array(self.shape)).all() and (high > 0).all():
            self.partly.add(kind)

    def _shown(self) -> set[int]:
        return set(np.unique(self.instances).tolist())

    def _put(self, window: Window, where: np.ndarray, kind: str, *, ignored: bool, only_box: bool) -> int:
        number = len(self.kinds) + 1
        if number > MOST_INSTANCES:
            raise InputError(f"case {self.case.case_id}: more than {MOST_INSTANCES} lesions; these are no lesions")
        self.instances[window][where] = number
        self.kinds[number] = kind
        if ignored:
            self.ignored.add(number)
        if only_box:
            self.only_boxes.add(number)
        return number

    def _place(self, xyz_mm: Sequence[float]) -> str:
        return "(" + ", ".join(f"{v:.1f}" for v in xyz_mm) + ") mm"

    def _extent(self) -> str:
        """The corners of the CT in LPS x, y, z."""
        assert self.case.affine_mm is not None
        ends = [(self.case.affine_mm @ [*at, 1.0])[:3][::-1] for at in ((0, 0, 0), [n - 1 for n in self.shape])]
        return " to ".join(self._place(end) for end in ends)
