"""One slice at full dose and at the dose that was found, with what readers mark: what the numbers of a search look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from taskct.evaluation.dose.quality import TaskDice, region_of
from taskct.evaluation.dose.target import Target
from taskct.evaluation.subject import Subject
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of
from taskct.task import FrozenTask


@dataclass(frozen=True, eq=False)
class ShownSlice:
    """A slice of a patient in HU, (Y, X): the truth, and reconstructions of its scan at full dose and at the dose found.

    `there` (Y, X) is where the truth has the `region`, and `marks` what each reader takes for it at full dose and at the dose
    found.
    """

    patient_id: str
    item: int | str
    spacing_mm: tuple[float, float]
    truth_hu: Tensor
    full_hu: Tensor
    found_hu: Tensor
    region: str = ""
    there: Tensor | None = None
    marks: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


def show_slice(
    model: Reconstructor,
    subjects: Sequence[Subject],
    targets: Sequence[Target],
    *,
    photons: float,
    full_photons: float,
    seed: int,
    electronic_std: float = 0.0,
    readers: Mapping[str, FrozenTask] | None = None,
) -> ShownSlice:
    """Of the first patient, the slice that shows most of what a target is about; without one, the middle slice.

    `readers` outline the class of the first target that has one, where they know it.
    """
    region = next((t.region or t.class_name for t in targets if t.region or t.class_name), "")
    subject = next((s for s in subjects if region and bool(region_of(s, region).any())), subjects[0])
    k = len(subject.mu) // 2
    if region:
        k = int(region_of(subject, region).flatten(1).sum(1).argmax())
    one = _only(subject, k)
    scanned, at = (subject, k) if neighbours_of(model) else (one, 0)
    scans = [scanned.scan(level, seed=seed, electronic_std=electronic_std) for level in (full_photons, photons)]
    images = [scanned.reconstruct(model, p)[at : at + 1] for p in scans]
    truth, full, found = (_slice(one.hu(mu)[0]) for mu in (one.mu, *images))
    spacing = one.A.grid.spacing_mm
    asked = next((t.class_name for t in targets if t.class_name == region), "")
    marks = {}
    for name, reader in (readers or {}).items() if asked else ():
        at_full, at_found = (_slice(TaskDice(reader, asked).marks(one, mu)) for mu in images)
        marks[name] = (at_full, at_found)
    there = _slice(region_of(one, region)[0]) if region else None
    return ShownSlice(one.patient_id, one.items[0], (spacing[-2], spacing[-1]), truth, full, found, region, there, marks)


def _only(subject: Subject, k: int) -> Subject:
    """The subject with one of its slices: the noise of a slice goes by its name, so it is the same without the others."""
    return replace(subject, images=subject.images[k : k + 1], p=subject.p[k : k + 1], items=(subject.items[k],))


def _slice(image: Tensor) -> Tensor:
    """(1, Y, X) or the middle of (1, Z, Y, X) -> (Y, X)."""
    return image[0] if image.ndim == 3 else image[0, image.shape[1] // 2]
