"""Old or new is at its place after any kill, and the next command puts the rest right."""

import os
import subprocess
import sys
import textwrap
import threading
import warnings

import pytest

from taskct.core import files
from taskct.core.errors import FileFormatError, InputError
from taskct.core.files import atomic_files, atomic_folder, atomic_path, existing_path, refuse_existing, write_text, write_texts
from taskct.core.leftovers import LeftoverWarning, hold, tidy


def killed(code: str, *words: object) -> None:
    """Run code in another process that kills itself with `die()`."""
    begin = "import os, signal, sys\nfrom pathlib import Path\ndie = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", begin + textwrap.dedent(code), *map(str, words)], check=False)
    assert done.returncode == -9


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_part_of_a_killed_process_is_swept_by_the_next_write_and_said(tmp_path):
    killed(
        """
        from taskct.core.files import atomic_path
        with atomic_path(sys.argv[1]) as part:
            part.write_text("half")
            die()
        """,
        tmp_path / "scan.h5",
    )
    assert len(names(tmp_path)) == 1
    with pytest.warns(LeftoverWarning, match=r"after an interrupted command, removed the unfinished scan\.h5"):
        write_text(tmp_path / "other.txt", "x")
    assert names(tmp_path) == ["other.txt"]


def test_a_folder_killed_between_its_two_renames_is_put_back_by_whoever_looks_for_it(tmp_path):
    series = tmp_path / "series"
    for look in (existing_path, lambda p: refuse_existing(p, overwrite=True, folder=True)):
        series.mkdir()
        (series / "1.dcm").write_text("old")
        killed(
            """
            from taskct.core import files
            files.exchange = lambda *_: False  # a file system that cannot exchange names
            real = os.replace
            def move(a, b):
                real(a, b)
                die()
            os.replace = move
            with files.atomic_folder(sys.argv[1], overwrite=True) as part:
                (part / "1.dcm").write_text("new")
            """,
            series,
        )
        assert not series.exists()
        with pytest.warns(LeftoverWarning, match="put series back"):
            look(series)
        assert names(tmp_path) == ["series"] and (series / "1.dcm").read_text() == "old"
        (series / "1.dcm").unlink()
        series.rmdir()


@pytest.mark.parametrize("can", [True, False])
def test_a_full_folder_is_replaced_with_and_without_an_exchange_of_names(tmp_path, monkeypatch, can):
    if not can:
        monkeypatch.setattr(files, "exchange", lambda *_: False)
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "run", overwrite=True) as part:
            (part / text).write_text(text)
    assert names(tmp_path) == ["run"] and names(tmp_path / "run") == ["new"]


def test_what_another_process_is_writing_is_neither_swept_nor_taken(tmp_path):
    with atomic_path(tmp_path / "a") as part, atomic_folder(tmp_path / "b") as folder:
        code = "import sys; from pathlib import Path; from taskct.core.leftovers import tidy; tidy(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert part.exists() and folder.exists()
        part.write_text("x")
    assert names(tmp_path) == ["a", "b"]


def test_files_that_belong_together_are_replaced_together_or_not_at_all(tmp_path):
    write_texts(tmp_path, {"t.json": "old", "t.csv": "old"})
    with pytest.raises(InputError, match="exists already"):
        write_texts(tmp_path, {"t.json": "new", "t.csv": "new"})
    killed(
        """
        from taskct.core import files
        real, count = os.replace, []
        def move(a, b):
            real(a, b)
            die()
        os.replace = move
        files.write_texts(sys.argv[1], {"t.json": "new", "t.csv": "new"}, overwrite=True)
        """,
        tmp_path,
    )
    assert {(tmp_path / n).read_text() for n in ("t.json", "t.csv")} == {"old", "new"}  # for a moment, on the disk
    with pytest.warns(LeftoverWarning, match="finished writing files that belong together"):
        existing_path(tmp_path)
    assert {n: (tmp_path / n).read_text() for n in names(tmp_path)} == {"t.json": "new", "t.csv": "new"}


def test_files_that_the_new_ones_do_without_go_with_the_older_ones(tmp_path):
    write_texts(tmp_path, {"t.csv": "old", "images": "old"})
    with atomic_files(tmp_path, ["t.csv"], removed=["images", "never"], overwrite=True) as part:
        (part / "t.csv").write_text("new")
    assert names(tmp_path) == ["t.csv"]
    with pytest.raises(InputError, match="got b as well"), atomic_files(tmp_path, ["a"]) as part:
        (part / "b").write_text("x")
    assert names(tmp_path) == ["t.csv"]


