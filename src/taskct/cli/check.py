"""`taskct check FILE.py:NAME`: the user's own part against the contract."""

from __future__ import annotations

import typer


def run(
    part: str = typer.Argument(
        ...,
        metavar="FILE.py:NAME",
        help="Your reconstructor (p, A) -> mu, or your projector; a class is made without arguments.",
    ),
    mu_tolerance: float = typer.Option(0.03, help="How far from 0.02/mm a disk may come out, relative."),
    linear: bool = typer.Option(False, "--linear", help="Ask also whether twice the p gives twice the mu."),
    gradient: bool = typer.Option(False, "--gradient", help="Ask for a gradient with respect to p."),
) -> None:
    """Check your own reconstructor or projector: shapes, mu in = mu out, place, batch, determinism, adjoint, gradients.

    Naming the file on the command line runs its code, as python would. Exit code 2 when a check fails.
    """
    from taskct.cli.user_code import load_part
    from taskct.testing import check_projector, check_reconstructor

    made = load_part(part)
    if hasattr(made, "adjoint") and hasattr(made, "mu_shape"):
        findings = check_projector(made)
    else:
        findings = check_reconstructor(made, mu_tolerance=mu_tolerance, linear=linear, gradient=gradient or None)
    typer.echo(str(findings))
    if not findings.passed:
        raise typer.Exit(2)
