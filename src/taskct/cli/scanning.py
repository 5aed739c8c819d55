"""What `simulate` and `reconstruct` share: a CT or scan file by its path, and the scan that the options ask for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from taskct.cli.arguments import parse_beam, parse_slices
from taskct.core.errors import InputError

if TYPE_CHECKING:
    from taskct.data.case import Case
    from taskct.data.scan import Scan
    from taskct.geometry import Beam
    from taskct.recon.learned import TrainedFor

_MOST_NOTES = 5


def open_input(path: Path, *, series: str | None = None, untilt: bool = False) -> Case:
    """The CT at `path`, whatever its format; what is odd about it goes to stderr."""
    from taskct.data.open import open_case

    case = open_case(path, series_uid=series, untilt=untilt)
    show_notes(case)
    return case


def show_notes(case: Case) -> None:
    """What is odd about the values of a case, as lines on stderr; what headers lack is left to `taskct info`."""
    notes = [note for note in case.provenance.get("notes", ()) if not note.endswith("is missing or empty")]
    for note in notes[:_MOST_NOTES]:
        print(f"taskct: note: {case.case_id}: {' '.join(note.split())}", file=sys.stderr)
    if len(notes) > _MOST_NOTES:
        print(f"taskct: note: {case.case_id}: and {len(notes) - _MOST_NOTES} more; see taskct info", file=sys.stderr)


def is_scan_file(path: Path) -> bool:
    """True for an HDF5 file that holds a taskct scan, or what is left of one; LoDoPaB's files are HDF5 as well."""
    from taskct.data.hdf5_guard import open_hdf5

    if not path.is_file() or path.suffix.lower() not in (".h5", ".hdf5"):
        return False
    with open_hdf5(path) as file:
        return "header" in file or "p" in file


def scan_of(
    case: Case,
    *,
    beam: str | Beam,
    views: int | None,
    photons: float | None,
    fraction: float,
    electronic_std: float,
    noise_free: bool,
    slices: str | None,
    seed: int,
    refine: int,
) -> Scan:
    """Scan `case` as the options say: by the LoDoPaB recipe for that beam, otherwise with true pixel spacing."""
    from taskct.physics.dose import Dose
    from taskct.simulate import scan_case
    from taskct.simulate.scan_case import PHOTONS

    chosen = parse_slices(slices)
    if beam == "lodopab":
        if electronic_std or noise_free or views is not None:
            raise InputError(
                "the lodopab recipe is fixed: 1000 views, Poisson noise only; leave out --views, --electronic-std and "
                "--noise-free, or write its numbers into a file.toml"
            )
        return _lodopab(case if chosen is None else case.take(chosen), photons=photons, fraction=fraction, seed=seed)
    dose = Dose(PHOTONS if photons is None else photons, fraction=fraction, electronic_std=electronic_std)
    made = parse_beam(beam, views=views) if isinstance(beam, str) else beam
    return scan_case(case, made, None if noise_free else dose, slices=chosen, seed=seed, refine=refine)


def as_trained(case: Case, about: TrainedFor) -> tuple[Case, Beam]:
    """The case on the grid of a network's training, and the beam of that training; says so on stderr."""
    from taskct.data.common_grid import case_on_grid
    from taskct.geometry.beam_config import beam_from_config

    say_trained_scan(about)
    return case if about.grid is None else case_on_grid(case, about.grid), beam_from_config(about.beam)


def say_trained_scan(about: TrainedFor) -> None:
    """Say on stderr for which scan a network was trained, and that the CT is scanned so."""
    print(
        f"taskct: note: {about.run} was trained for a {about.words}: the CT is brought onto these pixels and scanned so; "
        "--beam names another scan",
        file=sys.stderr,
    )


def lower(scan: Scan, fraction: float, *, seed: int, source: Path) -> Scan:
    """The scan in the file `source` as it would look at a lower fraction of full dose."""
    from dataclasses import replace

    from taskct.core.provenance import provenance
    from taskct.simulate import lower_dose

    if scan.dose is None:
        raise InputError(f"{source}: the dose of this scan is not known, or it has no noise; --dose cannot lower it")
    if fraction > scan.dose.fraction:
        raise InputError(
            f"{source}: was taken at {scan.dose.fraction:g} of full dose; --dose {fraction:g} cannot be made from it, only "
            "lower ones; simulate it from the CT"
        )
    p = lower_dose(
        scan.p,
        scan.dose,
        fraction,
        seed=seed,
        case_id=scan.case_id,
        items=scan.slices if scan.grid.ndim == 2 else ["volume"],
        modulation=scan.modulation,
        bowtie=scan.bowtie,
    )
    made = provenance(seed=seed, lowered_from=scan.dose.fraction)
    return replace(scan, p=p, dose=scan.dose.at(fraction), provenance={**scan.provenance, "lower_dose": made})


def _lodopab(case: Case, *, photons: float | None, fraction: float, seed: int) -> Scan:
    from taskct.core.provenance import provenance
    from taskct.core.units import MU_WATER_LODOPAB_PER_MM
    from taskct.data.scan import Scan
    from taskct.geometry.presets import lodopab
    from taskct.physics.dose import Dose
    from taskct.simulate import lodopab_scan
    from taskct.simulate.lodopab_recipe import PHOTONS as LODOPAB_PHOTONS

    dose = Dose(LODOPAB_PHOTONS if photons is None else photons, fraction=fraction)
    p, _ = lodopab_scan(case.hu, seed=seed, photons=dose.used_photons, case_id=case.case_id)
    grid, beam = lodopab()
    return Scan(
        p=p,
        beam=beam,
        grid=grid,
        dose=dose,
        mu_water_per_mm=MU_WATER_LODOPAB_PER_MM,
        case_id=case.case_id,
        patient_id=case.patient_id,
        spacing_mm=(case.spacing_mm[0], grid.spacing_mm[0], grid.spacing_mm[1]),
        provenance={"case": dict(case.provenance), "simulation": provenance(seed=seed, recipe="lodopab")},
    )


def check_h5(path: Path) -> None:
    """A scan file ends in .h5."""
    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"{path}: a scan file ends in .h5; name it {path.stem or 'scan'}.h5")
