"""A scan file's scan as it would look at a lower dose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taskct.core.errors import InputError
from taskct.core.provenance import provenance
from taskct.data.scan import Scan
from taskct.simulate.lower_dose import lower_dose


def lower_scan(scan: Scan, fraction: float, *, seed: int, source: Path) -> Scan:
    """The scan in the file `source` as it would look at a lower fraction of full dose."""
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
