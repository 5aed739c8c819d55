"""Studies of an experiment's folder: the example slices of its scored methods, with what readers marked in them.

Each scored method is a step with table.csv, about.json (its name and seed) and example images. Truth and labels are in the
step that drew the patients. Steps that are not done yet are left out, and `unfinished` names them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, InputError
from taskct.core.runs import Run, is_run, load_run
from taskct.core.units import to_hu
from taskct.evaluation.rows import Example
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import images_of
from taskct.experiments.example_images import EXAMPLES, ExampleImages, read_examples
from taskct.experiments.step_record import RECORDS, read_record
from taskct.viewer.run_study import TRUTH, Mark, RunStudy

ABOUT, LAST_STEP, DRAWN = "about.json", "report", "test"


class _Scored(NamedTuple):
    """One scored method: its name and its example images."""

    method: str
    kept: ExampleImages


def experiment_studies(run: Run) -> list[RunStudy]:
    """The example slices of an experiment, a study of one plane each; `unfinished` says which steps are missing.

    Raises InputError for an experiment that has no images to show, or none yet.
    """
    waiting = unfinished_words(run.folder)
    name = str(run.config.get("experiment", {}).get("name", "experiment"))
    scored = [one for folder in _steps(run.folder) if (one := _read(folder)) is not None]
    drawn = next((folder for folder in _steps(run.folder) if (folder / f"{DRAWN}.safetensors").is_file()), None)
    if not scored or drawn is None:
        raise InputError(
            f"{run.folder}: this experiment ({name}) has no example images" + (f" yet: it is {waiting}" if waiting else "")
        )
    images = images_of(drawn, DRAWN)
    hu = to_hu(images.mu, mu_water_per_mm=images.mu_water_per_mm, mu_air_per_mm=images.mu_air_per_mm)[:, 0]
    first = scored[0].kept
    studies = []
    for number in first.numbers:
        if not 0 <= number < len(images):
            raise FileFormatError(f"{run.folder}: an example is image {number}, and the experiment has {len(images)}")
        labels = None if images.labels is None else images.labels[number].clone()
        example = Example(images.ids[number], number, first.spacing_mm, hu[number], {}, labels, None, dict(first.label_names))
        marks: dict[Mark, Tensor] = {}
        for method, kept in scored:
            if number not in kept.numbers:
                continue
            place = kept.numbers.index(number)
            truth_again = all(torch.allclose(values[place], hu[number], atol=1) for values in kept.hu.values())
            if not truth_again:
                example.recon_hu.update({(method, level): values[place] for level, values in kept.hu.items()})
            for (level, reader), values in kept.marks.items():
                marks[Mark(0, TRUTH if truth_again else method, level, reader)] = values[place]
        studies.append(
            RunStudy(
                [example], Table([]), title=images.ids[number], names=[images.ids[number]], marks=marks, unfinished=waiting,
                notes=(f"{name}, {run.folder.name}",),
            )
        )  # fmt: skip
    return studies


def unfinished_words(folder: Path) -> str:
    """What an experiment's folder still lacks, in words; '' when its last step is done."""
    records = folder / RECORDS
    names = sorted(path.stem for path in records.glob("*.json")) if records.is_dir() else []
    done = [name for name in names if read_record(folder, name).get("done")]
    failed = sorted(path.stem for path in records.glob("*.error")) if records.is_dir() else []
    if LAST_STEP in done and not failed:
        return ""
    begun = [name for name in names if name not in done and name not in failed]
    words = f"unfinished: {len(done)} step{'' if len(done) == 1 else 's'} done"
    words += f", {', '.join(begun)} begun" if begun else ""
    return words + (f", {', '.join(failed)} failed" if failed else "") + "; the same command resumes it"


def _steps(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.is_symlink() and is_run(child))


def _read(folder: Path) -> _Scored | None:
    """A scored method whose files are all there; None for another step, or for one that is being written."""
    run = load_run(folder)
    if not all(run.path(name).exists() for name in (EXAMPLES, ABOUT, "table.csv")):
        return None
    about = run.read_json(ABOUT)
    if int(about.get("seed") or 0) > 0:  # trainings of further seeds are repeats of the same method
        return None
    table = Table.read(folder)
    kept = read_examples(run, {row.dose for row in table.rows})
    return None if kept is None else _Scored(str(about.get("method", folder.name)), kept)
