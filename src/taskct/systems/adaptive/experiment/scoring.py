"""The steps that score: one method's images at all doses under the whole panel, with audit, artefacts and examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskct.core.open_files import read_json
from taskct.core.runs import Run, load_run
from taskct.core.units import to_hu
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.evaluation.project_case import ProjectCase
from taskct.evaluation.reading import (
    UNTRAINED,
    LesionPair,
    MethodImages,
    ReaderPanel,
    audit_lesions,
    find_checkerboards,
    read_images,
    spectrum_ratio,
)
from taskct.evaluation.reading.recovery import RETRAINED_OF
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import REFINE, DrawnPatients, cohort_of, pixel_of, projector_of
from taskct.experiments.example_images import example_key, save_examples
from taskct.experiments.made import Made
from taskct.phantoms.cohort import part_of
from taskct.phantoms.lesions import insert_lesion, remove_lesion
from taskct.physics.dose import Dose
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of
from taskct.simulate.noisy_scan import add_noise
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import device, doses_of
from taskct.task import FrozenTask
from taskct.training.flatness import PATIENCE, flatness

FULL_DOSE, RETRAINED = "full dose", "retrained"
RETRAININGS = "retrainings"
"""The note of a table that lists which readers were retrained, on what, for how long, and whether to their plateau."""
Method = Made[Reconstructor] | Reconstructor | None
"""A reconstruction that a step makes, one that needs no training, or None: the full-dose images themselves."""
_ABOUT = "about.json"
_ARTEFACT_IMAGES = 64
_INSERTED_RADIUS_MM, _INSERTED_CONTRAST_HU = 9.0, -45.0


@dataclass(frozen=True)
class Scores:
    """What `score` writes: the table of one method, facts about it, and `folder`, which holds its examples."""

    table: Table
    about: Mapping[str, Any]
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> Scores:
        """The scores in the folder of a step."""
        return cls(Table.read(folder), read_json(folder / _ABOUT), folder)


def reconstruct_of(method: Method) -> Reconstructor | None:
    """The reconstruction of a method; None for the full-dose images."""
    return method.load() if isinstance(method, Made) else method


def score(
    folder: Path,
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    readers: Mapping[str, Made[FrozenTask]],
    method: str,
    of: Method,
    own: Made[FrozenTask] | None = None,
    seed: int = UNTRAINED,
) -> None:
    """Write table.csv, about.json and examples.safetensors of one method; `own` is a reader that learned along."""
    made = Run.create(folder, {"method": method, "seed": seed}, overwrite=folder.exists())
    reconstruct = reconstruct_of(of)
    drawn = images.load()
    at = device()
    panel_readers = {name: _called(one.load(), name).to(at) for name, one in readers.items()}
    beside = own.load().to(at) if own else None
    panel = ReaderPanel(
        training=panel_readers[settings.reader],
        unseen=[reader for name, reader in panel_readers.items() if name != settings.reader],
        own=lambda images: beside,
    )
    kept: dict[float, Tensor] = {}

    def sets(part: str) -> Iterator[MethodImages]:
        for dose in doses_of(settings):
            made_of = _images(drawn, settings, part, dose, reconstruct, method=method, seed=seed)
            if part == "test":
                kept[dose.used_photons] = made_of.mu
            yield made_of
            if reconstruct is None:
                return

    table = panel.evaluate(sets("test"), validation=sets("validation"), progress=False)
    table.save(made.folder, overwrite=True)
    shown = example_slices(drawn.images("test"))
    examples: dict[str, Tensor] = {}
    about: dict[str, Any] = {"method": method, "seed": seed}
    truth = to_hu(drawn.images("test").mu)
    for photons, mu in kept.items():
        examples[example_key("hu", photons)] = to_hu(mu[shown]).half()
        for name, reader in panel_readers.items():
            examples[example_key(name, photons)] = read_images(reader, mu[shown]).argmax(1).to(torch.uint8)
        if reconstruct is not None:
            about[f"artefacts@{photons:g}"] = _artefacts(to_hu(mu), truth, settings)
    save_examples(made, examples, numbers=shown, spacing_mm=pixel_of(settings), label_names=panel.classes)
    if reconstruct is not None and settings.audit and not settings.data:
        about["audit"] = _audit(method, reconstruct, settings, list(panel_readers.values()))
    made.write_json(_ABOUT, about, overwrite=True)


def score_bound(
    folder: Path,
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    method: str,
    of: Method,
    bound: Made[FrozenTask],
    net: str,
    photons: float | None = None,
    seed: int = UNTRAINED,
) -> None:
    """Write table.csv of one method under `bound`, the reader `net` retrained on its images, at one dose or at all."""
    made = Run.create(folder, {"method": method, "seed": seed, "reader": bound.name}, overwrite=folder.exists())
    reconstruct = reconstruct_of(of)
    retrained = _called(bound.load(), bound.name).to(device())
    panel = ReaderPanel(training=retrained, unseen=[], controls=False)

    def sets(part: str) -> Iterator[MethodImages]:
        for dose in doses_of(settings):
            if photons is not None and reconstruct is not None and dose.used_photons != photons:
                continue
            yield _images(images.load(), settings, part, dose, reconstruct, method=method, seed=seed)
            if reconstruct is None:
                return

    table = panel.evaluate(sets("test"), validation=sets("validation"), progress=False)
    name = retrained_name(settings, net)
    rows = [r._replace(reader=name) for r in table.rows if r.reader == bound.name]
    flat = flatness(load_run(bound.folder), patience=settings.retrain_patience or PATIENCE, least_gain=settings.flat_gain)
    about = {"method": method, "seed": seed, "reader": net, "photons": photons, "steps": flat.steps, "plateau": flat.reached}
    notes = table.notes | {RETRAINED_OF: {name: net}, RETRAININGS: [about]}
    Table(rows, table.settings, notes=notes, readers={name: RETRAINED}).save(made.folder, overwrite=True)


def retrained_name(settings: TaskAdaptive, net: str) -> str:
    """A retrained reader in tables."""
    return RETRAINED if net == settings.reader else f"{RETRAINED} {net}"


def _called(reader: FrozenTask, name: str) -> FrozenTask:
    """The reader under the name that tables give it."""
    reader.name = name
    return reader


def example_slices(images: ImageSet, count: int = 3) -> list[int]:
    """Test slices to look at: of different patients, with as much tumour as the middle of those that show one."""
    assert images.labels is not None
    area = (images.labels == 2).flatten(1).sum(1)
    order = [int(i) for i in torch.argsort(area, descending=True, stable=True) if area[i] > 0]
    chosen: list[int] = []
    for i in order[len(order) // 4 :] + order:
        if images.patient_ids[i] not in {images.patient_ids[k] for k in chosen}:
            chosen.append(i)
        if len(chosen) == count:
            break
    return chosen


def reconstruct_all(
    reconstruct: Reconstructor, scans: Any, dose: Dose, A: Any, *, seed: int, batch: int = 16
) -> Iterator[Tensor]:
    """Low-dose images of clean scans, by batches; the noise of an image depends on its name and the seed only."""
    images, k = scans.images, neighbours_of(reconstruct)
    for first in range(0, len(images), batch):
        numbers = torch.arange(first, min(first + batch, len(images)))
        wide = images.beside(numbers, k).flatten()  # what a 2.5D network sees beside each slice, with the noise of that slice
        names = [images.ids[i] for i in wide.tolist()]
        p = add_noise(scans.take(wide, torch.device("cpu")), dose, seed=seed, items=names)
        with torch.no_grad():
            yield reconstruct(p.reshape(len(numbers), 2 * k + 1, *p.shape[2:]), A).float().detach()


def _images(
    drawn: DrawnPatients,
    settings: TaskAdaptive,
    part: str,
    dose: Dose,
    reconstruct: Reconstructor | None,
    *,
    method: str,
    seed: int,
) -> MethodImages:
    images = drawn.images(part)
    assert images.labels is not None
    if reconstruct is None:
        mu, dose = images.mu, Dose(dose.photons)
    else:
        scans = drawn.scans(part, settings)
        mu = torch.cat(list(reconstruct_all(reconstruct, scans, dose, projector_of(settings), seed=settings.seed)))
    made = ImageSet(mu, images.patient_ids, images.labels, images.ids, spacing_mm=pixel_of(settings))
    return MethodImages(
        made,
        method,
        dose_fraction=dose.fraction,
        photons=dose.photons,
        seed=seed,
        truth_mu=images.mu,
    )


def _artefacts(hu: Tensor, truth_hu: Tensor, settings: TaskAdaptive) -> dict[str, Any]:
    report = find_checkerboards(hu[:_ARTEFACT_IMAGES], truth_hu[:_ARTEFACT_IMAGES], trials=40)
    frequency, ratio = spectrum_ratio(hu, truth_hu, spacing_mm=pixel_of(settings))
    return {
        "peaks": report.peaks,
        "threshold": report.threshold,
        "false_alarm_rate": report.false_alarm_rate,
        "images": report.images,
        "frequency_per_mm": [round(float(f), 5) for f in frequency],
        "power_over_full_dose": [round(float(r), 5) for r in ratio],
    }


def _audit(
    method: str, reconstruct: Reconstructor, settings: TaskAdaptive, readers: Sequence[FrozenTask]
) -> list[dict[str, Any]]:
    """Answers of the readers when lesions are put in or taken out, at the lowest dose."""
    audit = audit_lesions(
        lesion_pairs(settings),
        {method: reconstruct},
        projector_of(settings),
        doses_of(settings)[-1],
        readers,
        seed=settings.seed,
        prepare=ProjectCase(refine=REFINE),
    )
    return [answer._asdict() for answer in audit.answers]


def lesion_pairs(settings: TaskAdaptive) -> list[LesionPair]:
    """Test patients with a lesion put into free liver, and those that have one, with it taken out."""
    from taskct.core.errors import InputError

    cohort = cohort_of(settings)
    assert all(part_of(n) == "test" for n in cohort.numbers("test"))
    pairs: list[LesionPair] = []
    for number in cohort.numbers("test")[: settings.audit]:
        patient = cohort.patient(number)
        place = _free_place(patient.case)
        try:
            if place is not None:
                pairs.append(LesionPair.inserted(patient.case, partial(_with_lesion, centre_mm=place, seed=number)))
        except InputError:  # no room for it there
            pass
        lesion = _largest_lesion(patient.case)
        try:
            if lesion is not None:
                edit = partial(remove_lesion, centre_mm=lesion, seed=number)
                pairs.append(LesionPair.removed(patient.case, edit))
        except InputError:  # too little liver round it
            continue
    return pairs


def _with_lesion(case: Case, *, centre_mm: tuple[float, float, float], seed: int) -> Case:
    return insert_lesion(
        case,
        centre_mm=centre_mm,
        radius_mm=_INSERTED_RADIUS_MM,
        contrast_hu=_INSERTED_CONTRAST_HU,
        seed=seed,
    )


def _free_place(case: Case) -> tuple[float, float, float] | None:
    """The place in the liver that is farthest from everything else, on a slice."""
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    assert case.labels is not None
    best, where = 0.0, None
    for k, labels in enumerate(case.labels.numpy()):
        depth = distance_transform_edt(np.pad(labels == 1, 1), sampling=case.spacing_mm[1:])[1:-1, 1:-1]
        if depth.max() > best:
            best, where = float(depth.max()), (k, *np.unravel_index(int(depth.argmax()), depth.shape))
    if where is None or best < _INSERTED_RADIUS_MM + 3:
        return None
    return _place_mm(case, where)


def _largest_lesion(case: Case) -> tuple[float, float, float] | None:
    """A pixel of the largest section of a lesion, among those of a radius up to 15 mm."""
    import numpy as np
    from scipy.ndimage import label

    assert case.labels is not None
    pixel_mm2 = case.spacing_mm[1] * case.spacing_mm[2]
    best, where = 0, None
    for k, labels in enumerate(case.labels.numpy()):
        pieces, count = label(labels == 2, structure=np.ones((3, 3)))
        for piece in range(1, count + 1):
            pixels = np.argwhere(pieces == piece)
            if best < len(pixels) <= np.pi * 15**2 / pixel_mm2:
                best, where = len(pixels), (k, *pixels[len(pixels) // 2])
    return None if where is None else _place_mm(case, where)


def _place_mm(case: Case, where: tuple[Any, ...]) -> tuple[float, float, float]:
    assert case.affine_mm is not None
    z, y, x = (float(case.affine_mm[axis, 3] + case.affine_mm[axis, axis] * i) for axis, i in enumerate(where))
    return z, y, x
