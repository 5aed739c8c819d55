"""`--each`: a verb for every CT or scan of a folder, with a summary and an exit code for all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from taskct.cli.flag_words import in_flags
from taskct.core.errors import InputError

if TYPE_CHECKING:
    from taskct.core.each_input import EachSummary, InputJob
    from taskct.data.case import Case
    from taskct.data.sets.case_place import CasePlace

_WORST_FIRST = (1, 4, 3, 2)


def jobs_of_cases(
    folder: Path, out: Path, suffix: str, work: Callable[[CasePlace, Path], str], *, labels: Path | None = None
) -> list[InputJob]:
    """A job for every CT of a folder; its output is `out`/NAME + `suffix`."""
    from taskct.core.each_input import InputJob
    from taskct.data.each_case import named_places

    def job(name: str, place: CasePlace) -> InputJob:
        target = out / (name + suffix)
        return InputJob(name, str(place.name), target, lambda: work(place, target))

    return [job(name, place) for name, place in named_places(folder, labels=labels).items()]


def open_one(place: CasePlace, *, untilt: bool = False, label_names: Mapping[int, str] | None = None) -> Case:
    """The CT of a place; what is odd about it goes to stderr."""
    from taskct.cli.scanning import show_notes
    from taskct.data.open import open_place
    from taskct.data.padding import refuse_label_map

    case = open_place(place, untilt=untilt, label_names=label_names)
    refuse_label_map(place.name, case.hu.numpy())
    show_notes(case)
    return case


def finish(jobs: Sequence[InputJob], folder: Path, out: Path, settings: Mapping[str, Any], *, overwrite: bool) -> EachSummary:
    """Do the jobs of a folder, and print their summary on stdout."""
    from taskct.core.each_input import SUMMARY, do_each

    found = do_each(jobs, out, settings={"folder": str(folder.resolve()), **settings}, overwrite=overwrite)
    typer.echo(f"{in_flags(str(found), ['reconstruct', '--set'])}\n{out}: {SUMMARY}")
    return found


def leave(found: EachSummary) -> None:
    """End with the exit code of the worst failure: a bug, then memory or disk, bad files, wrong input."""
    from taskct.cli.exits import exit_code

    codes = {exit_code(error) for error in found.errors}
    if codes:
        raise typer.Exit(next(code for code in (*_WORST_FIRST, *codes) if code in codes))


def refuse_output_of_each(out: Path, folder: Path) -> None:
    """The output of --each is a folder, and lies outside of the one whose files are its inputs."""
    if out.suffix in (".h5", ".gz", ".nii"):
        raise InputError(f"{out}: --each writes a folder with one output for each input; give a name without {out.suffix}")
    if folder.resolve() in out.resolve().parents:
        raise InputError(
            f"{out}: lies in the input {folder}, so that its files would be inputs of the next call; choose another"
        )
