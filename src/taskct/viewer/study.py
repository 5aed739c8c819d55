"""`Study`: what the viewer shows, a stack of planes through methods and doses, asked for one image at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.evaluation.rows import DoseLevel

REFERENCE = 0  # the method of this number is what all others are compared with


class Score(NamedTuple):
    """A measured number: `better` is 'higher', 'lower' or 'zero'; NaN where it is not defined."""

    label: str
    unit: str
    better: str
    value: float


class Lesion(NamedTuple):
    """A place to jump to: pixel (row, column) of a plane by its position in the stack, and the diameter in mm."""

    name: str
    plane: int
    row: float
    column: float
    diameter_mm: float


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What is known of a study before any image of it is asked for.

    methods      names; the first is the reference (the CT itself, the truth of a run), which has no dose
    doses        from the highest to the lowest
    shown        positions of the doses at which a method has images, for each method; () for one without doses
    planes       the name of each plane of the stack, as the run or the CT numbers it
    shape        rows and columns of a plane
    spacing_mm   between planes (0 where the planes are not evenly spaced), rows and columns
    computed     whether images of doses are reconstructed when they are asked for, instead of read
    unfinished   why the run is not complete; '' for a complete one
    """

    title: str
    methods: tuple[str, ...]
    doses: tuple[DoseLevel, ...]
    shown: tuple[tuple[int, ...], ...]
    planes: tuple[str, ...]
    shape: tuple[int, int]
    spacing_mm: tuple[float, float, float]
    label_names: Mapping[int, str] = field(default_factory=dict)
    labelled: bool = False
    mu_water_per_mm: float
    computed: bool = False
    marked_by: tuple[str, ...] = ()
    unfinished: str = ""
    notes: tuple[str, ...] = ()


class Study(ABC):
    """A stack of planes (Y, X) in HU. Methods, doses and planes are asked for by their positions in `facts`."""

    facts: StudyFacts

    @abstractmethod
    def image(self, method: int, dose: int, plane: int) -> Tensor:
        """The image (Y, X) in HU, float32; `dose` is ignored for methods without doses."""

    def labels(self, plane: int) -> Tensor | None:
        """The label map (Y, X) of a plane, as the case numbers it; None without labels."""
        return None

    def marks(self, reader: str, method: int, dose: int, plane: int) -> Tensor | None:
        """What a reader of `facts.marked_by` marked (Y, X), numbered like the labels; None where nothing was stored."""
        return None

    def scores(self, method: int, dose: int, plane: int) -> Sequence[Score]:
        """How the image compares with the reference; empty for the reference itself."""
        return ()

    def lesions(self) -> Sequence[Lesion]:
        """Lesions, or where no label is one, the labelled regions."""
        return ()

    @property
    def volume(self) -> Case | None:
        """The case behind the reference, where its planes are a volume."""
        return None

    def check(self, method: int, dose: int, plane: int) -> None:
        """InputError unless the study has an image there."""
        facts = self.facts
        fits = 0 <= method < len(facts.methods) and 0 <= plane < len(facts.planes)
        if not fits or (facts.shown[method] and dose not in facts.shown[method]):
            raise InputError(
                f"{facts.title} has no image of method {method}, dose {dose}, plane {plane}; it has "
                f"{len(facts.methods)} methods, {len(facts.doses)} doses and {len(facts.planes)} planes"
            )
