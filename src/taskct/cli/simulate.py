"""`taskct simulate`: CT -> scan file."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options


def run(
    ct: Path = options.CT,
    out: Path = typer.Option(..., "--out", "-o", metavar="SCAN.h5", help="The scan file to write; a folder with --each."),
    each: bool = options.EACH,
    photons: float | None = options.PHOTONS,
    dose: float = options.DOSE,
    electronic_std: float = options.ELECTRONIC_STD,
    noise_free: bool = typer.Option(False, "--noise-free", help="Leave the noise out."),
    beam: str = options.BEAM,
    views: int | None = options.VIEWS,
    slices: str | None = options.SLICES,
    seed: int = options.SEED,
    refine: int = options.REFINE,
    series: str | None = options.SERIES,
    untilt: bool = options.UNTILT,
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Simulate the low-dose scan of a CT: DICOM folder, NIfTI, MetaImage, NRRD or HDF5 -> one scan file.

    With --each every CT below the folder CT becomes a scan file in the folder OUT.

    \b
    Examples:
      taskct simulate series/ --dose 0.1 --electronic-std 10 --slices 3:9 --out scan.h5
      taskct simulate patients/ --each --dose 0.1 --out scans
    """
    from taskct.cli.arguments import check_fraction, parse_beam, parse_slices
    from taskct.cli.each import finish, jobs_of_cases, leave, open_one, refuse_output_of_each
    from taskct.cli.scanning import check_h5, open_input, scan_of
    from taskct.cli.volume_output import refuse_input
    from taskct.core.errors import InputError
    from taskct.core.files import existing_path, refuse_existing
    from taskct.core.names import plural
    from taskct.core.write_locks import claim
    from taskct.data.case import Case
    from taskct.data.scan import is_scan_file, write_scan
    from taskct.data.sets.case_place import CasePlace
    from taskct.data.sets.measured_scan import measured_kind

    how = {
        "beam": beam, "views": views, "photons": photons, "fraction": dose, "electronic_std": electronic_std,
        "noise_free": noise_free, "slices": slices, "seed": seed, "refine": refine,
    }  # fmt: skip

    def scanned(case: Case, target: Path) -> str:
        scan = scan_of(case, **how)  # type: ignore[arg-type]
        write_scan(scan, target, overwrite=overwrite)
        shape = " x ".join(str(n) for n in scan.p.shape[2:])
        spent = "no noise" if scan.dose is None else f"{scan.dose.used_photons:g} photons per pixel in air"
        return f"{plural(len(scan.slices), 'slice')} of {case.case_id}, projections {shape}, {spent}"

    check_fraction(dose, option="--dose")
    refuse_input(out, ct)
    if each:
        if series is not None:
            raise InputError("--series chooses one series of a folder, and --each takes all of them; leave out one of the two")
        refuse_output_of_each(out, ct)

        def work(place: CasePlace, target: Path) -> str:
            return scanned(open_one(place, untilt=untilt), target)

        if beam != "lodopab":
            parse_beam(beam, views=views)  # refused before any work, like slices
        parse_slices(slices)
        jobs = jobs_of_cases(existing_path(ct, what="folder"), out, ".h5", work)
        leave(finish(jobs, ct, out, {"verb": "simulate", "untilt": untilt, **how}, overwrite=overwrite))
        return
    check_h5(out)
    claim(out)
    refuse_existing(out, overwrite=overwrite)
    if is_scan_file(ct):
        raise InputError(
            f"{ct}: is a scan already, not a CT; make a volume of it by taskct reconstruct (--dose lowers its dose)"
        )
    if kind := measured_kind(ct):
        raise InputError(f"{ct}: holds measured projections, {kind}, not a CT; taskct reconstruct makes a volume of them")
    typer.echo(f"{out}: {scanned(open_input(ct, series=series, untilt=untilt), out)}")
