"""Methods on the stored scans of a part of LoDoPaB-CT, in both of its conventions, with the published means beside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from taskct.core.errors import InputError
from taskct.core.progress import track
from taskct.core.provenance import provenance
from taskct.core.units import MU_AIR_LODOPAB_PER_MM, MU_WATER_LODOPAB_PER_MM
from taskct.data.evenly_spaced import evenly_spaced
from taskct.data.images import ImageSet
from taskct.data.sets.lodopab import LodopabFiles
from taskct.evaluation import PROTOCOLS
from taskct.evaluation.evaluation_record import describe_method
from taskct.evaluation.measure_subject import Findings, SubjectPlan, measure_subject
from taskct.evaluation.project_case import PrepareLodopab
from taskct.evaluation.protocol import chosen_measures
from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.statistics import FEW_PATIENTS, bootstrap_mean
from taskct.evaluation.storage import refuse_table
from taskct.evaluation.subject import Subject
from taskct.evaluation.table import Table
from taskct.geometry.presets import lodopab
from taskct.physics.projector import Projector
from taskct.recon.reconstructor import Reconstructor

PHOTONS = 4096.0
PUBLISHED_FBP: Mapping[str, str | float] = {"window": "hann", "frequency_scale": 0.641}  # settings of its row below


class Published(NamedTuple):
    """Means over the challenge set; PSNR with the range of each image, PSNR-FR with that of all, SSIM alike."""

    method: str
    psnr: float
    ssim: float
    psnr_fr: float
    ssim_fr: float


PUBLISHED: tuple[Published, ...] = (
    Published("FBP", 30.19, 0.727, 34.46, 0.836),
    Published("TV", 33.36, 0.830, 37.63, 0.903),
    Published("FBP + U-Net", 36.00, 0.862, 40.28, 0.923),
    Published("Learned Primal-Dual", 36.25, 0.866, 40.52, 0.926),
)
"""Leuschner et al., J. Imaging 7:44 (2021), Table 2: 3,678 slices of the challenge set, whose images are not public."""


def evaluate_lodopab(
    methods: Mapping[str, Reconstructor],
    folder: str | os.PathLike[str],
    *,
    part: str = "test",
    most: int = 0,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Table:
    """Reconstruct the stored observations of a part (4,096 photons, as published) with every method and score them.

    Protocol "lodopab": PSNR and SSIM with the range of each image and with one for all, whole images, nothing clipped. At most
    `most` slices, evenly over the part (0: all). Patients are those of patient_ids_rand_PART.csv; without it each slice is
    its own, and intervals are too narrow: the table's notes say so. `out` is a run folder to save to.
    Raises InputError for the challenge part, whose images are not public, and where a method fails.
    """
    if not methods:
        raise InputError("evaluate_lodopab expects at least one method, got none")
    if part == "challenge":
        raise InputError("the challenge part of LoDoPaB-CT has no public images to score against; take part='test'")
    if out is not None:
        refuse_table(os.fspath(out), overwrite=overwrite)
    files = LodopabFiles(folder, part)
    count = len(files)
    numbers = evenly_spaced(count, most)
    protocol = PROTOCOLS["lodopab"]
    measures = chosen_measures(protocol)
    plan = SubjectPlan(
        methods=dict(methods),
        doses=[],
        seed=0,
        protocol=protocol,
        measures=measures,
        prepare=PrepareLodopab(),
        noise_free=True,  # the stored scans are reconstructed as they are: their noise is in them
        kept=frozenset(),
    )
    if plan.most_neighbours:
        raise InputError(
            "a method looks at neighbouring slices, and the slices of LoDoPaB-CT stand alone; take one that does not"
        )
    found, stored = Findings(), DoseLevel(1.0, PHOTONS)
    rows: list[Row] = []
    for subject in track(_subjects(files, numbers), f"LoDoPaB-CT, {part}", total=len(numbers), progress=progress):
        for measured in measure_subject(subject, plan, found):
            rows += [r._replace(dose_fraction=stored.fraction, photons=stored.photons, item=None) for r in measured]
        for name, why in found.failed.items():
            raise InputError(f"method {name!r} on {subject.case_id} of {folder}: {why}")
    settings = {
        "protocol": "lodopab",
        "metrics": {name: measure.describe(protocol) for name, measure in measures.items()},
        "methods": {name: describe_method(method) for name, method in methods.items()},
    }
    notes = {"scans": f"the observations of LoDoPaB-CT as they are stored, part {part}, {len(numbers)} of {count} slices"}
    if files.patient_ids is None:
        notes["patients"] = (
            f"patient_ids_rand_{part}.csv is missing, so each slice counts as a patient: intervals are too narrow"
        )
    table = Table(rows, settings, notes=notes, provenance=provenance(seed=0))
    if out is not None:
        table.save(out, overwrite=overwrite)
    return table


def published_text(table: Table) -> str:
    """The means of a table beside the published ones, which are of other slices, as lines of text."""
    names = ("psnr", "ssim", "psnr_fr", "ssim_fr")
    patients = len(table.patients)
    heads = ("PSNR, range per image", "SSIM, per image", "PSNR-FR, one range", "SSIM-FR")
    width = max(len(name) for name in (*table.methods, *(f"{p.method}, published*" for p in PUBLISHED))) + 2
    lines = ["".ljust(width) + "  ".join(h.rjust(22) for h in heads)]
    for method in table.methods:
        cells = []
        for metric in names:
            picked = [r for r in table.rows if (r.method, r.metric) == (method, metric)]
            found = bootstrap_mean([r.value for r in picked], [r.patient for r in picked])
            digits = 2 if metric.startswith("psnr") else 3
            ends = "" if found.n_patients < 2 else f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
            cells.append(f"{found.mean:.{digits}f}{ends}".rjust(22))
        lines.append(method.ljust(width) + "  ".join(cells))
    for one in PUBLISHED:
        cells = [f"{one.psnr:.2f}", f"{one.ssim:.3f}", f"{one.psnr_fr:.2f}", f"{one.ssim_fr:.3f}"]
        lines.append(f"{one.method}, published*".ljust(width) + "  ".join(c.rjust(22) for c in cells))
    if patients > 1:
        few = ", which are too few to rely on" if patients < FEW_PATIENTS else ""
        lines.append(f"brackets: 95 % intervals over {patients} patients{few}")
    lines.append(
        "* means over the challenge set (J. Imaging 7:44 (2021), Table 2): other slices, so only the order of magnitude"
    )
    lines.append("  and the order of methods can be compared; the two conventions differ by about 4 dB for every method")
    return "\n".join(lines)


def _subjects(files: LodopabFiles, numbers: list[int]) -> Iterator[Subject]:
    grid, beam = lodopab()
    A = Projector(grid, beam)
    for number in numbers:
        p, mu = files[number]
        patient = f"{files.part}-{number}" if files.patient_ids is None else f"{files.part}-{files.patient_ids[number]}"
        images = ImageSet(
            mu[None],
            [patient],
            ids=[f"{files.part}-{number:05d}"],
            case_ids=[f"{files.part}-{number:05d}"],
            spacing_mm=grid.spacing_mm,
            mu_water_per_mm=MU_WATER_LODOPAB_PER_MM,
            mu_air_per_mm=MU_AIR_LODOPAB_PER_MM,
        )
        yield Subject(images, p[None], A, (number,))
