"""Where the images of an `ImageSet` lie. A format of your own streams into every training once it has these few methods."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.core.units import check_mu
from taskct.data.marks import Marks


class Pixels(NamedTuple):
    """What is stored of B images: mu (B, 1, ...) float32 in 1/mm, labels (B, ...) or None, and further targets.

    `labelled` is bool (B,), or None where all are; label maps of others are zeros. Targets are lists of B values, None where
    one is not known.
    """

    mu: Tensor
    labels: Tensor | None = None
    labelled: Tensor | None = None
    targets: Mapping[str, Sequence[Any]] = {}


@runtime_checkable
class ImageStorage(Protocol):
    """A place that images are read from, whenever they are asked for.

    `read` is called from several threads at a time and, after pickling, fork or spawn, in other processes: open files where
    they are first read and keep handles out of the pickle. What is not known without reading all images is None.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X) or (Z, Y, X) of every image."""

    @property
    def has_labels(self) -> bool:
        """Whether any image has a label map."""

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the further targets."""

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int]) -> Pixels:
        """The images of some rows (0 <= row < len), in this order, in tensors of their own."""

    def known_hashes(self) -> Sequence[str] | None:
        """`slice_hash` of each slice of each image."""

    def remember_hashes(self, hashes: Sequence[str]) -> None:
        """Called with the hashes once they were computed; whether they are kept is for the storage to decide."""

    def known_label_values(self) -> Sequence[Sequence[int]] | None:
        """The labels that occur in each image; images without a map have none."""

    def identity(self) -> str:
        """Names what is stored at little cost: files with their sizes, or the seed that all of it is drawn from."""


