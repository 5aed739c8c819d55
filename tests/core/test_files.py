import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskct.core.errors import FileFormatError, InputError, OutputExistsError
from taskct.core.files import atomic_folder, atomic_path, check_array_size, existing_path, refuse_existing, write_text


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "table.csv"
    write_text(target, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(target, overwrite=True) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_an_interrupted_folder_leaves_the_old_folder_and_nothing_else(tmp_path):
    with atomic_folder(tmp_path / "series") as part:
        (part / "1.dcm").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "series", overwrite=True) as part:
        (part / "1.dcm").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "series" / "1.dcm").read_text() == "old"
    assert os.listdir(tmp_path) == ["series"]


def test_a_killed_process_leaves_the_old_file_whole(tmp_path):
    target = tmp_path / "weights.bin"
    target.write_text("old")
    code = (
        "import os, signal, sys\nfrom taskct.core.files import atomic_path\n"
        "with atomic_path(sys.argv[1], overwrite=True) as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == -9
    assert target.read_text() == "old"


def test_an_existing_file_is_not_overwritten_unless_asked(tmp_path):
    target = tmp_path / "volume.nii.gz"
    write_text(target, "first")
    with pytest.raises(OutputExistsError, match="exists already; choose another name or say --overwrite"):
        write_text(target, "second")
    assert target.read_text() == "first"
    write_text(target, "second", overwrite=True)
    assert target.read_text() == "second"


def test_an_empty_folder_may_be_filled_and_a_full_one_may_be_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "out", overwrite=name == "b") as part:
            (part / name).write_text(name)
    assert os.listdir(tmp_path / "out") == ["b"]


def test_written_files_follow_the_umask_of_the_user(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_cannot_be_made_is_the_callers_mistake(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot make this folder or file"):
        write_text(tmp_path / "file" / "below", "x")


@pytest.mark.parametrize(("shape", "why"), [((0, 4), "impossible array"), ((-1,), "impossible"), ((2**20, 2**20), "GiB")])
def test_declared_sizes_are_checked_before_anything_is_allocated(shape, why):
    with pytest.raises(FileFormatError, match=why):
        check_array_size("scan.h5", shape, 4)
    assert check_array_size("scan.h5", (2, 3), 4) == 24


def test_a_missing_input_is_named():
    with pytest.raises(InputError, match=r"nowhere: no such file or folder; check the path of the CT"):
        existing_path("nowhere", what="CT")


def test_a_link_to_nothing_is_a_missing_input(tmp_path):
    (tmp_path / "ct.nii").symlink_to(tmp_path / "gone.nii")
    with pytest.raises(InputError, match=r"ct\.nii: no such file or folder"):
        existing_path(tmp_path / "ct.nii")


@pytest.mark.parametrize("folder", [False, True])
def test_an_output_that_cannot_be_is_refused_before_the_work(tmp_path, monkeypatch, folder):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    wrong_kind = "file" if folder else "folder"
    for overwrite in (False, True):
        for bad, why in (
            (wrong_kind, "choose another"),
            ("file/a/b", "is not a folder"),
            (".", "name of a new"),
            ("x" * 300, "bytes"),
        ):
            with pytest.raises(InputError, match=why):
                refuse_existing(bad, overwrite=overwrite, folder=folder)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"a/b: cannot be written, since .* may not be written to"):
        refuse_existing("a/b", overwrite=False, folder=folder)


def test_asking_whether_an_output_may_be_written_touches_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    refuse_existing(tmp_path / "empty", overwrite=False, folder=True)
    refuse_existing(tmp_path / "a" / "b", overwrite=False)
    assert os.listdir(tmp_path) == ["empty"]


def test_a_folder_filled_in_the_meantime_is_kept(tmp_path):
    with pytest.raises(OutputExistsError, match="in the meantime"), atomic_folder(tmp_path / "out") as part:
        (part / "ours").write_text("x")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").write_text("x")
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == ["theirs"]


def test_an_error_while_writing_names_the_target(tmp_path):
    with pytest.raises(OSError, match=r"out\.txt") as caught, atomic_path(tmp_path / "out.txt") as part:
        raise OSError(28, "No space left on device", str(part))
    assert ".part-" not in str(caught.value)


def test_behind_a_symbolic_link_the_folder_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "disk" / "series").mkdir(parents=True)
    (tmp_path / "disk" / "series" / "old").touch()
    (tmp_path / "home").mkdir()
    link = tmp_path / "home" / "series"
    link.symlink_to(tmp_path / "disk" / "series")
    with atomic_folder(link, overwrite=True) as part:
        (part / "new").touch()
    assert link.is_symlink() and [f.name for f in (tmp_path / "disk" / "series").iterdir()] == ["new"]
    assert [f.name for f in (tmp_path / "home").iterdir()] == ["series"]
    assert [f.name for f in (tmp_path / "disk").iterdir()] == ["series"]
