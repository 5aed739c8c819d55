"""How many patients carry which labels: masks are dear, boxes cheaper, findings of a whole image the cheapest."""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import ConfigError, InputError
from taskct.core.seeds import derive_seed
from taskct.data.images import ImageSet
from taskct.data.marks import MARKS, Classes, Marks


@dataclass(frozen=True, kw_only=True)
class LabelShares:
    """Shares of the patients whose outlines, boxes and findings are known, from 0 to 1.

    Outlines give boxes, and boxes give findings, so whoever has the first has the others too. The shares therefore
    rise from `masks` over `boxes` to `findings`, and the patients of a smaller share are among those of a larger one.
    """

    masks: float = 1.0
    boxes: float = 1.0
    findings: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.masks <= self.boxes <= self.findings <= 1:
            raise ConfigError(
                f"LabelShares expects 0 <= masks <= boxes <= findings <= 1 (boxes follow from masks, findings from boxes), "
                f"got {self.masks}, {self.boxes}, {self.findings}"
            )

    def of(self, images: ImageSet, classes: Classes, *, seed: int = 0) -> ImageSet:
        """The images, with the labels of the patients that `seed` leaves out taken away; InputError without marks.

        `classes` are what is told of an image by its findings alone.
        """
        if not images.has_marks:
            raise InputError("LabelShares expects images with marks; see ImageSet.with_marks and Cohort.images(marks=True)")
        order = sorted(images.by_patient(), key=lambda patient: derive_seed(seed, "labelled", patient))
        count = lambda share: set(order[: round(share * len(order))])
        masked, boxed, told = count(self.masks), count(self.boxes), count(self.findings)

        def shown(patient: str, marks: Marks | None) -> Marks | None:
            if marks is None or patient in masked:
                return marks
            if patient in boxed:
                return marks.without_outlines()
            return marks.only_findings(classes) if patient in told else None

        kept = [shown(patient, marks) for patient, marks in zip(images.patient_ids, images.marks, strict=True)]
        return images.with_targets({**images.targets, MARKS: kept})
