"""The classical chain on a few patients: scans at four doses, four or five reconstructions, scores, a volume and a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from taskct.core.files import atomic_folder
from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti
from taskct.data.reconstructed_scan import reconstruct_scan
from taskct.evaluation import evaluate, tune
from taskct.evaluation.metrics import bias, rmse
from taskct.evaluation.storage import TABLE_FILES
from taskct.geometry import FanBeam
from taskct.geometry.beam_config import beam_to_config
from taskct.geometry.presets import clinical_fan
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import cgls, fbp, sirt, tv_min
from taskct.report import draw_geometry, write_report
from taskct.simulate import scan_case
from taskct.systems.classical.demo_patients import DemoPatients, organ_of

FRACTIONS = (1.0, 0.25, 0.10, 0.05)
SHOWN_FRACTION = 0.10  # the dose of the volume that is written
COUNTS_THROUGH_PATIENT = 5000.0  # photons at full dose that 95 % of the rays still bring: about 15 HU of noise in a liver
ELECTRONIC_STD = 10.0  # photons
TV_STRENGTHS = (0.5, 1.0, 2.0, 4.0)
TV_ITERATIONS = 60  # further ones change an image of 512 x 512 by about 1 HU, its error by less than 0.5 HU
WRITTEN = (*TABLE_FILES, "low_dose.nii.gz", "low_dose_dicom", "geometry.png")
DELIVERED = (
    f"low_dose.nii.gz and low_dose_dicom hold FBP Hann at {SHOWN_FRACTION:.0%} dose, whichever method scores best: it takes a "
    "fraction of a second per slice, where iterations take many, and nothing in it was tuned on this CT; taskct simulate and "
    "taskct reconstruct --method make the volume of another one"
)
"""Why the volume is made by this method; the report has it among its notes."""
SIRT_ITERATIONS, CGLS_ITERATIONS = 50, 20  # few: early stopping is what keeps their noise down


def classical_demo(
    patients: DemoPatients,
    out: Path,
    *,
    sirt_too: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Scan, tune, reconstruct, score, and write everything into the folder `out`: report, table, volume, drawing, run.

    SIRT, which takes as long as all others together, is left out unless `sirt_too`.
    """
    beam = demo_beam(patients.shown)
    full = Dose(exposure_photons(patients.shown, beam), electronic_std=ELECTRONIC_STD)
    low = full.at(SHOWN_FRACTION)
    A = lambda case: Projector(case.slice_grid, beam)
    say(patients.words())
    say(
        f"scanner: clinical_fan, {beam.views} views of {beam.cols} columns, {full.photons:.2g} photons per column at full dose"
    )
    notes = {"noise-free FBP": noise_free_words(patients.shown, patients.scored_slices[patients.shown.case_id][0])}
    say(f"noise-free FBP: {notes['noise-free FBP']}")

    tv = partial(tv_min, callback=lambda iteration, _: iteration >= TV_ITERATIONS)
    strength, tried = tune(
        tv,
        "strength",
        TV_STRENGTHS,
        patients.tuning,
        A,
        low,
        metric="psnr_hu",  # in the soft-tissue window: over all HU the edges of bone and skin would outvote the organs
        seed=seed + 1,
        slices=patients.tuning_slices,
        refine=2,
    )
    say(f"tuning: TV strength {strength:.3g} is best at {low.fraction:.0%} dose")
    methods: dict[str, Callable[..., Tensor]] = {
        "FBP": fbp,
        "FBP Hann": partial(fbp, window="hann"),
        **({"SIRT": partial(sirt, iterations=SIRT_ITERATIONS)} if sirt_too else {}),
        "CGLS": partial(cgls, iterations=CGLS_ITERATIONS),
        "TV": partial(tv, strength=strength),
    }
    notes["the volume that is written"] = DELIVERED
    table = evaluate(
        methods,
        patients.scored,
        A,
        [full.at(f) for f in FRACTIONS],
        seed=seed,
        slices=patients.scored_slices,
        refine=2,
        notes={**notes, **tried.notes},
    )

    what = f"FBP Hann at {low.fraction:.0%} dose"
    volume = reconstruct_scan(scan_case(patients.shown, beam, low, seed=seed), methods["FBP Hann"])
    with atomic_folder(out, overwrite=overwrite) as part:
        config = {"demo": {"seed": seed, "beam": beam_to_config(beam), "photons": full.photons, "fractions": FRACTIONS}}
        made = Run.create(part, config, provenance=table.provenance)
        table.save(part)
        write_nifti(volume, made.path("low_dose.nii.gz"))
        write_series(volume, made.path("low_dose_dicom"), source=patients.source, description=what, method=what)
        draw_geometry(patients.shown.slice_grid, beam, made.path("geometry.png"))
        write_report(table, made.path("report.html"))
    say(f"\n{table}\n\n{out}: report.html, table.csv, geometry.png; {what}: low_dose.nii.gz, low_dose_dicom/\n{DELIVERED}")


def demo_beam(case: Case) -> FanBeam:
    """The clinical fan in its full width, with fewer and wider columns and fewer views where the case has few pixels."""
    beam = clinical_fan()
    coarser = min(8, max(1, 512 // max(case.slice_grid.shape)))
    return dataclasses.replace(beam, views=720 // coarser, cols=beam.cols // coarser, pixel_mm=beam.pixel_mm * coarser)


def exposure_photons(case: Case, beam: FanBeam) -> float:
    """Photons per column in air at full dose, as automatic exposure control would choose them for this patient."""
    p = scan_case(case.take(len(case.hu) // 2), beam, None, refine=1, progress=False).p
    photons = COUNTS_THROUGH_PATIENT * float(p.flatten().double().kthvalue(math.ceil(0.95 * p.numel())).values.exp())
    return float(f"{photons:.2g}")


def noise_free_words(case: Case, number: int) -> str:
    """How closely FBP of a noise-free scan at the scanner's full sampling returns a slice, inside an organ if there is one."""
    part, organ = case.take(number), organ_of(case)
    mask = None if part.labels is None or organ is None else part.labels[:, None].eq(organ[1])
    errors = []
    for refine in (1, 2):
        scan = scan_case(part, clinical_fan(), None, refine=refine)
        back = scan.to_case(fbp(scan.p, scan.projector())).hu[:, None]
        errors.append((rmse(back, part.hu[:, None], mask=mask).item(), bias(back, part.hu[:, None], mask=mask).item()))
    where = "the whole slice" if organ is None else organ[0]
    (same, _), (finer, off) = errors
    return (
        f"slice {number} of {case.case_id} comes back within {same:.1f} HU RMS in {where} "
        f"({finer:.1f} HU when the truth is projected on a finer grid; bias {off:+.1f} HU)"
    )
