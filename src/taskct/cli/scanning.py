"""What `simulate` and `reconstruct` share: a CT or scan file by its path, and the scan that the options ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from taskct.cli.arguments import parse_beam, parse_slices
from taskct.core.errors import InputError
from taskct.core.names import plural

if TYPE_CHECKING:
    from taskct.data.case import Case
    from taskct.data.scan import Scan
    from taskct.geometry import Beam
    from taskct.recon.learned import TrainedFor

_MOST_NOTES = 5


def open_input(path: Path, *, series: str | None = None, untilt: bool = False) -> Case:
    """The CT at `path`, whatever its format, or a built-in patient; what is odd about it goes to stderr."""
    from taskct.data.open import open_case
    from taskct.data.padding import refuse_label_map
    from taskct.phantoms.inputs import open_inputs

    if str(path).startswith("phantom:"):
        if series is not None or untilt:
            raise InputError(f"{path}: a built-in patient has one series and lies straight; leave out --series and --untilt")
        return open_inputs([str(path)])[0]
    case = open_case(path, series_uid=series, untilt=untilt)
    refuse_label_map(path, case.hu.numpy())
    show_notes(case)
    return case


def show_notes(case: Case) -> None:
    """What is odd about the values of a case, as lines on stderr; what headers lack is left to `taskct info`."""
    notes = [note for note in case.provenance.get("notes", ()) if not note.endswith("is missing or empty")]
    for note in notes[:_MOST_NOTES]:
        print(f"taskct: note: {case.case_id}: {' '.join(note.split())}", file=sys.stderr)
    if len(notes) > _MOST_NOTES:
        print(f"taskct: note: {case.case_id}: and {len(notes) - _MOST_NOTES} more; see taskct info", file=sys.stderr)


def hear_notes(slices: slice | int | None) -> Callable[[Case], None]:
    """`show_notes`, and a line for a case that has fewer slices than `--slices` asks for."""

    def heard(case: Case) -> None:
        show_notes(case)
        note_cut_slices(case, slices)

    return heard


def note_cut_slices(case: Case, slices: slice | int | None) -> None:
    """Say on stderr when `--slices` reaches beyond a case, and what is taken; a range that takes nothing is refused later."""
    count = len(case.hu)
    if not isinstance(slices, slice) or not (taken := range(count)[slices]):
        return
    if any(end is not None and not -count <= end <= count for end in (slices.start, slices.stop)):
        asked = ":".join("" if n is None else str(n) for n in (slices.start, slices.stop))
        print(
            f"taskct: note: {case.case_id}: has {plural(count, 'slice')}, --slices {asked} takes {len(taken)} of them, "
            f"{min(taken)} to {max(taken)}",
            file=sys.stderr,
        )


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
    from taskct.geometry.view_number import view_cost_words
    from taskct.physics.dose import Dose
    from taskct.simulate import scan_case
    from taskct.simulate.lodopab_case import scan_lodopab_case
    from taskct.simulate.scan_case import PHOTONS

    chosen = parse_slices(slices)
    note_cut_slices(case, chosen)
    if beam == "lodopab":
        if electronic_std or noise_free or views is not None:
            raise InputError(
                "the lodopab recipe is fixed: 1000 views, Poisson noise only; leave out --views, --electronic-std and "
                "--noise-free, or write its numbers into a file.toml"
            )
        return scan_lodopab_case(case, slices=chosen, photons=photons, fraction=fraction, seed=seed)
    dose = Dose(PHOTONS if photons is None else photons, fraction=fraction, electronic_std=electronic_std)
    made = parse_beam(beam, views=views) if isinstance(beam, str) else beam
    if words := view_cost_words(made):
        print(f"taskct: note: {words}", file=sys.stderr)
    return scan_case(case, made, None if noise_free else dose, slices=chosen, seed=seed, refine=refine)


def as_trained(case: Case, about: TrainedFor) -> tuple[Case, Beam]:
    """The case on the grid of a network's training, and the beam of that training; says so on stderr."""
    from taskct.data.common_grid import case_on_grid
    from taskct.geometry.beam_config import beam_from_config

    say_trained_scan(about)
    return case if about.grid is None else case_on_grid(case, about.grid), beam_from_config(about.beam)


def say_trained_scan(about: TrainedFor) -> None:
    """Say on stderr for which scan a network was trained, and that the CT is scanned so."""
    read_out = f", read-out noise of {about.electronic_std:g} photons" if about.electronic_std else ""
    print(
        f"taskct: note: {about.run} was trained for a {about.words}{read_out}: the CT is brought onto these pixels and "
        "scanned so; --beam names another scan",
        file=sys.stderr,
    )


def check_h5(path: Path) -> None:
    """A scan file ends in .h5."""
    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"{path}: a scan file ends in .h5; name it {path.stem or 'scan'}.h5")
