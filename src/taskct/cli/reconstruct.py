"""`taskct reconstruct`: scan file or CT -> volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taskct.cli import options

if TYPE_CHECKING:
    from taskct.geometry import Beam

_OF_A_CT = ("photons", "electronic_std", "noise_free", "beam", "views", "slices", "refine", "series", "untilt")
_OF_MEASURED = ("pixel_mm", "axis_col")


def run(
    ctx: typer.Context,
    source: Path = typer.Argument(..., metavar="SCAN|CT", help="A scan file, measured projections, or a CT to scan first."),
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="VOL.nii.gz|FOLDER", help="NIfTI file, or a folder for a derived DICOM series."
    ),
    method: str = options.METHOD,
    settings: list[str] = options.SET,
    model: str | None = options.MODEL,
    window: str | None = typer.Option(None, help="Short for --set window=..., of fbp and fdk."),
    original: Path | None = typer.Option(
        None, "--source", metavar="SERIES", help="The original DICOM series that a written one refers to."
    ),
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
    pixel_mm: float | None = typer.Option(None, help="Size of a detector pixel of a Data Exchange file, which lacks it."),
    axis_col: float | None = typer.Option(None, help="Detector column of the rotation axis; found if not given."),
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Reconstruct a scan, or scan a CT at some dose and reconstruct that.

    From a scan file, --dose makes a scan at lower dose; the other options of a scan apply to a CT only. Measured projections
    are those of the Helsinki challenge (.mat) and of Data Exchange files (.h5, with --pixel-mm).

    \b
    Examples:
      taskct reconstruct scan.h5 --window hann --out low.nii.gz
      taskct reconstruct scan.h5 --dose 0.1 --out lower.nii.gz
      taskct reconstruct scan.h5 --method runs/task --out by_network.nii.gz
      taskct reconstruct htc2022_ta_full.mat --method sirt --out disc.nii.gz
      taskct reconstruct series/ --dose 0.1 --method tv_min --set strength=0.5 --out low_dose
    """
    import time

    from taskct.cli.arguments import check_fraction, method_from_words
    from taskct.cli.scanning import as_trained, open_input, scan_of
    from taskct.cli.user_code import load_module
    from taskct.cli.volume_output import refuse_output, write_volume
    from taskct.core.errors import InputError
    from taskct.data.reconstructed_scan import reconstruct_scan
    from taskct.data.scan import is_scan_file, read_scan
    from taskct.data.sets.measured_scan import measured_kind, read_measured_scan
    from taskct.recon.learned import common_scan
    from taskct.simulate.lower_scan import lower_scan

    words = [*settings, *([f"window={window}"] if window else [])]
    reconstruct = method_from_words(method, words, model=load_module(model))
    check_fraction(dose, option="--dose")
    refuse_output(out, source, original, overwrite=overwrite)
    measured = measured_kind(source)
    foreign = [name for name in _OF_MEASURED if _is_given(ctx, name) and not measured]
    if measured:
        foreign += [name for name in (*_OF_A_CT, "dose", "seed") if _is_given(ctx, name)]
    if foreign:
        what = "measured projections" if measured else "no measured projections"
        raise InputError(f"{source}: holds {what}; leave out {', '.join('--' + n.replace('_', '-') for n in foreign)}")
    if measured:
        scan = read_measured_scan(source, pixel_mm=pixel_mm, axis_col=axis_col)
        for note in scan.provenance["case"]["notes"]:
            typer.echo(f"taskct: note: {note}", err=True)
    elif is_scan_file(source):
        lowered = _is_given(ctx, "dose")
        wrong = [name for name in (*_OF_A_CT, *(() if lowered else ("seed",))) if _is_given(ctx, name)]
        if wrong:
            listed = ", ".join("--" + name.replace("_", "-") for name in wrong)
            raise InputError(
                f"{source}: a scan file is reconstructed as it is, or at a lower --dose (with a --seed); leave out {listed}"
            )
        scan = read_scan(source)
        scan = lower_scan(scan, dose, seed=seed, source=source) if lowered else scan
    else:
        case, about = open_input(source, series=series, untilt=untilt), common_scan([reconstruct])
        scanned: str | Beam = beam
        if about is not None and not (_is_given(ctx, "beam") or views is not None):
            case, scanned = as_trained(case, about)
            photons = photons or (about.photons[1] if about.photons else None)
        scan = scan_of(
            case,
            beam=scanned,
            views=views,
            photons=photons,
            fraction=dose,
            electronic_std=electronic_std,
            noise_free=noise_free,
            slices=slices,
            seed=seed,
            refine=refine,
        )
        original = original or (source if source.is_dir() else None)
    began = time.monotonic()
    case = reconstruct_scan(scan, reconstruct)
    took_s = time.monotonic() - began
    what = " ".join([method, *words])
    at_dose = "" if scan.dose is None else f" at {100 * scan.dose.fraction:.4g}% dose"
    write_volume(case, out, original=original, description=f"taskct {what}{at_dose}", overwrite=overwrite)
    low, high = float(case.hu.min()), float(case.hu.max())
    shape = " x ".join(str(n) for n in case.hu.shape)
    typer.echo(f"{out}: {shape} voxels, {low:.0f} to {high:.0f} HU, by {what} in {took_s:.1f} s")


def _is_given(ctx: typer.Context, name: str) -> bool:
    """True when an option stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
