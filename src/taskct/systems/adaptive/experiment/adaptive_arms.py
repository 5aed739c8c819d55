"""The arms of the experiment: reconstructors, and what each is trained for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from taskct.evaluation.reading import random_reader
from taskct.task import DiceCE, FrozenTask
from taskct.training import FeaturePenalty, ImageError, LabelPenalty, Objective, ShakenPenalty, convex

_FOLDED = {"norm": "batch", "unshuffle": 2, "skip_channels": 16}


class Model(NamedTuple):
    """A reconstructor: its name in tables, the config that `make_model` builds it from, and what its steps cost.

    `unets`: it is made of U-Nets, which get the experiment's `widths` unless the config has its own; `cost` is that of a
    step in those of FBP + U-Net at the widths of the preset "full".
    """

    label: str
    config: Mapping[str, Any]
    unets: bool = True
    cost: float = 1.0

    def build(self, widths: Sequence[int]) -> dict[str, Any]:
        """The config, of the experiment's size."""
        return {**({"widths": list(widths)} if self.unets else {}), **self.config}


MODELS: dict[str, Model] = {
    "unet": Model("FBP + U-Net", {"kind": "fbp_unet", **_FOLDED}),
    "unrolled": Model("ItNet", {"kind": "itnet", "iterations": 2, "shared": False, **_FOLDED}, cost=1.8),
    "unet-wide": Model("FBP + wide U-Net", {"kind": "fbp_unet", "widths": [32, 64, 128], **_FOLDED}, cost=3.5),
    "unet-3-slices": Model("FBP + U-Net on three slices", {"kind": "fbp_unet", "neighbours": 1, **_FOLDED}, cost=1.3),
    "unrolled-weighted": Model(
        "ItNet with statistical weights",
        {"kind": "itnet", "iterations": 2, "shared": False, "weighted": True, **_FOLDED},
        cost=1.8,
    ),
    "lpd": Model(
        "Learned Primal-Dual",
        {"kind": "primal_dual", "iterations": 3, "width": 16, "primal": 4, "dual": 4},
        unets=False,
        cost=4.5,
    ),
}


class Loss(NamedTuple):
    """What an arm is trained for after the image error alone: by the objective `make(reader)`, unless a reader learns along.

    `kind` is "image", "task" or "control"; `known` continues with the patients from whom the readers learned, and not with
    the reconstructions' own.
    """

    label: str
    about: str
    kind: str
    make: Callable[[FrozenTask], Objective] | None = None
    known: bool = False

    @property
    def task(self) -> bool:
        """Whether it is meant to serve the reader."""
        return self.kind == "task"

    @property
    def control(self) -> bool:
        """Whether nothing should be gained by it."""
        return self.kind == "control"


_MISSED_ARE_DEAR = (1.0, 1.0, 8.0)  # background, liver, tumour; the readers' own penalty has 1, 1, 2


def _label(alpha: float) -> Callable[[FrozenTask], Objective]:
    return lambda reader: convex(ImageError(), LabelPenalty(reader), alpha=alpha)


def _plain(reader: FrozenTask) -> Objective:
    return Objective({"image": (1.0, ImageError())})


LOSSES: dict[str, Loss] = {  # those that decide first
    "plain": Loss("image loss", "image error, as many steps as the others", "image", _plain),
    "label-0.5": Loss("label loss .5", "and the frozen reader's penalty on the labels", "task", _label(0.5)),
    "feature": Loss(
        "feature loss",
        "and the distance of the frozen reader's feature maps from those of full dose",
        "task",
        lambda reader: convex(ImageError(), FeaturePenalty(reader), alpha=0.9),
    ),
    "label-shaken": Loss(
        "label loss .5, shaken",
        "the label loss, whose reader sees the image moved, blurred and noisier, anew in each step",
        "task",
        lambda reader: convex(ImageError(), ShakenPenalty(reader), alpha=0.5),
    ),
    "both": Loss(
        "label and feature loss",
        "and the penalty on the labels and the distance of the feature maps, half and half",
        "task",
        lambda reader: Objective(
            {"image": (0.3, ImageError()), "task": (0.35, LabelPenalty(reader)), "feature": (0.35, FeaturePenalty(reader))}
        ),
    ),
    "label-missed": Loss(
        "label loss .5, missed tumours dear",
        "the label loss with weights 1, 1, 8 of background, liver, tumour in place of 1, 1, 2",
        "task",
        lambda reader: convex(ImageError(), LabelPenalty(reader, penalty=DiceCE(weights=_MISSED_ARE_DEAR)), alpha=0.5),
    ),
    "plain-long": Loss("image loss, longer", "image error, for as long as the label loss takes", "image", _plain),
    "joint": Loss("joint", "reconstruction and reader learn together", "task"),
    "label-0.25": Loss("label loss .25", "the same with alpha 0.25", "task", _label(0.25)),
    "label-0.9": Loss("label loss .9", "the same with alpha 0.9", "task", _label(0.9)),
    "label-known": Loss(
        "label loss .5, the reader's patients",
        "the same, going on with the patients from whom the reader learnt",
        "task",
        _label(0.5),
        known=True,
    ),
    "random-network": Loss(
        "random network",
        "control: the label loss with a frozen network of random weights",
        "control",
        lambda reader: convex(ImageError(), LabelPenalty(random_reader(reader, seed=1)), alpha=0.5),
    ),
    "shuffled-labels": Loss(
        "shuffled labels", "control: the label loss with the labels of other patients", "control", _label(0.5)
    ),
}


@dataclass(frozen=True)
class Arm:
    """One training of one reconstructor.

    >>> Arm("unet", "label-0.5").name, Arm("unet", "label-0.5").method
    ('unet-label-0.5-s0', 'FBP + U-Net, label loss .5')
    """

    model: str
    loss: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.model}-{self.loss}-s{self.seed}"

    @property
    def base(self) -> str:
        """The folder of the training that it begins from: image error alone."""
        return f"{self.model}-base-s{self.seed}"

    @property
    def method(self) -> str:
        """In tables."""
        return f"{MODELS[self.model].label}, {LOSSES[self.loss].label}"


def objective_of(arm: Arm, reader: FrozenTask) -> Objective:
    """The arm's objective; for those whose reader does not learn along."""
    make = LOSSES[arm.loss].make
    assert make is not None
    return make(reader)
