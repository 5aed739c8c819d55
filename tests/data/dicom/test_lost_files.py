from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from dicom_files import save_stack

from taskct.core.errors import DataError
from taskct.data.dicom.dicom_info import inspect_series
from taskct.data.dicom.series import read_series
from taskct.data.open import iter_cases, open_case

CHANGES = {
    "empty": lambda data: b"",
    "cut in the preamble": lambda data: data[:100],
    "cut in the magic": lambda data: data[:130],
    "zero-filled": lambda data: bytes(len(data)),
    "zeros at its start": lambda data: bytes(len(data) // 2) + data[len(data) // 2 :],
    "some other content": lambda data: b"<html>please log in</html>" * 20,
}


@pytest.mark.parametrize("number", [0, 3, 7])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", ["{:03d}.dcm", "IM{}", "1.2.840.{}.7", "{:08x}a0b1", "CT_{:04d}.IMA"])
def test_a_slice_that_lost_its_content_is_refused_by_name(tmp_path, form, change, number):
    names = [form.format(k) for k in range(8)]
    save_stack(tmp_path, slices=8, names=names)
    file = tmp_path / names[number]
    file.write_bytes(CHANGES[change](file.read_bytes()))
    for read in (read_series, open_case, lambda path: list(iter_cases(path))):
        with pytest.raises(DataError, match=rf"{names[number]}: (named|as large) like the slices beside it"):
            read(tmp_path)
    assert any(names[number] in line for info in inspect_series(tmp_path) for line in info.oddities)


@pytest.mark.parametrize("suffix", [".part", ".crdownload", ".gz", ".tmp"])
def test_a_copy_that_was_not_finished_is_a_lost_slice(tmp_path, suffix):
    save_stack(tmp_path, slices=4)
    (tmp_path / "IM003").rename(tmp_path / f"IM003{suffix}")
    (tmp_path / f"IM003{suffix}").write_bytes(b"\x1f\x8b not whole")
    with pytest.raises(DataError, match=f"IM003{suffix}"):
        read_series(tmp_path)


def test_a_slice_with_a_folder_of_its_own_is_missed_there(tmp_path):
    save_stack(tmp_path, slices=4, names=[f"s{k}/image.dat" for k in range(4)])
    (tmp_path / "s3" / "image.dat").write_bytes(b"")
    with pytest.raises(DataError, match=r"s3/image\.dat"):
        read_series(tmp_path)


def test_a_zero_filled_file_of_another_name_is_known_by_its_size(tmp_path):
    save_stack(tmp_path, slices=4)
    (tmp_path / "recovered").write_bytes(bytes((tmp_path / "IM000").stat().st_size))
    with pytest.raises(DataError, match="recovered: as large like the slices"):
        read_series(tmp_path)


def test_a_link_to_a_slice_that_is_not_there_is_refused(tmp_path):
    save_stack(tmp_path, slices=4)
    (tmp_path / "IM003").unlink()
    (tmp_path / "IM003").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"IM003: .* link to a file that is not there"):
        read_series(tmp_path)


COMPANIONS = ["README", "README.txt", "series.json", "IM000.png", "thumb.jpg", "VERSION", "notes.pdf", "ct.nii.gz.md5"]


@pytest.mark.parametrize("content", [b"", b"text", bytes(5000)])
def test_companions_of_a_good_series_are_named_and_no_reason_to_refuse(tmp_path, content):
    hu = save_stack(tmp_path)
    for name in COMPANIONS:
        (tmp_path / name).write_bytes(content)
        case = read_series(tmp_path)
        assert np.array_equal(case.hu.numpy(), hu)
        assert [n for n in case.provenance["notes"] if "not DICOM" in n] == [
            f"beside the slices, not read since not DICOM: {name}"
        ]
        (tmp_path / name).unlink()


def test_many_companions_are_counted_and_hidden_files_are_not(tmp_path):
    save_stack(tmp_path)
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt", ".DS_Store", "._IM000"):
        Path(tmp_path / name).write_bytes(b"x")
    assert (
        "beside the slices, not read since not DICOM: a.txt, b.txt, c.txt and 2 more"
        in read_series(tmp_path).provenance["notes"]
    )


def test_what_a_lost_slice_holds_is_said(tmp_path):
    save_stack(tmp_path, slices=4)
    whole = (tmp_path / "IM003").read_bytes()
    for content, words in (
        (b"", "it is empty"),
        (whole[:120].replace(b"\0", b"x"), "it ends after 120 bytes"),
        (bytes(3000), "nothing but zeros"),
        (bytes(5000), "begins with zeros"),
        (b"x" * 900, "its content is not DICOM"),
    ):
        (tmp_path / "IM003").write_bytes(content)
        with pytest.raises(DataError, match=f"IM003.*{words}"):
            read_series(tmp_path)


def test_a_small_file_of_another_name_is_a_companion(tmp_path):
    save_stack(tmp_path, slices=4)
    size = (tmp_path / "IM000").stat().st_size
    for share, lost in ((0.9, False), (1.1, False), (1.01, True)):
        (tmp_path / "recovered").write_bytes(bytes(int(size * share) + 1))
        if lost:
            with pytest.raises(DataError, match="recovered"):
                read_series(tmp_path)
        else:
            assert any("recovered" in n for n in read_series(tmp_path).provenance["notes"])


def test_a_pipe_where_a_slice_is_meant_is_refused_by_name(tmp_path):
    save_stack(tmp_path, slices=4)
    (tmp_path / "IM003").unlink()
    os.mkfifo(tmp_path / "IM003")
    for read in (read_series, open_case, lambda path: list(iter_cases(path))):
        with pytest.raises(DataError, match=r"IM003: named like the slices beside it, but it is a pipe"):
            read(tmp_path)


def test_a_pipe_of_another_name_is_told_of_and_not_read(tmp_path):
    save_stack(tmp_path, slices=4)
    os.mkfifo(tmp_path / "control")
    assert any("control" in note for note in read_series(tmp_path).provenance["notes"])
