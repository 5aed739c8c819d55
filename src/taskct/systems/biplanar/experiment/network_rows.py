"""The rows of the experiment that are networks: which network, and what it is trained for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from taskct.nets import PatchDiscriminator
from taskct.recon.learned import BIPLANAR, preset_config
from taskct.task import FrozenTask
from taskct.training import DescentSettings, ImageError, LabelPenalty, Objective, Player
from taskct.training.adversarial import FoolPenalty, discriminator_player
from taskct.training.train_radiographs import beside_views
from taskct.training.volume_terms import MeanProjections, RadiographMisfit

_UNIT_HU = 180.0  # an RMS error of this counts 1: of the order of what networks leave
_PUBLISHED_HU = 2500.0  # the published losses are of volumes scaled to 0..1
_WIDTH, _LAYERS = 16, 2  # of the discriminator: for 32 voxels, where the published three layers see nearly everything


class NetworkRow(NamedTuple):
    """A network of `BIPLANAR`, with what is changed of it, and the objective it is trained for.

    `objective` is one of OBJECTIVES. All but the published one see what differs from the mean skull (`centred`), which serves
    every network. `cost` is that of a step in those of the network "smear".
    """

    label: str
    preset: str
    objective: str = "image"
    changes: Mapping[str, Any] = {}
    cost: float = 1.0

    def config(self, shape: tuple[int, int, int], *, views: int) -> dict[str, Any]:
        """The [model] table, with the mean skull of the training as its prior."""
        centred = not self.objective.startswith("published")
        return preset_config(self.preset, **{"prior": list(shape), "views": views, "centred": centred, **self.changes})


def _lifts(left_out: str) -> dict[str, list[str]]:
    """The lifts of the small PSCT-Net without one of them."""
    return {"lift": [one for one in BIPLANAR["psct-small"]["lift"] if one != left_out]}


ROWS: dict[str, NetworkRow] = {  # those that decide first
    "unrolled": NetworkRow("unrolled", "unrolled", cost=2.2),
    "psct-small": NetworkRow("PSCT-Net, small", "psct-small", "published", cost=5.0),
    "x2ct": NetworkRow("X2CT-like", "x2ct", cost=1.9),
    "psct-small-mse": NetworkRow("PSCT-Net, small, image error", "psct-small", cost=3.5),
    "smear": NetworkRow("smear", "smear"),
    "smear-agree": NetworkRow("smear, agreement last", "smear-agree", cost=1.2),
    "repeat": NetworkRow("repeat", "repeat", cost=1.2),
    "repeat-agree": NetworkRow("repeat, agreement last", "repeat-agree", cost=1.3),
    "released-geometry": NetworkRow("smear, released geometry", "released-geometry", cost=1.1),
    "rays": NetworkRow("smear and rays", "rays", cost=1.6),
    "attention": NetworkRow("repeat and attention", "attention", cost=1.3),
    "attention-published": NetworkRow("repeat and attention, no positions", "attention-published", cost=1.3),
    "state-space": NetworkRow("smear, state space", "state-space", cost=2.2),
    "fused": NetworkRow("smear, fused decoder", "fused", cost=2.2),
    "unrolled-projections": NetworkRow("unrolled, cone projections in the loss", "unrolled", "projections", cost=2.3),
    "unrolled-reader": NetworkRow("unrolled, bone reader in the loss", "unrolled", "reader", cost=2.6),
    "unrolled-adversary": NetworkRow("unrolled, adversary in the loss", "unrolled", "adversary", cost=3.7),
    "psct-small-no-adversary": NetworkRow("PSCT-Net, small, no adversary", "psct-small", "published, no adversary", cost=3.5),
    "psct-small-no-rays": NetworkRow("PSCT-Net, small, image error, no rays", "psct-small", changes=_lifts("rays"), cost=3.0),
    "psct-small-no-attention": NetworkRow(
        "PSCT-Net, small, image error, no attention", "psct-small", changes=_lifts("attention"), cost=3.4
    ),
    "psct-small-no-core": NetworkRow(
        "PSCT-Net, small, image error, no state space", "psct-small", changes={"core": "none"}, cost=2.5
    ),
    "psct-small-plain-decoder": NetworkRow(
        "PSCT-Net, small, image error, plain decoder", "psct-small", changes={"decoder": "plain"}, cost=2.0
    ),
    "psct-small-8-bit": NetworkRow(
        "PSCT-Net, small, 8-bit films", "psct-small", "published", changes={"films": "8-bit"}, cost=5.0
    ),
    "unrolled-state-space": NetworkRow("unrolled, state space", "unrolled", changes={"core": "state-space"}, cost=4.0),
}


def _image(reader: FrozenTask | None) -> tuple[Objective, list[Player]]:
    return Objective({"image": (1.0, ImageError(unit_hu=_UNIT_HU))}), []


def _projections(reader: FrozenTask | None) -> tuple[Objective, list[Player]]:
    return Objective({"image": (1.0, ImageError(unit_hu=_UNIT_HU)), "radiographs": (0.5, RadiographMisfit())}), []


def _reader(reader: FrozenTask | None) -> tuple[Objective, list[Player]]:
    assert reader is not None
    return Objective({"image": (1.0, ImageError(unit_hu=_UNIT_HU)), "task": (0.5, LabelPenalty(reader))}), []


def _published(reader: FrozenTask | None) -> tuple[Objective, list[Player]]:
    """10 L1 + 10 mean projections + 0.1 LSGAN, with a conditional PatchGAN as the second player."""
    fool, judge = _adversary()
    return Objective({**_published_terms(), "fool": fool}), [judge]


def _published_alone(reader: FrozenTask | None) -> tuple[Objective, list[Player]]:
    return Objective(_published_terms()), []


def _beside_image(reader: FrozenTask | None) -> tuple[Objective, list[Player]]:
    """The published adversary at its published weight beside our image error, which is about as large."""
    fool, judge = _adversary()
    return Objective({"image": (1.0, ImageError(unit_hu=_UNIT_HU)), "fool": fool}), [judge]


def _published_terms() -> dict[str, tuple[float, nn.Module]]:
    error, projections = ImageError("l1", unit_hu=_PUBLISHED_HU), MeanProjections(unit_hu=_PUBLISHED_HU)
    return {"image": (10.0, error), "projections": (10.0, projections)}


def _adversary() -> tuple[tuple[float, FoolPenalty], Player]:
    judge = PatchDiscriminator(3, dims=3, width=_WIDTH, layers=_LAYERS)
    descent = DescentSettings(lr=2e-4, betas=(0.5, 0.99), ema=0.0, schedule="constant", warmup_steps=0, clip_norm=0.0)
    player = discriminator_player(judge, look=beside_views, descent=descent)
    return (0.1, FoolPenalty(judge, look=beside_views)), player


OBJECTIVES: dict[str, Callable[[FrozenTask | None], tuple[Objective, list[Player]]]] = {
    "image": _image,
    "projections": _projections,
    "reader": _reader,
    "published": _published,
    "published, no adversary": _published_alone,
    "adversary": _beside_image,
}


@dataclass(frozen=True)
class Training:
    """One training of one row.

    >>> Training("unrolled", 2).name
    'net-unrolled-s2'
    """

    row: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"net-{self.row}-s{self.seed}"

    @property
    def label(self) -> str:
        """In tables."""
        return ROWS[self.row].label
