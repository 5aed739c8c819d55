"""`taskct reconstruct`: scan file or CT -> volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from taskct.cli import options

if TYPE_CHECKING:
    from taskct.core.each_input import InputJob
    from taskct.data.case import Case
    from taskct.data.scan import Scan
    from taskct.data.sets.case_place import CasePlace
    from taskct.recon.reconstructor import Reconstructor

_OF_A_CT = ("photons", "electronic_std", "noise_free", "beam", "views", "slices", "refine", "series", "untilt")
_OF_MEASURED = ("pixel_mm", "axis_col")
_MOST_HU_OF_A_CT = 31_000


def run(
    ctx: typer.Context,
    source: Path = typer.Argument(
        ..., metavar="SCAN|CT", help="A scan file, measured projections, or a CT (phantom:abdomen:SEED) to scan first."
    ),
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="VOL.nii.gz|FOLDER", help="NIfTI file, or a folder for a derived DICOM series."
    ),
    each: bool = options.EACH,
    dicom: bool = typer.Option(False, "--dicom", help="With --each: DICOM series in place of NIfTI files."),
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
    are those of the Helsinki challenge (.mat) and of Data Exchange files (.h5, with --pixel-mm). With --each every scan below
    a folder, or every CT where it holds no scans, becomes a volume in the folder OUT.

    \b
    Examples:
      taskct reconstruct scan.h5 --window hann --out low.nii.gz
      taskct reconstruct scan.h5 --dose 0.1 --out lower.nii.gz
      taskct reconstruct scan.h5 --method runs/task --out by_network.nii.gz
      taskct reconstruct htc2022_ta_full.mat --method sirt --out disc.nii.gz
      taskct reconstruct series/ --dose 0.1 --method tv_min --set strength=0.5 --out low_dose
      taskct reconstruct scans/ --each --method runs/task --out volumes
    """
    from taskct.cli.arguments import check_fraction, method_from_words, parse_beam, parse_slices
    from taskct.cli.each import finish, leave, refuse_output_of_each
    from taskct.cli.user_code import load_module
    from taskct.cli.volume_output import refuse_input, refuse_output
    from taskct.core.errors import InputError
    from taskct.core.files import existing_path

    words = [*settings, *([f"window={window}"] if window else [])]
    given = frozenset(name for name in (*_OF_A_CT, *_OF_MEASURED, "dose", "seed") if _is_given(ctx, name))
    scan = _HowToScan(
        given, method_from_words(method, words, model=load_module(model)), dose, seed, pixel_mm, axis_col, untilt,
        beam=beam, views=views, photons=photons, electronic_std=electronic_std, noise_free=noise_free, slices=slices,
        refine=refine,
    )  # fmt: skip
    what = " ".join([method, *words])
    check_fraction(dose, option="--dose")
    if dicom and not each:
        raise InputError("--dicom goes with --each; without it the name of --out says what is written")
    if not each:
        refuse_output(out, source, original, overwrite=overwrite)
        made, series_of = scan.of_path(source, series=series)
        typer.echo(f"{out}: {_write(made, scan.reconstruct, out, what, original=original or series_of, overwrite=overwrite)}")
        return
    if series is not None or original is not None:
        raise InputError("--series and --source are about one series, and --each takes all of a folder; leave them out")
    refuse_output_of_each(out, source)
    refuse_input(out, source)
    if scan.how["beam"] != "lodopab":
        parse_beam(scan.how["beam"], views=scan.how["views"])  # refused before any work, like slices
    parse_slices(scan.how["slices"])
    jobs = _jobs(existing_path(source, what="folder"), out, scan, what, dicom=dicom, overwrite=overwrite)
    facts = {"verb": "reconstruct", "method": what, "dicom": dicom, "dose": dose, "seed": seed, "untilt": untilt, **scan.how}
    leave(finish(jobs, source, out, facts | {"pixel_mm": pixel_mm, "axis_col": axis_col}, overwrite=overwrite))


