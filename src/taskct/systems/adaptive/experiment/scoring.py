"""The steps that score: one method's images at all doses under the whole panel, with audit, artefacts and examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskct.core.runs import Run
from taskct.core.units import to_hu
from taskct.data.case import Case
from taskct.evaluation.reading import (
    UNTRAINED,
    ImageSet,
    LesionPair,
    ReaderPanel,
    TaskTable,
    audit_lesions,
    find_checkerboards,
    read_images,
    spectrum_ratio,
)
from taskct.evaluation.studies import ProjectCase
from taskct.experiments.cohort_images import REFINE, cohort_of, images_of, projector_of, scans_of
from taskct.phantoms.cohort import part_of
from taskct.phantoms.lesions import insert_lesion, remove_lesion
from taskct.physics.dose import Dose
from taskct.simulate.scan import add_noise
from taskct.systems.adaptive.experiment.settings import TaskAdaptive
from taskct.systems.adaptive.experiment.shared import device, doses_of
from taskct.task import FrozenTask
from taskct.task.readers import load_reader

FULL_DOSE, RETRAINED = "full dose", "retrained"
Reconstruct = Callable[[Tensor, Any], Tensor]
_ARTEFACT_IMAGES = 64
_INSERTED_RADIUS_MM, _INSERTED_CONTRAST_HU = 9.0, -45.0


def score(
    folder: Path,
    needed: Mapping[str, Path],
    *,
    settings: TaskAdaptive,
    method: str,
    of: Callable[[Mapping[str, Path]], Reconstruct] | None,
    seed: int = UNTRAINED,
    own: str = "",
) -> None:
    """Write task.csv, about.json and examples.safetensors of one method. `of` None: the full-dose images themselves.

    `own` is the step of a reader that learned along.
    """
    made = Run.create(folder, {"method": method, "seed": seed}, overwrite=folder.exists())
    reconstruct = of(needed) if of is not None else None
    at = device()
    readers = {name: load_reader(needed[f"reader-{name}"], name=name).to(at) for name in settings.readers}
    beside = load_reader(_reader_folder(needed, own)).to(at) if own else None
    panel = ReaderPanel(
        training=readers[settings.reader],
        unseen=[reader for name, reader in readers.items() if name != settings.reader],
        own=lambda images: beside,
    )
    kept: dict[str, Tensor] = {}

    def sets(part: str) -> Iterator[ImageSet]:
        for dose in doses_of(settings):
            images = _images(needed, settings, part, dose, reconstruct, method=method, seed=seed)
            if part == "test":
                kept[f"{dose.used_photons:g}"] = images.mu
            yield images
            if reconstruct is None:
                return

    table = panel.evaluate(sets("test"), validation=sets("validation"), progress=False)
    table.save(made.folder, overwrite=True)
    shown = example_slices(needed, settings)
    examples: dict[str, Tensor] = {}
    about: dict[str, Any] = {"method": method, "seed": seed}
    truth = to_hu(images_of(needed["images"], "test").mu)
    for photons, mu in kept.items():
        examples[f"hu@{photons}"] = to_hu(mu[shown]).half()
        for name, reader in readers.items():
            examples[f"{name}@{photons}"] = read_images(reader, mu[shown]).argmax(1).to(torch.uint8)
        if reconstruct is not None:
            about[f"artefacts@{photons}"] = _artefacts(to_hu(mu), truth, settings)
    made.save_tensors("examples.safetensors", examples, metadata={"slices": json.dumps(shown)}, overwrite=True)
    if reconstruct is not None and settings.audit:
        about["audit"] = _audit(method, reconstruct, settings, list(readers.values()))
    made.write_json("about.json", about, overwrite=True)


def score_bound(
    folder: Path,
    needed: Mapping[str, Path],
    *,
    settings: TaskAdaptive,
    method: str,
    of: Callable[[Mapping[str, Path]], Reconstruct] | None,
    bound: str,
    seed: int = UNTRAINED,
) -> None:
    """Write task.csv of one method under the reader that was retrained on its images, the step `bound`."""
    made = Run.create(folder, {"method": method, "seed": seed, "reader": bound}, overwrite=folder.exists())
    reconstruct = of(needed) if of is not None else None
    panel = ReaderPanel(training=load_reader(needed[bound], name=bound).to(device()), unseen=[], controls=False)

    def sets(part: str) -> Iterator[ImageSet]:
        for dose in doses_of(settings):
            yield _images(needed, settings, part, dose, reconstruct, method=method, seed=seed)
            if reconstruct is None:
                return

    table = panel.evaluate(sets("test"), validation=sets("validation"), progress=False)
    rows = [r._replace(reader=RETRAINED) for r in table.rows if r.reader == bound]
    TaskTable(rows, {RETRAINED: RETRAINED}).save(made.folder, overwrite=True)


def example_slices(needed: Mapping[str, Path], settings: TaskAdaptive, count: int = 3) -> list[int]:
    """Test slices to look at: of different patients, with as much tumour as the middle of those that show one."""
    images = images_of(needed["images"], "test")
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
    reconstruct: Reconstruct, scans: Any, dose: Dose, A: Any, *, seed: int, batch: int = 16
) -> Iterator[Tensor]:
    """Low-dose images of clean scans, by batches; the noise of an image depends on its name and the seed only."""
    images = scans.images
    for first in range(0, len(images), batch):
        numbers = torch.arange(first, min(first + batch, len(images)))
        names = [images.ids[i] for i in numbers.tolist()]
        p = add_noise(scans.take(numbers, torch.device("cpu")), dose, seed=seed, items=names)
        with torch.no_grad():
            yield reconstruct(p, A).float().detach()


def _images(
    needed: Mapping[str, Path],
    settings: TaskAdaptive,
    part: str,
    dose: Dose,
    reconstruct: Reconstruct | None,
    *,
    method: str,
    seed: int,
) -> ImageSet:
    images = images_of(needed["images"], part)
    assert images.labels is not None
    if reconstruct is None:
        mu, dose = images.mu, Dose(dose.photons)
    else:
        scans = scans_of(needed["images"], part, settings)
        mu = torch.cat(list(reconstruct_all(reconstruct, scans, dose, projector_of(settings), seed=settings.seed)))
    return ImageSet(
        method=method,
        mu=mu,
        labels=images.labels.long(),
        cases=images.patient_ids,
        patients=images.patient_ids,
        spacing_mm=cohort_of(settings).pixel_mm,
        dose_fraction=dose.fraction,
        photons=dose.photons,
        seed=seed,
        truth_mu=images.mu,
    )


def _artefacts(hu: Tensor, truth_hu: Tensor, settings: TaskAdaptive) -> dict[str, Any]:
    report = find_checkerboards(hu[:_ARTEFACT_IMAGES], truth_hu[:_ARTEFACT_IMAGES], trials=40)
    frequency, ratio = spectrum_ratio(hu, truth_hu, spacing_mm=cohort_of(settings).pixel_mm)
    return {
        "peaks": report.peaks,
        "threshold": report.threshold,
        "false_alarm_rate": report.false_alarm_rate,
        "images": report.images,
        "frequency_per_mm": [round(float(f), 5) for f in frequency],
        "power_over_full_dose": [round(float(r), 5) for r in ratio],
    }


def _audit(
    method: str, reconstruct: Reconstruct, settings: TaskAdaptive, readers: Sequence[FrozenTask]
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


def _reader_folder(needed: Mapping[str, Path], name: str) -> Path:
    """The folder of a reader's step, or the one beside a joint training."""
    path = needed[name]
    beside = path.with_name(path.name + "-reader")
    return beside if beside.exists() else path
