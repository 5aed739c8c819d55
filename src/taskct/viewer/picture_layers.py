"""`Layers`: everything that can be drawn of a study: images, noise maps, labels, readers' marks and probabilities."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taskct.core.class_names import plain_class
from taskct.core.errors import InputError, unknown_name
from taskct.core.units import to_mu
from taskct.evaluation.reading import read_images
from taskct.report.number_text import dose_label
from taskct.task.frozen import FrozenTask
from taskct.viewer.class_maps import class_names, numbers_of, overlap, renumbered
from taskct.viewer.lesion_list import is_lesion
from taskct.viewer.local_noise import noise_map
from taskct.viewer.plane_bytes import plane_bytes
from taskct.viewer.study import REFERENCE, Score, Study

KINDS = ("hu", "noise", "labels", "marks", "probability")
_MOST_KEPT_BYTES = 256 * 2**20


class Wanted(NamedTuple):
    """One layer of one image; `reader` and `of_class` only for what readers say."""

    kind: str
    method: int
    dose: int
    plane: int
    reader: str = ""
    of_class: int = 0


class Layers:
    """A study with readers. Answers are kept while they fit into 256 MiB; one thing is computed at a time.

    `classes` is the one numbering of the labels' and the readers' classes; a map holds 1 + the position of a class.
    """

    def __init__(self, study: Study, readers: Mapping[str, FrozenTask] | None = None) -> None:
        self.study, self._readers = study, dict(readers or {})
        facts = study.facts
        for name, reader in self._readers.items():
            if len(reader.classes) < 2:
                raise InputError(f"reader {name!r} does not name its classes, so its answers cannot be shown")
            water = reader.mu_water_per_mm or facts.mu_water_per_mm
            reader.check_images(who=facts.title, mu_water_per_mm=water, spacing_mm=facts.spacing_mm[1:])
        numbers: list[int] = []
        if facts.labelled:
            maps = (study.labels(plane) for plane in range(len(facts.planes)))
            numbers = sorted({n for labels in maps if labels is not None for n in numbers_of(labels)})
        self.classes = class_names(facts.label_names, numbers, [reader.classes for reader in self._readers.values()])
        self._kept: OrderedDict[Wanted, Tensor] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def readers(self) -> tuple[str, ...]:
        """Readers that can mark images: those that were loaded, and those whose marks the run stored."""
        return tuple(dict.fromkeys([*self._readers, *self.study.facts.marked_by]))

    def describe(self) -> dict[str, Any]:
        """What the page has to know, as plain values."""
        facts = self.study.facts
        return {
            "title": facts.title,
            "methods": list(facts.methods),
            "doses": [dose_label(dose, facts.doses) for dose in facts.doses],
            "photons": [dose.used_photons for dose in facts.doses],
            "shown": [list(places) for places in facts.shown],
            "planes": list(facts.planes),
            "shape": list(facts.shape),
            "spacing_mm": list(facts.spacing_mm),
            "classes": [{"name": name, "lesion": is_lesion(name)} for name in self.classes],
            "labelled": facts.labelled,
            "readers": [
                {"name": name, "probability": name in self._readers, "classes": self._classes_of(name)}
                for name in self.readers
            ],
            "computed": facts.computed,
            "volume": self.study.volume is not None and len(facts.planes) > 1,
            "unfinished": facts.unfinished,
            "notes": list(facts.notes),
        }

    def plane(
        self, kind: str, method: int, dose: int, plane: int, *, reader: str = "", of_class: int = 0
    ) -> tuple[str, tuple[int, int], bytes]:
        """One plane as (type, shape, bytes): see `plane_bytes`. Probabilities are "u1": 255 for 1.

        Raises InputError for what the study does not have.
        """
        if kind not in KINDS:
            raise unknown_name("kind of plane", kind, KINDS, InputError)
        self.study.check(method, dose, plane)
        if not self.study.facts.shown[method]:
            dose = 0
        values = self._values(Wanted(kind, method, dose, plane, reader, of_class))
        dtype, data = plane_bytes(values)
        return dtype, (values.shape[0], values.shape[1]), data

    def labels_of(self, plane: int) -> Tensor:
        """The labels of a plane in the numbering of `classes`, uint8 (Y, X)."""
        return self._values(Wanted("labels", REFERENCE, 0, plane))

    def scores(self, method: int, dose: int, plane: int, *, reader: str = "") -> list[dict[str, Any]]:
        """Scores of an image, and with a reader its Dice of each class that the labels of the plane have."""
        self.study.check(method, dose, plane)
        with self._lock:
            found = list(self.study.scores(method, dose, plane))
        labels = self.labels_of(plane) if self.study.facts.labelled else None
        if reader and labels is not None:
            marked = self._values(Wanted("marks", method, dose, plane, reader))
            found += [
                Score(f"Dice, {self.classes[k]}", "", "higher", overlap(marked, labels, 1 + k))
                for k in self._classes_of(reader)
            ]
        return [
            {"label": s.label, "unit": s.unit, "better": s.better, "value": s.value} for s in found if math.isfinite(s.value)
        ]

    def _classes_of(self, reader: str) -> list[int]:
        """Positions of the classes that a reader tells apart; of stored marks, those of the labels."""
        if reader not in self._readers:
            return list(range(len(self.classes)))
        own = {plain_class(name) for name in self._readers[reader].classes[1:]}
        return [k for k, name in enumerate(self.classes) if name in own]

    def _values(self, wanted: Wanted) -> Tensor:
        stored = not self.study.facts.computed or not self.study.facts.shown[wanted.method]
        if wanted.kind == "hu" and stored:
            return self.study.image(wanted.method, wanted.dose, wanted.plane)  # in memory already
        key = wanted._replace(method=REFERENCE, dose=0) if wanted.kind == "labels" else wanted
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            values = self._compute(key)
            self._keep(key, values)
            return values

    def _compute(self, wanted: Wanted) -> Tensor:
        kind, method, dose, plane = wanted[:4]
        study, facts = self.study, self.study.facts
        if kind == "labels":
            labels = study.labels(plane)
            if labels is None:
                raise InputError(f"{facts.title} has no labels of plane {plane}")
            return renumbered(labels, facts.label_names, self.classes)
        if kind in ("marks", "probability"):
            return self._read(wanted)
        hu = study.image(method, dose, plane)
        if kind == "hu":
            return hu
        truth = None if method == REFERENCE else study.image(REFERENCE, 0, plane)
        return noise_map(hu, facts.spacing_mm[1:], truth)

    def _read(self, wanted: Wanted) -> Tensor:
        """Marks uint8, or the probability of a class in 255 steps; stored marks where the reader was not loaded."""
        facts, (kind, method, dose, plane, reader, of_class) = self.study.facts, wanted
        if reader not in self._readers:
            stored = self.study.marks(reader, method, dose, plane) if kind == "marks" else None
            if stored is None:
                raise InputError(
                    f"{reader or 'no reader'} has no {kind} of this image; the readers are {', '.join(self.readers) or 'none'}"
                )
            return renumbered(stored, facts.label_names, self.classes)
        task = self._readers[reader]
        water = task.mu_water_per_mm or facts.mu_water_per_mm  # HU are what the page and the reader share
        mu = to_mu(self.study.image(method, dose, plane), mu_water_per_mm=water).clamp_min(0)
        logits = read_images(task, mu[None, None])[0]  # (K, Y, X)
        names = dict(enumerate(task.classes))
        if kind == "marks":
            return renumbered(logits.argmax(0), names, self.classes)
        if not 0 <= of_class < len(self.classes):
            raise InputError(f"class {of_class} is none of the {len(self.classes)} classes")
        share = torch.zeros_like(logits[0])
        for k, probability in enumerate(logits.softmax(0)):
            if k and renumbered(torch.tensor([[k]]), names, self.classes)[0, 0] == of_class + 1:
                share += probability
        return (255 * share).round().to(torch.uint8)

    def _keep(self, key: Wanted, values: Tensor) -> None:
        self._kept[key] = values
        self._bytes += values.numel() * values.element_size()
        while self._bytes > _MOST_KEPT_BYTES and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= old.numel() * old.element_size()
