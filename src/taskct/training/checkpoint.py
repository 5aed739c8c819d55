"""The state of a training in one file: tensors, and plain values as JSON in its header. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import ConfigError, FileFormatError
from taskct.core.runs import Run

STATE = "state.safetensors"


def save_state(run: Run, groups: Mapping[str, Mapping[str, Tensor]], values: Mapping[str, Any]) -> None:
    """Write named groups of tensors and plain values, in one move: a kill leaves the old state or the new one."""
    tensors = {f"{group}:{name}": t for group, members in groups.items() for name, t in members.items()}
    run.save_tensors(STATE, tensors, metadata={"values": json.dumps(values)}, overwrite=True)


def load_state(run: Run) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Groups of tensors and plain values of a run's last state; None when it has none."""
    if not run.path(STATE).exists():
        return None
    tensors, metadata = run.load_tensors(STATE)
    try:
        values = json.loads(metadata["values"])
    except (KeyError, ValueError) as error:
        raise FileFormatError(f"{run.path(STATE)}: not the state of a training; delete it to start again") from error
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition(":")
        groups.setdefault(group, {})[name] = tensor
    return groups, values


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as tensors, "NUMBER.KEY", and plain values."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for number, entries in optimiser.state_dict()["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{key}"] = value
            else:
                values[f"{number}.{key}"] = value
    return tensors, values


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Put a saved state back, each tensor in the memory format of its weight: other strides may round otherwise."""
    weights = [w for group in optimiser.param_groups for w in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values}.items():
        number, _, key = name.partition(".")
        weight = weights[int(number)]
        if isinstance(value, Tensor) and value.shape == weight.shape and value.ndim > 0:
            state.setdefault(int(number), {})[key] = torch.empty_like(weight, requires_grad=False).copy_(value)
        else:
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def require_same_settings(run: Run, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """ConfigError when a run would be resumed with other settings than it began with: the result would belong to neither."""
    changed = [k for k in {**then, **now} if then.get(k) != now.get(k)]
    if changed:
        k = changed[0]
        raise ConfigError(
            f"{run.folder}: began with {k} = {then.get(k)!r}, now it is {now.get(k)!r}; resume it unchanged, or train into "
            "another folder (warm_start takes its weights along)"
        )
