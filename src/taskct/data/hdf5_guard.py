"""HDF5 without its dangers. Every HDF5 file of strangers is opened and read through here.

An HDF5 file may name other files to be read in its place (external storage, virtual data sets, external links), declare
terabytes, hold chunks that inflate without end, or ask for filter plugins. None of that is needed for CT, so all of it
is refused before anything is allocated.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, check_array_size
from taskct.core.memory import require_memory
from taskct.core.open_files import parsing, read_start

if TYPE_CHECKING:
    import h5py

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MATLAB_TEXT_BYTES = 512  # that MATLAB 7.3 writes before the HDF5 signature
_MAX_OBJECTS = 20_000
_MAX_DEPTH = 16
_MAX_CHUNK_BYTES = 2**30
_MAX_TEXT_BYTES = 2**20
_DEFLATE, _SHUFFLE, _FLETCHER, _SZIP, _NBIT, _SCALE_OFFSET, _LZF = 1, 2, 3, 4, 5, 6, 32000
_KNOWN_FILTERS = {_DEFLATE, _SHUFFLE, _FLETCHER, _SZIP, _NBIT, _SCALE_OFFSET, _LZF}
_INFLATE_STEP = 2**20
_MAX_SPARSENESS = 1100  # deflate packs at most 1032 bytes into one


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, after looking at every link and data set in it; nothing is followed or read.

    Raises FileFormatError when it is no HDF5 file or damaged, UnsupportedDataError when anything in it points outside.
    Whatever HDF5 raises on a damaged file inside the block becomes a FileFormatError that names the file. Read data sets
    with `read_array` and `read_text` only: they check what one data set declares.
    """
    import h5py

    found = Path(path)
    head = read_start(found, _MATLAB_TEXT_BYTES + len(HDF5_MAGIC))
    if not (head.startswith(HDF5_MAGIC) or (head[:10] == b"MATLAB 7.3" and head[_MATLAB_TEXT_BYTES:] == HDF5_MAGIC)):
        raise FileFormatError(f"{found}: expected an HDF5 file, but the content is not HDF5")
    with parsing(found, "HDF5"), h5py.File(found, "r", locking=False) as file:
        _check_group(file, found, depth=0, count=[0])
        yield file


def read_array(file: h5py.File, name: str, *, index: int | None = None, limit_bytes: int = MAX_VOLUME_BYTES) -> np.ndarray:
    """A numeric data set, or its entry `index` along the first axis, with its stored type in native byte order.

    Raises FileFormatError for a missing, oversized or damaged data set, and for chunks that inflate to more than they
    declare; UnsupportedDataError for anything but plain numbers (object references, text, compounds).
    """
    path = file.filename
    dataset = _dataset(file, name)
    if dataset.dtype.kind not in "iufb" or dataset.dtype.itemsize > 8:
        raise UnsupportedDataError(f"{path}: data set {name!r} holds {dataset.dtype}, not plain numbers")
    shape = dataset.shape
    if shape is None or (len(shape) == 0 and index is not None):
        raise FileFormatError(f"{path}: data set {name!r} has no values")
    if index is not None and not 0 <= index < shape[0]:
        raise FileFormatError(f"{path}: data set {name!r} has entries 0 to {shape[0] - 1}, asked for {index}")
    wanted = shape if index is None else shape[1:]
    size = check_array_size(path, wanted, dataset.dtype.itemsize, limit_bytes=limit_bytes)
    with parsing(path, f"data set {name!r}"):
        _check_storage(dataset, path, name, limit_bytes)
        require_memory(path, size)
        _check_inflation(dataset, path, name, index)
        values = dataset[()] if index is None else dataset[index]
        return np.asarray(values, dtype=dataset.dtype.newbyteorder("="))


