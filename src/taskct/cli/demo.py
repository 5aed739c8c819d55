"""`taskct demo`: the task-adaptive experiment in small, or the classical chain on built-in patients or the user's CT."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taskct.cli import options

if TYPE_CHECKING:
    from torch import Tensor

    from taskct.data.case import Case
    from taskct.evaluation.demo_patients import DemoPatients
    from taskct.geometry import FanBeam

NEEDS_WORDS = False

FRACTIONS = (1.0, 0.25, 0.10, 0.05)
SHOWN_FRACTION = 0.10  # the dose of the volume that is written
COUNTS_THROUGH_PATIENT = 5000.0  # photons at full dose that 95 % of the rays still bring: about 15 HU of noise in a liver
ELECTRONIC_STD = 10.0  # photons
TV_STRENGTHS = (0.5, 1.0, 2.0, 4.0)
TV_ITERATIONS = 60  # further ones change an image of 512 x 512 by about 1 HU, its error by less than 0.5 HU
SIRT_ITERATIONS, CGLS_ITERATIONS = 50, 20  # few: early stopping is what keeps their noise down


def run(
    out: Path = typer.Option(Path("runs/demo"), "--out", "-o", metavar="FOLDER", help="The folder to write."),
    ct: Path | None = typer.Option(None, metavar="CT", help="Your CT instead of the built-in patients."),
    labels: Path | None = options.LABELS,
    label_name: list[str] = options.LABEL_NAME,
    series: str | None = options.SERIES,
    classical: bool = typer.Option(False, "--classical", help="The classical chain on built-in patients."),
    seed: int = options.SEED,
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Train reconstructions for a frozen reader, judge them with readers never used in training, and write a report.

    Nine minutes on two idle cores, trained from nothing; an interrupted demo is resumed. With --ct or --classical instead:
    simulate scans at 100, 25, 10 and 5 % dose, reconstruct by FBP, SIRT, CGLS and TV, compare, write NIfTI and DICOM. Takes
    some minutes; everything appears in the folder at the end, and an interrupted one leaves nothing.
    """
    from taskct.cli.arguments import parse_label_names
    from taskct.cli.scanning import show_notes
    from taskct.core.errors import InputError
    from taskct.core.runs import refuse_run
    from taskct.evaluation.demo_patients import patients_of_ct, phantom_patients

    if ct is None and (labels is not None or label_name or series is not None):
        raise InputError("--labels, --label-name and --series go with --ct; the built-in patients bring their own labels")
    if ct is None and not classical:
        task_demo(out, seed=seed, overwrite=overwrite)
        return
    refuse_run(out, overwrite=overwrite)
    if ct is None:
        patients = phantom_patients(seed)
    else:
        patients = patients_of_ct(ct, labels=labels, label_names=parse_label_names(label_name), series=series)
        show_notes(patients.shown)
    demo(patients, out, seed=seed, overwrite=overwrite)


def task_demo(out: Path, *, seed: int = 0, overwrite: bool = False, say: Callable[[str], None] = typer.echo) -> None:
    """The task-adaptive experiment in small; its first lines, and where its page is."""
    from taskct.core.open_files import read_text
    from taskct.systems.catalogue import reproduce

    page = reproduce("task-adaptive", out, preset="small", changes={"seed": seed}, overwrite=overwrite, say=say)
    say("\n" + read_text(page.parent / "report" / "summary.txt"))
    say(f"{page}: tables beside it in {page.parent / 'report'}")


def demo(
    patients: DemoPatients, out: Path, *, seed: int = 0, overwrite: bool = False, say: Callable[[str], None] = typer.echo
) -> None:
    """Scan, tune, reconstruct, score, and write everything into the folder `out`: report, table, volume, drawing, run."""
    from taskct.cli.volume_output import reconstruct_scan
    from taskct.core.files import atomic_folder
    from taskct.core.runs import Run
    from taskct.data.dicom.derived_series import write_series
    from taskct.data.nifti import write_nifti
    from taskct.evaluation import evaluate, tune
    from taskct.geometry.beam_config import beam_to_config
    from taskct.physics.dose import Dose
    from taskct.physics.projector import Projector
    from taskct.recon import cgls, fbp, sirt, tv_min
    from taskct.report import draw_geometry, write_report
    from taskct.simulate import scan_case

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
        "SIRT": partial(sirt, iterations=SIRT_ITERATIONS),
        "CGLS": partial(cgls, iterations=CGLS_ITERATIONS),
        "TV": partial(tv, strength=strength),
    }
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
    say(f"\n{table}\n\n{out}: report.html, table.csv, geometry.png; {what}: low_dose.nii.gz, low_dose_dicom/")


def demo_beam(case: Case) -> FanBeam:
    """The clinical fan in its full width, with fewer and wider columns and fewer views where the case has few pixels."""
    from taskct.geometry.presets import clinical_fan

    beam = clinical_fan()
    coarser = min(8, max(1, 512 // max(case.slice_grid.shape)))
    return dataclasses.replace(beam, views=720 // coarser, cols=beam.cols // coarser, pixel_mm=beam.pixel_mm * coarser)


def exposure_photons(case: Case, beam: FanBeam) -> float:
    """Photons per column in air at full dose, as automatic exposure control would choose them for this patient."""
    from taskct.simulate import scan_case

    p = scan_case(case.take(len(case.hu) // 2), beam, None, refine=1, progress=False).p
    photons = COUNTS_THROUGH_PATIENT * float(p.flatten().double().kthvalue(math.ceil(0.95 * p.numel())).values.exp())
    return float(f"{photons:.2g}")


def noise_free_words(case: Case, number: int) -> str:
    """How closely FBP of a noise-free scan at the scanner's full sampling returns a slice, inside an organ if there is one."""
    from taskct.evaluation.demo_patients import organ_of
    from taskct.evaluation.metrics import bias, rmse
    from taskct.geometry.presets import clinical_fan
    from taskct.recon import fbp
    from taskct.simulate import scan_case

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
