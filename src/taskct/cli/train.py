"""`taskct train CONFIG`: a reader or a reconstruction -> a run folder; an interrupted run is resumed."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    config: Path = typer.Argument(..., metavar="CONFIG", help="A TOML file; configs/ holds examples."),
    out: Path = typer.Option(..., "--out", "-o", metavar="RUN", help="Output folder; an unfinished run there is resumed."),
    change: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Replace a value of the config: training.steps=100. Repeatable."
    ),
    model: str | None = typer.Option(
        None, metavar="FILE.py:NAME", help="Your own module (p, A) -> mu instead of the config's [model]."
    ),
    threads: int | None = typer.Option(None, min=1, help="CPU threads of this process."),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Write TensorBoard events too (needs taskct[log])."),
) -> None:
    """Train a reader on full dose, or a reconstruction for a task; under torchrun, on several processes.

    Ctrl-C finishes the current step and saves; the same command then resumes the run and ends with the same weights.
    Example: taskct train configs/cohort_reader.toml -o runs/reader
    """
    from torch import set_num_threads

    from taskct.cli.user_code import load_module
    from taskct.core.config import parse_assignments
    from taskct.core.runs import load_run
    from taskct.training.loop import Trained
    from taskct.training.metrics_log import best_validation
    from taskct.training.processes import processes_of_torchrun, rank
    from taskct.training.training_config import read_plan, run_plan

    plan = read_plan(config, parse_assignments(change))
    own = load_module(model)
    if threads:
        set_num_threads(threads)
    with processes_of_torchrun():
        done = run_plan(plan, out, model=own, tensorboard=tensorboard)
        if rank() == 0:
            if best := best_validation(load_run(out)):
                line, count = best
                shown = ", ".join(f"{k} {v:.4g}" for k, v in line.items() if k not in ("kind", "step"))
                typer.echo(f"best of {count} validations at step {line['step']}: {shown}")
            how = f"{done.steps} steps ({done.stopped})" if isinstance(done, Trained) else "reader"
            typer.echo(f"{out}: weights.safetensors, metrics.csv, config.toml; {how}")
            if isinstance(done, Trained) and done.remark:
                typer.echo(f"{out}: {done.remark}")
