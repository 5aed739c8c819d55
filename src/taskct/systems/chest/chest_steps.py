"""The graph of the chest experiment, in the order in which its results are worth most."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path

from taskct.experiments.made import Made, call
from taskct.experiments.plan import Plan
from taskct.experiments.steps import Step
from taskct.nets.shared_net import ENCODER
from taskct.systems.chest.bridge import ARMS, Corrector, load_corrector, read_bridge, train_bridge, train_reader, train_start
from taskct.systems.chest.bridge_scans import BridgeScans, scan_lungs
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_net import ChestReader, load_reader
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.chest_summary import gather
from taskct.systems.chest.chest_trainings import train_arm
from taskct.systems.chest.lung_crops import LungCrops, draw_crops
from taskct.systems.chest.reading_crops import Readings, read_crops
from taskct.systems.chest.scan_origins import ARRANGEMENTS, ArrangedScans, OriginScans, scan_origins
from taskct.systems.chest.shortcut import OriginReadings, read_origins, shortcut_arm, single_slices

DATA = (
    "train_patients", "validation_patients", "test_patients", "slices", "crop", "pixel_mm", "width_mm", "nodule_share",
    "most_nodules", "infection_share", "effusion_share", "seed",
)  # fmt: skip
_NET = ("neighbours", "widths", "fold", "cell_mm", "batch", "lr")
_STEP_S, _PATIENT_S, _READ_S, _ORIGINS_S = 0.6, 2.5, 30.0, 0.6  # of a core, at 128 x 128 pixels
_LENGTHS = {"first": "first_steps", "first-longer": "more_steps"}
FULL_DOSE, FBP = "full dose", "FBP"


def chest_steps(settings: ChestExperiment) -> list[Step]:
    """All steps: a stop at any time leaves the tables of what is done, and more arms or seeds only add to them."""
    plan = _Plan(settings)
    first = plan.arm(settings.first) if settings.first_steps else None
    if settings.more_steps:
        first = plan.arm(settings.longer, after=first)
    if settings.bridge_steps:
        plan.bridge()
    if settings.shortcut_steps:
        plan.shortcut()
    for arm in settings.arms:
        plan.arm(arm)
    plan.step(
        "report",
        call(
            gather,
            settings=settings,
            readings=plan.readings,
            arms=plan.arms,
            bridge=plan.bridges,
            shortcuts=plan.shortcuts,
            images=plan.images if first is not None else None,
            first=first,
        ),
        Path,
        about="tables and page",
        cost=20,
        always=True,
    )
    return list(plan.steps.values())


def read_arm(folder: Path, *, settings: ChestExperiment, images: Made[LungCrops], reader: Made[ChestReader]) -> None:
    """What an arm's network says of the test patients."""
    crops = images.load()
    read_crops(
        reader.load(),
        crops.images("test"),
        crops.lesions("test"),
        pixel_mm=settings.pixel_mm,
        slice_mm=settings.slice_mm,
    ).save(folder)


