"""From attenuation to noisy projections: exact counts, a differentiable twin, data-set recipes, and lower dose from a scan."""

from taskct.simulate.differentiable import simulate_scan_differentiable
from taskct.simulate.lodopab_recipe import lodopab_scan
from taskct.simulate.lower_dose import lower_dose
from taskct.simulate.noisy_scan import add_noise, simulate_scan
from taskct.simulate.resample import onto_grid, resize_linear
from taskct.simulate.scan_case import scan_case

__all__ = [
    "add_noise",
    "lodopab_scan",
    "lower_dose",
    "onto_grid",
    "resize_linear",
    "scan_case",
    "simulate_scan",
    "simulate_scan_differentiable",
]
