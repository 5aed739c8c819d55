"""The command line `taskct`: each verb parses its words, calls public functions, and prints.

Results go to stdout, messages and progress bars to stderr. One line says what went wrong and the exit code whose fault
it was (see `exits`); `--debug`, anywhere on the line, adds the traceback.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run `taskct` with `args` (default: the words of this process) and exit."""
    try:  # Ctrl-C may come while the first modules are being imported
        _main(list(sys.argv[1:] if args is None else args))
    except KeyboardInterrupt:
        print("taskct: interrupted", file=sys.stderr)
        sys.exit(130)


def _main(words: list[str]) -> None:
    import warnings
    from functools import partial

    from taskct.cli.exits import exit_code, explain, explain_words, raise_on_terminate, warn_in_one_line
    from taskct.cli.verbs import app
    from taskct.core.write_locks import release_claims

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files may hold bytes that are not UTF-8
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    with warnings.catch_warnings(), raise_on_terminate():
        if not debug:
            warnings.showwarning = partial(warn_in_one_line, words)
        try:
            code = app(words, prog_name="taskct", standalone_mode=False)
        except (Exception, KeyboardInterrupt) as error:
            if explain_words(error, words, debug=debug):
                sys.exit(2)
            explain(error, debug=debug, words=words)
            sys.exit(exit_code(error))
        finally:
            release_claims()
        if code == exit_code(KeyboardInterrupt()):
            explain(KeyboardInterrupt(), debug=False, words=words)
        sys.exit(code)