@dataclass(eq=False)
class InMemory:
    """Images held in memory, in tensors."""

    mu: Tensor
    labels: Tensor | None = None
    labelled: Tensor | None = None
    targets: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    _hashes: Sequence[str] | None = None

    @classmethod
    def checked(
        cls,
        mu: Tensor,
        labels: Tensor | Sequence[Tensor | None] | None,
        targets: Mapping[str, Sequence[Any]],
        ids: Sequence[str],
    ) -> InMemory:
        """Images, labels and targets that belong together; the errors of `ImageSet` where they do not."""
        if mu.ndim not in (4, 5) or mu.shape[1] != 1 or mu.dtype != torch.float32:
            raise GeometryError(
                f"ImageSet expects mu as float32 (N, 1, Y, X) or (N, 1, Z, Y, X), got {mu.dtype} {tuple(mu.shape)}"
            )
        for number, image in enumerate(mu):
            try:
                check_mu(image, who="ImageSet")
            except UnitsError as error:
                raise UnitsError(f"{ids[number]}: {error}") from error
        return cls(mu).with_labels(labels).with_targets(targets)

    def with_labels(self, labels: Tensor | Sequence[Tensor | None] | None) -> InMemory:
        """The same images with these label maps."""
        wanted = (len(self), *self.shape)
        labelled = None
        if labels is not None and not isinstance(labels, Tensor):
            known = [m for m in labels if m is not None]
            if len(labels) != len(self) or not known or any(m.shape != known[0].shape for m in known):
                raise GeometryError(f"ImageSet expects a label map of {self.shape} or None for each of {len(self)} images")
            if len(known) < len(labels):
                labelled = torch.tensor([m is not None for m in labels])
            labels = torch.stack([torch.zeros_like(known[0]) if m is None else m for m in labels])
        if labels is not None:
            if tuple(labels.shape) != wanted:
                raise GeometryError(
                    f"ImageSet expects labels on the grid of its images {wanted}, got {tuple(labels.shape)}; "
                    "resample them (open_case(..., resample_labels=True))"
                )
            if labels.is_floating_point() or labels.is_complex():
                raise InputError(f"ImageSet expects labels as whole numbers, got {labels.dtype}")
        return InMemory(self.mu, labels, labelled, self.targets, self._hashes)

    def with_targets(self, targets: Mapping[str, Sequence[Any]]) -> InMemory:
        """The same images with these further targets."""
        for name, values in targets.items():
            if name == "labels" or not name:
                raise InputError(
                    f"ImageSet: a target needs a name other than 'labels', got {name!r}; give label maps as labels"
                )
            if len(values) != len(self):
                raise InputError(f"ImageSet expects target {name!r} for each of the {len(self)} images, got {len(values)}")
            other = [v.shape for v in values if isinstance(v, Marks) and v.shape != self.shape]
            if other:
                raise GeometryError(f"ImageSet expects marks on the grid of its images {self.shape}, got {other[0]}")
        return InMemory(self.mu, self.labels, self.labelled, dict(targets), self._hashes)

    @classmethod
    def joined(cls, parts: Sequence[Pixels]) -> InMemory:
        """Pieces that were read one after the other."""
        labels = [p.labels for p in parts if p.labels is not None]
        masks = [torch.ones(len(p.mu), dtype=torch.bool) if p.labelled is None else p.labelled for p in parts]
        return cls(
            torch.cat([p.mu for p in parts]),
            torch.cat(labels) if labels else None,
            None if all(p.labelled is None for p in parts) else torch.cat(masks),
            {name: [v for p in parts for v in p.targets[name]] for name in parts[0].targets},
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return tuple(self.mu.shape[2:])

    @property
    def has_labels(self) -> bool:
        """Whether there are label maps."""
        return self.labels is not None

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(self.targets)

    def __len__(self) -> int:
        return len(self.mu)

    def read(self, rows: Sequence[int]) -> Pixels:
        """Copies of some images."""
        index = torch.as_tensor(rows if isinstance(rows, list) else list(rows))
        pick = lambda values: None if values is None else values[index]
        targets = {name: [values[i] for i in rows] for name, values in self.targets.items()}
        return Pixels(self.mu[index], pick(self.labels), pick(self.labelled), targets)

    def part(self, which: slice | Sequence[int]) -> InMemory:
        """Some of the images: views for a slice, copies else."""
        index: Any = which if isinstance(which, slice) else torch.as_tensor(list(which))
        rows = range(len(self))[which] if isinstance(which, slice) else which
        pick = lambda values: None if values is None else values[index]
        targets = {name: [values[i] for i in rows] for name, values in self.targets.items()}
        return InMemory(self.mu[index], pick(self.labels), pick(self.labelled), targets)

    def known_hashes(self) -> Sequence[str] | None:
        """Those that were computed before."""
        return self._hashes

    def remember_hashes(self, hashes: Sequence[str]) -> None:
        """Keep them."""
        self._hashes = hashes

    def known_label_values(self) -> Sequence[Sequence[int]] | None:
        """They are read from the maps."""
        return None

    def identity(self) -> str:
        """It has no other name than its content."""
        return "memory"


class PartOf:
    """Some rows of a storage that is streamed."""

    def __init__(self, whole: ImageStorage, rows: Sequence[int]) -> None:
        self.whole, self.rows = whole, rows
        self.shape, self.has_labels, self.target_names = whole.shape, whole.has_labels, whole.target_names

    @classmethod
    def of(cls, whole: ImageStorage, rows: Sequence[int]) -> PartOf:
        """Rows of a storage, or of a part of one."""
        if isinstance(whole, PartOf):
            return cls(whole.whole, [whole.rows[i] for i in rows])
        return cls(whole, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: Sequence[int]) -> Pixels:
        """Those rows of the whole."""
        return self.whole.read([self.rows[i] for i in rows])

    def known_hashes(self) -> Sequence[str] | None:
        """Those of these rows."""
        known = self.whole.known_hashes()
        if known is None:
            return None
        each = len(known) // len(self.whole)
        return [known[each * i + k] for i in self.rows for k in range(each)]

    def remember_hashes(self, hashes: Sequence[str]) -> None:
        """Nothing is kept of a part."""

    def known_label_values(self) -> Sequence[Sequence[int]] | None:
        """Those of these rows."""
        known = self.whole.known_label_values()
        return None if known is None else [known[i] for i in self.rows]

    def identity(self) -> str:
        """Which rows of what."""
        rows = hashlib.sha256(",".join(map(str, self.rows)).encode()).hexdigest()[:16]
        return f"{self.whole.identity()}, {len(self.rows)} of its images ({rows})"


def slice_hash(mu: Tensor) -> str:
    """Names the content of one slice (Y, X): SHA-256 of shape and bytes, 16 hex digits; "" for a slice of one value.

    Slices of one value (air) say nothing of whose they are.
    """
    values = np.ascontiguousarray(mu.detach().cpu().numpy())
    if values.size and bool((values == values.flat[0]).all()):
        return ""
    digest = hashlib.sha256(f"{values.shape}{values.dtype}".encode())
    digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def rows_of(numbers: Sequence[int] | Tensor, count: int) -> list[int]:
    """Numbers of images as a list, each from 0 to count - 1; IndexError for others."""
    rows = numbers.tolist() if isinstance(numbers, Tensor) else [int(i) for i in numbers]
    for row in rows:
        if not 0 <= row < count:
            raise IndexError(f"an ImageSet of {count} images has none of number {row}")
    return rows


def stacked(values: Sequence[Any]) -> tuple[Any, Tensor]:
    """Values of B images, None where one is not known -> a tensor (B, ...) if they have one shape, else a list; and a mask."""
    known = torch.tensor([v is not None for v in values])
    found = [_as_tensor(v) for v in values if v is not None]
    if not found or any(t is None or t.shape != found[0].shape or t.dtype != found[0].dtype for t in found):
        return list(values), known
    rest = iter(found)
    empty = torch.zeros_like(found[0])
    return torch.stack([next(rest) if is_known else empty for is_known in known.tolist()]), known


def _as_tensor(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value
    return torch.as_tensor(value) if isinstance(value, bool | int | float | np.ndarray | np.generic) else None
