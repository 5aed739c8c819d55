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


def scan_lodopab_case(case: Case, *, photons: float | None = None, fraction: float = 1.0, seed: int = 0) -> Scan:
    """All slices of a case in the geometry of the data set, with `photons` per pixel at full dose (4096 by default)."""
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
