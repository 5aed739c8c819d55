"""Readers: segmentation networks that were trained on full dose, and come back from their run folder as frozen tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from taskct.core.config import from_dict
from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.runs import Run, load_run
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.nets import Folded, ResidualNet, UNet
from taskct.nets.weights import load_weights
from taskct.task.frozen import FrozenTask, freeze
from taskct.task.penalties import DiceCE
from taskct.task.prepare import HuWindow


@dataclass(frozen=True, kw_only=True)
class ReaderSpec:
    """What a reader is: its network (one of READERS), the classes it tells apart, and the window in HU that it sees.

    `class_weights` go into its penalty, rare classes higher. The default window shows -100 to 220 HU: the soft tissue
    of the abdomen.
    """

    net: str = "unet"
    classes: tuple[str, ...] = ("background", "liver", "tumour")
    centre_hu: float = 60.0
    width_hu: float = 320.0
    class_weights: tuple[float, ...] | None = None
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM

    def __post_init__(self) -> None:
        if self.net not in READERS:
            raise unknown_name("reader", self.net, READERS)
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"a reader expects background and at least one other class, each once, got {self.classes}")
        if self.class_weights is not None and len(self.class_weights) != len(self.classes):
            raise ConfigError(f"a reader expects a weight for each of {len(self.classes)} classes, got {self.class_weights}")


def make_reader(spec: ReaderSpec) -> nn.Module:
    """The untrained network of a reader: window 0..1 (B, 1, Y, X) -> logits (B, classes, Y, X)."""
    return READERS[spec.net](len(spec.classes))


def reader_window(spec: ReaderSpec) -> HuWindow:
    """What the reader sees of mu."""
    return HuWindow(spec.centre_hu, spec.width_hu, mu_water_per_mm=spec.mu_water_per_mm)


def as_task(net: nn.Module, spec: ReaderSpec, name: str) -> FrozenTask:
    """A trained reader, frozen: predicts logits of mu, penalised by DiceCE."""
    return FrozenTask(freeze(net), reader_window(spec), DiceCE(weights=spec.class_weights), name)


def load_reader(run: Run | str | os.PathLike[str], *, name: str = "") -> FrozenTask:
    """The frozen reader of a run that `train_reader` wrote; `name` is the folder's unless given."""
    run = run if isinstance(run, Run) else load_run(run)
    if "reader" not in run.config:
        raise InputError(f"{run.folder}: is no reader's run (its config has no [reader]); train one with taskct train")
    if not run.path("weights.safetensors").exists():
        raise InputError(f"{run.folder}: holds no weights yet (weights.safetensors); let its training end first")
    spec = from_dict(ReaderSpec, run.config["reader"], where="reader")
    net = make_reader(spec)
    load_weights(net, run.load_tensors("weights.safetensors")[0], what=str(run.folder))
    return as_task(net, spec, name or run.folder.name)


READERS: dict[str, Callable[[int], nn.Module]] = {
    "unet": lambda classes: UNet(1, classes, widths=(16, 32, 64, 96), skip_channels=None),
    "unet_wide": lambda classes: UNet(1, classes, widths=(24, 48, 96, 128), skip_channels=None),
    "unet_fast": lambda classes: UNet(1, classes, widths=(32, 64, 96), skip_channels=None, unshuffle=2),
    "unet_fast_wide": lambda classes: UNet(1, classes, widths=(40, 80, 120, 160), skip_channels=None, unshuffle=2),
    "unet_thin": lambda classes: UNet(1, classes, widths=(8, 24, 48, 96), skip_channels=None),
    "residual": partial(ResidualNet, 1, width=24, blocks=5),
    "residual_fast": lambda classes: Folded(partial(ResidualNet, width=28, blocks=4), 1, classes),
}
