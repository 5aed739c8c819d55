"""What is set up once and kept, whatever the caller is in: weights, filters, matrices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

try:  # names inside torch, which may move: without them the first call must not lie inside a transform
    from torch._C import _DisableFuncTorch
    from torch._subclasses.fake_tensor import unset_fake_temporarily
except ImportError:
    _DisableFuncTorch = None  # type: ignore[assignment, misc]

try:  # as above: without them torch.compile traces what is set up, and may fail
    from torch._C._dynamo.eval_frame import _FrameAction, _FrameExecStrategy, set_code_exec_strategy, set_eval_frame
except ImportError:
    set_eval_frame = None  # type: ignore[assignment]


def outside_the_compiler(f: Callable[P, T]) -> Callable[P, T]:
    """`f` run as it stands where torch.compile would trace it: checks of values, numpy, caches.

    It is `torch.compiler.disable`, which cannot be used because it loads the compiler, for seconds, with the package.
    """
    if set_eval_frame is None:
        return f

    @functools.wraps(f)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        before = set_eval_frame(None)
        try:
            return f(*args, **kwargs)
        finally:
            set_eval_frame(before)

    set_code_exec_strategy(run.__code__, _FrameExecStrategy(_FrameAction.SKIP, _FrameAction.DEFAULT))  # type: ignore[attr-defined]
    run._torchdynamo_disable = True  # type: ignore[attr-defined]
    return run


def made_to_keep(make: Callable[[], T]) -> T:
    """`make()` outside of whatever the caller is in: torch.func's transforms, fake tensors, inference mode.

    What is made inside one of them belongs to it, and a later plain call would meet it in the cache.
    """
    if torch.compiler.is_compiling() or _DisableFuncTorch is None:
        return make()
    with _DisableFuncTorch(), unset_fake_temporarily(), torch.inference_mode(False):
        return make()
