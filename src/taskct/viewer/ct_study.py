"""A CT as a study: its own slices at once, and reconstructions of its simulated scans when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.units import to_mu
from taskct.data.case import Case
from taskct.evaluation.masks import evaluation_mask
from taskct.evaluation.project_case import ProjectCase
from taskct.evaluation.protocol import Images, Protocol, chosen_measures
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.subject import Subject
from taskct.geometry import Beam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.slice_stacks import neighbours_of, stacks
from taskct.simulate.noisy_scan import add_noise
from taskct.viewer.lesion_list import lesions_of_case
from taskct.viewer.study import REFERENCE, Lesion, Score, Study, StudyFacts

_KEPT_SCANS, _KEPT_IMAGES = 4, 64
_PROTOCOL = Protocol(metrics=("rmse_hu", "psnr_hu", "ssim_hu"))


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """How slices are scanned and reconstructed, as `evaluate` does it: the same methods, doses and seed give its images."""

    methods: Mapping[str, Reconstructor] = field(default_factory=dict)
    doses: tuple[Dose, ...] = ()
    beam: Beam
    seed: int = 0
    refine: int = 2

    def __post_init__(self) -> None:
        if self.methods and not self.beam.planar:
            raise InputError("the viewer scans slice by slice: expected a fan beam or a parallel beam of one row, got another")


class CtStudy(Study):
    """A case, further cases on the same samples beside it (reconstructions made elsewhere), and simulated scans of it.

    `numbers` are those of its slices in the CT that it is part of; names and noise go by them. `around` is that CT, in which
    methods that look at neighbouring slices find them.
    """

    def __init__(
        self,
        case: Case,
        simulation: Simulation,
        *,
        beside: Sequence[Case] = (),
        numbers: Sequence[int] | None = None,
        around: Case | None = None,
    ) -> None:
        self._case, self._beside, self._simulation = case, list(beside), simulation
        self._numbers = list(range(len(case.hu)) if numbers is None else numbers)
        self._around = case if around is None else around
        self._places = list(range(len(case.hu))) if around is None else self._numbers  # of the planes in it
        self._doses = sorted(simulation.doses, key=lambda d: -d.used_photons)
        self._names = list(simulation.methods)
        every = tuple(range(len(self._doses)))
        self.facts = StudyFacts(
            title=case.case_id,
            methods=(case.case_id, *(one.case_id for one in self._beside), *self._names),
            doses=tuple(DoseLevel(d.fraction, d.photons) for d in self._doses) if self._names else (),
            shown=((), *(() for _ in self._beside), *(every for _ in self._names)),
            planes=tuple(f"slice {z}" for z in self._numbers),
            shape=(case.hu.shape[1], case.hu.shape[2]),
            spacing_mm=case.spacing_mm,
            label_names=dict(case.label_names),
            labelled=case.labels is not None,
            mu_water_per_mm=case.mu_water_per_mm,
            computed=bool(self._names),
            notes=tuple(str(note) for note in case.provenance.get("notes", ())),
        )
        self._subject = lru_cache(_KEPT_SCANS)(self._scanned)
        self._mu = lru_cache(_KEPT_IMAGES)(self._reconstructed)

    @property
    def volume(self) -> Case | None:
        """The CT."""
        return self._case

    def image(self, method: int, dose: int, plane: int) -> Tensor:
        """A slice of a CT that was opened, or the reconstruction of its simulated scan."""
        self.check(method, dose, plane)
        if method == REFERENCE:
            return self._case.hu[plane]
        if method <= len(self._beside):
            return self._beside[method - 1].hu[plane]
        return self._subject(self._places[plane]).hu(self._mu(method, dose, plane))[0, 0].float()

    def labels(self, plane: int) -> Tensor | None:
        """The labels of the slice."""
        return None if self._case.labels is None else self._case.labels[plane]

    def scores(self, method: int, dose: int, plane: int) -> Sequence[Score]:
        """RMSE, PSNR and SSIM as `evaluate` takes them, in the field of view of the beam."""
        if method == REFERENCE:
            return ()
        self.check(method, dose, plane)
        part = self._case.take(plane)
        hu = self.image(method, dose, plane)[None, None]
        mu = to_mu(hu, mu_water_per_mm=part.mu_water_per_mm).clamp_min(0)
        mask = evaluation_mask(_PROTOCOL.mask, part.slice_grid, self._simulation.beam, part.hu[:, None])
        seen = Images(mu, part.mu, hu, part.hu[:, None], mask)
        return [
            Score(m.label, m.unit, m.better, float(m.compute(seen, _PROTOCOL, mask)[0]))
            for m in chosen_measures(_PROTOCOL).values()
        ]

    def lesions(self) -> Sequence[Lesion]:
        """Of the marks or labels of the CT."""
        return lesions_of_case(self._case)

    def _scanned(self, place: int) -> Subject:
        """A slice with its noise-free scan; its noise goes by its number in the CT."""
        part = self._around.take(place)
        A = Projector(part.slice_grid, self._simulation.beam)
        return replace(
            ProjectCase(self._simulation.refine)(part, [0], A),
            items=(self._numbers[place] if self._around is self._case else place,),
        )

    def _reconstructed(self, method: int, dose: int, plane: int) -> Tensor:
        """What a method makes of the scan of a slice at a dose, (1, 1, Y, X) in 1/mm."""
        place, reconstruct = self._places[plane], self._simulation.methods[self.facts.methods[method]]
        subject = self._subject(place)
        beside = stacks([place], neighbours_of(reconstruct), len(self._around.hu))
        return subject.reconstruct(reconstruct, torch.cat([self._noisy(self._subject(k), dose) for k in beside], dim=1))

    def _noisy(self, subject: Subject, dose: int) -> Tensor:
        seed = self._simulation.seed
        return add_noise(subject.p, self._doses[dose], seed=seed, case_id=subject.case_id, items=subject.items)


def beside_one_another(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases in groups of the same samples (shape, spacing and place); each group begins with its reference."""
    groups: list[list[Case]] = []
    for case in cases:
        for group in groups:
            if case.hu.shape == group[0].hu.shape and _near(case, group[0]):
                group.append(case)
                break
        else:
            groups.append([case])
    return groups


def _near(one: Case, other: Case) -> bool:
    """Whether two cases lie on the same samples, to a tenth of a pixel."""
    assert one.affine_mm is not None and other.affine_mm is not None
    apart = torch.as_tensor(one.affine_mm - other.affine_mm).abs().max()
    return bool(apart < 0.1 * min(one.spacing_mm))
