"""LoDoPaB-CT: 42,895 slices with their low-dose sinograms, in HDF5 files of 128.

Stored are x = mu / mu_max in [0, 1] with x (the column) first, and y = p / mu_max with p made from N0 = 4096 photons
(Leuschner et al., Sci. Data 8:109 (2021)); mu_max = 81.35858 / m. In the authors' geometry the first stored axis of the
image is x and a view at angle t measures along x cos t + y sin t, as ours does: the image is transposed, the sinogram is not.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, InputError, UnsupportedDataError, unknown_name
from taskct.core.files import existing_path, make_folder, write_text
from taskct.core.open_files import read_text
from taskct.core.units import MU_AIR_LODOPAB_PER_MM, MU_WATER_LODOPAB_PER_MM, to_hu
from taskct.data.case import Case
from taskct.data.hdf5_guard import open_hdf5
from taskct.data.hdf5_rows import Hdf5Rows
from taskct.data.hdf5_write import create_hdf5
from taskct.data.image_source import Pixels
from taskct.data.images import ImageSet
from taskct.geometry.presets import lodopab

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class _Scale:
    """What is stored, and the least and most that it can be; of images a slice also has `some`, or nothing at all."""

    what: str
    low: float
    high: float
    some: float = 0.0

    def checked(self, values: np.ndarray, path: Path) -> np.ndarray:
        """The values (n, ...); FileFormatError for NaN, and for numbers of another scale."""
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: holds NaN or infinite values")
        most = values.max(axis=tuple(range(1, values.ndim)))
        faint = most[(most > 0) & (most < self.some)]
        least, highest = float(values.min()), float(most.max())
        if least < self.low or highest > self.high or len(faint):
            ends = f"a slice of at most {float(faint[0]):.3g}" if len(faint) else f"values from {least:.3g} to {highest:.3g}"
            raise FileFormatError(f"{path}: LoDoPaB-CT stores {self.what}, and here are {ends}; divide them as the set does")
        return values


_TRUTHS = _Scale("images as mu / 81.36 per m, which lie from 0 to 1", -0.2, 3.0, 0.05)
_SCANS = _Scale("line integrals divided by 81.36, at most 0.13", -0.1, 0.5)
PARTS = ("train", "validation", "test", "challenge")
PER_FILE = 128
MU_MAX_PER_MM = 3071 * (MU_WATER_LODOPAB_PER_MM - MU_AIR_LODOPAB_PER_MM) / 1000 + MU_WATER_LODOPAB_PER_MM  # 0.08135858
_MU_MAX_PER_M = 1000 * MU_MAX_PER_MM
_IMAGE, _SINOGRAM = (362, 362), (1000, 513)
_MOST_TEXT_BYTES = 16 * 2**20


class LodopabFiles:
    """One part of LoDoPaB-CT on disk: `len(files)` slices, `files[i] -> (p, mu)`, read one at a time.

    `p` is (1, 1000, 513), dimensionless, for the beam of `geometry.presets.lodopab()`; `mu` is (1, 362, 362) in 1/mm, y to
    the back and x to the left. `patient_ids` is one number (as text) per slice if the patient table is there, else None.
    The challenge part has no images: use `observation(i)`.
    """

    def __init__(self, folder: str | os.PathLike[str], part: str) -> None:
        if part not in PARTS:
            raise unknown_name("part of LoDoPaB-CT", part, PARTS)
        self.folder, self.part = existing_path(folder, what="LoDoPaB-CT folder"), part
        observations, images = (_numbered(self.folder, kind, part) for kind in ("observation", "ground_truth"))
        if not observations:
            raise InputError(f"{self.folder}: holds no observation_{part}_000.hdf5; unpack the archives there first")
        self._observations = _Rows([_rows(path, _SINOGRAM) for path in observations], _SCANS)
        if part != "challenge" and [_tail(f) for f in images] != [_tail(f) for f in observations]:
            raise InputError(
                f"{self.folder}: has {len(observations)} observation and {len(images)} ground-truth files of {part}; "
                "they must come in pairs"
            )
        self._images = _Rows([_rows(path, _IMAGE) for path in images], _TRUTHS)
        for one, other in zip(self._images.files, self._observations.files, strict=False):
            if len(one) != len(other):
                raise FileFormatError(f"{one.path}: holds another number of slices than its observations ({len(other)})")
        self.patient_ids = _patient_ids(self.folder / f"patient_ids_rand_{part}.csv", self._observations.files)

    def __len__(self) -> int:
        return len(self._observations)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.observation(index), self.ground_truth(index)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[i] for i in range(len(self)))

    def observation(self, index: int) -> Tensor:
        """p of slice `index`: (1, 1000, 513)."""
        return torch.from_numpy(self._observations.read([self._row(index)])[0] * np.float32(_MU_MAX_PER_M))[None]

    def ground_truth(self, index: int) -> Tensor:
        """mu of slice `index`: (1, 362, 362) in 1/mm."""
        self._refuse_without_images()
        return torch.from_numpy(_image(self._images.read([self._row(index)])[0]))[None]

    def images(self) -> ImageSet:
        """The images as a set that is streamed from the files as they are; without labels.

        Each slice belongs to its patient if the patient table is there, else it is a patient of its own, and neighbouring
        slices are not known. Raises UnsupportedDataError for the challenge part, which has no images.
        """
        self._refuse_without_images()
        ids = [f"{self.part}-{n:05d}" for n in range(len(self))]
        patients = ids if self.patient_ids is None else [f"{self.part}-{patient}" for patient in self.patient_ids]
        grid, _ = lodopab()
        return ImageSet(
            LodopabImages(self._images),
            patients,
            ids=ids,
            case_ids=ids,  # slices come in random order, so none has neighbours
            spacing_mm=grid.spacing_mm,
            mu_water_per_mm=MU_WATER_LODOPAB_PER_MM,
            mu_air_per_mm=MU_AIR_LODOPAB_PER_MM,
        )

    def _row(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"LoDoPaB-CT {self.part} has slices 0 to {len(self) - 1}, asked for {index}")  # ends a for loop
        return index % len(self)

    def _refuse_without_images(self) -> None:
        if not self._images.files:
            raise UnsupportedDataError(f"{self.folder}: the {self.part} part has no images on disk; use observation(i)")


class LodopabImages:
    """The stored images as an `ImageStorage`."""

    shape, has_labels = _IMAGE, False
    target_names: tuple[str, ...] = ()

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: Sequence[int]) -> Pixels:
        """mu of some slices."""
        stored = self.rows.read(rows)  # (B, x, y), shares of mu_max
        mu = np.empty((len(rows), 1, *_IMAGE), np.float32)
        np.multiply(stored.transpose(0, 2, 1), np.float32(MU_MAX_PER_MM), out=mu[:, 0])
        return Pixels(torch.from_numpy(mu))

    def known_hashes(self) -> Sequence[str] | None:
        """Not known before all are read."""
        return None

    def remember_hashes(self, hashes: Sequence[str]) -> None:
        """They are not kept."""

    def known_label_values(self) -> Sequence[Sequence[int]] | None:
        """There are no labels."""
        return ()

    def identity(self) -> str:
        """The files and their sizes."""
        sizes = " ".join(f"{f.path.name}:{f.path.stat().st_size}" for f in self.rows.files)
        return f"LoDoPaB-CT, {len(self.rows.files)} files ({hashlib.sha256(sizes.encode()).hexdigest()[:16]})"


class _Rows:
    """The rows of several files, one after the other, as finite float32 of the scale of the set."""

    def __init__(self, files: list[Hdf5Rows], scale: _Scale) -> None:
        self.files, self.scale = files, scale
        self.ends = np.cumsum([len(f) for f in files]) if files else np.zeros(0, int)

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.files else 0

    def read(self, rows: Sequence[int]) -> np.ndarray:
        """Some rows, in this order; each file is opened once."""
        out = np.empty((len(rows), *self.files[0].shape[1:]), np.float32)
        where = np.searchsorted(self.ends, rows, side="right")
        for number in np.unique(where):
            file, places = self.files[number], np.flatnonzero(where == number)
            start = int(self.ends[number]) - len(file)
            stored = file.read([int(rows[k]) - start for k in places.tolist()])
            out[places] = self.scale.checked(stored.astype(np.float32, copy=False), file.path)
        return out


def read_lodopab_cases(path: str | os.PathLike[str]) -> Iterator[Case]:
    """The slices of one ground_truth_*.hdf5 as cases of one slice each.

    `case.mu` is the stored attenuation (to float32 rounding): HU follow from it with mu_water = 0.02/mm and mu_air = 0.
    Distances between slices are unknown (they come in random order), so the z spacing of 1 mm means nothing.
    """
    found = existing_path(path)
    rows = _Rows([_rows(found, _IMAGE)], _TRUTHS)
    grid, _ = lodopab()
    for index in range(len(rows)):
        mu = torch.from_numpy(_image(rows.read([index])[0]))
        yield Case(
            hu=to_hu(mu, mu_water_per_mm=MU_WATER_LODOPAB_PER_MM)[None].contiguous(),
            spacing_mm=(1.0, grid.spacing_mm[0], grid.spacing_mm[1]),
            case_id=f"{found.stem}-{index:03d}",
            mu_water_per_mm=MU_WATER_LODOPAB_PER_MM,
            provenance={
                "format": "LoDoPaB-CT",
                "source": found.name,
                "notes": ["one slice; its neighbours and its true pixel size are unknown"],
            },
        )


def is_lodopab_image_file(path: str | os.PathLike[str]) -> bool:
    """True for an HDF5 file that holds images (not observations) in the layout of LoDoPaB-CT."""
    with open_hdf5(path) as file:
        data = file.get("data")
        return data is not None and getattr(data, "shape", None) is not None and data.shape[1:] == _IMAGE


def write_lodopab(
    folder: str | os.PathLike[str],
    part: str,
    slices: Sequence[tuple[Tensor, Tensor]],
    *,
    per_file: int = PER_FILE,
    patient_ids: Sequence[int] | None = None,
    overwrite: bool = False,
) -> None:
    """Write pairs (p, mu) as `LodopabFiles` gives them, in the same layout: other simulations in a known form."""
    if part not in PARTS:
        raise unknown_name("part of LoDoPaB-CT", part, PARTS)
    make_folder(folder)
    for number, start in enumerate(range(0, len(slices), per_file)):
        chunk = slices[start : start + per_file]
        p = np.stack([(p.reshape(_SINOGRAM) / _MU_MAX_PER_M).numpy().astype(np.float32) for p, _ in chunk])
        x = np.stack([(mu.reshape(_IMAGE) / MU_MAX_PER_MM).numpy().astype(np.float32).T for _, mu in chunk])
        for kind, values in (("observation", p), ("ground_truth", x)):
            target = Path(folder) / f"{kind}_{part}_{number:03d}.hdf5"
            with create_hdf5(target, overwrite=overwrite) as file:
                file.create_dataset("data", data=values, chunks=(1, *values.shape[1:]))
    if patient_ids is not None:
        text = "".join(f"{int(i)}\n" for i in patient_ids)
        write_text(Path(folder) / f"patient_ids_rand_{part}.csv", text, overwrite=overwrite)


def _image(stored: np.ndarray) -> np.ndarray:
    """Stored x (column first, share of mu_max) -> mu (Y, X) in 1/mm."""
    return np.ascontiguousarray(stored.T) * np.float32(MU_MAX_PER_MM)


def _numbered(folder: Path, kind: str, part: str) -> list[Path]:
    pattern = re.compile(rf"{kind}_{part}_\d{{3}}\.hdf5")
    return sorted(f for f in folder.iterdir() if pattern.fullmatch(f.name))


def _tail(path: Path) -> str:
    return path.stem.rsplit("_", 1)[1]


def _rows(path: Path, shape: tuple[int, int]) -> Hdf5Rows:
    with open_hdf5(path) as file:
        data = _data(file, path)
        if len(data.shape) != 3 or data.shape[1:] != shape or data.shape[0] < 1:
            raise FileFormatError(f"{path}: expected a data set 'data' of (n, {shape[0]}, {shape[1]}), got {data.shape}")
    return Hdf5Rows(path)


def _data(file: h5py.File, path: Path) -> h5py.Dataset:
    import h5py

    data = file.get("data")
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        raise FileFormatError(f"{path}: expected a data set 'data' as in LoDoPaB-CT; there are {', '.join(file) or 'none'}")
    return data


def _patient_ids(path: Path, files: Sequence[Hdf5Rows]) -> tuple[str, ...] | None:
    """Whose each slice is, by the table that counts slices from the first file of the part on."""
    if not path.is_file():
        return None
    count = sum(len(f) for f in files)
    first = len(files[0])
    for number, file in enumerate(files):
        if int(_tail(file.path)) != number or (len(file) != first and (len(file) > first or file is not files[-1])):
            raise FileFormatError(
                f"{path}: counts slices from file 000 on, and before or in {file.path.name} files or slices are missing, so "
                "slices would be given to other patients; add what is missing, or move the table away: each slice is then a "
                "patient of its own"
            )
    text = read_text(path, limit_bytes=_MOST_TEXT_BYTES, what="table of patients")
    ids = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(ids) < count or not all(i.isdigit() for i in ids):
        raise FileFormatError(f"{path}: expected one number for each of {count} slices, got {len(ids)} lines")
    return ids[:count]
