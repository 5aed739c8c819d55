"""Example images in the folder of a scored method: its images, and what readers marked in them, at every dose.

examples.safetensors holds tensors hu@PHOTONS (images in HU, (N, 1, Y, X)) and READER@PHOTONS (marks, (N, Y, X)); its metadata
says which images of the test set they are, and the size of their pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taskct.core.open_files import parsing
from taskct.core.runs import Run
from taskct.evaluation.rows import DoseLevel

EXAMPLES = "examples.safetensors"
_IMAGES = "hu"


@dataclass(frozen=True, eq=False)
class ExampleImages:
    """Example images `numbers` of the test set, in HU (N, Y, X) by dose, and marks (N, Y, X) by dose and reader."""

    numbers: tuple[int, ...]
    spacing_mm: tuple[float, float]
    label_names: Mapping[int, str]
    hu: Mapping[DoseLevel, Tensor]
    marks: Mapping[tuple[DoseLevel, str], Tensor]


def example_key(what: str, photons: float) -> str:
    """The name of a tensor: `what` is "hu" or the name of a reader, `photons` are those used.

    >>> example_key("hu", 65536.0)
    'hu@65536'
    """
    return f"{what}@{photons:g}"


def save_examples(
    run: Run,
    tensors: Mapping[str, Tensor],
    *,
    numbers: Sequence[int],
    spacing_mm: Sequence[float],
    label_names: Mapping[int, str],
) -> None:
    """Write tensors named by `example_key`, each of the images `numbers` of the test set."""
    facts = {"slices": numbers, "spacing_mm": spacing_mm, "label_names": label_names}
    run.save_tensors(EXAMPLES, tensors, metadata={name: json.dumps(value) for name, value in facts.items()}, overwrite=True)


def read_examples(run: Run, doses: Iterable[DoseLevel]) -> ExampleImages | None:
    """What a step kept at these doses; None where it kept no images, as steps of other experiments.

    Pixels are 1 mm and labels have no names where an older folder does not state them.
    """
    mapped, facts = run.load_tensors(EXAMPLES)
    levels = {f"{dose.used_photons:g}": dose for dose in doses}
    hu: dict[DoseLevel, Tensor] = {}
    marks: dict[tuple[DoseLevel, str], Tensor] = {}
    for key, values in mapped.items():
        what, _, photons = key.rpartition("@")
        if photons in levels and what == _IMAGES:
            hu[levels[photons]] = values[:, 0].to(torch.float32, copy=True)  # stays, whatever becomes of the file
        elif photons in levels and what:
            marks[levels[photons], what] = values.clone()
    if "slices" not in facts or not hu:
        return None
    with parsing(run.path(EXAMPLES), "facts about example images"):
        numbers = tuple(int(n) for n in json.loads(facts["slices"]))
        dy, dx = json.loads(facts.get("spacing_mm", "[1, 1]"))
        names = {int(k): str(v) for k, v in json.loads(facts.get("label_names", "{}")).items()}
        return ExampleImages(numbers, (float(dy), float(dx)), names, hu, marks)
