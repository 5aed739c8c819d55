"""Under which conditions every row is scored: its own radiographs, the controls, other skulls, doses and poses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.core.seeds import derive_seed, generator
from taskct.evaluation.volumes import VolumeCases
from taskct.experiments.folder_cache import read_once
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.simulate.radiograph_set import RadiographSet
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, len_of, mean_skull
from taskct.training.doses import noisy_scans

OWN, SHUFFLED, LOST, PRIOR, SECOND = "", "radiographs of another skull", "last view lost", "prior only", "second family"
CONTROLS = (SHUFFLED, LOST, PRIOR)


class Condition(NamedTuple):
    """Cases under a condition; `name` is "" for the main table. `full` asks for all metrics, else the usual four."""

    name: str
    cases: VolumeCases
    full: bool = False

    def method(self, label: str) -> str:
        """A row's name in tables."""
        return f"{label}, {self.name}" if self.name else label


def poses_name(error: float) -> str:
    """The name of a condition with wrong poses.

    >>> poses_name(3.0)
    'poses off by 3 deg and mm'
    """
    return f"poses off by {error:g} deg and mm"


def conditions(folder: Path, settings: BiPlanar, *, views: int = 0) -> Iterator[Condition]:
    """All conditions, the main one first. Doses have the main one's name: they are told apart by the dose of their rows."""
    skulls, views = Skulls(folder), views or settings.views
    main = cases_of(folder, settings, "test", views)
    yield Condition(OWN, main, full=True)
    if views != settings.views:
        return
    atlas = mean_skull(skulls, settings)
    with torch.no_grad():
        usual = main.A(atlas.expand_as(main.truth))  # what the mean skull's radiographs are
    yield Condition(SHUFFLED, _with(main, main.p.roll(1, 0)))
    lost = main.p.clone()
    lost[:, :, -1] = usual[:, :, -1]
    yield Condition(LOST, _with(main, lost))
    yield Condition(PRIOR, _with(main, usual))
    yield Condition(SECOND, cases_of(folder, settings, "second", views))
    for fraction in settings.doses:
        yield Condition(OWN, cases_of(folder, settings, "test", views, fraction))
    for error in settings.pose_errors:
        yield Condition(poses_name(error), with_wrong_poses(folder, settings, error))


@read_once(32)
def cases_of(folder: Path, settings: BiPlanar, part: str, views: int, fraction: float = 1.0) -> VolumeCases:
    """The skulls of a part with their radiographs at a dose."""
    data = Skulls(folder).radiographs(part, settings, views=views)
    numbers = range(len(data))
    places = [k % len(data.geometries) for k in numbers]
    dose = Dose(settings.photons, fraction)
    p = with_noise(data.clean(numbers, places), data, dose, seed=settings.seed)
    return VolumeCases(data.truth, p, data.seen_by(places), data.images.ids, dose)


def with_noise(clean: Tensor, data: RadiographSet, dose: Dose, *, seed: int) -> Tensor:
    """Counts of clean radiographs; the noise of a skull depends on its name only."""
    streams = [generator(seed, "test noise", name) for name in data.images.ids]
    return noisy_scans(clean, torch.full((len(clean),), dose.used_photons), streams)


def _with(cases: VolumeCases, p: Tensor) -> VolumeCases:
    """The same truths beside other radiographs."""
    return VolumeCases(cases.truth, p, cases.A, cases.case_ids, cases.dose, skull=False)


@read_once(8)
def with_wrong_poses(folder: Path, settings: BiPlanar, error: float) -> VolumeCases:
    """The test skulls with radiographs whose views were each turned and shifted, which their geometry does not say."""
    main = cases_of(folder, settings, "test", settings.views)
    images = Skulls(folder).images("test")
    told = Skulls(folder).radiographs("test", settings)
    turn, shift = wrong_poses(settings, error)
    moved = [
        told.geometries[n % len(told.geometries)].moved(turn_deg=turn[n], shift_mm=shift[n])
        for n in range(len_of(settings, "test"))
    ]
    data = RadiographSet(images, moved, factor=settings.factor)
    numbers = range(len(data))
    p = with_noise(data.clean(numbers, numbers), data, Dose(settings.photons), seed=settings.seed)
    return _with(main, p)


def wrong_poses(settings: BiPlanar, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Turns in degrees and shifts in mm of each view of each test skull, (N, V, 3) each, of standard deviation `error`."""
    draws = []
    for number in range(len_of(settings, "test")):
        draw = np.random.default_rng(derive_seed(settings.seed, "pose", number, int(1000 * error)))
        draws.append(draw.normal(0, error, (2, settings.views, 3)))
    turn, shift = np.stack(draws, 1)
    return turn, shift


def geometry_of_cases(cases: VolumeCases, numbers: list[int]) -> Projector | Projectors:
    """The geometry of some of the cases."""
    return cases.A if isinstance(cases.A, Projector) else cases.A.take(numbers)
