"""Writing HDF5 so that a disk that is full is one error of the file's name, and HDF5 prints nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.core.files import atomic_path

if TYPE_CHECKING:
    import h5py


@contextmanager
def create_hdf5(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[h5py.File]:
    """A new HDF5 file, written beside `path` and renamed when the block succeeds; raises as `atomic_path` does."""
    import h5py

    with atomic_path(path, overwrite=overwrite) as part, open(part, "wb+", buffering=0) as raw:
        sink = _Sink(raw, Path(path))
        try:
            with h5py.File(sink, "w") as file:
                yield file
        finally:
            sink.raise_first()


class _Sink(io.RawIOBase):
    """The bytes of a file as HDF5 writes them.

    After the first error all writes seem to succeed, so that HDF5 closes the file in peace: it would otherwise print its
    stack of errors at the end of the process. `raise_first` raises that error.
    """

    def __init__(self, raw: io.FileIO, path: Path) -> None:
        self._raw, self._path = raw, path
        self._error: OSError | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        return self._raw.readinto(buffer) or 0

    def truncate(self, size: int | None = None) -> int:
        return self._try(lambda: self._raw.truncate(size), size or 0)

    def write(self, values: Any) -> int:
        view = memoryview(values).cast("B")

        def all_of_it() -> int:
            done = 0
            while done < len(view):
                done += self._raw.write(view[done:]) or 0
            return done

        return self._try(all_of_it, len(view))

    def flush(self) -> None:
        return None

    def raise_first(self) -> None:
        """Raise the first error, if there was one, with the name of the file."""
        if self._error is not None:
            self._error.filename = str(self._path)
            raise self._error

    def _try(self, work: Any, otherwise: int) -> int:
        if self._error is not None:
            return otherwise
        try:
            return int(work())
        except OSError as error:
            self._error = error
            return otherwise
