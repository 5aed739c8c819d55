"""`Subject`: images of one patient with their noise-free scans, ready to be scanned at any dose and judged by their truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.units import MU_AIR_PER_MM, check_mu, to_hu
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.slice_recipe import image_id
from taskct.physics.dose import Dose
from taskct.physics.modulation import ScannerLimits
from taskct.physics.projector import Projector
from taskct.recon.learned import check_units, check_unseen
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import check_neighbours, reconstruct_slices
from taskct.simulate.noisy_scan import add_noise
from taskct.simulate.scout import SCOUT_PHOTONS, take_scout

VOLUME = "volume"  # the item of a volume, whose noise is one


@dataclass(frozen=True, eq=False)
class Subject:
    """One patient's full-dose `images` in memory, and their noise-free scans `p` (S, 1, V, C) through A.

    A volume is one image, its p (1, 1, V, R, C). `items` name the images for their noise; by default `images.ids`.
    `Subject.of_case` makes one from slices of a case.
    """

    images: ImageSet
    p: Tensor
    A: Projector
    items: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items) or self.images.ids)
        patients = sorted(set(self.images.patient_ids))
        if len(patients) > 1:
            raise InputError(f"a Subject is one patient, got images of {patients[0]!r} and {patients[1]!r}")
        if tuple(self.p.shape[2:]) != self.A.p_shape or self.images.shape != self.A.mu_shape:
            raise GeometryError(
                f"{self.patient_id}: images of {self.images.shape} and p {tuple(self.p.shape)} do not belong to a projector "
                f"from {self.A.mu_shape} to {self.A.p_shape}"
            )
        self.images.check_spacing(self.A.grid.spacing_mm, who=f"{self.patient_id}: the projector")
        if not len(self.images) == len(self.p) == len(self.items):
            raise GeometryError(f"{self.patient_id}: {len(self.images)} images, {len(self.p)} scans, {len(self.items)} names")

    def __str__(self) -> str:
        return f"case {self.case_id}, {'the volume' if self.volume else 'slice ' + ', '.join(map(str, self.items))}"

    @classmethod
    def of_case(
        cls,
        case: Case,
        numbers: Sequence[int],
        A: Projector,
        *,
        mu: Tensor,
        p: Tensor,
        labels: Tensor | None = None,
        mu_water_per_mm: float | None = None,
        mu_air_per_mm: float = MU_AIR_PER_MM,
    ) -> Subject:
        """Slices `numbers` of a case, or its volume under a 3D projector: mu (B, 1, ...), its scan p, labels (B, ...).

        Names, the meaning of labels and, unless it is given, mu of water are those of the case.
        """
        volume = A.grid.ndim == 3
        images = ImageSet(
            mu,
            [case.patient_id] * len(mu),
            labels,
            [case.case_id] if volume else [image_id(case.case_id, number) for number in numbers],
            case_ids=[case.case_id] * len(mu),
            spacing_mm=A.grid.spacing_mm,
            label_names=case.label_names,
            mu_water_per_mm=case.mu_water_per_mm if mu_water_per_mm is None else mu_water_per_mm,
            mu_air_per_mm=mu_air_per_mm,
        )
        return cls(images, p, A, (VOLUME,) if volume else tuple(numbers))

    @property
    def volume(self) -> bool:
        """Whether it is one volume rather than slices."""
        return self.A.grid.ndim == 3

    @property
    def case_id(self) -> str:
        """The name of the scan that the first image is of."""
        return self.images.case_ids[0]

    @property
    def patient_id(self) -> str:
        """The patient's name."""
        return self.images.patient_ids[0]

    @property
    def mu(self) -> Tensor:
        """The truth, (S, 1, Y, X) in 1/mm."""
        return self.images.mu

    @cached_property
    def labels(self) -> Tensor | None:
        """Label maps (S, Y, X) int64, or None."""
        return None if self.images.labels is None else self.images.labels.long()

    @property
    def label_names(self) -> Mapping[int, str]:
        """Names of the labels."""
        return self.images.label_names

    @cached_property
    def truth_hu(self) -> Tensor:
        """The truth in HU."""
        return self.hu(self.mu)

    def hu(self, mu: Tensor) -> Tensor:
        """1/mm -> HU as this patient's scan defines them."""
        return to_hu(mu, mu_water_per_mm=self.images.mu_water_per_mm, mu_air_per_mm=self.images.mu_air_per_mm)

    def scout(self, *, photons: float | None = SCOUT_PHOTONS, seed: int = 0) -> Tensor:
        """Frontal and lateral scout, (2, rows, C)."""
        return take_scout(self.p, self.A, photons=photons, seed=seed, case_id=self.patient_id)

    def scan(self, photons: Tensor | float, *, seed: int, electronic_std: float = 0.0, draw: int = 0) -> Tensor:
        """A scan with exact Poisson counts: photons per pixel in air, one number or (S, V) -> noisy p like `self.p`.

        `draw` numbers independent repetitions. One seed and draw gives coupled noise at all doses.
        """
        views = self.p.shape[2]
        levels = torch.as_tensor(photons, dtype=torch.float64).expand(len(self.p), views)
        scans = []
        for one, level, item in zip(self.p, levels, self.items, strict=True):
            mean = float(level.mean())
            names = [item if draw == 0 else f"{item}#{draw}"]
            dose = Dose(mean, electronic_std=electronic_std)
            flat = bool((level == level[0]).all())
            scans.append(
                add_noise(
                    one[None],
                    dose,
                    seed=seed,
                    case_id=self.patient_id,
                    items=names,
                    modulation=None if flat else (level / mean)[None],
                )
            )
        return torch.cat(scans)

    def reconstruct(self, model: Reconstructor, p: Tensor, *, batch: int = 8) -> Tensor:
        """What `model` makes of a scan, without autograd: mu like `self.mu`; InputError for NaN or another shape.

        A network that looks at neighbouring slices needs slices that follow each other, or finds them in p (S, 2k + 1, V, C).
        """
        who = f"the images of {self.patient_id}"
        if p.shape[1] == 1:
            check_neighbours(model, self.items, who=who)
        check_units(model, self.images.mu_water_per_mm, who=who)
        check_unseen(model, self.patient_id, lambda: self.truth_hu, who=who)
        with torch.no_grad():
            mu = torch.cat(list(reconstruct_slices(model, p, self.A, at_once=batch)))
        if mu.shape != self.mu.shape:
            raise InputError(
                f"{self.patient_id}: the reconstruction has shape {tuple(mu.shape)}, expected {tuple(self.mu.shape)}"
            )
        check_mu(mu, who=f"{self.patient_id}: the reconstruction")
        return mu

    def driven(self, photons: Tensor | float, limits: ScannerLimits | None) -> Tensor:
        """The photons that the tube gives when these are asked for, (S, V) float64."""
        wanted = torch.as_tensor(photons, dtype=torch.float64).expand(len(self.p), self.p.shape[2])
        return wanted if limits is None else limits.hold(wanted)
