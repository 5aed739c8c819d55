"""The size of the chest experiment: patients, crops, networks, labels and how long each is trained."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from taskct.core.errors import ConfigError, unknown_name
from taskct.nets.blocks import check_widths
from taskct.nets.pyramids import PYRAMIDS
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.cohort import Cohort
from taskct.systems.chest.chest_arms import Arm, all_subsets
from taskct.systems.chest.chest_classes import TASKS
from taskct.task.overlap_penalties import SEGMENTATION_PENALTIES
from taskct.training.sharing import SHARINGS

COMPARISONS = ("steps", "computing", "longer")
_LEAST = {
    "train_patients": 0, "validation_patients": 0, "test_patients": 1, "batch": 1, "first_steps": 0, "more_steps": 0,
    "steps": 0, "seeds": 1, "length_seeds": 1, "share_seeds": 1, "views": 1, "bridge_slices": 1, "reader_steps": 1,
    "bridge_steps": 0, "bridge_seeds": 1, "shortcut_steps": 0, "shortcut_seeds": 1, "shortcut_slices": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ChestExperiment:
    """Settings of the experiment; every number that a result depends on.

    *_patients       of the built-in chests; `slices` of each over the whole lungs, each lung a crop of `crop` pixels
    pixel_mm         of the crops
    nodule_share, most_nodules, infection_share, effusion_share, width_mm   of `ChestSettings`: more lesions than in a clinic
    neighbours       slices before and behind that a network of the full-dose experiments sees as channels
    widths, fold     of the small encoder; `cell_mm` the size of the detector's cells
    first_steps      of the first run, all four heads at full dose (0: no such run); `more_steps` from its weights on
    steps            of each arm of the comparisons; 0 leaves the comparisons out
    seeds            trainings of all four heads and of each alone; of the other subsets there is one
    comparisons      "steps": every arm as many steps; "computing": all four for as long as the four alone take together;
                     "longer": each alone for as long as all four take
    length_seeds     trainings of "computing" and "longer", at most `seeds`
    shares           of patients whose masks, boxes and findings are known; `share_seeds` trainings of each
    backbones        other encoders than the small one; losses: other segmentation penalties than Dice + CE; preload: begin the
                     arm with the encoder of the segmentation alone
    doses            of the bridge, as shares of `bridge_photons`; `bridge_steps` of each reconstruction (0: no bridge);
                     `bridge_seeds` trainings of all of it, each with readers of its own
    shortcut_steps   of each training in which an infection goes with the scanner, and of its control; 0 leaves them out;
                     `shortcut_seeds` of each, on `shortcut_slices` of each patient
    """

    train_patients: int = 200
    validation_patients: int = 6
    test_patients: int = 40
    slices: int = 41
    crop: tuple[int, int] = (96, 80)
    pixel_mm: float = 2.0
    width_mm: tuple[float, float] = (280.0, 400.0)
    nodule_share: float = 0.7
    most_nodules: int = 10
    infection_share: float = 0.4
    effusion_share: float = 0.2
    neighbours: int = 1
    widths: tuple[int, ...] = (32, 48, 64, 96)
    fold: int = 2
    cell_mm: float = 4.0
    batch: int = 16
    lr: float = 3e-3
    first_steps: int = 3000
    more_steps: int = 0
    steps: int = 1000
    seeds: int = 3
    comparisons: tuple[str, ...] = COMPARISONS
    length_seeds: int = 3
    subsets: bool = True
    shares: tuple[float, ...] = (0.3, 0.1)
    share_seeds: int = 1
    backbones: tuple[str, ...] = ("vgg13", "resnet50")
    losses: tuple[str, ...] = ("generalised-dice", "dice", "tversky", "focal")
    sharings: tuple[str, ...] = ("uncertainty", "gradients")
    preload: bool = True
    doses: tuple[float, ...] = (0.25, 0.10, 0.05, 0.025)
    photons: float = 200_000.0
    bridge_photons: float = 20_000.0
    views: int = 240
    bridge_dose: float = 0.05
    bridge_slices: int = 6
    reader_steps: int = 1000
    bridge_steps: int = 400
    bridge_seeds: int = 1
    shortcut_steps: int = 0
    shortcut_seeds: int = 3
    shortcut_slices: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        families: dict[str, Collection[str]] = {
            "backbones": PYRAMIDS, "losses": SEGMENTATION_PENALTIES, "comparisons": COMPARISONS, "sharings": SHARINGS,
        }  # fmt: skip
        for name, known in families.items():
            for one in getattr(self, name):
                if one not in known:
                    raise unknown_name(f"name in {name}", one, known)
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is expected as {least} or more, got {getattr(self, name)!r}")
        for name in ("pixel_mm", "cell_mm", "lr", "photons", "bridge_photons"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is expected above 0, got {getattr(self, name)!r}")
        if self.train_patients and not self.validation_patients:
            raise ConfigError("validation_patients are expected as 1 or more where there are train_patients, got 0")
        if self.more_steps and not self.first_steps:
            raise ConfigError(f"more_steps continue the first run, and first_steps is 0; got more_steps {self.more_steps}")
        if not all(0 < dose <= 1 for dose in self.doses):
            raise ConfigError(f"doses are shares of the photons above 0 and up to 1, got {self.doses}")
        check_widths(self.widths, who="the small encoder")
        if self.fold not in (1, 2, 4):
            raise ConfigError(f"fold is expected as 1, 2 or 4, got {self.fold!r}")
        if len(self.crop) != 2 or min(self.crop) < 32 or any(n % 8 for n in self.crop):
            raise ConfigError(f"crop expects rows and columns of 32 or more that divide by 8, got {self.crop}")
        if self.slices < 2 * self.neighbours + 1 or self.neighbours < 0:
            raise ConfigError(f"{self.slices} slices have no {self.neighbours} neighbours on both sides")
        if not all(0 < share < 1 and (not self.train_patients or share * self.train_patients >= 1) for share in self.shares):
            raise ConfigError(
                f"shares of labelled patients lie between 0 and 1 and leave one of {self.train_patients}, got {self.shares}"
            )
        for name in ("doses", "shares"):
            values = getattr(self, name)
            if len({f"{value:g}" for value in values}) < len(values):
                raise ConfigError(f"{name} are expected each once and apart in six digits, got {values}")
        if self.bridge_steps and self.bridge_dose not in self.doses:
            raise ConfigError(f"bridge_dose {self.bridge_dose} is not among the doses {self.doses}")
        _ = self.patients  # what no chest can be is refused here

    @property
    def size(self) -> int:
        """Pixels of the side of a square image of as many pixels as a crop: what costs are scaled by."""
        return round((self.crop[0] * self.crop[1]) ** 0.5)

    @property
    def slice_mm(self) -> float:
        """Distance of the slices."""
        return 186.0 / self.slices

    @property
    def part_sizes(self) -> dict[str, int]:
        """How many patients in each part."""
        return {"train": self.train_patients, "validation": self.validation_patients, "test": self.test_patients}

    @property
    def patients(self) -> ChestSettings:
        """What the patients are like."""
        return ChestSettings(
            width_mm=self.width_mm,
            nodule_share=self.nodule_share,
            most_nodules=self.most_nodules,
            infection_share=self.infection_share,
            effusion_share=self.effusion_share,
        )

    @property
    def cohort(self) -> Cohort:
        """The patients; slices are painted on the crops, the cohort's own grid is that of the whole body."""
        whole = round(1.16 * self.width_mm[1] / self.pixel_mm / 8 + 3) * 8
        return Cohort(
            "chest",
            self.part_sizes,
            seed=self.seed,
            shape=(round(0.75 * whole / 8) * 8, whole),
            spacing_mm=self.pixel_mm,
            slices_per_patient=self.slices,
            settings=self.patients,
        )

    @property
    def first(self) -> Arm:
        """All four heads at full dose."""
        return Arm(TASKS, steps=self.first_steps, name="first")

    @property
    def longer(self) -> Arm:
        """The first run, trained further at a new learning rate."""
        return Arm(TASKS, steps=self.more_steps, name="first-longer")

    @property
    def arms(self) -> list[Arm]:
        """Trainings of the comparisons, those that decide first; a stop at any time leaves a usable table."""
        if not self.steps:
            return []
        found = [Arm(tasks, steps=self.steps, seed=seed) for seed in range(self.seeds) for tasks in self._main]
        cost = lambda tasks: Arm(tasks, steps=1).cost
        alone = sum(cost((task,)) for task in TASKS)
        for seed in range(min(self.seeds, self.length_seeds)):
            if "computing" in self.comparisons:
                found.append(Arm(TASKS, steps=round(self.steps * alone / cost(TASKS)), seed=seed, length="computing"))
            if "longer" in self.comparisons:
                found += [
                    Arm((task,), steps=round(self.steps * cost(TASKS) / cost((task,))), seed=seed, length="longer")
                    for task in TASKS
                ]
        if self.subsets:
            found += [Arm(tasks, steps=self.steps) for tasks in all_subsets() if tasks not in self._main]
        for share in self.shares:
            found += [Arm(t, steps=self.steps, seed=s, share=share) for s in range(self.share_seeds) for t in self._main]
        found += [Arm(TASKS, steps=self.steps, sharing=sharing) for sharing in self.sharings]
        found += [Arm(TASKS, steps=self.steps, backbone=name) for name in self.backbones]
        found += [Arm(("segment",), steps=self.steps, loss=name) for name in self.losses]
        if self.preload:
            found += [Arm((task,), steps=self.steps, preload=True) for task in ("classify", "detect")]
        return found

    @property
    def _main(self) -> list[tuple[str, ...]]:
        return [TASKS, *((task,) for task in TASKS)]
