"""The projector's four linear maps as operators of torch, so that compile, export, vmap and autograd see them.

    torch.ops.taskct.forward                     (mu, scanner, p_shape, backend, refuse_hu)  (N, *grid) -> (N, V, R, C)
    torch.ops.taskct.adjoint                     (p, scanner, mu_shape, backend)             (N, V, R, C) -> (N, *grid)
    torch.ops.taskct.voxel_backproject           (q, scanner, mu_shape, backend)             (N, V, R, C) -> (N, *grid)
    torch.ops.taskct.voxel_backproject_adjoint   (mu, scanner, p_shape, backend)             (N, *grid) -> (N, V, R, C)

They are what `Projector` calls; `taskct.physics.backends` says what they compute. `scanner` is the geometry as a plain CPU
tensor (`taskct.physics.scanner`), which is never written to: a traced or exported program carries it along as a constant
and needs nothing but this module to run again. `refuse_hu` lets `forward` raise UnitsError when it sees numbers in HU.

Each is the gradient of its transpose, to any order, in forward mode too; the geometry has no gradient. `vmap` folds the mapped
dimension into the images and refuses a mapped scanner.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

from taskct.core.errors import GeometryError, UnitsError
from taskct.core.units import looks_like_hu
from taskct.physics.backends import Backend, choose_backend
from taskct.physics.scanner import unpack

TRANSPOSED = {
    "forward": "adjoint",
    "adjoint": "forward",
    "voxel_backproject": "voxel_backproject_adjoint",
    "voxel_backproject_adjoint": "voxel_backproject",
}

try:  # names inside torch, which may move: without them autograd is registered in the public, slower way
    from torch._C import _are_functorch_transforms_active, _AutoDispatchBelowAutograd, _len_torch_dispatch_stack
    from torch._functorch.autograd_function import enable_single_level_autograd_function
    from torch.autograd.function import _SingleLevelFunction
except ImportError:
    BY_HAND = False
    _SingleLevelFunction = Function  # type: ignore[misc]
else:
    BY_HAND = True

_OPERATORS: dict[str, Callable[..., Tensor]] = {}
_KERNELS: dict[str, Callable[..., Tensor]] = {}
_library = torch.library.Library("taskct", "DEF")
_Served = dict[tuple[str, torch.device, torch.dtype], Backend]
# What was made for a scanner, by its id, for speed only. An entry goes when its tensor goes.
_made: dict[int, tuple[weakref.ref[Tensor], _Served]] = {}


def backend_of(scanner: Tensor, backend: str, device: torch.device, dtype: torch.dtype) -> Backend:
    """The back-end that serves this scanner for tensors of this device and dtype; made once and kept while `scanner` lives."""
    number = id(scanner)
    entry = _made.get(number)
    if entry is None:
        entry = _made[number] = weakref.ref(scanner, lambda _: _made.pop(number, None)), {}
    key = backend, device, dtype
    found = entry[1].get(key)
    if found is None:
        grid, poses = unpack(scanner)
        found = entry[1][key] = choose_backend(grid, poses, backend, device=device, dtype=dtype)
    return found


class _Map(_SingleLevelFunction):
    """One of the maps, with its transpose as gradient, itself differentiable in the same way.

    By hand because `torch.library.register_autograd` costs 10 us more in each call, refuses the transforms of torch.func
    and loses forward-mode tangents without a word. "Single level": torch.func has peeled off its levels when this runs.
    """

    apply: Callable[..., Tensor]

    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str, *inputs: Any) -> Tensor:
        ctx.name, ctx.inputs, ctx.shape = name, inputs, x.shape[1:]
        if not _are_functorch_transforms_active():
            return _below_autograd(name, x, inputs)
        with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):  # for the outer levels, which may differentiate too
            return _below_autograd(name, x, inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        scanner, _, backend, *others = ctx.inputs
        apply = _KERNELS if is_plain(grads[0]) and not torch.is_grad_enabled() else _OPERATORS
        return apply[TRANSPOSED[ctx.name]](grads[0], scanner, ctx.shape, backend), *(None,) * (4 + len(others))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _OPERATORS[ctx.name](tangents[0], *ctx.inputs[:3])


def is_plain(x: Tensor) -> bool:
    """True when nothing traces, batches or transforms x: its kernel may be called without asking the dispatcher again."""
    return BY_HAND and type(x) is Tensor and _len_torch_dispatch_stack() == 0 and not _are_functorch_transforms_active()


def _below_autograd(name: str, x: Tensor, inputs: tuple[Any, ...]) -> Tensor:
    if is_plain(x):
        return _KERNELS[name](x, *inputs)
    with _AutoDispatchBelowAutograd():
        return _OPERATORS[name](x, *inputs)


def _register_autograd(name: str) -> None:
    """The derivative of a map by torch's public means."""

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.name, ctx.inputs, ctx.shape = name, inputs[1:], inputs[0].shape[1:]

    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        grad, _, *others = _Map.backward(ctx, *grads)  # `_Map` has the name among its inputs
        return grad, *others

    torch.library.register_autograd(f"taskct::{name}", backward, setup_context=keep, lib=_library)


