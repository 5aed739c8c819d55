"""What a part of the body offers so that built-in patients can be made of it: one `Site` for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from taskct.phantoms.lesions.record import Lesion
from taskct.phantoms.painting.fields import Axes


class Painted(Protocol):
    """A painted slice: arrays (Y, X) of HU, of the tissue's number, and of the lesion (from 1) that owns each pixel."""

    hu: np.ndarray
    organ: np.ndarray
    lesion: np.ndarray


class Anatomy(Protocol):
    """One patient as a continuous model: a slice at any height, on any grid, shows the same patient.

    `extent_mm` is the range of heights z over which single slices are spread; `middle_mm` is the height that centres a volume.
    `lesions` are labelled; `distractors` only resemble lesions.
    """

    lesions: tuple[Lesion, ...]
    distractors: tuple[Lesion, ...]
    extent_mm: tuple[float, float]

    @property
    def middle_mm(self) -> float:
        """The height z at the middle of a volume."""

    def paint(self, z_mm: float, axes: Axes, *, texture: bool = True) -> Painted:
        """The slice at height `z_mm` in LPS."""


@dataclass(frozen=True, eq=False)
class Site:
    """A part of the body of which patients can be made.

    settings      the dataclass of the ranges that its patients are drawn from
    anatomy       (seed, number, settings) -> the patient's model
    label_names   name by label number; labels_of: map of tissues (any shape) -> labels
    organ_names   name by tissue number
    pixel_mm      (shape, settings) -> pixel size at which the largest patient fits into slices of that shape
    slice_mm      default distance of the slices of a volume; None: that of the pixels
    lesion_kinds  kinds of the recorded lesions; unrecorded: label -> kind of what is labelled as disease without a record
    facts         what is worth knowing of a patient, by name, such as width_mm
    """

    name: str
    source: str
    settings: Callable[..., Any]
    anatomy: Callable[[int, int, Any], Anatomy]
    label_names: Mapping[int, str]
    labels_of: Callable[[np.ndarray], np.ndarray]
    organ_names: Mapping[int, str]
    pixel_mm: Callable[[tuple[int, ...], Any], float]
    facts: Callable[[Any], dict[str, Any]]
    slice_mm: float | None = 3.0
    lesion_kinds: tuple[str, ...] = ()
    unrecorded: Mapping[int, str] = field(default_factory=dict)


def plain_name(tissue: IntEnum) -> str:
    """The name of a tissue in words.

    >>> plain_name(IntEnum("Tissue", "SOFT_TISSUE")(1))
    'soft tissue'
    """
    return tissue.name.lower().replace("_", " ")
