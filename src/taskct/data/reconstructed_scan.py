"""A scan becomes a volume: any reconstruction of it, a few slices at a time, as a case in HU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from taskct.core.progress import track
from taskct.data.case import Case
from taskct.data.scan import Scan
from taskct.recon.learned import check_units, trained_for, warn_of_doses
from taskct.recon.reconstructor import without_settings
from taskct.recon.slice_stacks import check_neighbours, reconstruct_slices

SLICES_AT_ONCE = 8  # bounds the memory of a long scan; the result is that of all slices at once
_OF_VALUES = ("fingerprint", "notes")  # what was said about the original values does not hold for a reconstruction


def reconstruct_scan(scan: Scan, reconstruct: Callable[..., Any]) -> Case:
    """Scan -> case in HU, a few slices at a time under a 2D beam."""
    check_units(reconstruct, scan.mu_water_per_mm, who=f"the scan of {scan.case_id}")
    if scan.dose is not None:
        warn_of_doses(reconstruct, [scan.dose], who=f"the scan of {scan.case_id} is given to a network at")
    A = scan.projector()
    step = SLICES_AT_ONCE if scan.grid.ndim == 2 else len(scan.p)
    if scan.grid.ndim == 2:
        check_neighbours(reconstruct, scan.slices, who=f"the scan of {scan.case_id}")
    parts = reconstruct_slices(reconstruct, scan.p, A, at_once=step)
    many = -(-len(scan.p) // step)
    with torch.no_grad():
        mu = torch.cat(list(track(parts, f"reconstructing {scan.case_id}", total=many, progress=None if many > 1 else False)))
    facts = dict(scan.provenance.get("case", {}))  # of the CT that was scanned: its series, study and frame of reference
    return scan.to_case(
        mu, **{k: v for k, v in facts.items() if k not in _OF_VALUES}, reconstruction=_method_facts(reconstruct)
    )


def _method_facts(reconstruct: Callable[..., Any]) -> dict[str, Any]:
    """Name and settings of a method as plain values."""
    settings = reconstruct.keywords if isinstance(reconstruct, partial) else {}
    method, network = without_settings(reconstruct), trained_for(reconstruct)
    named = {} if network is None else {"network": network.run}
    return {**named, "method": getattr(method, "__name__", type(method).__name__), **settings}
