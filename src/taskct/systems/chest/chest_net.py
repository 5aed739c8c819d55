"""The network of the chest system: built from a few plain values, saved with them, and asked for all its answers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.precision import autocast
from taskct.core.tensors import refuse_nan
from taskct.models import open_model
from taskct.models.model_folder import SavedModel
from taskct.nets.heads import CentresHead, FindingsHead, RestoreHead, SegmentHead, stride_for_cells
from taskct.nets.pyramids import PYRAMIDS
from taskct.nets.shared_net import SharedNet
from taskct.nets.weights import load_weights
from taskct.systems.chest.chest_classes import AREA_WEIGHTS, AREAS, FINDINGS, LESIONS, SLICE_MM, TASKS, WINDOW
from taskct.task import SEGMENTATION_PENALTIES, CentreBoxes, DiceCE, FindingsBCE, FoundBoxes, find_boxes
from taskct.training.begin import to_channels_last

RESTORE_WEIGHT = 100.0  # an RMS error of a tenth of the window (160 HU) counts 1
DETECT_WEIGHT = 0.5
TABLE = "chest"  # of the config of a run


@dataclass(frozen=True, kw_only=True)
class ChestNetConfig:
    """What a network of the chest system is built from: the [chest] table of its run.

    tasks     heads: of "classify", "segment", "restore", "detect"
    backbone  of `PYRAMIDS`; widths of the small one, which folds blocks of `fold` pixels into channels
    pixel_mm  of the images; cell_mm the wished size of the detector's cells
    neighbours   slices before and behind that are channels; slice_mm the distance of slices in training
    low_dose  the reconstruction head corrects its input, in place of encoding it
    """

    tasks: tuple[str, ...] = TASKS
    backbone: str = "small"
    widths: tuple[int, ...] = (32, 48, 64, 96)
    fold: int = 2
    pixel_mm: float = 2.0
    cell_mm: float = 4.0
    neighbours: int = 1
    slice_mm: float = SLICE_MM
    low_dose: bool = False

    def __post_init__(self) -> None:
        if not self.tasks or self.neighbours < 0:
            raise ConfigError(
                f"a chest network expects one task or more and neighbours >= 0, got {self.tasks}, {self.neighbours}"
            )
        for task in self.tasks:
            if task not in TASKS:
                raise unknown_name("task", task, TASKS)
        if len(set(self.tasks)) < len(self.tasks):
            raise ConfigError(f"a chest network has each task once, got {self.tasks}")
        if not (0 < self.pixel_mm < math.inf and 0 < self.cell_mm < math.inf and self.fold >= 1):
            raise ConfigError(
                f"a chest network expects pixel_mm and cell_mm above 0 and fold >= 1, got {self.pixel_mm:g}, {self.cell_mm:g} "
                f"and {self.fold}"
            )
        if not 0 < self.slice_mm < math.inf:
            raise ConfigError(f"a chest network expects slice_mm above 0, got {self.slice_mm!r}")
        if self.backbone not in PYRAMIDS:
            raise unknown_name("backbone", self.backbone, PYRAMIDS)

    @property
    def channels(self) -> int:
        """Of the input."""
        return 2 * self.neighbours + 1

    @property
    def stride(self) -> int:
        """Pixels of a cell of the detector."""
        return stride_for_cells(self.cell_mm, self.pixel_mm)

    @property
    def sizes(self) -> dict[str, Any]:
        """What the encoder is told beside its channels."""
        return {"widths": self.widths, "fold": self.fold} if self.backbone == "small" else {}

    def table(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def build_net(config: ChestNetConfig, *, seed: int = 0) -> SharedNet:
    """The network with its first weights, drawn from `seed` without touching the caller's randomness."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        channels = config.channels
        encoder: Any = PYRAMIDS[config.backbone](channels, **config.sizes)
        make: dict[str, Callable[[], nn.Module]] = {
            "classify": lambda: FindingsHead(encoder, len(FINDINGS)),
            "segment": lambda: SegmentHead(encoder, 1 + len(AREAS)),
            "restore": lambda: RestoreHead(encoder, skips=config.low_dose, correction=config.low_dose),
            "detect": lambda: CentresHead(encoder, len(LESIONS), stride=config.stride),
        }
        return SharedNet(encoder, {task: make[task]() for task in TASKS if task in config.tasks})


