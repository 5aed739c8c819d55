"""`train_on_radiographs`: a reconstruction of volumes learns from simulated radiographs, of one geometry or of many."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError
from taskct.core.runs import Run
from taskct.core.seeds import generator
from taskct.data.leaks import refuse_leaks
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.dose import Dose
from taskct.recon.learned import MuScale
from taskct.recon.learned.biplanar import BiPlanarNet, Lifting
from taskct.simulate.radiograph_set import RadiographSet
from taskct.training.batch import Batch, Term
from taskct.training.begin import begin_with, open_training
from taskct.training.doses import DoseRange, as_dose_range, noisy_scans
from taskct.training.image_order import ImageOrder
from taskct.training.loop import Trained, fit
from taskct.training.objective import Objective, as_objective
from taskct.training.players import Player, check_players
from taskct.training.processes import rank, world
from taskct.training.schedules import Weight
from taskct.training.train_settings import TrainSettings, check_train_settings
from taskct.training.volume_terms import VIEWS

BONE_ABOVE_HU = 200.0
_RANGE_HU = (-1000.0, 1500.0)


def train_on_radiographs(
    model: nn.Module,
    data: RadiographSet,
    *,
    objective: Objective | Mapping[str, tuple[Weight, Term]],
    dose: Dose | DoseRange,
    run: Run | str | os.PathLike[str],
    settings: TrainSettings,
    validation: RadiographSet | None = None,
    held_out: Sequence[str] = (),
    warm_start: Run | str | os.PathLike[str] | None = None,
    others: Sequence[Player] = (),
    config: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Trained:
    """Train `model`, a module `(p, A) -> mu` of volumes, on radiographs of `data` with fresh noise in every step.

    Where `data` has several geometries, each image of each step is seen by one drawn anew. Batches carry p, A, and as labels
    which voxels of the truth are bone (above 200 HU). A network with `view_answers` answers for its views too (`ViewErrors`).

    The other arguments are those of `train`. The end of a resumed run is bit-equal on a CPU. With one geometry the run states
    beam and grid, so that scans of another are refused later; with several it states the grid only.

    Raises InputError for patients in two parts, ConfigError for a run that began with other settings, DataError when losses
    stay infinite.
    """
    check_train_settings(settings, who="train_on_radiographs")
    objective, doses = as_objective(objective), as_dose_range(dose)
    refuse_leaks(data.images, None if validation is None else validation.images, held_out)
    if settings.batch % world():
        raise ConfigError(
            f"{world()} processes share a batch evenly, got batch={settings.batch}; take a multiple of {world()}"
        )
    players = [Player(model, objective, answer), *others]
    check_players(players)
    count, first = len(data.geometries), data.geometries[0]
    facts: dict[str, Any] = {
        "training": settings,
        "dose": {"photons": doses.full.photons, "lowest": doses.lowest, "highest": doses.highest,
                 "electronic_std": doses.full.electronic_std},
        **({"beam": beam_to_config(first.beam)} if count == 1 else {"geometries": {"count": count}}),
        "grid": {"shape": list(data.grid.shape), "spacing_mm": list(data.grid.spacing_mm)},
        "data": {**data.images.facts(), "validation_images": 0 if validation is None else len(validation),
                 "refine": data.factor},
        "units": {"image": "1/mm", "mu_water_per_mm": data.images.mu_water_per_mm},
        **(config or {}),
    }  # fmt: skip
    folder = open_training(run, facts)
    if warm_start is not None:
        begin_with(model, warm_start)
    device = next(model.parameters()).device
    objective.to(device)
    for player in others:
        player.to(device)
    source = RadiographSource(data, validation, doses, settings, device)
    return fit(players, source, folder, settings, measure=partial(_scores, to_hu=data.images.hu), progress=progress)


def answer(model: nn.Module, batch: Batch) -> Batch:
    """The batch with the model's volumes, and with those of its views where it is meant to learn them."""
    if isinstance(model, BiPlanarNet) and model.blocks.view_answers:
        fused, *views = model.outputs(batch.p, batch.A)  # type: ignore[arg-type]
        return batch.with_image(fused).with_answers({VIEWS: tuple(views)})
    return batch.with_image(model(batch.p, batch.A))


def beside_views(batch: Batch, image: Tensor) -> Tensor:
    """What a conditional discriminator sees: the volume and its radiographs, each repeated along its axis, as channels."""
    assert batch.A is not None and batch.p is not None
    copies = Lifting(batch.A).repeated(batch.p, image.shape[2:])[:, :, 0]  # (B, V, Z, Y, X)
    return torch.cat([MuScale().normalise(image), copies - 1.5], 1)


class RadiographSource:
    """Radiographs with noise, the same ones for the same step, whichever process asks."""

    def __init__(
        self,
        data: RadiographSet,
        validation: RadiographSet | None,
        doses: DoseRange,
        settings: TrainSettings,
        device: torch.device,
    ) -> None:
        self.data, self.checks, self.doses, self.settings, self.device = data, validation, doses, settings, device
        self.order = ImageOrder(len(data), settings.batch, settings.seed)

    def batch(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        s = self.settings
        share = s.batch // world()
        places = range(rank() * share, (rank() + 1) * share)
        part = slice(places.start, places.stop)
        numbers = self.order.take(step)[part].tolist()
        count = len(self.data.geometries)
        geometries = torch.randint(count, (s.batch,), generator=generator(s.seed, "geometry", step))[part].tolist()
        photons = self.doses.draw_photons(s.batch, generator(s.seed, "dose", step))[part]
        streams = [generator(s.seed, "noise", step, i, device=self.device) for i in places]
        return self._batch(self.data, numbers, geometries, photons, streams, step)

    def validation(self) -> Iterator[Batch]:
        """Validation images in order, in the middle of the dose range, with noise that stays the same."""
        if self.checks is None:
            return
        size, count = self.settings.batch, len(self.checks.geometries)
        for first in range(0, len(self.checks), size):
            numbers = list(range(first, min(first + size, len(self.checks))))
            names = [self.checks.images.ids[i] for i in numbers]
            streams = [generator(self.settings.seed, "validation", name, device=self.device) for name in names]
            photons = torch.full((len(numbers),), self.doses.middle.used_photons)
            yield self._batch(self.checks, numbers, [i % count for i in numbers], photons, streams, 0)

    def _batch(  # noqa: PLR0917
        self,
        data: RadiographSet,
        numbers: list[int],
        geometries: list[int],
        photons: Tensor,
        streams: list[torch.Generator],
        step: int,
    ) -> Batch:
        clean = data.clean(numbers, geometries).to(self.device)
        p = noisy_scans(clean, photons, streams, electronic_std=self.doses.full.electronic_std)
        mu = data.truth[numbers].to(self.device)
        bone = (data.images.hu(mu[:, 0]) > BONE_ABOVE_HU).to(torch.uint8)
        ids = tuple(data.images.ids[i] for i in numbers)
        return Batch(mu=mu, labels=bone, p=p, ids=ids, step=step, A=data.seen_by(geometries))


def _scores(batch: Batch, to_hu: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """PSNR of whole volumes in HU, clipped to -1000..1500, range 2500 HU: mean over images."""
    truth, image = (to_hu(x.float()).clamp(*_RANGE_HU) for x in (batch.mu, batch.image))
    square = (image - truth).square().flatten(1).mean(1)
    psnr = 10 * (2 * math.log10(_RANGE_HU[1] - _RANGE_HU[0]) - square.clamp_min(1e-12).log10())
    return {"psnr3d": float(psnr.mean())}