class _Plan(Plan[ChestExperiment]):
    """The steps, and handles of what they make."""

    def __init__(self, settings: ChestExperiment) -> None:
        super().__init__(settings)
        self.readings: dict[str, Made[Readings]] = {}
        self.arms: dict[str, Arm] = {}
        self.bridges: dict[tuple[str, str, int], Made[Readings]] = {}
        self.shortcuts: dict[tuple[str, int], Made[OriginReadings]] = {}

    @cached_property
    def images(self) -> Made[LungCrops]:
        """The lungs of all patients, which no step of the shortcut test looks at."""
        patients = sum(self.settings.part_sizes.values())
        return self.step(
            "images",
            call(draw_crops, settings=self.settings),
            LungCrops,
            uses=DATA,
            about=f"painting the lungs of {patients} patients",
            cost=_PATIENT_S * patients,
        )

    def arm(self, arm: Arm, *, after: Made[ChestReader] | None = None) -> Made[ChestReader]:
        """Training and readings of an arm; `after` is the network whose training it continues."""
        begin = self.arm(Arm(("segment",), steps=self.settings.steps)) if arm.preload else after
        parts = (ENCODER,) if after is None else (ENCODER, *arm.tasks)
        made = self.step(
            arm.label,
            call(train_arm, settings=self.settings, images=self.images, arm=arm, begin=begin, parts=parts),
            load_reader,
            uses=(*_NET, _LENGTHS.get(arm.name, "steps")),
            about=f"{', '.join(arm.tasks)}: {arm.group}, {arm.steps} steps",
            cost=_STEP_S * arm.cost,
        )
        if arm.label not in self.readings:
            self.readings[arm.label] = self.step(
                f"read-{arm.label}",
                call(read_arm, settings=self.settings, images=self.images, reader=made),
                Readings.read,
                about=f"{arm.group} reads the test patients",
                cost=_READ_S,
            )
            self.arms[arm.label] = arm
        return made

    def bridge(self) -> None:
        """Scans, and for each seed two readers, a start, the arms, and what the unseen reader says of them at every dose."""
        s = self.settings
        scans = self.step(
            "bridge-scans",
            call(scan_lungs, settings=s),
            BridgeScans,
            uses=(*DATA, "doses", "bridge_photons", "views", "bridge_slices"),
            about="scanning whole slices at low dose",
            cost=2.0 * (s.train_patients + s.test_patients) * s.bridge_slices,
        )
        for seed in range(s.bridge_seeds):
            self._replicate(scans, seed)

    def _replicate(self, scans: Made[BridgeScans], seed: int) -> None:
        """All of the bridge but the scans, those that decide first."""
        s = self.settings
        seen, unseen = (
            self.step(
                f"bridge-reader-{'unseen' if other else 'seen'}-{seed}",
                call(train_reader, settings=s, images=self.images, unseen=other, seed=seed),
                load_reader,
                uses=("widths", "fold", "cell_mm", "batch", "lr", "reader_steps"),
                about=f"a reader {'that judges' if other else 'for the losses'}, {s.reader_steps} steps",
                cost=_STEP_S * s.reader_steps,
            )
            for other in (False, True)
        )
        start = self.step(
            f"bridge-start-{seed}",
            call(train_start, settings=s, scans=scans, seed=seed),
            load_corrector,
            uses=("batch", "lr", "bridge_steps"),
            about=f"a reconstruction learns by image error, {s.bridge_steps} steps",
            cost=0.3 * s.bridge_steps,
        )
        made = {
            arm: self.step(
                f"bridge-{arm}-{seed}",
                call(train_bridge, settings=s, scans=scans, start=start, reader=seen, arm=arm, seed=seed),
                load_corrector,
                uses=("batch", "lr", "bridge_steps"),
                about=f"and is trained further with {' + '.join(('image error', *heads)) or 'image error'} ({arm})",
                cost=(0.3 + 0.5 * bool(heads)) * s.bridge_steps,
            )
            for arm, heads in ARMS.items()
        }
        judge = partial(self._judge, seed=seed, scans=scans, unseen=unseen)
        judge(FULL_DOSE, None, of=None)
        for dose in sorted(s.doses, key=lambda d: d != s.bridge_dose):
            judge(FBP, dose, of=None)
            for arm, one in made.items():
                judge(arm, dose, of=one)

    def shortcut(self) -> None:
        """Both scanners' images, the trainings on either arrangement of them, and what each says of the test patients."""
        s = self.settings
        scans = self.step(
            "shortcut-scans",
            call(scan_origins, settings=s),
            OriginScans,
            uses=(*DATA, "photons", "views", "shortcut_slices"),
            about="scanning whole slices by two scanners",
            cost=_ORIGINS_S * sum(s.part_sizes.values()) * s.shortcut_slices,
        )
        for seed in range(s.shortcut_seeds):
            for arrangement in ARRANGEMENTS:
                arm = shortcut_arm(s, arrangement, seed)
                arranged = scans.read_as(partial(ArrangedScans, arrangement=arrangement, seed=seed))
                made = self.step(
                    arm.label,
                    call(train_arm, settings=single_slices(s), images=arranged, arm=arm),
                    load_reader,
                    uses=("widths", "fold", "cell_mm", "batch", "lr", "shortcut_steps"),
                    about=f"findings, scanner and infection {arrangement}, {arm.steps} steps",
                    cost=_STEP_S * arm.cost,
                )
                self.shortcuts[arrangement, seed] = self.step(
                    f"read-{arm.label}",
                    call(read_origins, settings=s, scans=scans, reader=made, arm=arm),
                    OriginReadings.read,
                    about=f"{arm.label} reads test patients of both scanners",
                    cost=_READ_S / 3,
                )

    def _judge(
        self,
        name: str,
        dose: float | None,
        *,
        seed: int,
        scans: Made[BridgeScans],
        unseen: Made[ChestReader],
        of: Made[Corrector] | None,
    ) -> None:
        at = "" if dose is None else f"{dose:g}"
        label = "-".join(["bridge-read", name.replace(" ", "-"), *([at] if at else []), str(seed)])
        self.bridges[name, at, seed] = self.step(
            label,
            call(read_bridge, settings=self.settings, scans=scans, reader=unseen, dose=dose, of=of),
            Readings.read,
            about=f"the unseen reader reads {name}{f' at {dose:.1%} of the dose' if dose else ''}",
            cost=_READ_S / 2,
        )
