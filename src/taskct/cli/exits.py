"""Exit codes and the one line that goes with them.

0  done
1  a bug of ours
2  the caller's input is wrong (InputError, or the words of the command line)
3  a file is bad (DataError)
4  memory, disk or a device ran out (ResourceError, MemoryError, a full disk)
130, 143  interrupted or terminated; what was being written has been removed
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from taskct.cli.flag_words import in_flags
from taskct.core.errors import TaskctError

_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EFBIG)
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # torch says it in a RuntimeError


def exit_code(error: BaseException) -> int:
    """What the process returns after `error`.

    >>> exit_code(MemoryError()), exit_code(KeyError("x"))
    (4, 1)
    """
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, TaskctError):
        return error.exit_code
    if _is_resource(error):
        return 4
    if isinstance(error, OSError) and error.filename is not None:
        return 2  # a path that may not be read or written
    return 1


def explain(error: BaseException, *, debug: bool, words: Sequence[str] = (), to: TextIO | None = None) -> None:
    """Say on stderr, in one line, what happened and what to do; with `debug` the traceback comes first.

    `words` are those of the command line: what an interrupted command leaves depends on them.
    """
    to = to or sys.stderr
    if debug:
        traceback.print_exception(error, file=to)
    print(f"taskct: {_one_line(error, words)}", file=to)


def explain_words(error: BaseException, words: Sequence[str], *, debug: bool = False, to: TextIO | None = None) -> bool:
    """Say in one line what is wrong with the words of a command line; False when `error` is about something else.

    A verb without any word gets its whole help, as it asks for that. With `debug` the traceback comes first.
    """
    if not hasattr(error, "format_message"):  # the parser's errors, whichever package they come from
        return False
    to = to or sys.stderr
    if debug:
        traceback.print_exception(error, file=to)
    message = str(error.format_message())
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message, file=to)
        return True
    context = getattr(error, "ctx", None)
    came = _value_of(getattr(error, "param", None), words, getattr(getattr(context, "command", None), "params", ()))
    path = context.command_path if context is not None else " ".join(["taskct", *_verb(words)])
    text = " ".join(message.split()).removesuffix(".")
    print(f"taskct: {text}{came} (see {path} --help)", file=to)
    return True


def warn_in_one_line(words: Sequence[str], message: Warning | str, *where: Any, **more: Any) -> None:
    """A `warnings.showwarning` for people: the message without the line of code that gave it, for the `words` of a command."""
    print(f"taskct: note: {in_flags(' '.join(str(message).split()), words)}", file=sys.stderr)


@contextmanager
def raise_on_terminate() -> Iterator[None]:
    """Let SIGTERM end the process as an exception does, so that temporary files are removed on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _value_of(parameter: Any, words: Sequence[str], known: Sequence[Any]) -> str:
    """', got ...' for an option whose value was refused: the last one given, as that is the one the parser takes.

    `known` are the options of the verb: a word after one that takes a value is a value, whatever it looks like.
    """
    options = {name: p for p in (*known, *([parameter] if parameter else [])) for name in p.opts if name.startswith("-")}
    found = ""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        name, value = _split(word, options)
        option = options.get(name)
        if option is None or getattr(option, "is_flag", False) or getattr(option, "count", False):
            continue
        values = [value] if value is not None else []
        while rest and len(values) < option.nargs:
            values.append(rest.pop(0))
        if values and name in getattr(parameter, "opts", ()):
            found = f", got {' '.join(values)!r}"
    return found


def _split(word: str, options: Mapping[str, Any]) -> tuple[str, str | None]:
    """The option that a word names, and the value written onto it: --out=x, -ox, or after short flags, -vox."""
    if word.startswith("--") or word in options or not word.startswith("-"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    for k, letter in enumerate(word[1:], start=1):
        option = options.get(f"-{letter}")
        if option is None:
            break
        if not (getattr(option, "is_flag", False) or getattr(option, "count", False)):
            return f"-{letter}", word[k + 1 :].removeprefix("=") or None
    return word, None


def _verb(words: Sequence[str]) -> list[str]:
    return [w for w in words if not w.startswith("-")][:1]


def when_given_again(words: Sequence[str]) -> str:
    """What an interrupted command does when it is given again.

    >>> when_given_again(["demo", "--ct", "ct.nii.gz"])
    'the same command starts again from the beginning'
    """
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    verb = "".join(_verb(words))
    resumes = verb in ("train", "reproduce") or "--each" in options or (verb == "data" and "prepare" in words)
    if verb == "demo":
        resumes = not options & {"--ct", "--classical"}
    if verb == "bench" and "--resume" not in options:
        return "the same command with --resume resumes where it was stopped"
    if resumes and "--overwrite" in options:
        return "the same command without --overwrite resumes where it was stopped"
    if resumes or verb == "bench":
        return "the same command resumes where it was stopped"
    return "the same command starts again from the beginning"


def _one_line(error: BaseException, words: Sequence[str] = ()) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; nothing half-written is left, and {when_given_again(words)}"
    if isinstance(error, TaskctError):
        return in_flags(text, words)
    if isinstance(error, OSError) and _is_resource(error):
        return f"{_name(error)}: {error.strerror or text}; free some space or write elsewhere"
    if _is_resource(error):
        return f"out of memory ({text or 'no more to be had'}); take fewer slices, fewer views or a coarser grid"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; check the path and its permissions"
    return (
        f"a bug of ours, {type(error).__name__}: {text or 'no message'}; please report it with what the same command "
        "prints under --debug"
    )


def _name(error: OSError) -> str:
    """The file that an error is about, as a text whatever bytes it holds."""
    return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "the output"


def _is_resource(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in _OUT_OF_SPACE
    return isinstance(error, RuntimeError) and any(s in str(error).lower() for s in _OUT_OF_MEMORY)
