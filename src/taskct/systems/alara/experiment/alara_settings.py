"""The size of the dose experiment; every number that a result depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from taskct.core.errors import ConfigError
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.presets import lodopab
from taskct.phantoms.abdomen import CohortSettings
from taskct.systems.alara.experiment.alara_arms import UNLABELLED, arm_named
from taskct.systems.alara.learned.domain import LEAST_PATIENTS

LODOPAB_SIZE = 362


@dataclass(frozen=True, kw_only=True)
class DoseExperiment:
    """Settings of the experiment.

    *_patients    of the built-in cohort; `slices` of each, `size` x `size` pixels; `width_mm` is the range of body widths,
                  `radius_mm` and `contrast_hu` those of tumours
    reader_patients  of the training patients teach the readers and nothing else: doses are then learnt on patients whom no
                  reader knows by heart; 0 where no arm serves a task
    data          folder of LoDoPaB-CT: its slices take the place of the cohort's patients, as many of each part as *_patients
                  says, evenly over it, in its own geometry with so many `views`; each slice gets a dose of its own
    photons       lowest, fallback (the fixed dose that sets the bounds) and highest, per pixel in air; the highest is full
    curve_photons mean photons at which curves are measured; octaves from the lowest to the highest when none are given
    arms          of ARMS, in the order in which they are made; the first `seeds_for` get `seeds` trainings each
    promised      share of patients of the chance constraint, and of comparisons by share
    dice_share    share of full dose's Dice that is to be kept
    psnr_bound    bound of PSNR arms in dB, in their convention; 0: what the fallback dose gives validation patients
    *_steps       of the readers, of the reconstruction for a range of doses, of each dose module with FBP and with the U-Net
    width         channels of the dose module's first layer; `unet_widths` those of FBP + U-Net
    draws         noises per patient and dose in all evaluations, averaged
    """

    train_patients: int = 260
    reader_patients: int = 100
    validation_patients: int = 16
    test_patients: int = 40
    slices: int = 2
    size: int = 128
    width_mm: tuple[float, float] = (260.0, 480.0)
    radius_mm: tuple[float, float] = CohortSettings.radius_mm
    contrast_hu: tuple[float, float] = CohortSettings.contrast_hu
    views: int = 160
    data: str = ""
    photons: tuple[float, float, float] = (2.0**10, 2.0**14, 2.0**18)
    curve_photons: tuple[float, ...] = ()
    arms: tuple[str, ...] = ("fbp-noise-views", "fbp-noise-share", "unet-rmse-mean", "unet-dice-mean")
    seeds_for: tuple[str, ...] = ("fbp-noise-views",)
    seeds: int = 1
    promised: float = 0.9
    dice_share: float = 0.95
    psnr_bound: float = 0.0
    readers: tuple[str, ...] = ("unet_fast", "residual_fast")
    reader_steps: int = 1000
    base_steps: int = 1000
    fbp_steps: int = 700
    unet_steps: int = 400
    batch: int = 8
    width: int = 32
    unet_widths: tuple[int, ...] = (32, 64, 96)
    draws: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (*self.arms, *self.seeds_for):
            arm_named(name)
        if not 0 <= self.reader_patients < self.train_patients:
            raise ConfigError(
                f"reader_patients are expected below train_patients = {self.train_patients}, got {self.reader_patients}"
            )
        learnt = self.train_patients - self.reader_patients
        if learnt < LEAST_PATIENTS:
            raise ConfigError(
                f"a dose is learnt from {LEAST_PATIENTS} patients or more, got train_patients = {self.train_patients}, of "
                f"whom {self.reader_patients} teach the readers: {learnt}"
            )
        tasks = [name for name in (*self.arms, *self.seeds_for) if arm_named(name).of_task]
        if tasks and not self.reader_patients:
            raise ConfigError(
                f"arm {tasks[0]} expects reader_patients of 1 or more, got 0: its dose would be learnt on patients whom its "
                "reader knows by heart"
            )
        if not 0 < self.photons[0] < self.photons[1] < self.photons[2]:
            raise ConfigError(f"photons are expected as lowest < fallback < highest, got {self.photons}")
        if self.curve_photons and (len(set(self.curve_photons)) < 2 or min(self.curve_photons) <= 0):
            raise ConfigError(f"curve_photons are expected as two or more different numbers above 0, got {self.curve_photons}")
        if self.psnr_bound and not 5 <= self.psnr_bound <= 100:
            raise ConfigError(
                f"psnr_bound is expected in dB, from 5 to 100 (0: as the fallback dose), got {self.psnr_bound:g}"
            )
        if self.data:
            self._check_data()
        if (self.size % 8 and self.size != LODOPAB_SIZE) or self.slices < 1 or self.seeds < 1:
            raise ConfigError(f"expected size divisible by 8, slices and seeds of 1 or more, got {self}")

    def _check_data(self) -> None:
        """LoDoPaB-CT has images of one size and no labels."""
        labelled = [a for a in (*self.arms, *self.seeds_for) if arm_named(a).quality not in UNLABELLED]
        if labelled:
            raise ConfigError(
                f"arm {labelled[0]} needs labels, and the images of {self.data} (LoDoPaB-CT) have none; the arms of qualities "
                f"{', '.join(UNLABELLED)} do without: unet-psnr-hinge, unet-psnr-fr-hinge"
            )
        if self.size != LODOPAB_SIZE or self.reader_patients or self.slices != 1:
            raise ConfigError(
                f"with data (LoDoPaB-CT) size = {LODOPAB_SIZE}, slices = 1 and reader_patients = 0 are expected, got "
                f"{self.size}, {self.slices} and {self.reader_patients}; the preset lodopab has them"
            )

    @property
    def geometry(self) -> tuple[Grid, ParallelBeam] | None:
        """Grid and beam of `data`; None for the built-in patients."""
        grid, beam = lodopab()
        return (grid, replace(beam, views=self.views)) if self.data else None

    @property
    def anatomy(self) -> CohortSettings:
        """What the patients are like."""
        return CohortSettings(width_mm=self.width_mm, radius_mm=self.radius_mm, contrast_hu=self.contrast_hu)

    @property
    def patients(self) -> dict[str, int]:
        """How many in each part."""
        return {"train": self.train_patients, "validation": self.validation_patients, "test": self.test_patients}

    @property
    def full_photons(self) -> float:
        """Full dose."""
        return self.photons[2]

    @property
    def levels(self) -> tuple[float, ...]:
        """Mean photons at which curves are measured, rising."""
        if self.curve_photons:
            return tuple(sorted(self.curve_photons))
        low, _, high = self.photons
        found = [low]
        while found[-1] * 2 <= high * 1.0001:
            found.append(found[-1] * 2)
        return tuple(found)

    @property
    def trainings(self) -> list[tuple[str, int]]:
        """Arms and seeds, those that decide first."""
        first = [(arm, 0) for arm in self.arms]
        return first + [(arm, seed) for seed in range(1, self.seeds) for arm in self.arms if arm in self.seeds_for]