class _HowToScan:
    """The options of a scan: which of them were given, and the scan of a file or a CT that follows from them."""

    def __init__(
        self,
        given: frozenset[str],
        reconstruct: Reconstructor,
        dose: float,
        seed: int,
        pixel_mm: float | None,
        axis_col: float | None,
        untilt: bool,
        **how: Any,
    ) -> None:
        self.given, self.reconstruct, self.dose, self.seed = given, reconstruct, dose, seed
        self.pixel_mm, self.axis_col, self.untilt, self.how = pixel_mm, axis_col, untilt, how

    def of_path(self, source: Path, *, series: str | None = None) -> tuple[Scan, Path | None]:
        """The scan of a scan file, of measured projections or of a CT, and the series that a written one derives from."""
        from taskct.cli.scanning import open_input
        from taskct.core.errors import InputError
        from taskct.data.scan import is_scan_file, read_scan
        from taskct.data.sets.measured_scan import measured_kind, read_measured_scan
        from taskct.simulate.lower_scan import lower_scan

        measured = measured_kind(source)
        foreign = [name for name in _OF_MEASURED if name in self.given and not measured]
        foreign += [name for name in (*_OF_A_CT, "dose", "seed") if name in self.given and measured]
        if foreign:
            what = "measured projections" if measured else "no measured projections"
            raise InputError(f"{source}: holds {what}; leave out {_options(foreign)}")
        if measured:
            scan = read_measured_scan(source, pixel_mm=self.pixel_mm, axis_col=self.axis_col)
            for note in scan.provenance["case"]["notes"]:
                typer.echo(f"taskct: note: {note}", err=True)
            return scan, None
        if not is_scan_file(source):
            case = open_input(source, series=series, untilt=self.untilt)
            return self.of_case(case), source if source.is_dir() else None
        lowered = "dose" in self.given
        wrong = [name for name in (*_OF_A_CT, *(() if lowered else ("seed",))) if name in self.given]
        if wrong:
            raise InputError(
                f"{source}: a scan file is reconstructed as it is, or at a lower --dose (with a --seed); leave out "
                f"{_options(wrong)}"
            )
        scan = read_scan(source)
        return lower_scan(scan, self.dose, seed=self.seed, source=source) if lowered else scan, None

    def of_case(self, case: Case) -> Scan:
        """The scan of a CT; as a network was trained, where one reconstructs and no other scan is named."""
        from taskct.cli.scanning import as_trained, scan_of
        from taskct.recon.learned import common_scan

        about, how = common_scan([self.reconstruct]), dict(self.how)
        if about is not None and not {"beam", "views"} & self.given:
            case, how["beam"] = as_trained(case, about)
            if how["photons"] is None and about.photons:
                how["photons"] = about.photons[1]
            if "electronic_std" not in self.given:
                how["electronic_std"] = about.electronic_std
        return scan_of(case, fraction=self.dose, seed=self.seed, **how)


def _jobs(folder: Path, out: Path, scan: _HowToScan, what: str, *, dicom: bool, overwrite: bool) -> list[InputJob]:
    """A job for each scan in a folder; for each CT where it holds no scans."""
    from taskct.cli.each import jobs_of_cases, open_one
    from taskct.core.each_input import InputJob
    from taskct.data.naming import case_name
    from taskct.data.scan_folder import scans_below

    suffix = "" if dicom else ".nii.gz"
    files = scans_below(folder) if folder.is_dir() else []

    def of_file(path: Path) -> InputJob:
        inside = str(path.relative_to(folder).with_suffix(""))
        name = case_name(inside.replace("/", "-"), inside)
        target = out / (name + suffix)
        return InputJob(name, str(path), target, lambda: write(scan.of_path(path)[0], target, None))

    def write(made: Scan, target: Path, original: Path | None) -> str:
        return _write(made, scan.reconstruct, target, what, original=original, overwrite=overwrite)

    def of_place(place: CasePlace, target: Path) -> str:
        folder_of_series = place.image if isinstance(place.image, Path) and place.image.is_dir() else None
        return write(scan.of_case(open_one(place, untilt=scan.untilt)), target, folder_of_series)

    return [of_file(path) for path in files] or jobs_of_cases(folder, out, suffix, of_place)


def _write(scan: Scan, reconstruct: Reconstructor, out: Path, what: str, *, original: Path | None, overwrite: bool) -> str:
    """Reconstruct and write a volume; what was made, in words."""
    import time

    from taskct.cli.volume_output import write_volume
    from taskct.data.reconstructed_scan import reconstruct_scan

    began = time.monotonic()
    case = reconstruct_scan(scan, reconstruct)
    took_s = time.monotonic() - began
    at_dose = "" if scan.dose is None else f" at {100 * scan.dose.fraction:.4g}% dose"
    write_volume(case, out, original=original, description=f"taskct {what}{at_dose}", overwrite=overwrite)
    low, high = float(case.hu.min()), float(case.hu.max())
    if scan.is_measured and high > _MOST_HU_OF_A_CT:
        per_mm = scan.mu_water_per_mm * (1 + high / 1000)
        typer.echo(
            f"taskct: note: values reach {high:.0f} HU, an attenuation of {per_mm:.3g} per mm, where a CT of a patient ends "
            f"near {_MOST_HU_OF_A_CT}: right for a small object at a low energy, else check the size of the detector's pixel",
            err=True,
        )
    shape = " x ".join(str(n) for n in case.hu.shape)
    return f"{shape} voxels, {low:.0f} to {high:.0f} HU, by {what} in {took_s:.1f} s"


def _options(names: list[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _is_given(ctx: typer.Context, name: str) -> bool:
    """True when an option stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