def penalties_of(config: ChestNetConfig, *, loss: str = "dice-ce") -> dict[str, Callable[[Any, Any], Tensor]]:
    """Head -> its penalty, scaled so that each is of order 1."""
    segment = DiceCE(weights=AREA_WEIGHTS) if loss == "dice-ce" else SEGMENTATION_PENALTIES[loss]()
    every: dict[str, Callable[[Any, Any], Tensor]] = {
        "classify": FindingsBCE(),
        "segment": segment,
        "restore": RestorePenalty(),
        "detect": ScaledPenalty(CentreBoxes(stride=config.stride), DETECT_WEIGHT),
    }
    return {task: every[task] for task in TASKS if task in config.tasks}


class RestorePenalty(nn.Module):
    """Squared error of a restored image in the window's units against mu in 1/mm."""

    def forward(self, image: Tensor, mu: Tensor) -> Tensor:
        """Scalar."""
        return RESTORE_WEIGHT * (image - WINDOW(mu).to(image)).square().mean()


class ScaledPenalty(nn.Module):
    """A penalty times a number."""

    def __init__(self, penalty: nn.Module, factor: float) -> None:
        super().__init__()
        self.penalty, self.factor = penalty, factor

    def forward(self, answer: Any, target: Any) -> Tensor:
        """Scalar."""
        return self.factor * self.penalty(answer, target)


@dataclass(frozen=True, eq=False)
class ChestReader:
    """A trained network that answers images mu (B, C, Y, X) in 1/mm, C slices side by side."""

    net: SharedNet
    config: ChestNetConfig

    def answers(self, mu: Tensor) -> dict[str, Any]:
        """Answers of all heads, without gradients, in float32; InputError for NaN."""
        device = next(self.net.parameters()).device
        with torch.no_grad(), autocast(device):
            found = self.net(WINDOW(mu.to(device)), heads=self.config.tasks)
        answers = {task: _plain(found[task]) for task in self.config.tasks}
        refuse_nan(answers, who="the chest network")
        return answers

    def boxes(self, answer: Mapping[str, Tensor], *, threshold: float = 0.02) -> list[FoundBoxes]:
        """Lesions of each image, from the answer of "detect"."""
        return find_boxes(answer, stride=self.config.stride, threshold=threshold)


def load_reader(source: str | os.PathLike[str]) -> ChestReader:
    """A network of the chest system, in evaluation mode: one of the package by its name, a run, or a file of weights.

    Raises InputError for a network of another kind, and what `open_model` raises.
    """
    return reader_of(open_model(source))


def reader_of(model: SavedModel) -> ChestReader:
    """The reader of an opened network; InputError, with its place, for another kind and for a config that builds none."""
    from taskct.core.config import from_dict

    if TABLE not in model.config:
        raise InputError(
            f"{model.where}: not a chest network: its config has no [{TABLE}] table; taskct models lists those that are"
        )
    with model.naming_errors():
        config = from_dict(ChestNetConfig, model.table(TABLE))
        net = build_net(config)
    load_weights(net, model.tensors(), what=str(model.where))
    to_channels_last(net)
    return ChestReader(net.eval(), config)


def stacked_answers(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Answers of several batches as one."""
    return {task: _joined([part[task] for part in parts]) for task in parts[0]}


def _joined(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Mapping):
        return {name: _joined([value[name] for value in values]) for name in values[0]}
    return torch.cat(list(values))


def _plain(value: Any) -> Any:
    return {name: _plain(part) for name, part in value.items()} if isinstance(value, Mapping) else value.float().cpu()
