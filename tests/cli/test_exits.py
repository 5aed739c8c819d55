"""Exit codes, one-line messages, and a help that is quick because nothing heavy is imported."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from taskct.cli import verbs
from taskct.cli.exits import explain, explain_words
from taskct.core.errors import DataError, FileFormatError, GeometryError, InputError, OutputExistsError, ResourceError

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def verb_that_raises(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def install(error: BaseException) -> None:
        def run() -> None:
            raise error

        module = types.SimpleNamespace(run=run, NEEDS_WORDS=False)
        monkeypatch.setitem(verbs.VERBS, "fail", "always")
        monkeypatch.setitem(sys.modules, "taskct.cli.fail", module)

    return install


def _full_disk() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", "out.nii.gz")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("wrong"), 2, "wrong"),
        (GeometryError("too small"), 2, "too small"),
        (OutputExistsError("a.nii: exists"), 2, "a.nii: exists"),
        (PermissionError(errno.EACCES, "Permission denied", "secret.dcm"), 2, "secret.dcm: Permission denied"),
        (DataError("a.dcm: bad"), 3, "a.dcm: bad"),
        (FileFormatError("a.dcm: cut\nshort"), 3, "a.dcm: cut short"),
        (ResourceError("no GPU"), 4, "no GPU"),
        (MemoryError(), 4, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 4, "out of memory"),
        (_full_disk(), 4, "out.nii.gz: No space left on device"),
        (KeyError("gone"), 1, "a bug of ours, KeyError: 'gone'; please report it"),
        (RuntimeError("odd"), 1, "a bug of ours"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else None,
)
def test_each_error_has_its_exit_code_and_one_line(
    error: BaseException, code: int, words: str, verb_that_raises: Callable, taskct_says: Says
) -> None:
    verb_that_raises(error)
    got, out, err = taskct_says("fail")
    assert got == code and out == ""
    assert err.startswith("taskct: ") and words in err and err.count("\n") == 1


@pytest.mark.parametrize("words", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_adds_the_traceback_wherever_it_stands(
    words: tuple[str, ...], verb_that_raises: Callable, taskct_says: Says
) -> None:
    verb_that_raises(DataError("a.dcm: bad"))
    code, _, err = taskct_says(*words)
    assert code == 3 and "Traceback" in err and err.endswith("taskct: a.dcm: bad\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("simulat", "Did you mean 'simulate'? (see taskct --help)"),
        ("--nonsense", "No such option: --nonsense (see taskct --help)"),
        ("dose fbp --photns 3", "No such option: --photns (Possible options: "),
        ("dose fbp --photons abc", "'--photons'"),
        ("dose fbp --photons=abc", "got 'abc' (see taskct dose --help)"),
        ("dose fbp --ct", "Option '--ct' requires an argument (see taskct dose --help)"),
        ("info a b", "Got unexpected extra argument(s) (b) (see taskct info --help)"),
        ("reproduce dose --workers -1", "greater than or equal to 0, got '-1' (see taskct reproduce --help)"),
        ("evaluate --seed 3", "Missing argument"),
    ],
)
def test_wrong_words_are_exit_code_2_and_one_line(words: str, says: str, taskct_says: Says) -> None:
    code, out, err = taskct_says(*words.split())
    assert (code, out) == (2, "") and err.startswith("taskct: ") and says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "got"),
    [
        ("dose fbp --photons 3 --photons abc", "abc"),
        ("dose fbp --out --photons --photons abc", "abc"),
        ("dose fbp --photons abc --out --photons --seed 3", "abc"),
    ],
)
def test_the_refused_value_is_named(words: str, got: str, taskct_says: Says) -> None:
    code, _, err = taskct_says(*words.split())
    assert code == 2 and f", got '{got}' (see" in err


@pytest.mark.parametrize(
    ("words", "got"),
    [
        ("-n3 -nabc", "abc"),
        ("-vnabc", "abc"),
        ("-n 3 -n abc", "abc"),
        ("--size 1 2 --number abc", "abc"),
        ("-n abc -- -n 3", "abc"),
    ],
)
def test_the_refused_value_is_found_in_short_forms(words: str, got: str) -> None:
    number = click.Option(["-n", "--number"], type=int)
    command = click.Command("x", params=[number, click.Option(["-v"], is_flag=True), click.Option(["--size"], nargs=2)])
    command.params.append(click.Argument(["rest"], nargs=-1))
    said = io.StringIO()
    with pytest.raises(click.BadParameter) as caught:
        command.main(words.split(), standalone_mode=False)
    assert explain_words(caught.value, words.split(), to=said) and f", got '{got}' (see" in said.getvalue()


def test_debug_of_wrong_words_adds_the_traceback_and_blames_nobody_else(taskct_says: Says) -> None:
    code, _, err = taskct_says("simulat", "--debug")
    assert code == 2 and "Traceback" in err and "a bug of ours" not in err
    assert err.splitlines()[-1].startswith("taskct: ") and "see taskct --help" in err.splitlines()[-1]


def test_a_verb_without_words_shows_its_help(taskct_says: Says) -> None:
    code, _, err = taskct_says("dose")
    assert code == 2 and err.startswith("Usage: taskct dose") and "--keep" in err


def test_warnings_are_one_line_without_source_code(monkeypatch: pytest.MonkeyPatch, taskct_says: Says) -> None:
    def run() -> None:
        warnings.warn("something\nto know", UserWarning, stacklevel=1)

    monkeypatch.setitem(verbs.VERBS, "hint", "warns")
    monkeypatch.setitem(sys.modules, "taskct.cli.hint", types.SimpleNamespace(run=run, NEEDS_WORDS=False))
    code, _, err = taskct_says("hint")
    assert code == 0 and err == "taskct: note: something to know\n"


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from taskct.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in ('torch', 'numpy', 'pydicom', 'nibabel', 'matplotlib', 'rich') if m in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(name in out for name in verbs.VERBS)
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", verbs.VERBS)
def test_the_help_of_every_verb_needs_no_torch(verb: str) -> None:
    code = (
        f"import sys; from taskct.cli import main\ntry: main(['{verb}', '--help'])\nfinally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"taskct {verb}" in done.stdout


def test_the_version_is_that_of_the_package(taskct_says: Says) -> None:
    from importlib.metadata import version

    assert taskct_says("--version") == (0, f"taskct {version('taskct')}\n", "")


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "taskct", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "taskct", "")


SLOW_WRITER = """
import signal, sys, time, types
from taskct.cli import main, verbs
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, such as these tests may be, ignores it
def run():
    from taskct.core.files import atomic_path
    with atomic_path(sys.argv[1]) as part:
        part.write_text("half")
        print("writing", flush=True)
        time.sleep(60)
