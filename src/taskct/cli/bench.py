"""`taskct bench`: how fast the projectors are on this machine, beside their peers and its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from taskct.cli import options

NEEDS_WORDS = False


def run(
    out: Path = typer.Option(
        Path("runs/bench.json"), metavar="FILE.json", help="Output file; a table and a figure are written beside it."
    ),
    peers: Path | None = typer.Option(
        None, metavar="PYTHON", help="Python of an environment with peers: astra-toolbox, odl, scikit-image, itk-rtk."
    ),
    quick: bool = typer.Option(False, "--quick", help="One small case of each kind: a minute."),
    threads: str = typer.Option("1,2", help="Thread counts; the first one is compared with the peers."),
    rounds: int | None = typer.Option(None, min=1, help="Turns of each side, alternating.  [default: 3; 2 with --quick]"),
    only: str = typer.Option("", metavar="TEXT", help="Only what contains this, such as 'cone 128' or fan/adjoint."),
    resume: bool = typer.Option(False, "--resume", help="Resume an interrupted measurement from FILE.json."),
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Measure the projectors: CPU and wall seconds, memory, agreement with float64, peers, and the limit of the machine.

    Results are written after each measurement, so a run that is stopped loses nothing.
    """
    from dataclasses import replace

    from taskct.bench import full_plan, quick_plan, read_bench, run_bench, write_bench
    from taskct.bench.bench_files import outputs
    from taskct.cli.arguments import parse_numbers
    from taskct.core.errors import InputError

    counts = parse_numbers(threads, option="--threads")
    if any(n != int(n) or n > 1024 for n in counts) or len(set(counts)) < len(counts):
        raise InputError(
            f"--threads expects different whole numbers with commas between them, got {threads!r}; for example 1,2"
        )
    plan = quick_plan() if quick else full_plan()
    plan = replace(plan, threads=tuple(int(n) for n in counts), rounds=rounds or plan.rounds)
    outputs(out, overwrite=overwrite or resume)
    earlier = read_bench(out) if resume else None
    words = "taskct bench" + " --quick" * quick + " --peers PYTHON" * bool(peers)

    def keep(result: dict[str, Any]) -> None:
        write_bench(result, out, overwrite=True, command=words, figure=False)

    result = run_bench(plan, peers_python=peers, only=only, say=typer.echo, keep=keep, earlier=earlier)
    for path in write_bench(result, out, overwrite=True, command=words):
        typer.echo(str(path))
