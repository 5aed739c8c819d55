"""`taskct info`: what is in a file or folder, and what is unusual about it."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options


def run(
    path: Path | None = typer.Argument(None, metavar="PATH", help="DICOM folder or file, volume, scan file or run folder."),
    labels: Path | None = options.LABELS,
    untilt: bool = options.UNTILT,
    system: bool = typer.Option(False, "--system", help="Versions, threads, and which projector kernels run and why."),
) -> None:
    """Say what is in a file or folder: series, spacing, HU range, orientation, and what is unusual about it."""
    from taskct.core.errors import InputError
    from taskct.core.files import existing_path
    from taskct.report.file_description import describe_path
    from taskct.report.machine_description import describe_machine

    if system == (path is not None):
        raise InputError("give either a PATH to look at, or --system")
    for line in (
        describe_machine()
        if (found := path and existing_path(path)) is None
        else describe_path(found, labels=labels, untilt=untilt)
    ):
        typer.echo(line)
