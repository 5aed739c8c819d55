"""A running mean of weights, steadier than the weights themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a module's parameters; its buffers are copied. (Polyak and Juditsky 1992.)

    The decay rises as (1 + t) / (10 + t) up to `decay`, so that the first weights are forgotten soon.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        self._learnt = [name for name, _ in module.named_parameters()]

    def update(self, module: nn.Module, taken: int) -> None:
        """Move towards the module's weights; `taken` counts the updates before."""
        now = module.state_dict()
        decay = min(self.decay, (1 + taken) / (10 + taken))
        own = [self.tensors[n] for n in self._learnt]
        torch._foreach_lerp_(own, [now[n].detach() for n in self._learnt], 1 - decay)
        for name in now.keys() - set(self._learnt):
            self.tensors[name].copy_(now[name])

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back a saved average."""
        for name, tensor in tensors.items():
            self.tensors[name].copy_(tensor)
