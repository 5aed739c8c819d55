"""Putting saved weights into a network, or saying why they do not fit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], *, what: str) -> None:
    """Copy tensors into a module of the same names and shapes; `what` begins the message of the ConfigError otherwise."""
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    other = sorted(n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape)
    kinds = (("missing", missing), ("unknown", unknown), ("of another shape", other))
    found = [f"{len(names)} {word} ({names[0]}, ...)" for word, names in kinds if names]
    if found:
        raise ConfigError(f"{what}: these weights are of another network: {'; '.join(found)}; build the one they came from")
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
