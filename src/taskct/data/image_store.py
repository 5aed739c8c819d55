"""A prepared store: the images of many cases on disk, one HDF5 file for each case, from which an image set streams.

STORE/store.json       what is in it: written last, so a store that has it is complete
STORE/cases/NAME.h5    mu (N, Y, X) float32, labels (N, Y, X) whole numbers if there are any, about: JSON
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.core.errors import DataError, FileFormatError, InputError
from taskct.core.open_files import parsing, read_json
from taskct.data.hdf5_guard import open_hdf5, read_array
from taskct.data.hdf5_rows import Hdf5Rows
from taskct.data.image_source import Pixels, slice_hash
from taskct.data.images import ImageSet

FORMAT, VERSION = "taskct image store", 1
INDEX, CASES = "store.json", "cases"


class StoreMismatchError(DataError):
    """A store that does not match its source: a case was changed, or is gone."""


@dataclass(frozen=True)
class StoredCase:
    """One case of a store: its file and size, whose it is, what it was made from, and its images.

    `ids`, `hashes` and `label_values` have an entry for each image, none for a case without any that is wanted. `label_dtype`
    is "" for a case without labels. `targets` holds values by name, {"tensor": NAME} for a data set.
    """

    file: str
    bytes: int
    case_id: str
    patient_id: str
    source: str
    source_hash: str
    ids: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    label_values: list[list[int]] = field(default_factory=list)
    label_dtype: str = ""
    label_names: dict[str, str] = field(default_factory=dict)
    shape: list[int] = field(default_factory=list)
    spacing_mm: list[float] = field(default_factory=list)
    targets: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether its images have label maps."""
        return bool(self.label_dtype)


