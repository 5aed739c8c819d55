"""A case scanned by the recipe of LoDoPaB-CT, as a scan."""

from __future__ import annotations

from taskct.core.provenance import provenance
from taskct.core.units import MU_WATER_LODOPAB_PER_MM
from taskct.data.case import Case
from taskct.data.scan import Scan
from taskct.geometry.presets import lodopab
from taskct.physics.dose import Dose
from taskct.simulate.lodopab_recipe import PHOTONS as LODOPAB_PHOTONS
from taskct.simulate.lodopab_recipe import lodopab_scan
from taskct.simulate.scan_case import numbers_of_slices


def scan_lodopab_case(
    case: Case, *, slices: slice | int | None = None, photons: float | None = None, fraction: float = 1.0, seed: int = 0
) -> Scan:
    """A case, or some slices of it, in the geometry of the data set, with `photons` per pixel at full dose (4096 by default).

    A slice gets the same noise whichever others are scanned with it.
    """
    part, numbers = case if slices is None else case.take(slices), numbers_of_slices(case, slices)
    dose = Dose(LODOPAB_PHOTONS if photons is None else photons, fraction=fraction)
    p, _ = lodopab_scan(part.hu, seed=seed, photons=dose.used_photons, case_id=case.case_id, items=numbers)
    grid, beam = lodopab()
    return Scan(
        p=p,
        beam=beam,
        grid=grid,
        dose=dose,
        mu_water_per_mm=MU_WATER_LODOPAB_PER_MM,
        case_id=case.case_id,
        patient_id=case.patient_id,
        spacing_mm=(part.spacing_mm[0], grid.spacing_mm[0], grid.spacing_mm[1]),
        slices=numbers,
        provenance={"case": dict(case.provenance), "simulation": provenance(seed=seed, recipe="lodopab")},
    )