def _fold(dim: int | None, scanner_dim: int | None, x: Tensor, apply: Callable[[Tensor], Tensor]) -> tuple[Tensor, int]:
    """Apply a map to images (N, ...) that have one more dimension at `dim`."""
    if scanner_dim is not None or dim is None:
        raise GeometryError("vmap over the geometry of a projector is not offered; loop over the scanners")
    x = x.movedim(dim, 0)
    return apply(x.flatten(0, 1)).unflatten(0, x.shape[:2]), 0


def _define(name: str) -> None:
    """Register one map: its kernel for every device, the shape of its result, its derivatives and its batching rule."""
    tail = ", bool refuse_hu=False" if name == "forward" else ""
    _library.define(f"{name}(Tensor x, Tensor scanner, SymInt[] shape, str backend{tail}) -> Tensor")
    from_image = name in ("forward", "voxel_backproject_adjoint")
    operator = _OPERATORS[name] = getattr(torch.ops.taskct, name).default

    def kernel(x: Tensor, scanner: Tensor, shape: Sequence[int], backend: str, refuse_hu: bool = False) -> Tensor:
        served = backend_of(scanner, backend, x.device, x.dtype)
        poses = served.poses
        takes, gives = served.grid.shape, (poses.views, poses.rows, poses.cols)
        if not from_image:
            takes, gives = gives, takes
        if x.shape[1:] != takes or tuple(shape) != gives:
            raise GeometryError(
                f"taskct.{name} of this scanner takes (N, {takes}) to (N, {gives}), "
                f"got {tuple(x.shape)} to (N, {tuple(shape)})"
            )
        if refuse_hu and not served.units_seen:
            if looks_like_hu(x):
                low = float(x.min())
                raise UnitsError(f"these values look like HU (min {low:g}); Projector wants mu in 1/mm; see taskct.to_mu")
            served.units_seen = x.is_cuda
        return getattr(served, name)(x.contiguous())

    def fake(x: Tensor, scanner: Tensor, shape: Sequence[int], backend: str, refuse_hu: bool = False) -> Tensor:
        return x.new_empty((x.shape[0], *shape))

    def differentiable(x: Tensor, *inputs: Any) -> Tensor:
        if (x.requires_grad and torch.is_grad_enabled()) or forward_ad._current_level >= 0:
            if not _are_functorch_transforms_active():
                return _Map.apply(x, name, *inputs)
            with enable_single_level_autograd_function():
                return _Map.apply(x, name, *inputs)
        return _below_autograd(name, x, inputs)

    def batched(info: Any, in_dims: tuple[Any, ...], x: Tensor, scanner: Tensor, *others: Any) -> tuple[Tensor, int]:
        return _fold(in_dims[0], in_dims[1], x, lambda images: operator(images, scanner, *others))

    _KERNELS[name] = kernel
    _library.impl(name, kernel, "CompositeExplicitAutograd")
    if BY_HAND:
        _library.impl(name, differentiable, "Autograd")
    else:
        _register_autograd(name)
    torch.library.register_fake(f"taskct::{name}", fake, lib=_library)
    torch.library.register_vmap(f"taskct::{name}", batched, lib=_library)


for _name in TRANSPOSED:
    _define(_name)
