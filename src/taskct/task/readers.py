"""Readers: segmentation networks that were trained on full dose, and come back from their run folder as frozen tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from taskct.core.config import from_dict
from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.runs import Run
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.geometry.beam_config import grid_from_config
from taskct.models import open_model
from taskct.nets import Folded, ResidualNet, UNet
from taskct.nets.weights import load_weights
from taskct.task.frozen import FrozenTask, freeze
from taskct.task.penalties import DiceCE, check_class_weights
from taskct.task.prepare import HuWindow
from taskct.task.sliding import SlidingWindow


@dataclass(frozen=True, kw_only=True)
class ReaderSpec:
    """What a reader is: its network (one of READERS), the classes it tells apart, and the window in HU that it sees.

    `class_weights` go into its penalty, rare classes higher. The default window shows -100 to 220 HU: the soft tissue
    of the abdomen. `dims` 3 makes a reader of volumes; with `patch` (Z, Y, X) it learns on pieces of that size and reads
    volumes of any size in windows (`SlidingWindow`), with its gradient. A patch of a 2D reader is (Y, X).
    """

    net: str = "unet"
    classes: tuple[str, ...] = ("background", "liver", "tumour")
    centre_hu: float = 60.0
    width_hu: float = 320.0
    class_weights: tuple[float, ...] | None = None
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM
    dims: int = 2
    patch: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.net not in READERS:
            raise unknown_name("reader", self.net, READERS)
        if self.dims not in (2, 3) or (self.dims == 3 and self.net in ONLY_2D):
            able = ", ".join(n for n in READERS if n not in ONLY_2D)
            raise ConfigError(f"reader {self.net!r} expects dims 2 (in three dimensions: {able}), got {self.dims!r}")
        if self.patch is not None and (len(self.patch) != self.dims or min(self.patch) < 8):
            raise ConfigError(
                f"a reader of {self.dims} dimensions expects a patch of as many sizes of 8 or more, got {self.patch}"
            )
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"a reader expects background and at least one other class, each once, got {self.classes}")
        if self.class_weights is not None:
            check_class_weights(self.class_weights, who="a reader", error=ConfigError)
        if self.class_weights is not None and len(self.class_weights) != len(self.classes):
            raise ConfigError(f"a reader expects a weight for each of {len(self.classes)} classes, got {self.class_weights}")


def make_reader(spec: ReaderSpec) -> nn.Module:
    """The untrained network of a reader: window 0..1 (B, 1, [Z,] Y, X) -> logits (B, classes, [Z,] Y, X)."""
    return READERS[spec.net](len(spec.classes)) if spec.dims == 2 else READERS[spec.net](len(spec.classes), dims=spec.dims)


def reader_window(spec: ReaderSpec) -> HuWindow:
    """What the reader sees of mu."""
    return HuWindow(spec.centre_hu, spec.width_hu, mu_water_per_mm=spec.mu_water_per_mm)


def as_task(net: nn.Module, spec: ReaderSpec, name: str, *, spacing_mm: Sequence[float] = ()) -> FrozenTask:
    """A trained reader, frozen: predicts logits of mu, penalised by DiceCE; in windows where the spec has a patch.

    `spacing_mm` are the pixels that it learnt on, where they are known.
    """
    whole = net if spec.patch is None else SlidingWindow(net, spec.patch)
    penalty = DiceCE(weights=spec.class_weights)
    return FrozenTask(freeze(whole), reader_window(spec), penalty, name, classes=spec.classes, spacing_mm=spacing_mm)


def reader_weights(reader: FrozenTask) -> dict[str, Tensor]:
    """The weights of a reader's own network, to begin another one of its spec with."""
    net = reader.net.net if isinstance(reader.net, SlidingWindow) else reader.net
    return net.state_dict()


def load_reader(source: Run | str | os.PathLike[str], *, name: str = "") -> FrozenTask:
    """A trained reader, frozen; `name` is that of its folder unless given.

    `source` is the name of a reader of the package (`taskct models`), a run that `train_reader` wrote, or a folder or
    file of weights (`open_model`). Raises InputError for a network of another kind, and what `open_model` raises.
    """
    saved = open_model(source)
    if saved.kind != "reader":
        raise InputError(
            f"{saved.where}: not a reader run: its config has no [reader] table (it is a network for "
            f"{saved.kind or 'something else'}); train one with taskct train"
        )
    with saved.naming_errors():
        spec = from_dict(ReaderSpec, saved.config["reader"], where="reader")
        net = make_reader(spec)
        grid = saved.table("grid")
        spacing = grid_from_config({"shape": [1] * spec.dims, **grid}).spacing_mm if "spacing_mm" in grid else ()
    load_weights(net, saved.tensors(), what=str(saved.where))
    return as_task(net, spec, name or saved.name, spacing_mm=spacing)


READERS: dict[str, Callable[..., nn.Module]] = {
    "unet": lambda classes, dims=2: UNet(1, classes, widths=(16, 32, 64, 96), skip_channels=None, dims=dims),
    "unet_wide": lambda classes, dims=2: UNet(1, classes, widths=(24, 48, 96, 128), skip_channels=None, dims=dims),
    "unet_small": lambda classes: UNet(1, classes, widths=(16, 32, 64, 96), skip_channels=None, unshuffle=2),
    "unet_fast": lambda classes: UNet(1, classes, widths=(32, 64, 96), skip_channels=None, unshuffle=2),
    "unet_fast_wide": lambda classes: UNet(1, classes, widths=(40, 80, 120, 160), skip_channels=None, unshuffle=2),
    "unet_thin": lambda classes, dims=2: UNet(1, classes, widths=(8, 24, 48, 96), skip_channels=None, dims=dims),
    "residual": partial(ResidualNet, 1, width=24, blocks=5),
    "residual_fast": lambda classes: Folded(partial(ResidualNet, width=28, blocks=4), 1, classes),
}
ONLY_2D = ("unet_small", "unet_fast", "unet_fast_wide", "residual_fast")  # folding pixels into channels is written for slices
