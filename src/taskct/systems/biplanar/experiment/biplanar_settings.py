"""The size of the bi-planar experiment: which skulls, which radiographs, which networks for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from taskct.core.errors import ConfigError, unknown_name
from taskct.phantoms.skull.skull_ranges import SkullSettings
from taskct.systems.biplanar.experiment.network_rows import ROWS, Training
from taskct.systems.biplanar.experiment.plain_rows import PLAIN

_FEWEST_TO_READ = 10


@dataclass(frozen=True, kw_only=True)
class BiPlanar:
    """Settings of the experiment; every number that a result depends on.

    *_skulls      of the built-in cohort, by patient: training, validation (settings are chosen there), test; and of the second
                  family, other base shapes and another law of sutures, on which nothing was trained
    reading_skulls
                  of the first family, which no method learns from: readers of sutures, fontanelle and shape learn there what
                  each method makes, as does the reader of the radiographs themselves, and spreads are scaled there; 0 leaves
                  the readers out, and spreads are scaled on the validation skulls
    age_months    range of ages
    size          voxels of the answer along each axis; skulls are drawn `factor` times finer, and radiographs taken from there
    field_mm      extent of the volume
    views         radiographs at evenly spaced angles: 1 frontal, 2 frontal and lateral, 3 and more round half a turn
    source_iso_mm, source_detector_mm, detector_mm
                  distances and extent of the detector, which has `size` pixels along each axis
    geometries    1: all radiographs are taken by that geometry. More: trainings see so many others (turned up to 15 degrees,
                  source 500 to 1200 mm away, magnified 1.3 to 1.7 times), every test skull one of its own that none saw
    photons       per detector pixel in air: trainings and the main table; `doses` are fractions of it that are tested too
    nets          rows that are networks, of ROWS, those that decide first; `seeds` trainings of each of `main_nets`
    package       networks that come with the package, which are scored as they are
    plain         rows that are not networks, of PLAIN
    steps, batch, lr
                  the same for all trainings
    reader_steps  of the bone reader, where a row needs one
    pose_errors   standard deviations, in degrees and mm, of a rotation and a shift of each view that no method is told
    refined       rows that are also scored with poses refined in turn with the image, from those wrong ones on
    view_counts   numbers of views at which the rows `few_view_plain` and the first of `main_nets`, trained anew, are scored
    examples      test skulls whose volumes are kept for the page
    """

    train_skulls: int = 200
    validation_skulls: int = 20
    test_skulls: int = 40
    second_skulls: int = 40
    reading_skulls: int = 100
    age_months: tuple[float, float] = (0.0, 24.0)
    size: int = 32
    factor: int = 2
    field_mm: float = 192.0
    views: int = 2
    source_iso_mm: float = 1000.0
    source_detector_mm: float = 1500.0
    detector_mm: float = 307.2
    geometries: int = 1
    photons: float = 1e5
    doses: tuple[float, ...] = (0.1, 0.01, 0.001)
    nets: tuple[str, ...] = tuple(ROWS)
    main_nets: tuple[str, ...] = ("unrolled", "psct-small", "x2ct")
    package: tuple[str, ...] = ()
    plain: tuple[str, ...] = tuple(PLAIN)
    seeds: int = 1
    steps: int = 1200
    batch: int = 4
    lr: float = 2e-3
    reader_steps: int = 300
    pose_errors: tuple[float, ...] = (1.0, 3.0, 5.0)
    refined: tuple[str, ...] = ("gaussian", "unrolled", "x2ct", "psct-small")
    view_counts: tuple[int, ...] = ()
    few_view_plain: tuple[str, ...] = ("sirt", "gaussian")
    examples: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        rows: dict[str, Mapping[str, object]] = {
            "nets": ROWS, "main_nets": ROWS, "plain": PLAIN, "few_view_plain": PLAIN, "refined": {**PLAIN, **ROWS},
        }  # fmt: skip
        for name, known in rows.items():
            for one in getattr(self, name):
                if one not in known:
                    raise unknown_name(f"name in {name}", one, known)
        if self.size < 8 or self.size % 8 or self.factor < 2:
            raise ConfigError(
                f"the experiment expects a size that divides by 8, and a factor of 2 or more, as radiographs are not taken "
                f"from the answer's grid, got {self.size} and {self.factor}"
            )
        if self.reading_skulls != 0 and self.reading_skulls < _FEWEST_TO_READ:
            raise ConfigError(
                f"readers need {_FEWEST_TO_READ} skulls or more, got reading_skulls={self.reading_skulls}; 0 leaves them out"
            )
        counts = (self.train_skulls, self.validation_skulls, self.test_skulls, self.second_skulls, self.steps, self.seeds)
        if min(*counts, self.batch, self.reader_steps, self.geometries) < 1 or self.examples < 0:
            raise ConfigError(
                "the experiment expects at least one skull in every part, one step, one seed, one image in a batch and one "
                "geometry, and examples of 0 or more"
            )
        for name in ("field_mm", "source_iso_mm", "source_detector_mm", "detector_mm", "photons", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is expected above 0, got {getattr(self, name)!r}")
        if not self.source_iso_mm < self.source_detector_mm:
            raise ConfigError(
                f"the detector stands behind the skull: source_iso_mm < source_detector_mm, got {self.source_iso_mm:g} and "
                f"{self.source_detector_mm:g}"
            )
        for name in ("plain", "package", "doses", "pose_errors", "view_counts"):
            values = getattr(self, name)
            if len({value if isinstance(value, str) else f"{value:g}" for value in values}) < len(values):
                raise ConfigError(f"{name} are expected each once and apart in six digits, got {values}")
        if self.view_counts and not self.main_nets:
            raise ConfigError("view_counts train the first of main_nets anew, and main_nets are empty")
        if not (self.nets or self.package or self.plain):
            raise ConfigError("the experiment expects a row in nets, package or plain, got none")
        if not all(0 < dose < 1 for dose in self.doses):
            raise ConfigError(f"doses are fractions of the photons between 0 and 1, got {self.doses}")
        if not all(0 < error < math.inf for error in self.pose_errors) or any(
            not 1 <= n <= 10 for n in (*self.view_counts, self.views)
        ):
            raise ConfigError("the experiment expects pose_errors above 0 and 1 to 10 views")
        _ = self.skulls  # ages that no skull has are refused here

    @property
    def skulls(self) -> SkullSettings:
        """What the skulls are like."""
        return SkullSettings(age_months=self.age_months)

    @property
    def patients(self) -> dict[str, int]:
        """How many in each part of the first family."""
        return {"train": self.train_skulls, "validation": self.validation_skulls, "test": self.test_skulls}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the answer."""
        return (self.size, self.size, self.size)

    @property
    def trainings(self) -> list[Training]:
        """All trainings, those that decide first: a stop at any time leaves a usable table."""
        first = [Training(row) for row in ROWS if row in self.nets]
        more = [Training(t.row, seed) for seed in range(1, self.seeds) for t in first if t.row in self.main_nets]
        return first + more