verbs.VERBS["slow"] = "writes"
sys.modules["taskct.cli.slow"] = types.SimpleNamespace(run=run, NEEDS_WORDS=False)
main(["slow"])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_leaves_nothing_half_written(tmp_path: Path, number: int, code: int) -> None:
    job = subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, str(tmp_path / "out.txt")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None and job.stdout.readline() == "writing\n"
    os.kill(job.pid, number)
    assert job.wait(timeout=30) == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("demo --out d", "the same command resumes where it was stopped"),
        ("train c.toml -o run", "the same command resumes where it was stopped"),
        ("evaluate cts --each -o run", "the same command resumes where it was stopped"),
        ("data prepare cts -o store", "the same command resumes where it was stopped"),
        ("bench --quick", "the same command with --resume resumes where it was stopped"),
        ("demo --overwrite", "the same command without --overwrite resumes where it was stopped"),
        ("demo --ct ct.nii.gz", "the same command starts again from the beginning"),
        ("demo --ct=ct.nii.gz", "the same command starts again from the beginning"),
        ("demo --classical", "the same command starts again from the beginning"),
        ("evaluate ct.nii.gz -o run", "the same command starts again from the beginning"),
        ("simulate train -o scan.h5", "the same command starts again from the beginning"),
    ],
)
def test_what_an_interrupted_command_does_when_it_is_given_again(command: str, again: str) -> None:
    said = io.StringIO()
    explain(KeyboardInterrupt(), debug=False, words=command.split(), to=said)
    assert said.getvalue() == f"taskct: interrupted; nothing half-written is left, and {again}\n"


@pytest.mark.parametrize("module", ["taskct.cli.exits", "typer"])
def test_an_interrupt_while_modules_are_imported_is_one_line(module: str) -> None:
    code = (
        "import sys\nfrom taskct.cli import main\nclass Stop:\n    def find_spec(self, name, *more):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\nsys.meta_path.insert(0, Stop())\nmain(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "taskct: interrupted\n")
