"""`taskct reproduce NAME`: a whole experiment -> its folder and page; an experiment that was stopped is resumed."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options


def run(
    name: str | None = typer.Argument(None, metavar="NAME", help="Which experiment; --list names them."),
    out: Path | None = typer.Option(
        None,
        "--out",
        "-o",
        metavar="FOLDER",
        help="Output folder; an unfinished experiment there is resumed.  [default: runs/NAME]",
        show_default=False,
    ),
    small: bool = typer.Option(False, "--small", help="Ten minutes on two cores."),
    full: bool = typer.Option(False, "--full", help="Hours on two cores; the default."),
    gpu: bool = typer.Option(False, "--gpu", help="Longer trainings and three seeds, for a GPU."),
    preset: str = typer.Option("", "--preset", metavar="NAME", help="Another size of the experiment, by name."),
    data: Path | None = typer.Option(
        None,
        metavar="FOLDER",
        help="A public data set in place of the built-in patients: LiTS or MSD Task03 (task-adaptive), LoDoPaB-CT (dose).",
        show_default=False,
    ),
    change: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="Replace a setting: seeds=3. Repeatable."),
    workers: int = typer.Option(0, min=0, help="Processes of one thread each, by Dask; 0: one for each core."),
    cluster: str = options.CLUSTER,
    cluster_config: Path | None = options.CLUSTER_CONFIG,
    only_report: bool = typer.Option(False, "--only-report", help="Write the page of the finished steps only; run nothing."),
    show_list: bool = typer.Option(False, "--list", help="Name the experiments."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Start again, and replace what exists."),
) -> None:
    """Run a whole experiment. Every step is a folder that is made once, so further arms or seeds only add to it.

    Stop it at any time; the same command resumes it, to the same numbers, with any number of workers on any cluster.

    \b
    Examples:
      taskct reproduce task-adaptive --out runs/task --set losses='["plain", "label-0.5"]'
      taskct reproduce task-adaptive --data LiTS/ --out runs/lits
      taskct reproduce dose --cluster slurm --workers 16 --cluster-config cluster.toml
    """
    from taskct.core.config import parse_assignments
    from taskct.core.errors import InputError
    from taskct.core.workers import chosen_workers
    from taskct.systems.catalogue import check_name, describe, reproduce

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
        preset=chosen[0] if chosen else "",
        data=data,
        changes=parse_assignments(change),
        workers=chosen_workers(workers, cluster, cluster_config),
        overwrite=overwrite,
        only_report=only_report,
        say=typer.echo,
    )
    typer.echo(f"{page}: {page.stat().st_size / 2**20:.1f} MiB; tables beside it in {page.parent / 'report'}")
