"""Damaged and hostile files: one line, no traceback of another library, no allocation by what a file claims."""

from __future__ import annotations

import resource
import struct
import zlib

import numpy as np
import pytest
from dicom_files import ct_slice, enhanced, save, save_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from taskct.core.errors import FileFormatError, TaskctError
from taskct.data.case import Case
from taskct.data.dicom import parse
from taskct.data.dicom.dicom_info import inspect_series
from taskct.data.dicom.series import read_series


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """Bytes of valid files in several forms."""
    folder = tmp_path_factory.mktemp("valid")
    files = {"plain": save(ct_slice(0, 0), folder / "plain"), "enhanced": save(enhanced()[0], folder / "enhanced")}
    for name, syntax in (("j2k", JPEG2000Lossless), ("rle", RLELossless)):
        pixels = np.random.default_rng(0).integers(0, 2000, (32, 32)).astype(np.uint16)
        made = ct_slice(0, 0, pixels)
        files[name] = save(made, folder / name)
        made.compress(syntax, generate_instance_uid=False)
        made.save_as(files[name], enforce_file_format=True)
    files["deflated"] = save(ct_slice(0, 0), folder / "deflated", DeflatedExplicitVRLittleEndian)
    return {name: path.read_bytes() for name, path in files.items()}


def read_or_refuse(path) -> None:
    """Reading ends in a valid Case or one of our errors, in one line that names the file."""
    try:
        case = read_series(path)
    except TaskctError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
        return
    assert isinstance(case, Case) and bool(case.hu.isfinite().all()) and np.isfinite(case.affine_mm).all()


@pytest.mark.parametrize(("limit", "refused"), [(10, True), (100, False)])  # our slices have some thirty elements
def test_a_header_of_more_elements_than_allowed_is_refused(tmp_path, monkeypatch, limit: int, refused: bool):
    save_stack(tmp_path)
    monkeypatch.setattr(parse, "MAX_HEADER_ELEMENTS", limit)
    if not refused:
        read_series(tmp_path)
        return
    with pytest.raises(FileFormatError, match="more than 10 elements; the file is damaged or hostile"):
        read_series(tmp_path)


FORMS = st.sampled_from(["plain", "enhanced", "j2k", "rle", "deflated"])


@settings(max_examples=120, deadline=None)
@given(form=FORMS, share=st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused_or_whole(valid, tmp_path_factory, form: str, share: float):
    path = tmp_path_factory.mktemp("cut") / "cut.dcm"
    path.write_bytes(valid[form][: int(share * len(valid[form]))])
    read_or_refuse(path)


@settings(max_examples=250, deadline=None)
@given(form=FORMS, changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6))
def test_flipped_bytes_end_in_a_case_or_in_one_of_our_errors(valid, tmp_path_factory, form: str, changes):
    data = bytearray(valid[form])
    for share, byte in changes:
        data[int(share * len(data))] = byte
    path = tmp_path_factory.mktemp("flip") / "flip.dcm"
    path.write_bytes(data)
    read_or_refuse(path)


@pytest.mark.parametrize("form", ["plain", "enhanced", "j2k", "rle", "deflated"])
def test_no_cut_file_is_taken_for_a_whole_one(valid, tmp_path, form):
    for missing in (2, 10, 50, 200):
        path = tmp_path / f"cut{missing}.dcm"
        path.write_bytes(valid[form][:-missing])
        if form in ("j2k", "rle") and missing == 2:
            continue  # only a part of the closing delimiter is gone; either answer is right
        with pytest.raises(FileFormatError):
            read_series(path)


def test_a_deflate_bomb_is_stopped_at_its_bound(tmp_path):
    header = save(ct_slice(0, 0), tmp_path / "small", DeflatedExplicitVRLittleEndian).read_bytes()
    meta_length = struct.unpack("<I", header[140:144])[0]
    start = header[: 144 + meta_length]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(b"\x08\x00\x05\x00UN\0\0" + struct.pack("<I", 2**30 - 64))
    for _ in range(1024):
        body += packer.compress(b"\0" * 2**20)
    path = tmp_path / "bomb"
    path.write_bytes(start + body + packer.flush())
    assert path.stat().st_size < 2 * 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match="unpack to more than"):
        read_series(path)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 900  # the bound is about 290 MiB, held at most twice; unbounded it would be 1 GiB and copies


@pytest.mark.parametrize("defined", [False, True])
def test_deeply_nested_sequences_are_refused(tmp_path, defined):
    inner = b""
    for _ in range(3000):
        if defined:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
            inner = b"\x08\x00\x15\x11SQ\0\0" + struct.pack("<I", len(item)) + item
        else:
            inner = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner
    plain = save(ct_slice(0, 0), tmp_path / "plain").read_bytes()
    at = plain.index(b"\x08\x00\x60\x00CS")  # Modality
    path = tmp_path / "nested.dcm"
    path.write_bytes(plain[:at] + inner + plain[at:])
    read_or_refuse(path)
    if not defined:
        with pytest.raises(FileFormatError, match="nested too deeply"):
            read_series(path)


def test_more_elements_than_any_header_has_are_refused(tmp_path):
    plain = save(ct_slice(0, 0), tmp_path / "plain").read_bytes()
    at = plain.index(b"\x28\x00\x02\x00US")
    many = b"".join(struct.pack("<HH", 0x0021 + 2 * (n >> 16), n & 0xFFFF) + b"CS\0\0" for n in range(110_000))
    path = tmp_path / "many.dcm"
    path.write_bytes(plain[:at] + many + plain[at:])
    with pytest.raises(FileFormatError, match="more than 100000 elements"):
        read_series(path)


def test_a_damaged_file_among_good_ones_is_an_error_and_not_a_gap(tmp_path):
    save_stack(tmp_path)
    path = tmp_path / "IM001"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(FileFormatError, match="IM001"):
        read_series(tmp_path)
    infos = inspect_series(tmp_path)
    assert any("IM001" in oddity for info in infos for oddity in info.oddities)


def test_text_in_a_header_cannot_break_the_line(tmp_path):
    with pytest.warns(UserWarning):  # of pydicom, while the bad file is made
        path = save(ct_slice(0, 0, PhotometricInterpretation="A\n\x1b[31mB"), tmp_path / "a.dcm")
    with pytest.raises(TaskctError) as error:
        read_series(path)
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


def test_a_file_larger_than_its_image_is_not_read_into_memory(tmp_path):
    path = save(ct_slice(0, 0), tmp_path / "a.dcm")
    with open(path, "r+b") as file:
        file.truncate(2**30)  # sparse: takes no disk
    with pytest.raises(FileFormatError, match="MiB"):
        read_series(path)
