"""`taskct demo`: the task-adaptive experiment in small, or the classical chain on built-in patients or the user's CT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taskct.cli import options

if TYPE_CHECKING:
    pass

NEEDS_WORDS = False


def run(
    out: Path = typer.Option(Path("runs/demo"), "--out", "-o", metavar="FOLDER", help="The folder to write."),
    ct: Path | None = typer.Option(None, metavar="CT", help="Your CT instead of the built-in patients."),
    labels: Path | None = options.LABELS,
    label_name: list[str] = options.LABEL_NAME,
    series: str | None = options.SERIES,
    untilt: bool = options.UNTILT,
    classical: bool = typer.Option(False, "--classical", help="The classical chain on built-in patients."),
    seed: int = options.SEED,
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Train reconstructions for a frozen reader, judge them with readers never used in training, and write a report.

    Nine minutes on two idle cores, trained from nothing; an interrupted demo is resumed. With --ct or --classical instead:
    simulate scans at 100, 25, 10 and 5 % dose, reconstruct by FBP, SIRT, CGLS and TV, compare, write NIfTI and DICOM. Takes
    some minutes; everything appears in the folder at the end, and an interrupted one leaves nothing.
    """
    from taskct.cli.arguments import parse_label_names
    from taskct.cli.scanning import show_notes
    from taskct.core.errors import InputError
    from taskct.core.runs import refuse_run
    from taskct.systems.classical.classical_demo import classical_demo
    from taskct.systems.classical.demo_patients import patients_of_ct, phantom_patients

    if ct is None and (labels is not None or label_name or series is not None or untilt):
        raise InputError(
            "--labels, --label-name, --series and --untilt go with --ct; the built-in patients bring their own labels"
        )
    if ct is None and not classical:
        task_demo(out, seed=seed, overwrite=overwrite)
        return
    refuse_run(out, overwrite=overwrite)
    if ct is None:
        patients = phantom_patients(seed)
    else:
        names = parse_label_names(label_name)
        patients = patients_of_ct(ct, labels=labels, label_names=names, series=series, untilt=untilt)
        show_notes(patients.shown)
    classical_demo(patients, out, seed=seed, overwrite=overwrite, say=typer.echo)


def task_demo(out: Path, *, seed: int = 0, overwrite: bool = False, say: Callable[[str], None] = typer.echo) -> None:
    """The task-adaptive experiment in small; its first lines, and where its page is."""
    from taskct.core.open_files import read_text
    from taskct.systems.catalogue import reproduce

    page = reproduce("task-adaptive", out, preset="small", changes={"seed": seed}, overwrite=overwrite, say=say)
    say("\n" + read_text(page.parent / "report" / "summary.txt"))
    say(f"{page}: tables beside it in {page.parent / 'report'}")
