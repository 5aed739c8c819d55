"""`taskct reproduce NAME`: a whole experiment -> its folder and page; what was stopped goes on."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    name: str | None = typer.Argument(None, metavar="NAME", help="Which experiment; --list names them."),
    out: Path | None = typer.Option(
        None,
        "--out",
        "-o",
        metavar="FOLDER",
        help="Where to do it, or to go on with it.  [default: runs/NAME]",
        show_default=False,
    ),
    small: bool = typer.Option(False, "--small", help="Ten minutes on two cores."),
    full: bool = typer.Option(False, "--full", help="Hours on two cores; the default."),
    gpu: bool = typer.Option(False, "--gpu", help="Longer trainings and three seeds, for a GPU."),
    preset: str = typer.Option("", "--preset", metavar="NAME", help="Another size that the experiment knows by name."),
    change: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="Replace a setting: seeds=3. Repeatable."),
    workers: int = typer.Option(0, min=0, help="Processes of one thread each; 0: one for each core."),
    only_report: bool = typer.Option(False, "--only-report", help="Only the page of what is done already."),
    show_list: bool = typer.Option(False, "--list", help="Name the experiments."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Begin anew."),
) -> None:
    """Do a whole experiment: every step is a folder that is made once, so more arms or seeds only add to it.

    Stop it at any time; the same command goes on, to the same numbers. Several may work at one folder together.
    Example: taskct reproduce task-adaptive --out runs/task --set losses='["plain", "label-0.5"]'
    """
    from taskct.core.config import parse_assignments
    from taskct.core.errors import InputError
    from taskct.systems.catalogue import check_name, describe, parse_changes, reproduce

    if show_list:
        typer.echo(describe())
        return
    chosen = [name for name, asked in (("small", small), ("full", full), ("gpu", gpu), (preset, preset)) if asked]
    if len(chosen) > 1:
        raise InputError(f"{chosen[0]} and {chosen[1]} are two sizes; give one of --small, --full, --gpu, --preset")
    which = check_name(name)
    page = reproduce(
        which,
        out or Path("runs") / which,
        preset=chosen[0] if chosen else "full",
        changes=parse_changes(parse_assignments(change)),
        workers=workers,
        overwrite=overwrite,
        only_report=only_report,
        say=typer.echo,
    )
    typer.echo(f"{page}: {page.stat().st_size / 2**20:.1f} MiB; tables beside it in {page.parent / 'report'}")
