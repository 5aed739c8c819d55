"""`taskct report`: run folder -> one HTML page."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options


def run(
    folder: Path = typer.Argument(..., metavar="RUN", help="A run folder with a table."),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="PAGE.html", help="Where to write.  [default: RUN/report.html]", show_default=False
    ),
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Write the report of a run: one self-contained HTML file with tables, curves, images and the protocol."""
    from taskct.core.files import refuse_existing
    from taskct.core.runs import load_run
    from taskct.core.write_locks import claim
    from taskct.report import write_report

    run_folder = load_run(folder)
    page = out or folder / "report.html"
    claim(page)
    refuse_existing(page, overwrite=overwrite)
    write_report(run_folder, page, overwrite=overwrite)
    typer.echo(f"{page}: {page.stat().st_size / 2**20:.1f} MiB")
