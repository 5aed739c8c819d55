"""TV reconstruction, its strength tuned on validation patients for each dose: the classical method at its best."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskct.core.open_files import read_json
from taskct.core.runs import Run
from taskct.evaluation.reading import count, read_images
from taskct.experiments.cohort_images import DrawnPatients, projector_of
from taskct.experiments.made import Made
from taskct.physics.projector import Projector
from taskct.recon.noise_level import noise_level
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.tv_min import ConvergenceWarning, tv_min
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import doses_of
from taskct.systems.adaptive.experiment.scoring import reconstruct_all
from taskct.task import FrozenTask

TV_ITERATIONS = 40  # images change by less than 1 HU afterwards


def tune_tv(folder: Path, *, settings: TaskAdaptive, images: Made[DrawnPatients], reader: Made[FrozenTask]) -> None:
    """Try the strengths at each dose; the best has the highest pooled tumour Dice under the reader of the losses."""
    frozen = reader.load()
    scans, A = images.load().scans("validation", settings), projector_of(settings)
    labels = images.load().images("validation").labels
    assert labels is not None
    tried: list[dict[str, float]] = []
    noise: list[float] = []
    for dose in doses_of(settings):
        levels: list[Tensor] = []
        for strength in settings.tv_strengths:
            make = _watching(_tv(lambda p, s=strength: s), levels)  # type: ignore[misc]
            mu = torch.cat(list(reconstruct_all(make, scans, dose, A, seed=settings.seed)))
            marked = read_images(frozen, mu).argmax(1)
            found = count(marked, labels.long(), 2)
            tp, fp, fn = (float(n.sum()) for n in (found.tp, found.fp, found.fn))
            tried.append({"photons": dose.used_photons, "strength": strength, "dice": 2 * tp / max(2 * tp + fp + fn, 1.0)})
        noise.append(float(torch.cat(levels).mean()))
    best = [
        max((t for t in tried if t["photons"] == dose.used_photons), key=lambda t: t["dice"])["strength"]
        for dose in doses_of(settings)
    ]
    made = Run.create(folder, {"method": "TV"}, overwrite=folder.exists())
    made.write_json("tuned.json", {"strengths": best, "noise": noise, "tried": tried}, overwrite=True)


def tuned_tv(folder: Path) -> Reconstructor:
    """TV with the strength of the dose that the scan's own noise says it has."""
    tuned = read_json(folder / "tuned.json")
    strengths, noise = tuned["strengths"], torch.tensor(tuned["noise"])

    def strength(p: Tensor) -> float:
        level = noise_level(p).mean()
        return float(strengths[int((noise.log() - level.log()).abs().argmin())])

    return _tv(strength)


def _tv(strength: Callable[[Tensor], float]) -> Reconstructor:
    def run(p: Tensor, A: Projector) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return tv_min(p, A, strength=strength(p), iterations=TV_ITERATIONS, progress=False)

    return run


def _watching(make: Reconstructor, levels: list[Tensor]) -> Callable[[Tensor, Any], Tensor]:
    def run(p: Tensor, A: Any) -> Tensor:
        levels.append(noise_level(p).flatten())
        return make(p, A)

    return run
