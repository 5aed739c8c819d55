from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as itk  # noqa: N813

from taskct.core.errors import DataError, FileFormatError, UnsupportedDataError
from taskct.data.case import Case
from taskct.data.metaimage import read_metaimage
from taskct.data.nrrd import read_nrrd

READERS = {".mha": read_metaimage, ".mhd": read_metaimage, ".nrrd": read_nrrd, ".nhdr": read_nrrd}
DIRECTIONS = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]]),
    "oblique": np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]),
}


def _image(dtype: str = "i2", direction: str = "LPS") -> itk.Image:
    rng = np.random.default_rng(0)
    image = itk.GetImageFromArray(rng.integers(0, 100, (4, 5, 6)).astype(dtype) - (0 if dtype[0] == "u" else 50))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((11.0, -22.0, 33.0))
    image.SetDirection(DIRECTIONS[direction].flatten().tolist())
    return image


def _same(case: Case, path: Path) -> None:
    image = itk.DICOMOrient(itk.ReadImage(str(path)), "LPS")
    assert np.array_equal(itk.GetArrayFromImage(image).astype(np.float32), case.hu.numpy())
    direction = np.array(image.GetDirection()).reshape(3, 3)[::-1, ::-1]
    assert np.allclose(direction * np.array(image.GetSpacing())[::-1], case.affine_mm[:3, :3], atol=1e-9)
    assert np.allclose(image.GetOrigin()[::-1], case.affine_mm[:3, 3], atol=1e-9)


# laws ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_orientation_agrees_with_simpleitk(tmp_path, suffix, direction, packed):
    path = tmp_path / f"ct{suffix}"
    itk.WriteImage(_image(direction=direction), str(path), packed)
    _same(READERS[suffix](path), path)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_number_type_agrees_with_simpleitk(tmp_path, suffix, dtype):
    path = tmp_path / f"ct{suffix}"
    itk.WriteImage(_image(dtype), str(path))
    _same(READERS[suffix](path), path)


# contracts ----------------------------------------------------------------------------------------------------------

