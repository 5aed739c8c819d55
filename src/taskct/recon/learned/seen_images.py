"""Which images a network has learnt from: traces of them in the folder of its run, so that it is not judged on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import FileFormatError
from taskct.core.open_files import parsing
from taskct.core.runs import Run
from taskct.models.model_folder import SEEN

SEEN_IMAGES = SEEN
_PARTS = 4  # parts of an image along each axis
_SAME_HU = 0.05
_LEAST_RANGE_HU = 1.0


def image_traces(hu: Tensor) -> Tensor:
    """(N, 1, Y, X) in HU -> (n, 16): the means of the 16 parts of each image, n <= N.

    Images whose means differ by less than 1 HU have no trace: they show air, perhaps with some speckle, which is alike in all
    patients. Images that went through other units and back keep their trace within 0.01 HU; two different slices do not share
    one.

    >>> image_traces(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([0, 16])
    """
    slices = hu.detach().reshape(-1, 1, *hu.shape[-2:]).cpu()
    return _telling(functional.adaptive_avg_pool2d(slices.double(), _PARTS).flatten(1)).float()


@dataclass(frozen=True, eq=False)
class SeenImages:
    """Names of the patients of a training, and `image_traces` of the slices it learnt from; empty where they are not known."""

    patients: frozenset[str] = frozenset()
    traces: Tensor = field(default_factory=lambda: torch.zeros(0, _PARTS**2))

    @classmethod
    def of(cls, patients: Sequence[str], hu: Iterable[Tensor]) -> SeenImages:
        """Of images in HU that come some at a time, (N, 1, Y, X) each, so that no more of a large set is copied at once."""
        return cls(frozenset(patients), torch.cat([cls().traces, *map(image_traces, hu)]))

    @classmethod
    def read(cls, run: Run) -> SeenImages:
        """From the folder of a run; empty for one without the file. FileFormatError for a file of another kind."""
        if not run.path(SEEN_IMAGES).exists():
            return cls()
        tensors, about = run.load_tensors(SEEN_IMAGES)
        with parsing(run.path(SEEN_IMAGES), "record of seen images"):
            patients, traces = json.loads(about["patients"]), tensors["traces"]
            if not isinstance(patients, list) or traces.ndim != 2 or traces.shape[1] != _PARTS**2:
                raise FileFormatError(
                    f"{run.path(SEEN_IMAGES)}: expected a list of patients and traces (N, {_PARTS**2}), got {patients!r} and "
                    f"{tuple(traces.shape)}"
                )
            return cls(frozenset(map(str, patients)), _telling(traces.float()))  # older runs keep those of air too

    def and_those_of(self, other: SeenImages) -> SeenImages:
        """Both together: of a network that began with the weights of another one."""
        return SeenImages(self.patients | other.patients, torch.cat([self.traces, other.traces]))

    def write(self, run: Run) -> None:
        """Into the folder of a run; a training that is resumed writes the same again."""
        names = {"patients": json.dumps(sorted(self.patients))}
        run.save_tensors(SEEN_IMAGES, {"traces": self.traces}, metadata=names, overwrite=True)

    def among(self, patient: str, hu: Tensor) -> str:
        """What of a patient's images (N, 1, Y, X) in HU the training knew, in words; "" for nothing.

        The name of a patient alone says nothing: two sets number their patients alike.
        """
        traces = image_traces(hu)
        if not len(traces) or not len(self.traces):
            return ""
        apart = torch.cdist(traces.double(), self.traces.double(), p=float("inf")).amin(1)
        count = int((apart < _SAME_HU).sum())
        if not count:
            return ""
        named = "" if patient in self.patients else ", under another name"
        slices = f"{count} of the {len(traces)} slices" if len(traces) > 1 else "the one slice"
        return f"it learnt from {slices} of {patient}{named}"


def _telling(traces: Tensor) -> Tensor:
    return traces[traces.amax(1) - traces.amin(1) >= _LEAST_RANGE_HU]


NOT_KNOWN = SeenImages()