def test_a_commit_that_cannot_be_finished_is_an_error_and_not_half_read(tmp_path, monkeypatch):
    (tmp_path / ".commit-abcd1234").mkdir()
    (tmp_path / ".commit-abcd1234" / "t.csv").write_text("new")
    monkeypatch.setattr(os, "replace", _read_only)
    with pytest.raises(FileFormatError, match="an interrupted write waits to be finished"):
        existing_path(tmp_path)


def test_a_commit_that_another_process_is_at_is_waited_for(tmp_path):
    commit = tmp_path / ".commit-abcd1234"
    commit.mkdir()
    (commit / "t.csv").write_text("new")
    release = threading.Timer(0.3, os.close, [hold(commit)])
    release.start()
    with pytest.warns(LeftoverWarning, match="finished writing"):
        tidy(tmp_path)
    release.join()
    assert names(tmp_path) == ["t.csv"]


def _read_only(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_missing_file_that_waits_in_a_commit_is_found(tmp_path):
    (tmp_path / ".commit-abcd1234").mkdir()
    (tmp_path / ".commit-abcd1234" / "t.csv").write_text("new")
    with pytest.warns(LeftoverWarning):
        assert existing_path(tmp_path / "t.csv").read_text() == "new"


def test_hidden_names_of_others_are_left_alone(tmp_path):
    for name in (".part-mine", ".old-backup", ".commit-x", ".old-abcd1234", ".lock-notes", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / ".old-abcd1234" / "a").mkdir()
    (tmp_path / ".old-abcd1234" / "b").mkdir()
    before = names(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tidy(tmp_path)
    assert names(tmp_path) == before


def test_where_the_file_system_knows_no_locks_only_age_counts(tmp_path, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    for name in (".part-abcd1234-old", ".part-abcd1234-young"):
        (tmp_path / name).write_text("x")
    os.utime(tmp_path / ".part-abcd1234-old", (0, 0))
    with pytest.warns(LeftoverWarning):
        write_text(tmp_path / "a", "x")
    assert names(tmp_path) == [".part-abcd1234-young", "a"]


def test_a_file_made_in_the_meantime_by_another_process_is_kept(tmp_path):
    with pytest.raises(InputError, match="was written by another process in"), atomic_path(tmp_path / "scan.h5") as part:
        part.write_text("second")
        (tmp_path / "scan.h5").write_text("first")
    assert names(tmp_path) == ["scan.h5"] and (tmp_path / "scan.h5").read_text() == "first"


def test_a_file_system_without_hard_links_still_refuses_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", _read_only_links)
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
    with pytest.raises(InputError, match="in the meantime"), atomic_path(tmp_path / "b") as part:
        part.write_text("second")
        (tmp_path / "b").write_text("first")
    assert (tmp_path / "b").read_text() == "first"


def _read_only_links(*_: object) -> None:
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("kind", ["file", "new file", "folder", "new folder", "files"])
def test_every_byte_is_flushed_before_its_name_and_the_names_after(tmp_path, monkeypatch, kind):
    steps: list[tuple[str, str]] = []
    where = {}
    fsync, replace, rename, link = os.fsync, os.replace, os.rename, os.link
    opened = os.open

    def remember(path, *rest, **more):
        number = opened(path, *rest, **more)
        where[number] = str(path)
        return number

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(("flush", os.path.basename(where[fd]))), fsync(fd))[1])
    for name, real in (("replace", replace), ("rename", rename), ("link", link)):
        monkeypatch.setattr(os, name, lambda a, b, real=real: (steps.append(("move", os.path.basename(a))), real(a, b))[1])
    monkeypatch.setattr(files, "exchange", lambda a, b: (steps.append(("move", a.name)), False)[1])
    if kind.endswith("file"):
        with atomic_path(tmp_path / "out", overwrite=kind == "file") as part:
            part.write_text("x")
        wanted = [part.name]
    elif kind.endswith("folder"):
        if kind == "folder":
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "old").touch()
        with atomic_folder(tmp_path / "out", overwrite=kind == "folder") as part:
            (part / "inside").write_text("x")
        wanted = ["inside", part.name]
    else:
        with atomic_files(tmp_path, ["inside"]) as part:
            (part / "inside").write_text("x")
        wanted = ["inside", part.name]
    first = next(i for i, (what, _) in enumerate(steps) if what == "move")
    last = max(i for i, (what, _) in enumerate(steps) if what == "move")
    assert {name for _, name in steps[:first]} >= set(wanted), steps
    assert ("flush", tmp_path.name) in steps[last:], steps
