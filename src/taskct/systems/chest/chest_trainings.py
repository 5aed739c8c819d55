"""The steps that train: all four heads at full dose, and the arms of the comparisons."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from taskct.core.seeds import derive_seed
from taskct.data.images import ImageSet
from taskct.data.label_shares import LabelShares
from taskct.experiments.made import Made
from taskct.nets.shared_net import ENCODER, SharedNet
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_classes import BALANCE, FINDINGS, TRUTHS, WINDOW
from taskct.systems.chest.chest_net import ChestNetConfig, ChestReader, build_net, penalties_of
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.training import Augmentation, TrainSettings, preload, shared_objective, train_shared

AUGMENT = Augmentation(shift_share=0.08, scale=0.12, rotate_deg=12.0, offset_hu=4.0, noise_hu=15.0, mirror=True)


class PartImages(Protocol):
    """Images by the part of a cohort, such as `LungCrops`."""

    def images(self, part: str) -> ImageSet:
        """All images of a part."""


def net_config(settings: ChestExperiment, arm: Arm, **changes: Any) -> ChestNetConfig:
    """What the network of an arm is built from."""
    plain = {
        "tasks": arm.tasks,
        "backbone": arm.backbone,
        "widths": settings.widths,
        "fold": settings.fold,
        "pixel_mm": settings.pixel_mm,
        "cell_mm": settings.cell_mm,
        "neighbours": settings.neighbours,
        "slice_mm": settings.slice_mm,
    }
    return ChestNetConfig(**{**plain, **changes})


def first_net(settings: ChestExperiment, arm: Arm) -> SharedNet:
    """The network of an arm with the weights that its training begins with."""
    return build_net(net_config(settings, arm), seed=derive_seed(settings.seed, "weights", arm.seed) % 2**31)


def train_arm(
    folder: Path,
    *,
    settings: ChestExperiment,
    images: Made[PartImages],
    arm: Arm,
    begin: Made[ChestReader] | None = None,
    parts: Collection[str] = (ENCODER,),
) -> None:
    """One training at full dose; it begins with `parts` of the network `begin` where there is one."""
    crops = images.load()
    config = net_config(settings, arm)
    net = first_net(settings, arm)
    if begin is not None:
        preload(net, begin.folder, parts=parts)
    train_shared(
        net,
        labelled_part(crops.images("train"), arm),
        objective=shared_objective(penalties_of(config, loss=arm.loss), sharing=arm.sharing),
        truths=TRUTHS,
        prepare=WINDOW,
        run=folder,
        settings=how_to_train(settings, arm.steps, seed=derive_seed(settings.seed, "arm", arm.seed) % 2**31),
        validation=crops.images("validation"),
        held_out=crops.images("test").patient_ids,
        balance=BALANCE,
        augment=AUGMENT,
        neighbours=settings.neighbours,
        config={"chest": config.table()},
        progress=False,
    )


def labelled_part(images: ImageSet, arm: Arm) -> ImageSet:
    """The images as far as an arm knows their labels; without a reconstruction head those without labels are left out."""
    if arm.share == 1:
        return images
    shares = LabelShares(masks=arm.share, boxes=arm.share, findings=arm.share)
    partly = shares.of(images, FINDINGS, seed=arm.seed)
    if "restore" in arm.tasks:
        return partly
    return partly.of_patients(sorted({p for p, one in zip(partly.patient_ids, partly.marks, strict=True) if one is not None}))


def how_to_train(settings: ChestExperiment, steps: int, *, seed: int) -> TrainSettings:
    """One recipe for all trainings, whatever their length."""
    return TrainSettings(
        steps=steps,
        batch=settings.batch,
        lr=settings.lr,
        warmup_steps=min(100, max(1, steps // 10)),
        weight_decay=1e-2,
        ema=0.99,
        keep="last",
        seed=seed,
        log_every=max(1, min(50, steps // 4)),
        validate_every=max(1, steps // 3),
        checkpoint_every=max(1, min(100, steps // 4)),
    )
