"""What all plans of trainings share: reading a file with changes, and finding out what is wrong before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from taskct.core.config import from_dict, read_toml
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import load_run
from taskct.geometry.config import beam_from_config
from taskct.nets.weights import check_fit
from taskct.recon.learned import check_model, make_model
from taskct.training.players import WEIGHTS

Plan = TypeVar("Plan")


def read_plan_of(kind: Callable[..., Plan], path: str | Path, changes: Mapping[str, Any] | None = None) -> Plan:
    """A plan of some kind from a TOML file; `changes` replace values, tables within tables. Errors begin with the path."""
    values = merged(read_toml(path), changes or {})
    try:
        return from_dict(kind, values)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables with some values replaced.

    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}})
    {'a': {'b': 9, 'c': 2}, 'd': 3}
    """
    out = dict(values)
    for key, value in changes.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def seeded_model(config: Mapping[str, Any], seed: int) -> nn.Module:
    """The model of a [model] table, its first weights drawn from a seed without touching the caller's randomness."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_model(config)


def check_parts(model: Mapping[str, Any] | None, beam: Mapping[str, Any] | None) -> None:
    """ConfigError or GeometryError for a [model] or a [beam] that cannot be made, before anything is made."""
    if beam is not None:
        beam_from_config(beam)
    if model is not None:
        check_model(model)


def check_warm_start(folder: str, model: nn.Module | None = None) -> None:
    """InputError for a warm start without a finished run, ConfigError when its weights do not fit `model`."""
    if not folder:
        return
    try:
        run = load_run(folder)
    except InputError as error:
        raise type(error)(f"warm_start: {error}") from error
    if not run.path(WEIGHTS).exists():
        raise ConfigError(f"warm_start: {run.folder} holds no weights yet ({WEIGHTS}); let its training end first")
    if model is not None:
        check_fit(model, run.load_tensors(WEIGHTS)[0], what=f"warm_start: {run.folder}")
