"""The graph of the dose experiment, in the order in which its results are worth most."""

from __future__ import annotations

from pathlib import Path

from taskct.evaluation.dose.target import Target
from taskct.experiments.cohort_images import DrawnPatients
from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.recon.learned import load_reconstructor
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.alara.experiment.alara_arms import PSNRS, TASKS, arm_named
from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.experiment.alara_summary import gather
from taskct.systems.alara.experiment.alara_trainings import find_bound, read_bound, train_arm, train_base, train_one_reader
from taskct.systems.alara.experiment.comparing import (
    Compared,
    DoseRun,
    compare_arm,
    compare_rivals,
    read_comparisons,
)
from taskct.systems.alara.experiment.shared_subjects import save_images
from taskct.task import FrozenTask
from taskct.task.readers import load_reader

_DATA = (
    "train_patients", "validation_patients", "test_patients", "slices", "size", "width_mm", "radius_mm", "contrast_hu",
    "views", "seed", "data",
)  # fmt: skip
_COMPARING = ("draws", "promised", "curve_photons")


def dose_steps(settings: DoseExperiment) -> list[Step]:
    """All steps: a stop at any time leaves the comparisons of what is done, and more arms or seeds only add to it."""
    plan = _Plan(settings)
    for arm, seed in settings.trainings:
        plan.arm(arm, seed)
    plan.step("report", call(gather, compared=plan.compared), Path, about="tables, figures, page", cost=10, always=True)
    return list(plan.steps.values())


class _Plan(Plan[DoseExperiment]):
    """The steps, and handles of what they make."""

    def __init__(self, settings: DoseExperiment) -> None:
        super().__init__(settings)
        self.compared: list[Made[Compared]] = []
        self.images = self.step(
            "images", call(save_images, settings=settings), DrawnPatients, uses=_DATA, about="drawing the patients", cost=15
        )

    def arm(self, arm: str, seed: int) -> None:
        """What an arm stands on, its training, its comparison; task arms also with a reader that training never saw."""
        s, about = self.settings, arm_named(arm)
        base = self._base() if about.model == "unet" else None
        first = self._reader(s.readers[0]) if about.of_task else None
        bound = self._bound(about.quality, about.model, base)
        steps = "unet_steps" if about.model == "unet" else "fbp_steps"
        trained = self.step(
            f"dose-{arm}-{seed}",
            call(train_arm, settings=s, images=self.images, bound=bound, base=base, reader=first, arm=arm, seed=seed),
            DoseRun,
            uses=(steps, "batch", "width", "promised", "reader_patients", "photons"),
            about=f"{about.about}; seed {seed}, {getattr(s, steps)} steps",
            cost=0.4 * getattr(s, steps),
        )
        readers = [self._reader(net) for net in s.readers] if about.of_task else []  # no training sees the later ones
        for by in range(max(len(readers), 1)):
            self._compare(arm, seed, by, base=base, bound=bound, trained=trained, readers=readers)

    def _compare(
        self,
        arm: str,
        seed: int,
        by: int,
        *,
        base: Made[Reconstructor] | None,
        bound: Made[Target],
        trained: Made[DoseRun],
        readers: list[Made[FrozenTask]],
    ) -> None:
        """The comparison of an arm under the reader of the training, or under the reader number `by`."""
        s, about = self.settings, arm_named(arm)
        reader = s.readers[by] if by else ""
        words = f", read by {reader}" if by else ""
        ending = f"-{reader}" if by else ""
        rivals = None
        if base is None:
            rivals = self.step(
                f"rivals-{about.quality}{ending}",
                call(
                    compare_rivals, settings=s, images=self.images, bound=bound, readers=readers, quality=about.quality, by=by
                ),
                read_comparisons,
                uses=_COMPARING,
                about=f"{about.quality}: the strategies that do not learn, at the same quality{words}",
                cost=200,
            )
        made = self.step(
            f"compared-{arm}-{seed}{ending}",
            call(
                compare_arm,
                settings=s,
                images=self.images,
                bound=bound,
                readers=readers,
                trained=trained,
                base=base,
                rivals=rivals,
                arm=arm,
                seed=seed,
                by=by,
            ),
            read_comparisons,
            uses=_COMPARING,
            about=f"{arm}, seed {seed}: every strategy at the same quality{words}",
            cost=40 if rivals else 240,
        )
        self.compared.append(made)

    def _base(self) -> Made[Reconstructor]:
        return self.step(
            "base",
            call(train_base, settings=self.settings, images=self.images),
            load_reconstructor,
            uses=("base_steps", "reader_patients", "photons", "unet_widths"),
            about=f"FBP + U-Net learns all doses, {self.settings.base_steps} steps",
            cost=0.2 * self.settings.base_steps,
        )

    def _bound(self, quality: str, model: str, base: Made[Reconstructor] | None) -> Made[Target]:
        return self.step(
            f"bound-{model}-{quality}",
            call(find_bound, settings=self.settings, images=self.images, quality=quality, base=base),
            read_bound,
            uses=("photons", *(("dice_share",) if quality in TASKS else ("psnr_bound",) if quality in PSNRS else ())),
            about=f"the bound of {quality}",
            cost=10,
        )

    def _reader(self, net: str) -> Made[FrozenTask]:
        return self.step(
            f"reader-{net}",
            call(train_one_reader, settings=self.settings, images=self.images, net=net),
            load_reader,
            uses=("reader_steps", "reader_patients", "full_photons"),
            about=f"{net} learns to read full dose as FBP shows it",
            cost=0.2 * self.settings.reader_steps,
        )
