"""Studies of an experiment's folder: the example slices of its scored methods, with what readers marked in them.

Each scored method is a step with table.csv, about.json (its name and seed) and examples.safetensors: images as hu@PHOTONS, a
reader's marks as READER@PHOTONS. Truth and labels are in the step that drew the patients. Steps that are not done yet are
left out, and `unfinished` names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, InputError
from taskct.core.open_files import parsing
from taskct.core.runs import Run, is_run, load_run
from taskct.core.units import to_hu
from taskct.evaluation.rows import DoseLevel, Example
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import images_of
from taskct.experiments.step_record import RECORDS, read_record
from taskct.viewer.run_study import TRUTH, Mark, RunStudy

EXAMPLES, ABOUT, LAST_STEP, DRAWN = "examples.safetensors", "about.json", "report", "test"


class _Scored(NamedTuple):
    """One scored method: its name, its table, tensors and their metadata."""

    method: str
    table: Table
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, str]


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
    studies = []
    for place, number in enumerate(_numbers(scored[0], run.folder)):
        if not 0 <= number < len(images):
            raise FileFormatError(f"{run.folder}: an example is image {number}, and the experiment has {len(images)}")
        labels = None if images.labels is None else images.labels[number].clone()
        example = Example(
            images.ids[number], number, _spacing(scored[0]), hu[number], {}, labels, None, _label_names(scored[0])
        )
        marks: dict[Mark, Tensor] = {}
        for one in scored:
            if _numbers(one, run.folder)[place] != number:
                continue
            found = list(_values(one))
            truth_again = all(torch.allclose(v[place, 0].float(), hu[number], atol=1) for what, _, v in found if what == "hu")
            for what, level, values in found:
                if what != "hu":
                    marks[Mark(0, TRUTH if truth_again else one.method, level, what)] = values[place]
                elif not truth_again:
                    example.recon_hu[one.method, level] = values[place, 0].float()
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
    mapped, facts = run.load_tensors(EXAMPLES)
    tensors = {name: values.clone() for name, values in mapped.items()}  # what is read stays, whatever becomes of the file
    if "slices" not in facts or not any(key.startswith("hu@") for key in tensors):
        return None  # the examples of an experiment of another kind
    return _Scored(str(about.get("method", folder.name)), Table.read(folder), tensors, facts)


def _numbers(one: _Scored, folder: Path) -> list[int]:
    with parsing(folder / EXAMPLES, "slices of examples"):
        return [int(n) for n in json.loads(one.facts["slices"])]


def _values(one: _Scored) -> Iterator[tuple[str, DoseLevel, Tensor]]:
    """(hu or a reader's name, dose, values) of each tensor whose dose the table has."""
    levels = {f"{dose.used_photons:g}": dose for dose in {row.dose for row in one.table.rows}}
    for key, values in one.tensors.items():
        what, _, photons = key.rpartition("@")
        if what and photons in levels:
            yield what, levels[photons], values


def _spacing(one: _Scored) -> tuple[float, float]:
    """Pixels in mm, 1 where an older folder does not state them."""
    dy, dx = json.loads(one.facts.get("spacing_mm", "[1, 1]"))
    return float(dy), float(dx)


def _label_names(one: _Scored) -> dict[int, str]:
    """Names of the classes; none where an older folder does not state them."""
    return {int(k): str(v) for k, v in json.loads(one.facts.get("label_names", "{}")).items()}
