"""What is opened to be read: regular files only, of a bearable size, and whatever a parser raises names the file."""

import ast
import os
import socket
import stat
from pathlib import Path

import pytest

import taskct
from taskct.cli import main
from taskct.core import open_files
from taskct.core.errors import FileFormatError, InputError, ResourceError, TaskctError, UnsupportedDataError
from taskct.core.open_files import (
    one_line,
    open_binary,
    parse_json,
    parsing,
    read_bytes,
    read_json,
    read_start,
    read_text,
    read_toml_tables,
    regular_file,
)

SOURCE = Path(taskct.__file__).parent

# Where a call is made that only core/open_files.py may make: module, name of the call, why.
ALLOWED = {
    ("core/open_files.py", "open"): "the place itself",
    ("core/exchange.py", "open"): "flushes what was written",
    ("core/leftovers.py", "open"): "locks what taskct wrote",
    ("core/write_locks.py", "open"): "the lock of an output",
    ("core/memory.py", "read_text"): "files of the kernel",
    ("data/hdf5_guard.py", "h5py.File"): "the place for HDF5, after regular_file and the magic bytes",
    ("core/safetensors_files.py", "safe_open"): "the place for safetensors, after file_size",
    ("task/saved_weights.py", "zipfile.ZipFile"): "given a stream of open_binary",
    ("task/saved_weights.py", "torch.load"): "given a stream of open_binary, weights_only",
    ("data/dicom/decoder_process.py", "dcmread"): "given a stream of open_binary, in a process of its own",
    ("data/sets/chaos.py", "Image.open"): "given a stream of open_binary",
    ("data/radiographs/film_values.py", "Image.open"): "given a stream of open_binary",
    ("data/sets/lidc_series.py", "read_text"): "a table that comes with the package",
    ("data/bounded.py", "gzip.GzipFile"): "given a stream of open_binary",
    ("bench/compare.py", "np.load"): "given a stream of open_binary",
    ("systems/real_ct/judge_ct.py", "np.load"): "given a stream of open_binary, without pickles",
    ("systems/real_ct/training_slices.py", "np.load"): "mapped from disk after regular_file, without pickles",
    ("viewer/view_app.py", "read_bytes"): "the page, which comes with the package",
    ("viewer/view_server.py", "open"): "opens a browser, not a file",
    ("bench/limits.py", "read_text"): "a file of the kernel",
    ("bench/peers.py", "open"): "runs in another environment without taskct; files of the kernel",
    ("physics/cuda/nvrtc.py", "read_bytes"): "kernels that come with the package",
}
READERS = {
    "open", "read_text", "read_bytes", "fdopen", "GzipFile", "ZipFile", "TarFile", "BZ2File", "LZMAFile", "memmap", "fromfile",
    "loadtxt", "genfromtxt", "load_file", "safe_open", "dcmread", "read_file", "loadmat", "imread", "read_csv", "File",
}  # fmt: skip
LOADERS = {f"{module}.load" for module in ("np", "numpy", "json", "tomllib", "pickle", "torch", "nib", "nibabel", "yaml")}


def test_no_module_opens_a_file_past_the_one_place_for_it():
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := _opens(node)):
                found.add((module, name))
    unknown = {place for place in found if place not in ALLOWED}
    assert not unknown, f"open files through taskct.core.open_files: {sorted(unknown)}"
    assert not ALLOWED.keys() - found, f"no longer needed: {sorted(ALLOWED.keys() - found)}"


@pytest.mark.parametrize("line", ["open(p)", "p.read_text()", "json.load(f)", "np.load(p)", "h5py.File(p)", "gzip.open(p)"])
def test_the_search_for_opened_files_sees_each_way(line):
    call = ast.parse(line).body[0].value
    assert _opens(call)


