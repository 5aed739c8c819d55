from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from taskct.core.errors import DataError, FileFormatError, InputError, UnsupportedDataError
from taskct.data.hdf5_guard import open_hdf5, read_array, read_text


def _read(path: Path, name: str = "data", **kwargs) -> np.ndarray:
    with open_hdf5(path) as file:
        return read_array(file, name, **kwargs)


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 8)}, {"compression": "gzip", "shuffle": True, "fletcher32": True}])
def test_plain_arrays_come_back_as_they_were_written(tmp_path, options):
    values = np.arange(40, dtype=">f4").reshape(5, 8)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("group/data", data=values, **options)
        f["title"] = "tooth"
    read = _read(tmp_path / "a.h5", "group/data")
    assert read.dtype == np.dtype("f4").newbyteorder("=") and np.array_equal(read, values)
    assert np.array_equal(_read(tmp_path / "a.h5", "group/data", index=3), values[3])
    with open_hdf5(tmp_path / "a.h5") as file:
        assert read_text(file, "title") == "tooth"


def test_an_external_link_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["data"] = np.ones(3)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["data"] = h5py.ExternalLink("other.h5", "/data")
    _refused(tmp_path / "a.h5", UnsupportedDataError, "another file")


def test_a_soft_link_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["x"] = np.ones(3)
        f["data"] = h5py.SoftLink("/x")
    _refused(tmp_path / "a.h5", UnsupportedDataError, "soft link")


def test_external_storage_is_refused_even_when_it_is_not_asked_for(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"1" * 64)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["data"] = np.ones(3)
        f.create_dataset("deep/other", shape=(64,), dtype="u1", external=[(str(tmp_path / "secret.bin"), 0, 64)])
    _refused(tmp_path / "a.h5", UnsupportedDataError, "another file")


def test_a_virtual_data_set_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["data"] = np.ones(3)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", (3,))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_virtual_dataset("data", layout)
    _refused(tmp_path / "a.h5", UnsupportedDataError, "virtual")


def test_object_references_and_text_are_not_numbers(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("data", data=[f.ref], dtype=h5py.ref_dtype)
    _refused(tmp_path / "a.h5", UnsupportedDataError, "plain numbers")


def test_terabytes_on_paper_are_refused_before_allocation(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("data", shape=(2**20, 2**20), dtype="f4", chunks=(64, 64), compression="gzip")
    _refused(tmp_path / "a.h5", FileFormatError, "above the limit")


def test_a_size_that_nothing_stored_can_fill_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("data", shape=(2**14, 2**14), dtype="f4", chunks=(64, 64), compression="gzip")
    _refused(tmp_path / "a.h5", FileFormatError, "stores only 0 bytes")


def test_a_chunk_that_inflates_without_end_is_refused(tmp_path):
    bomb = zlib.compress(b"\0" * 2**24, 9)  # 16 MiB in 16 kB
    with h5py.File(tmp_path / "a.h5", "w") as f:
        data = f.create_dataset("data", shape=(16384,), dtype="u1", chunks=(16384,), compression="gzip")
        data.id.write_direct_chunk((0,), bomb)
    _refused(tmp_path / "a.h5", FileFormatError, "inflates beyond")


def test_a_huge_chunk_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("data", shape=(2**31,), dtype="u1", chunks=(2**31,), compression="gzip")
    _refused(tmp_path / "a.h5", FileFormatError, "chunks")


def test_an_unknown_filter_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((8,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        h5py.h5d.create(f.id, b"data", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((8,)), plist)
    _refused(tmp_path / "a.h5", UnsupportedDataError, "filter 32015")


def test_groups_that_hold_each_other_do_not_loop(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_group("a")["again"] = f["/"]
    _refused(tmp_path / "a.h5", FileFormatError, "nest deeper")


@pytest.mark.parametrize("content", [b"", b"not hdf5 at all", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_what_is_not_hdf5_is_refused(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    _refused(tmp_path / "a.h5", FileFormatError, "HDF5")


def test_a_truncated_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["data"] = np.ones((64, 64))
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(whole[: len(whole) // 2])
    _refused(tmp_path / "a.h5", FileFormatError, "truncated")


def test_a_missing_file_is_the_callers_mistake(tmp_path):
    with pytest.raises(InputError, match="no such file"), open_hdf5(tmp_path / "a.h5"):
        pass


def _refused(path: Path, error: type[DataError], reason: str) -> None:
    with pytest.raises(error, match=reason) as caught:
        _read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