MHA = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = {msb}
CompressedData = {packed}
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = {size}
ElementType = {kind}
{more}ElementDataFile = {file}
"""
NRRD = """NRRD0004
type: {kind}
dimension: 3
space: left-posterior-superior
sizes: {size}
space directions: (1,0,0) (0,1,0) (0,0,1)
endian: {endian}
encoding: {encoding}
space origin: (0,0,0)
{more}
"""


def _mha(path: Path, values: bytes = bytes(120), **change: str) -> Path:
    facts = {"msb": "False", "packed": "False", "size": "3 4 5", "kind": "MET_SHORT", "file": "LOCAL", "more": ""} | change
    path.write_bytes(MHA.format(**facts).encode() + values)
    return path


def _nrrd(path: Path, values: bytes = bytes(120), **change: str) -> Path:
    facts = {"kind": "short", "size": "3 4 5", "endian": "little", "encoding": "raw", "more": ""} | change
    path.write_bytes(NRRD.format(**facts).encode() + values)
    return path


def test_big_endian_values_are_read(tmp_path):
    values = np.arange(60, dtype=">i2")
    expected = values.reshape(5, 4, 3)
    assert np.array_equal(read_metaimage(_mha(tmp_path / "a.mha", values.tobytes(), msb="True")).hu, expected)
    assert np.array_equal(read_nrrd(_nrrd(tmp_path / "a.nrrd", values.tobytes(), endian="big")).hu, expected)


@pytest.mark.parametrize(
    ("make", "read", "line"),
    [(_mha, read_metaimage, b"Offset = 0 0 0\n"), (_nrrd, read_nrrd, b"space origin: (0,0,0)\n")],
)
def test_a_header_without_a_position_is_noted(make, read, line, tmp_path):
    # places in mm, such as those of nodules in a table, were taken to count from the first sample without a word
    path = make(tmp_path / ("a.mha" if make is _mha else "a.nrrd"))
    assert not any("position" in note for note in read(path).provenance["notes"])
    path.write_bytes(path.read_bytes().replace(line, b""))
    words = "the header records no position; the middle of the first sample was put at 0, 0, 0 mm"
    assert words in read(path).provenance["notes"]


def test_values_at_the_end_of_a_detached_file_are_found(tmp_path):
    values = np.arange(60, dtype="<i2")
    (tmp_path / "a.raw").write_bytes(b"old header" + values.tobytes())
    header = _mha(tmp_path / "a.mhd", b"", file="a.raw", more="HeaderSize = -1\n")
    assert np.array_equal(read_metaimage(header).hu, values.reshape(5, 4, 3))
    header = _nrrd(tmp_path / "a.nhdr", b"", more="byte skip: -1\ndata file: a.raw\n")
    assert np.array_equal(read_nrrd(header).hu, values.reshape(5, 4, 3))


def test_an_unrecorded_orientation_is_noted(tmp_path):
    path = _mha(tmp_path / "a.mha")
    path.write_bytes(path.read_bytes().replace(b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b""))
    assert any("no orientation" in n for n in read_metaimage(path).provenance["notes"])


# bad input ----------------------------------------------------------------------------------------------------------


def _refused(path: Path, error: type[DataError], reason: str, **kwargs) -> None:
    with pytest.raises(error, match=reason) as caught:
        READERS[path.suffix](path, **kwargs)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "sub/a.raw", "..", "..\\secret.raw"])
def test_data_in_another_folder_are_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(120))
    _refused(_mha(tmp_path / "in" / "a.mhd", b"", file=name), UnsupportedDataError, "same folder")
    if not name.startswith("/"):
        _refused(_nrrd(tmp_path / "in" / "a.nhdr", b"", more=f"data file: {name}\n"), UnsupportedDataError, "same folder")


def test_a_link_to_data_elsewhere_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(120))
    (tmp_path / "in" / "a.raw").symlink_to(tmp_path / "secret.raw")
    _refused(_mha(tmp_path / "in" / "a.mhd", b"", file="a.raw"), FileFormatError, "same folder")


@pytest.mark.parametrize("file", ["LIST", "slice%03d.raw 1 5 1"])
def test_slices_in_many_files_are_refused(tmp_path, file):
    _refused(_mha(tmp_path / "a.mhd", b"", file=file), UnsupportedDataError, "many files")


def test_truncated_and_oversized_files_are_refused(tmp_path):
    _refused(_mha(tmp_path / "a.mha", bytes(100)), FileFormatError, "cannot hold|truncated")
    _refused(_nrrd(tmp_path / "a.nrrd", bytes(100)), FileFormatError, "cannot hold|truncated")
    _refused(_mha(tmp_path / "b.mha", size="50000 50000 50000"), FileFormatError, "above the limit")
    _refused(_nrrd(tmp_path / "b.nrrd", size="50000 50000 50000"), FileFormatError, "above the limit")
    _refused(_mha(tmp_path / "c.mha", bytes(2**21)), FileFormatError, "more than its header declares")
    _refused(_mha(tmp_path / "d.mha", packed="True"), FileFormatError, "damaged")
    _refused(_nrrd(tmp_path / "d.nrrd", encoding="gzip"), FileFormatError, "damaged")


def test_packed_values_that_inflate_beyond_the_header_are_refused(tmp_path):
    import gzip
    import zlib

    bomb = bytes(2**24)
    _refused(_mha(tmp_path / "a.mha", zlib.compress(bomb), packed="True"), FileFormatError, "more than its header")
    _refused(_nrrd(tmp_path / "a.nrrd", gzip.compress(bomb), encoding="gzip"), FileFormatError, "more than its header")


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"size": "3 4"}, FileFormatError, "3 finite numbers as DimSize"),
        ({"size": "3 4 x"}, FileFormatError, "DimSize"),
        ({"size": "3 4 0"}, FileFormatError, "impossible"),
        ({"kind": "MET_STRING"}, UnsupportedDataError, "MET_STRING"),
        ({"more": "ElementNumberOfChannels = 3\n"}, UnsupportedDataError, "3 values per voxel"),
        ({"more": "ElementSpacing = 1 nan 1\n"}, FileFormatError, "ElementSpacing"),
        ({"more": "ElementSpacing = 1 0 1\n"}, FileFormatError, "positive"),
        ({"more": "NDims = 4\n"}, UnsupportedDataError, "4 dimensions"),
        ({"more": "TransformMatrix = 1 0 0 0 1 0 0 0.2 1\n"}, UnsupportedDataError, "sheared"),
        ({"more": "TransformMatrix = 1 0 0 0 1 0 0 0 0\n"}, UnsupportedDataError, "singular"),
    ],
)
def test_impossible_metaimage_headers_are_refused(tmp_path, change, error, reason):
    _refused(_mha(tmp_path / "a.mha", **change), error, reason)


@pytest.mark.parametrize(
    ("old", "new", "error", "reason"),
    [
        ("dimension: 3", "dimension: 4", DataError, "damaged|sizes"),
        ("sizes: 3 4 5", "sizes: 3 4", DataError, "damaged|sizes|directions"),
        ("type: short", "type: block", UnsupportedDataError, "block"),
        ("encoding: raw", "encoding: bzip2", UnsupportedDataError, "bzip2"),
        ("endian: little\n", "", FileFormatError, "byte order"),
        ("space: left-posterior-superior", "space: scanner-xyz", UnsupportedDataError, "scanner-xyz"),
        ("(0,0,1)\n", "(0,0,nan)\n", DataError, "finite|damaged"),
        ("type: short\n", "", FileFormatError, "no 'type'"),
        ("space origin: (0,0,0)", 'space units: "m" "m" "m"', UnsupportedDataError, "expected mm"),
    ],
)
def test_impossible_nrrd_headers_are_refused(tmp_path, old, new, error, reason):
    path = _nrrd(tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
    _refused(path, error, reason)


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("content", [b"", b"hello", b"ObjectType = Image\nNDims = 3\n", b"NRRD0004\n\x00\xff\n\n"])
def test_other_content_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    _refused(path, FileFormatError, "content is not|damaged|has no|no ElementDataFile")


@pytest.mark.parametrize("encoding", ["ascii", "text", "hex", "bzip2"])
def test_an_encoding_that_is_not_read_is_named(tmp_path, encoding):
    head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\nencoding: {encoding}\n\n"
    (tmp_path / "a.nrrd").write_bytes(head.encode() + b"1 2 3 4 5 6 7 8\n")
    with pytest.raises(UnsupportedDataError, match=f"encoding '{encoding}'; expected raw or gzip"):
        read_nrrd(tmp_path / "a.nrrd")


def test_a_data_file_whose_name_no_disk_holds_is_a_damaged_header(tmp_path):
    from taskct.core.errors import FileFormatError
    from taskct.data.bounded import sibling

    (tmp_path / "a.mhd").write_text("")
    for name in ("x" * 5000, "\udcff" * 300):
        with pytest.raises(FileFormatError, match="is not in the same folder"):
            sibling(tmp_path / "a.mhd", name)