def _opens(call: ast.Call) -> str:
    """The name of a call that reads a file by its path; '' for others, for writing, and for our own functions."""
    whole = ast.unparse(call.func)
    last = whole.rpartition(".")[2]
    if (last not in READERS and whole not in LOADERS) or whole in ("read_text", "read_bytes"):
        return ""
    modes = [a.value for a in [*call.args[:2], *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
    if any(isinstance(m, str) and m[:1] in ("w", "a", "x") and len(m) <= 3 for m in modes):
        return ""
    return last if last in ("read_text", "read_bytes", "open") and whole != "Image.open" else whole


@pytest.fixture
def odd(tmp_path):
    """A pipe that nobody writes to, a socket, a device and a folder."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        (tmp_path / "device").symlink_to("/dev/zero")
        (tmp_path / "folder").mkdir()
        yield tmp_path


@pytest.mark.parametrize("read", [open_binary, read_bytes, read_text, read_json, read_toml_tables, regular_file])
def test_what_is_not_a_regular_file_is_refused_at_once(odd, read):
    for name in ("pipe", "socket", "device"):
        with pytest.raises(UnsupportedDataError, match=rf"{name}: is a (pipe|socket|device), not a regular file"):
            read(odd / name)
    with pytest.raises(InputError, match="folder: is a folder, and a file is expected"):
        read(odd / "folder")
    with pytest.raises(InputError, match=r"nothing: no such file or folder; check the path of the input"):
        read(odd / "nothing")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.h5", "a.dcm", "a.pt", "a.safetensors", "a.toml"])
def test_a_pipe_under_any_name_ends_the_command_with_one_line(tmp_path, capsys, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SystemExit) as stopped:
        main(["info", str(tmp_path / name)])
    said = capsys.readouterr().err
    assert stopped.value.code == 3
    assert said.count("\n") == 1 and f"{name}: is a pipe" in said


def test_every_reader_refuses_a_pipe(tmp_path):
    from taskct.core.config import read_toml
    from taskct.core.runs import Run, load_run
    from taskct.data.hdf5_guard import open_hdf5
    from taskct.data.open import open_case
    from taskct.data.scan import read_scan
    from taskct.evaluation.storage import read_table
    from taskct.task.saved_weights import read_weights

    os.mkfifo(tmp_path / "pipe")
    readers = [open_case, read_scan, read_toml, read_weights, lambda p: open_hdf5(p).__enter__()]
    for read in readers:
        with pytest.raises(TaskctError, match=r"pipe: is a pipe"):
            read(tmp_path / "pipe")
    run = Run.create(tmp_path / "run", {"a": 1})
    (tmp_path / "run" / "table.csv").write_text("case\n")
    (tmp_path / "run" / "table.json").symlink_to("/dev/zero")
    with pytest.raises(FileFormatError, match=r"table\.json: is a symbolic link out of its folder \(to /dev/zero\)"):
        run.read_json("table.json")
    with pytest.raises(TaskctError, match=r"table\.(json|csv)"):
        read_table(tmp_path / "run")
    (tmp_path / "run" / "provenance.json").unlink()
    os.mkfifo(tmp_path / "run" / "provenance.json")
    with pytest.raises(UnsupportedDataError, match="is a pipe"):
        _ = load_run(tmp_path / "run").provenance


def test_a_file_that_becomes_a_pipe_after_it_was_looked_at_does_not_hang(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    honest = os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda *_, **__: honest)
    with pytest.raises(UnsupportedDataError, match="is a pipe"):
        open_binary(tmp_path / "pipe")


def test_a_file_larger_than_its_kind_is_refused_whatever_its_size_claims(tmp_path, monkeypatch):
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert read_bytes(tmp_path / "large", limit_bytes=11) == b"x" * 11
    with pytest.raises(FileFormatError, match=r"large: larger than the limit of 10 bytes"):
        read_bytes(tmp_path / "large", limit_bytes=10)
    assert read_start(tmp_path / "large", 4) == b"xxxx"


@pytest.mark.parametrize(
    "raised",
    [
        KeyError("p"),
        IndexError("0"),
        ValueError("x\ny"),
        RuntimeError("bad"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "start"),
        AssertionError(),
        RecursionError("deep"),
        OSError("Unable to open"),
        NotImplementedError("compression"),
        type("PanicException", (BaseException,), {})("rust"),
    ],
)
def test_whatever_a_parser_raises_becomes_one_line_with_the_file(raised):
    with pytest.raises(FileFormatError) as caught, parsing("ct.nii", "NIfTI"):
        raise raised
    text = str(caught.value)
    assert text.startswith("ct.nii: cannot be read as NIfTI (") and "\n" not in text
    assert caught.value.__cause__ is raised


def test_memory_that_runs_out_names_the_file_and_a_stop_stays_a_stop():
    for raised in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")):
        with (
            pytest.raises(ResourceError, match=r"ct\.nii: the memory of this machine ran out") as caught,
            parsing("ct.nii", "NIfTI"),
        ):
            raise raised
        assert caught.value.exit_code == 4
    for stop in (KeyboardInterrupt(), SystemExit(143), InputError("mine")):
        with pytest.raises(type(stop)) as same, parsing("ct.nii", "NIfTI"):
            raise stop
        assert same.value is stop


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "{", "[1]", '{"a": ' + "9" * 5000 + "}", '"\\ud800'])
def test_damaged_json_is_a_data_error(text):
    with pytest.raises(FileFormatError, match=r"^about\.json: "):
        parse_json(text, "about.json")


def test_text_may_begin_with_the_mark_that_other_systems_write(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml_tables(tmp_path / "a.toml") == {"a": 1}
    (tmp_path / "b.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(FileFormatError, match=r"b\.toml: cannot be read as UTF-8 text"):
        read_toml_tables(tmp_path / "b.toml")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").write_text("x")
    monkeypatch.setattr(os, "open", _refused)  # the owner of the tests may be root, who may read everything
    with pytest.raises(
        FileFormatError, match=r"closed: cannot be read \(Permission denied\); check the path and its permissions"
    ):
        open_binary(tmp_path / "closed")
    assert stat.S_ISREG((tmp_path / "closed").stat().st_mode)


def _refused(*_: object, **__: object) -> int:
    raise PermissionError(13, "Permission denied")


def test_a_long_reason_is_cut_to_one_length_and_a_shorter_one_is_whole():
    assert one_line(ValueError("x" * open_files._MAX_REASON)) == "x" * open_files._MAX_REASON
    assert one_line(ValueError("x" * (open_files._MAX_REASON + 1))) == "x" * (open_files._MAX_REASON - 3) + "..."
