"""Putting saved weights into a network, or saying why they do not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, FileFormatError

_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # DDP, torch.compile, FSDP
_WRAPPER = re.compile(rf"(?:(?<=^)|(?<=\.))(?:{'|'.join(_WRAPPERS)})\.")


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], *, what: str) -> None:
    """Copy saved tensors into a module of the same names and shapes.

    Names may carry the wrappers of other libraries, around the network or around parts of it (`plain_names`); the counters
    of BatchNorm may be absent, as older files have them. `what` begins the message of the ConfigError for weights of another
    network, and of the FileFormatError for weights that are not finite.
    """
    copy_weights(module, check_fit(module, tensors, what=what))


def copy_weights(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a module that has all of their names, without any check."""
    own = module.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], *, what: str) -> dict[str, Tensor]:
    """The tensors under the module's own names, after the checks of `load_weights`; the module stays as it is."""
    own = module.state_dict()
    given = dict(tensors) if own.keys() == tensors.keys() else _as_named_in(own, tensors)
    missing = sorted(n for n in own.keys() - given.keys() if not n.endswith("num_batches_tracked"))
    unknown = sorted(given.keys() - own.keys())
    other = sorted(n for n in own.keys() & given.keys() if own[n].shape != given[n].shape)
    kinds = (("missing", missing), ("unknown", unknown), ("of another shape", other))
    found = [f"{len(names)} {word} ({names[0]}, ...)" for word, names in kinds if names]
    if found:
        raise ConfigError(f"{what}: these weights are of another network: {'; '.join(found)}; build the one they came from")
    odd = [n for n, t in given.items() if t.is_meta or t.layout != torch.strided or not _same_kind(own.get(n), t)]
    if odd:
        kind = f"{odd[0]}: {given[odd[0]].dtype}, {given[odd[0]].device}"
        raise FileFormatError(
            f"{what}: {len(odd)} of {len(given)} tensors are of another kind of number than the network's ({kind}); "
            "save its state_dict() in float32"
        )
    broken = [n for n, t in given.items() if t.is_floating_point() and not bool(torch.isfinite(t.to(own[n].dtype)).all())]
    if broken:
        raise FileFormatError(
            f"{what}: {len(broken)} of {len(given)} tensors hold NaN or infinite numbers ({broken[0]}, ...); the training "
            "that wrote them went wrong, or the file is damaged: take an earlier state, or train again"
        )
    return given


def _same_kind(own: Tensor | None, given: Tensor) -> bool:
    """Whether numbers can be copied without losing their fraction or their imaginary part."""
    wanted = given if own is None else own
    rounded = wanted.is_floating_point() and not given.is_floating_point()  # counters are floats where a file was cast
    return given.is_complex() == wanted.is_complex() and not rounded


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without the names of wrappers: of DDP, torch.compile, FSDP and running means, in any order and at any depth.

    Names stay as they are where two would become one.

    >>> x = torch.zeros(())
    >>> list(plain_names({"_orig_mod.module.stem.0._orig_mod.weight": x, "_orig_mod.n_averaged": x}))
    ['stem.0.weight']
    """
    counters = [name for name in tensors if _counts_averages(name, tensors)]
    plain = {_WRAPPER.sub("", name): tensor for name, tensor in tensors.items() if name not in counters}
    return plain if len(plain) + len(counters) == len(tensors) else dict(tensors)


def _counts_averages(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a name is the counter that torch's AveragedModel keeps beside the network in it."""
    if name.rpartition(".")[2] != "n_averaged":
        return False
    inside = name.removesuffix("n_averaged") + "module."
    others = [other for other in tensors if other != name]
    return bool(others) and all(other.startswith(inside) for other in others)


def _as_named_in(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names of a module that may itself be wrapped, or have a part of its own called `module`."""
    own_names = {_WRAPPER.sub("", name): name for name in own}
    if len(own_names) < len(own):  # two names of its own differ by a wrapper only: take names as they are
        return dict(tensors)
    return {own_names.get(plain, plain): tensor for plain, tensor in plain_names(tensors).items()}
