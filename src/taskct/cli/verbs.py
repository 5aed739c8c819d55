"""The verbs. Each lives in a file of its own name, which is imported when the verb is used: `taskct --help` stays quick.

A verb is a function `run` whose annotated parameters are its options and whose docstring is its help. A new verb is a new
file and a line in `VERBS`.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

import typer
from typer.core import TyperGroup

VERBS = {
    "demo": "a small task-adaptive experiment, or the classical chain on your CT; ends with a report",
    "info": "describe a file or folder, and what is unusual about it",
    "simulate": "CT -> scan file: simulate its low-dose scan",
    "reconstruct": "scan file or CT -> volume: NIfTI or a derived DICOM series",
    "biplanar": "two radiographs of a head -> an estimate of the volume, not for diagnosis",
    "evaluate": "compare methods at several doses -> run folder with a table of scores",
    "dose": "find the least dose that keeps an image quality or a task, or train a learned dose",
    "train": "config -> run folder: train a reader, or a reconstruction for a task",
    "chest": "read your chest CT by a network -> findings, lesions, areas, a page with its limits",
    "models": "list the trained networks that come with the package, or show one",
    "reproduce": "run a whole experiment, or resume it -> tables and a page",
    "report": "run folder -> one HTML page",
    "view": "runs and CT in a local web page: side by side, contours, scores as dose falls",
    "check": "check your own reconstructor, projector or task",
    "bench": "measure the speed of the projectors on this machine, beside other libraries",
    "data": "list public CT data sets: licence, size, source, and how to load them",
}


class LazyVerbs(TyperGroup):
    """A group that knows its verbs by name and one line, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a verb, or None."""
        if cmd_name not in VERBS:
            self.commands = cast(Any, dict.fromkeys(VERBS))  # what the did-you-mean looks at
            return None
        module = importlib.import_module(f"taskct.cli.{cmd_name}")
        made = typer.Typer(add_completion=False, rich_markup_mode=None)
        made.command(cmd_name, no_args_is_help=getattr(module, "NEEDS_WORDS", True))(module.run)
        return typer.main.get_command(made)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in `--help`, from the lines above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(
    cls=LazyVerbs,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"taskct {version('taskct')}")
        raise typer.Exit()


@app.callback()
def taskct(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error. Goes anywhere on the line."),
) -> None:
    """Task-aware low-dose CT: simulate, reconstruct and compare scans, with dose in photons.

    Exit codes: 2 the input is wrong, 3 a file is bad, 4 memory or disk ran out, 1 a bug of ours.
    """
