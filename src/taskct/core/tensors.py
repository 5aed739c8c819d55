"""What is refused as an image or a scan before its numbers are looked at: other types, precisions and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError

_LIFTS = {2: "[None, None]", 1: "[:, None]"}  # by how many axes are missing before those of the grid


def check_tensor(x: Any, *, who: str, name: str, shape: tuple[int, ...], advice: str, source: str = "") -> None:
    """Refuse what is not a float32 or float64 tensor (B, 1, *shape), or empty, and say what makes one; `who` comes first.

    `source` says where the shape comes from, `advice` what to do about another one.

    >>> check_tensor(np.zeros((4, 4)), who="Projector", name="mu", shape=(4, 4), advice="")
    Traceback (most recent call last):
    ...
    taskct.core.errors.GeometryError: Projector expects mu as a torch tensor of shape (B, 1, 4, 4), got a numpy array of
    shape (4, 4); pass torch.from_numpy(mu).float()[None, None]
    """
    wanted = f"(B, 1, {', '.join(str(n) for n in shape)})"
    if not isinstance(x, Tensor):
        raise GeometryError(
            f"{who} expects {name} as a torch tensor of shape {wanted}, got {_what(x)}; pass {_line(x, name, shape)}"
        )
    check_dense(x, who=who, name=name)
    if x.dtype not in (torch.float32, torch.float64):
        raise GeometryError(f"{who} expects {name} in float32 or float64, got {x.dtype}; call .float()")
    if x.ndim != 2 + len(shape) or tuple(x.shape[2:]) != shape:
        lift = _lift(tuple(x.shape), shape)
        advice = f"pass {name}{lift}; {advice}" if lift else advice
        raise GeometryError(f"{who} expects {name} of shape {wanted}{source}, got {tuple(x.shape)}; {advice}")
    if 0 in x.shape[:2]:
        raise GeometryError(f"{who} expects at least one image in {name}, got an empty batch {tuple(x.shape)}; skip it")


def check_dense(x: Tensor, *, who: str, name: str) -> None:
    """Refuse sparse and nested tensors, whose numbers do not lie in one block.

    >>> check_dense(torch.zeros(2, 2).to_sparse(), who="Projector", name="mu")
    Traceback (most recent call last):
    ...
    taskct.core.errors.GeometryError: Projector expects mu as a dense tensor, got torch.sparse_coo; call .to_dense()
    """
    if x.layout is not torch.strided or x.is_nested:
        kind = "a nested one" if x.is_nested else str(x.layout)
        raise GeometryError(f"{who} expects {name} as a dense tensor, got {kind}; call .to_dense()")


def refuse_nan(answer: Any, *, who: str) -> None:
    """InputError for NaN among numbers, or tables or lists of them; `who` comes first. No order of NaN says anything.

    >>> refuse_nan({"map": torch.tensor([[0.0, float("nan")], [1.0, 2.0]])}, who="reader 'a'")
    Traceback (most recent call last):
    ...
    taskct.core.errors.InputError: reader 'a' answers NaN, 1 of 4 numbers; did it overflow in 16 bits? Are its weights
    numbers?
    """
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        for part in answer:
            refuse_nan(part, who=who)
        return
    if isinstance(answer, Tensor | np.ndarray) and (count := int(torch.as_tensor(answer).isnan().sum())):
        size = torch.as_tensor(answer).numel()
        raise InputError(f"{who} answers NaN, {count} of {size} numbers; did it overflow in 16 bits? Are its weights numbers?")


def _what(x: Any) -> str:
    return f"a numpy array of shape {x.shape}" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"


def _line(x: Any, name: str, shape: tuple[int, ...]) -> str:
    if not isinstance(x, np.ndarray):
        return f"torch.as_tensor({name}).float()"
    copied = ".copy()" if any(step < 0 for step in x.strides) else ""
    return f"torch.from_numpy({name}{copied}).float(){_lift(x.shape, shape)}"


def _lift(got: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """What gives an array the axes of batch and channel, when these are all that is missing."""
    missing = 2 + len(shape) - len(got)
    return _LIFTS.get(missing, "") if got[len(got) - len(shape) :] == shape else ""
