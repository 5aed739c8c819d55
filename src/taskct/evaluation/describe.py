"""Methods, cases and geometries as plain values, for the record of an evaluation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from taskct.core.provenance import fingerprint
from taskct.data.case import Case
from taskct.evaluation.slices import Slices
from taskct.geometry.config import beam_to_config, grid_to_config
from taskct.physics.projector import Projector

_IDENTIFIES = ("uid", "uids")  # a series written from this case has others, and must not lie beside these


def describe_method(method: Callable[..., Any]) -> str:
    """A method in words: its name and the settings that a functools.partial fixed.

    >>> describe_method(functools.partial(round, ndigits=2))
    'round(ndigits=2)'
    """
    if isinstance(method, functools.partial):
        fixed = [repr(a) for a in method.args] + [f"{k}={v!r}" for k, v in method.keywords.items()]
        return f"{describe_method(method.func)}({', '.join(fixed)})"
    if isinstance(method, torch.nn.Module):
        return f"{type(method).__name__} with {sum(p.numel() for p in method.parameters())} weights"
    return str(getattr(method, "__qualname__", type(method).__name__))


def describe_slices(slices: Slices) -> str:
    """What was asked of the slices, in words.

    >>> describe_slices(None), describe_slices(slice(3, 9)), describe_slices([1, 2])
    ('all', '3:9', '1, 2')
    """
    if slices is None:
        return "all"
    if isinstance(slices, slice):
        parts = [slices.start, slices.stop] if slices.step is None else [slices.start, slices.stop, slices.step]
        return ":".join("" if p is None else str(p) for p in parts)
    if isinstance(slices, Mapping):
        return "; ".join(f"{case}: {', '.join(map(str, numbers))}" for case, numbers in slices.items())
    return ", ".join(map(str, slices))


def describe_case(case: Case, numbers: list[int]) -> dict[str, Any]:
    """A case and the slices of it that were used; its HU are named by their fingerprint."""
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "shape": list(case.hu.shape),
        "spacing_mm": list(case.spacing_mm),
        "mu_water_per_mm": case.mu_water_per_mm,
        "slices": numbers,
        "fingerprint": fingerprint(case.hu),
        "provenance": {str(k): str(v) for k, v in case.provenance.items() if not str(k).endswith(_IDENTIFIES)},
    }


def note_geometry(geometries: list[dict[str, Any]], A: Projector, case: Case) -> None:
    """Add the beam and grid of a case to the list, or the case to the geometry that is there already."""
    about = {"beam": beam_to_config(A.beam), "grid": grid_to_config(A.grid), "views_used": len(A.views)}
    same = next((g for g in geometries if all(g[k] == v for k, v in about.items())), None)
    if same is None:
        geometries.append({**about, "cases": [case.case_id]})
    else:
        same["cases"].append(case.case_id)
