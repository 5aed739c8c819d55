"""`taskct demo`: what taskct shows in two minutes, with the networks that come with it, or the classical chain on your CT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from taskct.cli import options

NEEDS_WORDS = False
SYSTEMS = {
    "adaptive": ("task-adaptive-demo", "task-adaptive"),
    "dose": ("dose-demo", "dose"),
    "biplanar": ("biplanar-demo", "biplanar"),
    "chest": ("chest-demo", "chest"),
}
"""System -> the experiment with networks of the package, and the one that trains them."""
_NEXT = {
    "adaptive": (
        "taskct models                                             the networks you have just seen, and their cards",
        "taskct demo dose                                          how little dose is enough",
        "taskct demo --ct YOUR_CT                                  the classical chain on your own CT",
        "taskct train configs/cohort_plain.toml -o runs/plain      a reconstruction of your own (docs/training.md)",
        "taskct demo --train                                       the same, trained from nothing",
    ),
    "dose": (
        "taskct dose fbp --ct YOUR_CT --keep 'rmse_hu<=20' --out runs/dose     the search on your own CT",
        "taskct models show abdomen-dose                                       what the learned dose knows",
        "taskct demo dose --train                                              the same, trained from nothing",
    ),
    "biplanar": (
        "taskct biplanar AP LAT --poses poses.toml --out runs/mine             your own pair of radiographs",
        "taskct models show skull-unrolled                                     what the network learnt from, and its limits",
        "taskct demo biplanar --train                                          the same, trained from nothing",
    ),
    "chest": (
        "taskct models show chest-four-heads                        what the network learnt from, and its limits",
        "taskct reproduce chest --preset first                      trains it from nothing",
        "taskct reproduce chest                                     heads together, alone, and in a reconstruction's loss",
    ),
}


def run(
    system: str = typer.Argument("adaptive", metavar="adaptive|dose|biplanar|chest", help="Which system to show."),
    out: Path | None = typer.Option(
        None,
        "--out",
        "-o",
        metavar="FOLDER",
        help="The folder to write.  [default: runs/demo, runs/demo-SYSTEM]",
        show_default=False,
    ),
    train: bool = typer.Option(False, "--train", help="Train everything from nothing: nine minutes instead of two."),
    ct: Path | None = typer.Option(None, metavar="CT", help="Your CT instead of the built-in patients."),
    labels: Path | None = options.LABELS,
    label_name: list[str] = options.LABEL_NAME,
    series: str | None = options.SERIES,
    untilt: bool = options.UNTILT,
    slices: str | None = options.SLICES,
    every: int = typer.Option(0, min=0, help="Use at most this many slices of the CT, evenly spaced; 0: all of --slices."),
    classical: bool = typer.Option(False, "--classical", help="The classical chain on built-in patients."),
    sirt: bool = typer.Option(False, "--sirt", help="SIRT in the classical chain, which then takes twice as long."),
    seed: int | None = typer.Option(None, help="Of patients and noise.  [default: fixed]", show_default=False),
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Judge the networks that come with taskct on built-in patients that no training saw, and write a page.

    Two doses, two readers never used in training; `dose` searches for the least dose and compares a learned one; `biplanar`
    makes skulls of two radiographs, beside what the mean skull alone gives; `chest` reads chests with a network of four
    heads. Two minutes on two cores; --train trains all from nothing first. The same command resumes an interrupted
    demo. With --ct or --classical instead: simulate scans at 100, 25, 10 and 5 % dose, reconstruct by FBP, CGLS and TV,
    compare, write NIfTI and DICOM; an interrupted demo of this kind starts again.
    """
    from taskct.cli.arguments import parse_label_names, parse_slices
    from taskct.cli.scanning import show_notes
    from taskct.core.errors import InputError, unknown_name
    from taskct.core.runs import refuse_run
    from taskct.systems.classical.classical_demo import WRITTEN, classical_demo
    from taskct.systems.classical.demo_patients import patients_of_ct, phantom_patients

    if system not in SYSTEMS:
        raise unknown_name("demo", system, SYSTEMS, InputError)
    if ct is None and (labels is not None or label_name or series is not None or untilt or slices is not None or every):
        raise InputError(
            "--labels, --label-name, --series, --untilt, --slices and --every go with --ct; the built-in patients are taken "
            "whole, with labels of their own"
        )
    if (ct is not None or classical) and (train or system != "adaptive"):
        raise InputError("--ct and --classical run the classical chain; leave out --train and the name of a system")
    if sirt and ct is None and not classical:
        raise InputError("--sirt goes with --ct or --classical: the other demos judge networks")
    folder = out or Path("runs/demo" if system == "adaptive" else f"runs/demo-{system}")
    if ct is None and not classical:
        show_system(system, folder, train=train, seed=seed, overwrite=overwrite)
        return
    refuse_run(folder, overwrite=overwrite, ours=WRITTEN, sources=[one for one in (ct, labels) if one is not None])
    if ct is None:
        patients = phantom_patients(seed or 0)
    else:
        names, chosen = parse_label_names(label_name), parse_slices(slices)
        patients = patients_of_ct(
            ct, labels=labels, label_names=names, series=series, untilt=untilt, slices=chosen, every=every
        )
        show_notes(patients.shown)
    classical_demo(patients, folder, sirt_too=sirt, seed=seed or 0, overwrite=overwrite, say=typer.echo)


def show_system(
    system: str,
    out: Path,
    *,
    train: bool = False,
    seed: int | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = typer.echo,
) -> None:
    """One system in small: its first lines, where its pages are, and what to do next."""
    from taskct.core.open_files import read_text
    from taskct.systems.catalogue import reproduce

    name = SYSTEMS[system][train]
    changes = {} if seed is None else {"seed": seed}
    page = reproduce(name, out, preset="small" if train else "full", changes=changes, overwrite=overwrite, say=say)
    report = page.parent / "report"
    if (report / "summary.txt").exists():
        say("\n" + read_text(report / "summary.txt"))
    more = [str(page.resolve().with_name(file.name)) for file in sorted(report.glob("*.html")) if file.name != page.name]
    say(f"The page: {page.resolve()}" + (f"\nand {', '.join(more)}" if more else "") + f"\nTables: {report}")
    say("\nNext:\n  " + "\n  ".join(_NEXT[system]))
