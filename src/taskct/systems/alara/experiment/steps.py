"""The graph of the dose experiment, in the order in which its results are worth most."""

from __future__ import annotations

from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.systems.alara.experiment.arms import arm_named
from taskct.systems.alara.experiment.comparing import compare_arm, compare_rivals, rivals_name
from taskct.systems.alara.experiment.gather import gather
from taskct.systems.alara.experiment.settings import DoseExperiment
from taskct.systems.alara.experiment.shared import save_images
from taskct.systems.alara.experiment.trainings import bound_name, find_bound, train_arm, train_base, train_one_reader

_DATA = "train_patients validation_patients test_patients slices size width_mm radius_mm contrast_hu views seed"


def dose_steps(settings: DoseExperiment) -> list[Step]:
    """All steps: a stop at any time leaves the comparisons of what is done, and more arms or seeds only add to it."""
    plan = _Plan(settings)
    plan.step("images", save_images, what=_DATA, about="drawing the patients", cost=15)
    for arm, seed in settings.trainings:
        plan.arm(arm, seed)
    plan.step("report", gather, needs=tuple(plan.compared), about="tables, figures, page", cost=10, always=True)
    return list(plan.steps.values())


class _Plan(Plan):
    """Steps in the order in which they were added; `what` names the settings that a step's result depends on."""

    settings: DoseExperiment

    def __init__(self, settings: DoseExperiment) -> None:
        super().__init__(settings)
        self.compared: list[str] = []

    def arm(self, arm: str, seed: int) -> None:
        """What an arm stands on, its training, its comparison; task arms also with a reader that training never saw."""
        s, about = self.settings, arm_named(arm)
        task = about.of_task
        ground = ["images"]
        if about.model == "unet":
            ground.append(
                self.step(
                    "base",
                    train_base,
                    needs=("images",),
                    what="base_steps reader_patients photons",
                    about=f"FBP + U-Net learns all doses, {s.base_steps} steps",
                    cost=0.2 * s.base_steps,
                )
            )
        readers = [self._reader(net) for net in s.readers[:1]] if task else []
        bound = self.step(
            bound_name(about.quality, about.model),
            find_bound,
            needs=tuple(ground),
            what="photons dice_share" if task else "photons",
            about=f"the bound of {about.quality}",
            cost=10,
            quality=about.quality,
            model=about.model,
        )
        steps = "unet_steps" if about.model == "unet" else "fbp_steps"
        trained = self.step(
            f"dose-{arm}-{seed}",
            train_arm,
            needs=(*ground, *readers, bound),
            what=f"{steps} batch width promised reader_patients photons",
            about=f"{about.about}; seed {seed}, {getattr(s, steps)} steps",
            cost=0.4 * getattr(s, steps),
            arm=arm,
            seed=seed,
        )
        readers += [self._reader(net) for net in s.readers[1:]] if task else []  # no training sees these
        for k, reader in enumerate(s.readers if task else ("",)):
            by = f", read by {reader}" if k else ""
            others: tuple[str, ...] = ()
            if about.model == "fbp":
                others = (
                    self.step(
                        rivals_name(about.quality, reader if k else ""),
                        compare_rivals,
                        needs=("images", *readers, bound),
                        what="draws promised curve_photons",
                        about=f"{about.quality}: the strategies that do not learn, at the same quality{by}",
                        cost=200,
                        quality=about.quality,
                        reader=reader if k else "",
                    ),
                )
            name = self.step(
                f"compared-{arm}-{seed}" + (f"-{reader}" if k else ""),
                compare_arm,
                needs=(*ground, *readers, bound, trained, *others),
                what="draws promised curve_photons",
                about=f"{arm}, seed {seed}: every strategy at the same quality{by}",
                cost=40 if others else 240,
                arm=arm,
                seed=seed,
                reader=reader if k else "",
            )
            self.compared.append(name)

    def _reader(self, net: str) -> str:
        return self.step(
            f"reader-{net}",
            train_one_reader,
            needs=("images",),
            what="reader_steps reader_patients full_photons",
            about=f"{net} learns to read full dose as FBP shows it",
            cost=0.2 * self.settings.reader_steps,
            net=net,
        )
