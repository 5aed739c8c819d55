"""Methods, cases and geometries as plain values, for the record of an evaluation."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from taskct.core.provenance import fingerprint
from taskct.data.case import Case
from taskct.evaluation.slices import Slices
from taskct.geometry.beam_config import beam_to_config, grid_to_config
from taskct.physics.projector import Projector
from taskct.recon.learned import trained_for

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def describe_method(method: Callable[..., Any]) -> str:
    """A method in words: its name and the settings that a functools.partial, dataclass or module holds.

    The words are the same in every process: no memory addresses.

    >>> describe_method(functools.partial(round, ndigits=2)), describe_method(lambda p, A: A.adjoint(p))
    ('round(ndigits=2)', 'an unnamed function')
    """
    if isinstance(method, functools.partial):
        fixed = [_setting(a) for a in method.args] + [f"{k}={_setting(v)}" for k, v in method.keywords.items()]
        return f"{describe_method(method.func)}({', '.join(fixed)})"
    if isinstance(method, torch.nn.Module):
        about = trained_for(method)
        origin = "" if about is None else f" of {about.run}"
        return f"{type(method).__name__} with {sum(p.numel() for p in method.parameters())} weights{origin}"
    if dataclasses.is_dataclass(method) and not isinstance(method, type):
        shown = [f for f in dataclasses.fields(method) if f.repr]
        return f"{type(method).__name__}({', '.join(f'{f.name}={_setting(getattr(method, f.name))}' for f in shown)})"
    name = str(getattr(method, "__qualname__", type(method).__name__)).rpartition("<locals>.")[2]
    return "an unnamed function" if name == "<lambda>" else name


def _setting(value: Any) -> str:
    """One setting in words that hold no memory address."""
    if isinstance(value, torch.Tensor):
        return f"tensor of {' x '.join(map(str, value.shape)) or 'one number'}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {_setting(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_setting, value)) + "]"
    if callable(value):
        return describe_method(value)
    text = repr(value)
    return type(value).__name__ if _ADDRESS.search(text) else text


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
    """A case and the slices of it that were used; its HU are named by their fingerprint, not by the UIDs of its series."""
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "shape": list(case.hu.shape),
        "spacing_mm": list(case.spacing_mm),
        "mu_water_per_mm": case.mu_water_per_mm,
        "slices": numbers,
        "fingerprint": fingerprint(case.hu),
        "provenance": {str(k): str(v) for k, v in case.provenance.items() if not is_uid(str(k))},
    }


def is_uid(key: str) -> bool:
    """Whether a fact of a case is a DICOM UID: a series written from it has others, and must not lie beside these.

    >>> is_uid("series_uid"), is_uid("StudyInstanceUID"), is_uid("format")
    (True, True, False)
    """
    return key.lower().endswith(("uid", "uids"))


def note_geometry(geometries: list[dict[str, Any]], A: Projector, case: Case) -> None:
    """Add the beam and grid of a case to the list, or the case to the geometry that is there already."""
    about = {"beam": beam_to_config(A.beam), "grid": grid_to_config(A.grid), "views_used": len(A.views)}
    same = next((g for g in geometries if all(g[k] == v for k, v in about.items())), None)
    if same is None:
        geometries.append({**about, "cases": [case.case_id]})
    else:
        same["cases"].append(case.case_id)