def open_store(path: str | os.PathLike[str], *, verify: bool = False) -> ImageSet:
    """The images of a store that `prepare_store` made, streamed from its files. `verify` reads and hashes all of them.

    Raises InputError for what is not a complete store, FileFormatError (exit code 3) for one that is damaged.
    """
    folder = Path(path)
    if not (folder / INDEX).is_file():
        unfinished = (folder / CASES).is_dir()
        raise InputError(
            f"{folder}: the store is not complete, its preparation was stopped; run it again to resume"
            if unfinished
            else f"{folder}: expected a store of images ({INDEX} in a folder); make one with taskct data prepare"
        )
    about = read_index(folder)
    with parsing(folder / INDEX, "the index of a store of images"):
        cases = [StoredCase(**entry) for entry in about["cases"]]
        storage = StoredImages(folder, cases, tuple(int(n) for n in about["shape"]), str(about["label_dtype"]))
        images = ImageSet(
            storage,
            [case.patient_id for case in cases for _ in case.ids],
            ids=[name for case in cases for name in case.ids],
            case_ids=[case.case_id for case in cases for _ in case.ids],
            spacing_mm=tuple(float(s) for s in about["spacing_mm"]),
            label_names={int(n): str(name) for n, name in about["label_names"].items()},
            mu_water_per_mm=float(about["recipe"]["mu_water_per_mm"]),
        )
    if verify:
        for first in range(0, len(images), 64):
            batch = images.take(range(first, min(first + 64, len(images))))
            for k, mu in enumerate(batch.mu):
                if slice_hash(mu[0]) != images.slice_hashes()[first + k]:
                    raise FileFormatError(f"{folder}: the pixels of {batch.ids[k]} are not those that were written; damaged")
    return images


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a store."""
    about = read_json(folder / INDEX, limit_bytes=2**30)
    if about.get("format") != FORMAT:
        raise InputError(f"{folder / INDEX}: not the index of a store of images")
    if about.get("version") != VERSION:
        raise InputError(f"{folder}: a store of version {about.get('version')}, expected {VERSION}; prepare it anew")
    return about


def read_case(path: Path) -> StoredCase:
    """What one file of a store says about itself."""
    with open_hdf5(path) as file:
        text = read_array(file, "about").tobytes()
    with parsing(path, "a case of a store of images"):
        return StoredCase(**{**json.loads(text), "file": path.name, "bytes": path.stat().st_size})


class StoredImages:
    """The images of a store as an `ImageStorage`; files are looked at when they are first read."""

    def __init__(self, folder: Path, cases: Sequence[StoredCase], shape: tuple[int, ...], label_dtype: str) -> None:
        self.folder, self.cases, self.shape = folder, cases, shape
        self.label_dtype = np.dtype(label_dtype)
        self.has_labels = any(case.labelled for case in cases)
        self.target_names = tuple(dict.fromkeys(name for case in cases for name in case.targets))
        self.ends = np.cumsum([len(case.ids) for case in cases])
        self._rows: dict[tuple[int, str], Hdf5Rows] = {}
        for case in cases:
            file = folder / CASES / case.file
            size = file.stat().st_size if file.is_file() else -1
            if size != case.bytes:
                what = "is missing" if size < 0 else f"has {size} bytes, expected {case.bytes}"
                raise FileFormatError(f"{file}: {what}; prepare the store again to mend it")

    def __len__(self) -> int:
        return int(self.ends[-1])

    def read(self, rows: Sequence[int]) -> Pixels:
        """Some images; each file is opened once."""
        mu = torch.empty((len(rows), 1, *self.shape))
        labels = np.zeros((len(rows), *self.shape), self.label_dtype) if self.has_labels else None
        labelled = torch.zeros(len(rows), dtype=torch.bool)
        targets: dict[str, list[Any]] = {name: [None] * len(rows) for name in self.target_names}
        where = np.searchsorted(self.ends, rows, side="right")
        for number in np.unique(where).tolist():
            case, places = self.cases[number], np.flatnonzero(where == number).tolist()
            inside = [int(rows[k]) - int(self.ends[number]) + len(case.ids) for k in places]
            mu.numpy()[places, 0] = self._file(number, "mu").read(inside)
            if case.labelled and labels is not None:
                labels[places] = self._file(number, "labels").read(inside)
                labelled[places] = True
            for name, values in case.targets.items():
                for k, row in zip(places, inside, strict=True):
                    targets[name][k] = self._target(number, values[row])
        maps = None if labels is None else torch.from_numpy(labels)
        return Pixels(mu, maps, labelled if maps is not None and not all(c.labelled for c in self.cases) else None, targets)

    def known_hashes(self) -> Sequence[str] | None:
        """Those that were taken when the images were written."""
        return [digest for case in self.cases for digest in case.hashes]

    def remember_hashes(self, hashes: Sequence[str]) -> None:
        """They are known."""

    def known_label_values(self) -> Sequence[Sequence[int]] | None:
        """Those that were found when the images were written."""
        return [values for case in self.cases for values in case.label_values]

    def identity(self) -> str:
        """The folder."""
        return f"{self.folder}, {len(self.cases)} cases"

    def __getstate__(self) -> Mapping[str, Any]:
        return {**self.__dict__, "_rows": {}}

    def _file(self, number: int, name: str) -> Hdf5Rows:
        rows = self._rows.get((number, name))
        if rows is None:
            case = self.cases[number]
            rows = Hdf5Rows(self.folder / CASES / case.file, name)
            if rows.shape != (len(case.ids), *self.shape):
                raise FileFormatError(f"{rows.path}: holds {name} of {rows.shape}, expected {(len(case.ids), *self.shape)}")
            self._rows[number, name] = rows
        return rows

    def _target(self, number: int, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"empty", "dtype"}:
            return torch.from_numpy(np.empty(value["empty"], value["dtype"]))
        if not (isinstance(value, dict) and set(value) == {"tensor"}):
            return value
        with open_hdf5(self.folder / CASES / self.cases[number].file) as file:
            return torch.from_numpy(read_array(file, str(value["tensor"])))
