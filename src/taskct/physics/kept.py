"""Tensors that are made once and kept: weights, filters, matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")

try:  # names inside torch, which may move: without them the first call must not lie inside a transform
    from torch._C import _DisableFuncTorch
    from torch._subclasses.fake_tensor import unset_fake_temporarily
except ImportError:
    _DisableFuncTorch = None  # type: ignore[assignment, misc]


def made_to_keep(make: Callable[[], T]) -> T:
    """`make()` outside of whatever the caller is in: torch.func's transforms, fake tensors, inference mode.

    What is made inside one of them belongs to it, and a later plain call would meet it in the cache.
    """
    if torch.compiler.is_compiling() or _DisableFuncTorch is None:
        return make()
    with _DisableFuncTorch(), unset_fake_temporarily(), torch.inference_mode(False):
        return make()
