"""The size of the task-adaptive experiment: who is scanned, how, what is trained for how long, and who reads."""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import ConfigError, unknown_name
from taskct.phantoms.abdomen import CohortSettings
from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES, MODELS, Arm
from taskct.task.readers import READERS


@dataclass(frozen=True, kw_only=True)
class TaskAdaptive:
    """Settings of the experiment; every number that a result depends on.

    *_patients    of the built-in cohort: readers of full dose learn from their own, reconstructions (and readers that are
                  retrained on them) from the training patients, whom no reader knows by heart; `slices` of each patient,
                  `size` x `size` pixels
    data          folder of labelled CT (LiTS, MSD Task03) whose volumes take the place of the cohort's patients, are split by
                  `data_split` into readers, reconstructions, validation and test, and brought onto a square of `field_mm`;
                  `slices` of each that show liver or tumour, 0 for all
    photons       per detector pixel in air of the scans that are scored, the highest first; one network is trained for all
                  doses between them
    readers       of `task.readers.READERS`: the first is the one in the losses, the others are never seen by a training
    models        the reconstructors, of MODELS; `widths` of their U-Nets
    losses        of LOSSES, for the first model; `other_losses` for the others (the same when empty)
    seeds         trainings of the `main_losses` of each model; of the others there is one
    *_steps       of the readers, of the image loss alone, of each loss after that, and of retraining the reader
    base_patience    validations without a gain of `flat_gain` (relative) that end the image loss alone, at a constant learning
                  rate; base_steps are then the most; 0: so many steps, whose plateau is not tested
    retrain_patience the same of retraining readers
    label_cost    how many times as long a step with the label loss takes: "plain-long" takes as many more steps
    bounds        losses whose images readers are retrained on
    bound_readers    the readers that are retrained, of `readers`; unseen ones give the share of the recoverable gap
    bound_patients   training patients that no reconstruction and no reader of full dose has seen, from whom the retrained ones
                  learn; 0: the reconstructions' own
    bound_each_dose  whether a reader is retrained at each dose alone, and not for all doses together
    audit         test patients in whom lesions are put in and taken out
    """

    reader_patients: int = 260
    train_patients: int = 260
    validation_patients: int = 12
    test_patients: int = 40
    slices: int = 8
    size: int = 128
    width_mm: tuple[float, float] = (260.0, 360.0)
    data: str = ""
    data_split: tuple[float, float, float, float] = (0.35, 0.35, 0.1, 0.2)
    field_mm: float = 440.0
    views: int = 160
    photons: tuple[float, ...] = (65536.0, 16384.0)
    readers: tuple[str, ...] = ("unet_fast", "unet_thin", "residual_fast")
    models: tuple[str, ...] = ("unet", "unrolled")
    widths: tuple[int, ...] = (32, 64, 96)
    losses: tuple[str, ...] = tuple(LOSSES)
    other_losses: tuple[str, ...] = ()
    main_losses: tuple[str, ...] = ("plain", "label-0.5")
    base_patience: int = 0
    retrain_patience: int = 0
    flat_gain: float = 0.005
    bounds: tuple[str, ...] = ("plain", "label-0.5", "feature")
    bound_readers: tuple[str, ...] = ()
    bound_patients: int = 0
    bound_each_dose: bool = False
    seeds: int = 1
    reader_steps: int = 1200
    base_steps: int = 2000
    task_steps: int = 800
    retrain_steps: int = 400
    label_cost: float = 1.8
    batch: int = 16
    tv_strengths: tuple[float, ...] = (0.5, 1.0, 2.0)
    audit: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("losses", LOSSES), ("other_losses", LOSSES), ("models", MODELS), ("readers", READERS)):
            for one in getattr(self, name):
                if one not in known:
                    raise unknown_name(f"name in {name}", one, known)
        if len(self.readers) < 2 or len(set(self.readers)) < len(self.readers):
            raise ConfigError(f"the experiment expects two different readers or more, got {self.readers}")
        if "plain" not in self.losses or not self.models:
            raise ConfigError("the experiment expects a model and the loss 'plain', which the others are compared with")
        if list(self.photons) != sorted(set(self.photons), reverse=True) or not self.photons:
            raise ConfigError(f"photons are expected from the highest to the lowest, each once, got {self.photons}")
        if min(self.data_split) <= 0 or not abs(sum(self.data_split) - 1) <= 1e-9 or not self.field_mm > 0:
            raise ConfigError(
                "data_split expects four shares above 0 that sum to 1 (readers, reconstructions, validation, test) and "
                f"field_mm a length above 0, got {self.data_split} and {self.field_mm!r}"
            )
        if self.data and self.bound_patients:
            raise ConfigError("bound_patients are drawn from the built-in cohort; with data they are expected as 0")
        beside = [name for name in self.models if MODELS[name].config.get("neighbours")]
        if self.data and self.slices and beside:
            raise ConfigError(
                f"model {beside[0]!r} sees the slices beside each, and {self.slices} slices of a volume of data lie far apart "
                "where all of a test volume follow each other; take slices=0, all that show liver or tumour, or other models"
            )
        for one in self.bound_readers:
            if one not in self.readers:
                raise unknown_name("name in bound_readers", one, self.readers)
        if self.size % 8:
            raise ConfigError(f"size must divide by 8, got {self.size}")

    @property
    def anatomy(self) -> CohortSettings:
        """What the patients are like."""
        return CohortSettings(width_mm=self.width_mm)

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        """Pixel size of the images of `data`; None for built-in patients, whose anatomy decides it."""
        return (self.field_mm / self.size, self.field_mm / self.size) if self.data else None

    @property
    def patients(self) -> dict[str, int]:
        """How many in each part of the cohort; its training part holds those of readers, of reconstructions, of bounds."""
        return {
            "train": self.reader_patients + self.train_patients + self.bound_patients,
            "validation": self.validation_patients,
            "test": self.test_patients,
        }

    @property
    def reader(self) -> str:
        """The reader in the losses."""
        return self.readers[0]

    @property
    def retrained(self) -> tuple[str, ...]:
        """The readers that are retrained: that of the losses, unless others are named."""
        return self.bound_readers or (self.reader,)

    @property
    def earns_a_bound(self) -> bool:
        """Whether retrained readers can give a bound: to a plateau, at each dose, of unseen patients, of two kinds or more.

        Of two unseen readers: where one of these is retrained, that of the losses takes no part in the share of the gap.
        """
        kinds = set(self.retrained) - {self.reader}
        return bool(self.retrain_patience and self.bound_each_dose and self.bound_patients and len(kinds) > 1)

    @property
    def fractions(self) -> tuple[float, ...]:
        """The doses as fractions of the highest."""
        return tuple(n / self.photons[0] for n in self.photons)

    @property
    def arms(self) -> list[Arm]:
        """All trainings of reconstructions, those that decide first: a stop at any time leaves a usable table."""
        wanted = [Arm(model, loss) for loss in LOSSES for model in self.models if loss in self._losses_of(model)]
        more = [Arm(a.model, a.loss, seed) for seed in range(1, self.seeds) for a in wanted if a.loss in self.main_losses]
        return wanted + more

    def _losses_of(self, model: str) -> tuple[str, ...]:
        return self.losses if model == self.models[0] or not self.other_losses else ("plain", *self.other_losses)