def plain_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A numeric data set of one axis or more whose values are all stored, without reading them.

    Raises as `read_array` does.
    """
    dataset = _dataset(file, name)
    if dataset.dtype.kind not in "iufb" or dataset.dtype.itemsize > 8:
        raise UnsupportedDataError(f"{file.filename}: data set {name!r} holds {dataset.dtype}, not plain numbers")
    if not dataset.shape or min(dataset.shape) < 1:
        raise FileFormatError(f"{file.filename}: data set {name!r} has no rows")
    _check_storage(dataset, file.filename, name, MAX_VOLUME_BYTES)
    return dataset


def read_text(file: h5py.File, name: str) -> str:
    """A text data set of at most 1 MiB."""
    dataset = _dataset(file, name)
    if dataset.shape not in ((), (1,)) or dataset.dtype.kind not in "OS":
        raise FileFormatError(f"{file.filename}: data set {name!r} is not one text")
    value = dataset[()] if dataset.shape == () else dataset[0]
    if not isinstance(value, bytes | str) or len(value) > _MAX_TEXT_BYTES:
        raise FileFormatError(f"{file.filename}: data set {name!r} is not one short text")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _dataset(file: h5py.File, name: str) -> Any:
    import h5py

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise FileFormatError(f"{file.filename}: expected a data set {name!r}; there are {_names(file)}")
    return found


def _check_group(group: Any, path: os.PathLike[str], *, depth: int, count: list[int]) -> None:
    import h5py

    if depth > _MAX_DEPTH:
        raise FileFormatError(f"{path}: groups nest deeper than {_MAX_DEPTH}; the file is damaged or hostile")
    for name in group:
        count[0] += 1
        if count[0] > _MAX_OBJECTS:
            raise FileFormatError(f"{path}: holds more than {_MAX_OBJECTS} objects; the file is damaged or hostile")
        link = group.get(name, getlink=True)
        full = f"{group.name.rstrip('/')}/{name}"
        if isinstance(link, h5py.ExternalLink):
            raise UnsupportedDataError(f"{path}: {full!r} is a link into another file; refused, copy the data into this file")
        if not isinstance(link, h5py.HardLink):
            raise UnsupportedDataError(f"{path}: {full!r} is a soft link; refused, store the data under its own name")
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_group(item, path, depth=depth + 1, count=count)
        elif isinstance(item, h5py.Dataset):
            _check_dataset(item, path, full)


def _check_dataset(dataset: Any, path: os.PathLike[str], name: str) -> None:
    plist = dataset.id.get_create_plist()
    if plist.get_external_count() > 0:
        raise UnsupportedDataError(f"{path}: data set {name!r} keeps its values in another file; refused")
    if dataset.is_virtual:
        raise UnsupportedDataError(f"{path}: data set {name!r} is virtual (made of other files); refused")
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    unknown = [code for code in filters if code not in _KNOWN_FILTERS]
    if unknown:
        raise UnsupportedDataError(f"{path}: data set {name!r} needs filter {unknown[0]}, which is not built in; refused")
    if len(set(filters)) != len(filters):
        raise FileFormatError(f"{path}: data set {name!r} is compressed twice; the file is hostile")
    if dataset.chunks is not None and _product(dataset.chunks) * dataset.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise FileFormatError(f"{path}: data set {name!r} has chunks of {dataset.chunks}, above the limit of 1 GiB")


def _check_storage(dataset: Any, path: str, name: str, limit_bytes: int) -> None:
    """Refuse a declared size that the stored bytes cannot fill."""
    declared, stored = _product(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    filtered = dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters() > 0
    most = stored * _MAX_SPARSENESS if filtered else stored
    if most < declared:
        raise FileFormatError(
            f"{path}: data set {name!r} declares {dataset.shape} ({declared} bytes) but stores only {stored} bytes; "
            "the file is truncated or hostile"
        )


def _check_inflation(dataset: Any, path: str, name: str, index: int | None) -> None:
    """Inflate each deflated chunk that will be read in small steps and count: HDF5 itself would not stop."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    if dataset.chunks is None or _DEFLATE not in filters:
        return
    if any(code != _FLETCHER for code in filters[filters.index(_DEFLATE) + 1 :]):
        raise UnsupportedDataError(f"{path}: data set {name!r} filters its values again after deflate; refused")
    most = _product(dataset.chunks) * dataset.dtype.itemsize + 4
    for number in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(number)
        start = info.chunk_offset[0]
        if index is not None and not start <= index < start + dataset.chunks[0]:
            continue
        if info.size > 2 * most + 1024:
            raise FileFormatError(f"{path}: a chunk of data set {name!r} stores {info.size} bytes for {most}; hostile")
        if info.filter_mask & (1 << filters.index(_DEFLATE)):
            continue
        _, packed = dataset.id.read_direct_chunk(info.chunk_offset)
        inflater, size = zlib.decompressobj(), 0
        while packed and not inflater.eof:
            size += len(inflater.decompress(packed, _INFLATE_STEP))
            packed = inflater.unconsumed_tail
            if size > most:
                raise FileFormatError(f"{path}: a chunk of data set {name!r} inflates beyond its {most} bytes; hostile")


def _names(file: h5py.File) -> str:
    return ", ".join(list(file)[:12]) or "none"


def _product(shape: tuple[int, ...]) -> int:
    return math.prod(int(n) for n in shape)
