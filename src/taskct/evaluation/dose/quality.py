"""Qualities that a dose search holds: one number per patient from his reconstruction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol as Shape

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import InputError, unknown_name
from taskct.core.tensors import refuse_nan
from taskct.evaluation.dose.target import Target
from taskct.evaluation.masks import evaluation_mask, region_values
from taskct.evaluation.protocol import Images, Protocol
from taskct.evaluation.reading.segmentation import count
from taskct.evaluation.subject import Subject
from taskct.task import FrozenTask

Quality = Callable[[Subject, Tensor], float]
"""`quality(subject, mu)`: one number per patient, NaN where it is not defined (a class that the patient does not have)."""


class Labelled(Shape):
    """A case or a subject: whatever has labels and says what they mean."""

    @property
    def patient_id(self) -> str:
        """The patient's name."""

    @property
    def labels(self) -> Tensor | None:
        """Label maps (Z, Y, X), or None."""

    @property
    def label_names(self) -> Mapping[int, str]:
        """Names of the labels."""


def quality_of(
    target: Target, *, protocol: Protocol | None = None, readers: Mapping[str, FrozenTask] | None = None, reader: str = ""
) -> ImageQuality | TaskDice:
    """How a target is measured: image metrics over the patient's images, task scores by a reader.

    `reader` names one of `readers`, the first by default. Raises InputError when a task's score has no reader.
    """
    if not target.class_name:
        return ImageQuality(target, protocol or Protocol())
    if not readers:
        raise InputError(f"{target}: a task's score needs a reader; give readers={{name: FrozenTask}} (--reader RUN)")
    name = reader or next(iter(readers))
    if name not in readers:
        raise unknown_name("reader", name, readers)
    return TaskDice(readers[name], target.class_name)


@dataclass(frozen=True, eq=False)
class ImageQuality:
    """A metric of the evaluation under its protocol, mean over the patient's images; within a region if the target has one."""

    target: Target
    protocol: Protocol

    def check_labels(self, patient: Labelled) -> None:
        """InputError when the patient has no label of the target's region; the samples are not measured."""
        if self.target.region and (patient.labels is None or self.target.region not in patient.label_names.values()):
            _region_label(patient, self.target.region)

    def __call__(self, subject: Subject, mu: Tensor) -> float:
        """The patient's number."""
        from taskct.evaluation import METRICS

        t = self.target
        name = {"fixed range": f"{t.name}_fr"}.get(t.convention, t.name)
        mask = evaluation_mask(self.protocol.mask, subject.A.grid, subject.A.beam, subject.truth_hu)
        if t.region:
            mask = mask & region_of(subject, t.region)
        seen = Images(mu, subject.mu, subject.hu(mu), subject.truth_hu, mask)
        values = METRICS[name].compute(seen, self.protocol, mask)
        defined = values[torch.isfinite(values)]
        return float(defined.mean()) if len(defined) else math.nan


@dataclass(frozen=True, eq=False)
class TaskDice:
    """Dice of one class as a frozen reader finds it, all images of the patient together; NaN for one without the class.

    The class is found by its name in the reader's `classes`; for a reader without names the number of the case's label counts.
    Raises InputError for a class that the reader does not know.
    """

    reader: FrozenTask
    class_name: str

    def check_labels(self, patient: Labelled) -> None:
        """InputError when the patient's labels, or the names of the reader, do not have the class; nothing is read."""
        number = class_number(patient, self.class_name)
        if self.reader.classes:
            self._channel(number, len(self.reader.classes))

    def __call__(self, subject: Subject, mu: Tensor) -> float:
        """The patient's Dice."""
        number = class_number(subject, self.class_name)
        assert subject.labels is not None
        return count(self.marks(subject, mu).long(), (subject.labels == number).long(), 1).pooled_dice

    def marks(self, subject: Subject, mu: Tensor) -> Tensor:
        """Where the reader marks the class in images of the patient, bool (S, Y, X)."""
        number, images = class_number(subject, self.class_name), subject.images
        who = f"images of {subject.patient_id}"
        self.reader.check_images(who=who, mu_water_per_mm=images.mu_water_per_mm, spacing_mm=images.spacing_mm)
        with torch.no_grad():
            logits = [self.reader.predict(mu[k : k + 8]) for k in range(0, len(mu), 8)]
        refuse_nan(logits, who=f"{who}: reader {self.reader.name!r}")
        channel = self._channel(number, logits[0].shape[1])
        return torch.cat([part.argmax(1) == channel for part in logits])

    def _channel(self, number: int, channels: int) -> int:
        who, names = f"reader {self.reader.name!r}", self.reader.classes
        if names:
            if self.class_name not in names:
                raise InputError(
                    f"{self.class_name}.dice: {who} knows {', '.join(names)} and no {self.class_name!r}; name the labels "
                    "as the reader does (--label-name NUMBER=NAME) or take another reader"
                )
            return names.index(self.class_name)
        if number >= channels:
            raise InputError(
                f"{self.class_name}.dice: label {number} of the case, but {who} tells only {channels} classes apart (0 to "
                f"{channels - 1}); give the reader its names, FrozenTask(..., classes=), or number labels as it was trained"
            )
        return number


def region_of(subject: Subject, name: str) -> Tensor:
    """Bool mask (S, 1, ...) of a labelled region; InputError when the patient has no label of that name."""
    value = _region_label(subject, name)
    assert subject.labels is not None
    labels = subject.labels[:, None]
    return torch.zeros_like(labels, dtype=torch.bool) if value is None else labels == value


def _region_label(subject: Labelled, name: str) -> int | None:
    """The label of a region; None when it is known and does not occur."""
    if subject.labels is None:
        raise InputError(f"{subject.patient_id}: a quality within {name!r} needs labels, there are none (--labels)")
    found = region_values(subject.labels, subject.label_names)
    if name not in found and name not in subject.label_names.values():
        legal = dict.fromkeys([*found, *(named for number, named in subject.label_names.items() if number)])
        raise unknown_name(f"region of {subject.patient_id}", name, legal, InputError)
    return found.get(name)


def class_number(subject: Labelled, name: str) -> int:
    """The label that a class's name stands for."""
    if subject.labels is None:
        raise InputError(f"{subject.patient_id}: {name}.dice needs labels, there are none (--labels)")
    for number, own in subject.label_names.items():
        if own == name:
            return number
    raise unknown_name(f"class in the labels of {subject.patient_id}", name, subject.label_names.values(), InputError)


def mean_of(values: np.ndarray) -> float:
    """Mean of the values that are defined, NaN when none is."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else math.nan
