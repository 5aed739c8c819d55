"""`Marks`: what is known of the lesions of one image, so that "there is none" and "nobody has looked" stay two things.

One map of instances holds every place: masks, boxes where there is no mask, and regions to ignore. Whatever moves an image
(augmentation, a crop) moves this map with it by nearest neighbours and nothing else; class maps, boxes and presence are
derived from the map afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.task.boxes import Boxes

Classes = Mapping[str, Collection[str]]
"""Classes of a task, in order: name -> the kinds of lesion that belong to it."""

MARKS = "marks"
"""The name under which the targets of an `ImageSet` hold the marks of its images."""


@dataclass(frozen=True, eq=False)
class Marks:
    """What is known of the lesions of one image (Y, X) or volume (Z, Y, X).

    instances   map of whole numbers on the samples of the image: 0 nothing, each other number one lesion. Lesions that touch
                keep numbers of their own
    kinds       kind of each instance by its number, such as {1: "solid nodule"}
    masked      kinds of which every lesion is in the map with its true outline
    boxed       kinds of which every lesion is in the map, some by its box only (those of `masked` are boxed as well)
    only_boxes  instances whose outline is not known: the map holds their box
    ignored     instances that count neither way, such as what readers did not agree on
    findings    what is known of the whole image beside that: {"effusion": True, "nodule": False}

    A kind that is masked or boxed and has no instance is absent; a kind that is neither is unknown, and so is a finding that
    is not listed. Raises GeometryError for a map of another kind, InputError for instances without a kind.

    >>> marks = Marks(torch.tensor([[0, 1, 2, 0]]), {1: "nodule", 2: "nodule"}, masked=frozenset(["nodule", "infection"]))
    >>> marks.presence({"nodule": ["nodule"], "infection": ["infection"], "cyst": ["cyst"]})
    tensor([1., 0., nan])
    >>> marks.boxes({"nodule": ["nodule"]}).corners
    tensor([[0., 1., 1., 2.],
            [0., 2., 1., 3.]])
    """

    instances: Tensor
    kinds: Mapping[int, str] = field(default_factory=dict)
    masked: frozenset[str] = frozenset()
    boxed: frozenset[str] = frozenset()
    only_boxes: frozenset[int] = frozenset()
    ignored: frozenset[int] = frozenset()
    findings: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = not (self.instances.is_floating_point() or self.instances.is_complex() or self.instances.dtype == torch.bool)
        if self.instances.ndim not in (2, 3) or not whole or not self.instances.numel():
            raise GeometryError(
                f"Marks expects instances as whole numbers (Y, X) or (Z, Y, X), got {self.instances.dtype} "
                f"{tuple(self.instances.shape)}"
            )
        for name in ("masked", "boxed"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"Marks expects a set of kinds as {name}, got the text {getattr(self, name)!r}")
        object.__setattr__(self, "boxed", frozenset(self.boxed) | frozenset(self.masked))
        object.__setattr__(self, "masked", frozenset(self.masked))
        nameless = sorted({*self.only_boxes, *self.ignored} - set(self.kinds))
        if nameless:
            raise InputError(f"Marks expects a kind for each instance, got none for instance {nameless[0]}")

    @classmethod
    def nothing_known(cls, shape: Sequence[int]) -> Marks:
        """Marks of an image at which nobody has looked."""
        return cls(torch.zeros(tuple(shape), dtype=torch.int16))

    @classmethod
    def of_boxes(
        cls, shape: Sequence[int], corners: Sequence[Sequence[float]], kinds: Sequence[str], **known: object
    ) -> Marks:
        """Lesions of which only boxes are known, (low edges, high edges) in samples: each is drawn into the map, larger first.

        `known` are further fields of `Marks`, such as boxed=frozenset(["nodule"]). Raises InputError for a box outside of the
        image, one without a sample, and one that others cover whole: none is dropped in silence.
        """
        if len(corners) != len(kinds):
            raise InputError(f"Marks.of_boxes expects a kind for each of the {len(corners)} boxes, got {len(kinds)}")
        instances, dims = torch.zeros(tuple(shape), dtype=torch.int16), len(shape)
        for k, box in enumerate(corners):
            if len(box) != 2 * dims or not all(math.isfinite(float(v)) for v in box):
                raise InputError(
                    f"box {k} expects {2 * dims} finite numbers, low edges and high edges of {dims} axes, got {list(box)}"
                )
        edges = [[round(float(v)) for v in box] for box in corners]
        sizes = [np.prod([max(0, box[dims + a] - box[a]) for a in range(dims)]) for box in edges]
        for k in sorted(range(len(edges)), key=lambda k: -sizes[k]):
            low, high = edges[k][:dims], edges[k][dims:]
            if min(low) < 0 or any(h > n for h, n in zip(high, shape, strict=True)) or not sizes[k]:
                raise InputError(f"box {k} ({list(corners[k])}) is empty or reaches out of the image {tuple(shape)}")
            instances[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = k + 1
        hidden = sorted(set(range(1, len(edges) + 1)) - set(instances.unique().tolist()))
        if hidden:
            raise InputError(f"box {hidden[0] - 1} ({list(corners[hidden[0] - 1])}) is covered whole by smaller ones")
        numbers = dict(enumerate(kinds, start=1))
        return cls(instances, numbers, only_boxes=frozenset(numbers), **known)  # type: ignore[arg-type]

    @property
    def shown(self) -> list[int]:
        """Numbers of all instances in the map, rising."""
        flat = self._numbered().ravel()
        return np.flatnonzero(np.bincount(flat))[1 if (flat == 0).any() else 0 :].tolist()

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X) or (Z, Y, X)."""
        return tuple(self.instances.shape)

    def with_map(self, instances: Tensor) -> Marks:
        """The same knowledge on a map that was moved with its image."""
        return replace(self, instances=instances)

    def crop(self, *window: slice | int) -> Marks:
        """A part of the image, such as `marks.crop(slice(8, 40), slice(0, 64))`, or a slice of a volume (`marks.crop(5)`).

        Absent in the whole is absent in the part; what is present somewhere in the whole by `findings` alone is unknown there.
        """
        absent = {name: value for name, value in self.findings.items() if not value}
        return replace(self, instances=self.instances[window], findings=absent)

    def painted(self, where: Tensor, kind: str | None) -> Marks:
        """With one more instance of `kind` where the bool map `where` is true; with nothing there for None."""
        if kind is None:
            return replace(self, instances=self.instances.masked_fill(where, 0))
        number = max([0, *self.kinds]) + 1
        if number > torch.iinfo(self.instances.dtype).max:
            return replace(self, instances=self.instances.int()).painted(where, kind)
        return replace(self, instances=self.instances.masked_fill(where, number), kinds={**self.kinds, number: kind})

    def numbers(self, kinds: Collection[str]) -> list[int]:
        """Instances of some kinds that the map shows, without those to ignore, rising."""
        return [n for n in self.shown if n not in self.ignored and self._kind(n) in kinds]

    def class_map(self, classes: Classes) -> Tensor | None:
        """int64 map of the image: k + 1 for the k-th class, 0 elsewhere; None where an outline of a class is not known.

        Instances to ignore have their class too: their outline is known, whatever their weight in a score.
        """
        _check_classes(classes, apart=True)
        kinds = {kind for members in classes.values() for kind in members}
        if not kinds <= self.masked:
            return None
        shown = self.shown
        if any(self._kind(n) in kinds for n in shown if n in self.only_boxes):
            return None
        table = torch.zeros(max([0, *shown]) + 1, dtype=torch.int64)
        for k, members in enumerate(classes.values(), start=1):
            for n in shown:
                if self._kind(n) in members:
                    table[n] = k
        return table.to(self.instances.device)[self.instances.long()]

    def boxes(self, classes: Classes) -> Boxes | None:
        """The smallest boxes round the lesions of the classes; None where no class is known.

        A class is known when all of its kinds are boxed. Boxes to ignore are given apart, of whatever kind they are.
        """
        from scipy.ndimage import find_objects

        _check_classes(classes, apart=True)
        known = torch.tensor([set(members) <= self.boxed for members in classes.values()])
        if not bool(known.any()):
            return None
        class_of = {kind: k for k, members in enumerate(classes.values()) for kind in members}
        corners, numbers, ignored = [], [], []
        for n, where in enumerate(find_objects(self._numbered()), start=1):
            if where is None:
                continue
            box = [float(s.start) for s in where] + [float(s.stop) for s in where]
            k = class_of.get(self._kind(n))
            if n in self.ignored:
                ignored.append(box)
            elif k is not None and known[k]:
                corners.append(box)
                numbers.append(k)
        flat = lambda found: torch.tensor(found, dtype=torch.float32).reshape(-1, 2 * self.instances.ndim)
        return Boxes(flat(corners), torch.tensor(numbers, dtype=torch.int64), known, flat(ignored))

    def presence(self, classes: Classes) -> Tensor:
        """Which classes the image shows, float32 (K,): 1 present, 0 absent, NaN unknown.

        By the map where all kinds of a class are boxed, else by `findings`. A class of which only instances to ignore are
        shown is unknown.
        """
        _check_classes(classes)
        shown = self.shown
        found = []
        for name, members in classes.items():
            mine = [n for n in shown if self._kind(n) in members]
            if any(n not in self.ignored for n in mine):
                found.append(1.0)
            elif set(members) <= self.boxed:
                found.append(float("nan") if mine else 0.0)
            else:
                found.append(float(self.findings[name]) if name in self.findings else float("nan"))
        return torch.tensor(found)

    def ignoring_small(self, samples: int, kinds: Collection[str]) -> Marks:
        """Instances of some kinds with fewer samples than that as ones to ignore: sections of the tip of a lesion, say."""
        counts = np.bincount(self._numbered().ravel())
        small = {n for n, count in enumerate(counts.tolist()) if n and 0 < count < samples and self._kind(n) in kinds}
        return replace(self, ignored=self.ignored | small) if small else self

    def joined(self, kinds: Collection[str], *, as_kind: str) -> Marks:
        """Instances of some kinds that touch (corners too) as one instance of the kind `as_kind`: patches of one infection.

        `as_kind` is then known as far as all of `kinds` are, which it replaces in the map.
        """
        from scipy.ndimage import label

        mine = [n for n in self.shown if self._kind(n) in kinds]
        others = {n: kind for n, kind in self.kinds.items() if kind not in kinds}
        swap = lambda known: (known - set(kinds)) | ({as_kind} if set(kinds) <= known else set())
        known = replace(self, masked=frozenset(swap(self.masked)), boxed=frozenset(swap(self.boxed)))
        if not mine:
            return replace(known, kinds=others, only_boxes=self.only_boxes & set(others), ignored=self.ignored & set(others))
        was = self.instances.cpu().numpy()
        inside = np.isin(was, mine)
        pieces, count = label(inside, structure=np.ones((3,) * was.ndim))
        first = max([0, *others]) + 1
        now = torch.from_numpy(np.where(inside, pieces + (first - 1), was).astype(np.int32))
        members = {first + p: set(np.unique(was[pieces == p + 1]).tolist()) for p in range(count)}
        return replace(
            known,
            instances=now.to(self.instances.device),
            kinds={**others, **dict.fromkeys(members, as_kind)},
            only_boxes=(self.only_boxes & set(others)) | {n for n, m in members.items() if m & self.only_boxes},
            ignored=(self.ignored & set(others)) | {n for n, m in members.items() if m <= self.ignored},
        )

    def without_outlines(self) -> Marks:
        """The same lesions, known by their boxes only."""
        return replace(self, masked=frozenset(), only_boxes=frozenset(n for n in self.kinds))

    def only_findings(self, classes: Classes) -> Marks:
        """Which of the classes the image shows, and nothing about where."""
        told = {name: bool(p) for name, p in zip(classes, self.presence(classes).tolist(), strict=True) if not math.isnan(p)}
        return replace(Marks.nothing_known(self.shape), findings={**self.findings, **told})

    def _numbered(self) -> np.ndarray:
        """The map as an array; InputError for instances below 0."""
        found = self.instances.cpu().numpy()
        if found.min() < 0:
            raise InputError(f"Marks expects instances of 0 or more, got {int(found.min())}")
        return found

    def _kind(self, number: int) -> str:
        kind = self.kinds.get(number)
        if kind is None:
            raise InputError(f"the map of Marks holds instance {number}, of which no kind is known")
        return kind


def _check_classes(classes: Classes, *, apart: bool = False) -> None:
    """InputError for a class without kinds, one whose kinds are one text, and with `apart` for a kind of two classes."""
    owner: dict[str, str] = {}
    for name, members in classes.items():
        if isinstance(members, str):
            raise InputError(f"class {name!r} expects a list of kinds, got the text {members!r}; write [{members!r}]")
        if not members:
            raise InputError(f"class {name!r} has no kind of lesion, so every image would be one without it")
        for kind in members if apart else ():
            if owner.setdefault(kind, name) != name:
                raise InputError(f"{kind!r} belongs to the classes {owner[kind]!r} and {name!r}; a lesion has one class here")
