"""`taskct report`: run folder -> one HTML page."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options


def run(
    folder: Path = typer.Argument(..., metavar="RUN", help="The run of an evaluation or of a training."),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="PAGE.html", help="Where to write.  [default: RUN/report.html]", show_default=False
    ),
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Write the report of a run: one self-contained HTML file with tables, curves, images and the protocol.

    Of a training: how it learnt, what is known of the network, and a reconstruction beside FBP on built-in patients.
    """
    from taskct.core.errors import InputError
    from taskct.core.files import refuse_existing
    from taskct.core.runs import load_run
    from taskct.core.write_locks import claim
    from taskct.models.model_folder import kind_of_config
    from taskct.report import write_report
    from taskct.report.training_page import refuse_other_run, write_training_page

    run_folder = load_run(folder)
    page = out or folder / "report.html"
    if page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{page}: the report is a page; give a name that ends in .html")
    claim(page)
    refuse_existing(page, overwrite=overwrite)
    refuse_other_run(run_folder)
    if kind_of_config(run_folder.config):
        write_training_page(run_folder, page, overwrite=overwrite)
    else:
        write_report(run_folder, page, overwrite=overwrite)
    typer.echo(f"{page}: {page.stat().st_size / 2**20:.1f} MiB")
