"""LoDoPaB-CT: 42,895 slices with their low-dose sinograms, in HDF5 files of 128.

Stored are x = mu / mu_max in [0, 1] with x (the column) first, and y = p / mu_max with p made from N0 = 4096 photons
(Leuschner et al., Sci. Data 8:109 (2021)); mu_max = 81.35858 / m. In the authors' geometry the first stored axis of the
image is x and a view at angle t measures along x cos t + y sin t, as ours does: the image is transposed, the sinogram is not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
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
from taskct.data.hdf5_guard import open_hdf5, read_array
from taskct.data.hdf5_write import create_hdf5
from taskct.geometry.presets import lodopab

if TYPE_CHECKING:
    import h5py

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
        self._observations = _numbered(self.folder, "observation", part)
        self._images = _numbered(self.folder, "ground_truth", part)
        if not self._observations:
            raise InputError(f"{self.folder}: holds no observation_{part}_000.hdf5; unpack the archives there first")
        self._counts = [_count(path, _SINOGRAM) for path in self._observations]
        if part != "challenge":
            self._check_images()
        self.patient_ids = _patient_ids(self.folder / f"patient_ids_rand_{part}.csv", len(self))

    def __len__(self) -> int:
        return sum(self._counts)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.observation(index), self.ground_truth(index)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[i] for i in range(len(self)))

    def observation(self, index: int) -> Tensor:
        """p of slice `index`: (1, 1000, 513)."""
        stored = self._read(self._observations, index)
        return torch.from_numpy(stored * np.float32(_MU_MAX_PER_M))[None]

    def ground_truth(self, index: int) -> Tensor:
        """mu of slice `index`: (1, 362, 362) in 1/mm."""
        if not self._images:
            raise UnsupportedDataError(f"{self.folder}: the {self.part} part has no images on disk; use observation(i)")
        return torch.from_numpy(_image(self._read(self._images, index)))[None]

    def _read(self, files: list[Path], index: int) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(f"LoDoPaB-CT {self.part} has slices 0 to {len(self) - 1}, asked for {index}")  # ends a for loop
        index %= len(self)
        number = 0
        while index >= self._counts[number]:
            index -= self._counts[number]
            number += 1
        with open_hdf5(files[number]) as file:
            return _finite(read_array(file, "data", index=index).astype(np.float32), files[number])

    def _check_images(self) -> None:
        if [_tail(f) for f in self._images] != [_tail(f) for f in self._observations]:
            raise InputError(
                f"{self.folder}: has {len(self._observations)} observation and {len(self._images)} ground-truth files of "
                f"{self.part}; they must come in pairs"
            )
        for path, count in zip(self._images, self._counts, strict=True):
            if _count(path, _IMAGE) != count:
                raise FileFormatError(f"{path}: holds another number of slices than its observations ({count})")


def read_lodopab_cases(path: str | os.PathLike[str]) -> Iterator[Case]:
    """The slices of one ground_truth_*.hdf5 as cases of one slice each.

    `case.mu` is the stored attenuation (to float32 rounding): HU follow from it with mu_water = 0.02/mm and mu_air = 0.
    Distances between slices are unknown (they come in random order), so the z spacing of 1 mm means nothing.
    """
    found = existing_path(path)
    count = _count(found, _IMAGE)
    grid, _ = lodopab()
    for index in range(count):
        with open_hdf5(found) as file:
            mu = torch.from_numpy(_image(_finite(read_array(file, "data", index=index).astype(np.float32), found)))
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


def _count(path: Path, shape: tuple[int, int]) -> int:
    with open_hdf5(path) as file:
        data = _data(file, path)
        if len(data.shape) != 3 or data.shape[1:] != shape or data.shape[0] < 1:
            raise FileFormatError(f"{path}: expected a data set 'data' of (n, {shape[0]}, {shape[1]}), got {data.shape}")
        return int(data.shape[0])


def _data(file: h5py.File, path: Path) -> h5py.Dataset:
    import h5py

    data = file.get("data")
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        raise FileFormatError(f"{path}: expected a data set 'data' as in LoDoPaB-CT; there are {', '.join(file) or 'none'}")
    return data


def _finite(values: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(values).all():
        raise FileFormatError(f"{path}: holds NaN or infinite values")
    return values


def _patient_ids(path: Path, count: int) -> tuple[str, ...] | None:
    if not path.is_file():
        return None
    text = read_text(path, limit_bytes=_MOST_TEXT_BYTES, what="table of patients")
    ids = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(ids) < count or not all(i.isdigit() for i in ids):
        raise FileFormatError(f"{path}: expected one number for each of {count} slices, got {len(ids)} lines")
    return ids[:count]
