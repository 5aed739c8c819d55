"""`taskct check FILE.py:NAME`: the user's own part against its contract."""

from __future__ import annotations

import typer


def run(
    part: str = typer.Argument(
        ...,
        metavar="FILE.py:NAME",
        help="Your reconstructor (p, A) -> mu, your projector or your FrozenTask; a class, or a function that takes nothing, "
        "is called first.",
    ),
    mu_tolerance: float = typer.Option(0.03, help="How far from 0.02/mm a disk may come out, relative."),
    linear: bool = typer.Option(False, "--linear", help="Also check that twice the p gives twice the mu."),
    gradient: bool = typer.Option(False, "--gradient", help="Also check the gradient with respect to p."),
    shape: str = typer.Option("64,64", help="A task: size of its test images, Y,X or Z,Y,X."),
    classes: int = typer.Option(3, help="A task: how many classes its label maps have, background included."),
) -> None:
    """Check your own reconstructor, projector or task: shapes, mu in = mu out, place, determinism, freezing, gradients.

    Naming the file on the command line runs its code, as python would. Exit code 2 when a check fails.
    """
    from taskct.cli.arguments import parse_numbers
    from taskct.cli.user_code import load_part
    from taskct.core.errors import InputError
    from taskct.task import FrozenTask
    from taskct.testing import check_projector, check_reconstructor, check_task

    made = load_part(part)
    if isinstance(made, FrozenTask):
        sizes = [int(n) for n in parse_numbers(shape, option="--shape")]
        if len(sizes) not in (2, 3) or min(sizes) < 8:
            raise InputError(f"--shape expects Y,X or Z,Y,X of 8 or more, got {shape!r}")
        findings = check_task(made, shape=sizes, classes=classes)
    elif hasattr(made, "adjoint") and hasattr(made, "mu_shape"):
        findings = check_projector(made)
    else:
        findings = check_reconstructor(made, mu_tolerance=mu_tolerance, linear=linear, gradient=gradient or None)
    typer.echo(str(findings))
    if not findings.passed:
        raise typer.Exit(2)
