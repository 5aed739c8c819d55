"""How far a reader's inner view of an image is from its view of the full-dose image: a task loss that needs no labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.task.frozen import FrozenTask


class FeatureDistance:
    """`distance(mu, mu_full)` -> scalar: mean squared difference of a frozen task's feature maps, each scaled to unit power.

    `depths` are indices into `task.net.scales(x)` (all of them without), or names of its sub-modules, whose outputs are then
    taken. A distance of 1 means that the maps differ as much as they vary. The full-dose image gets no gradient. Differences
    and powers are float32 whatever the precision inside the network: maps that nearly agree differ by less than
    bfloat16 shows.
    """

    def __init__(self, task: FrozenTask, *, depths: Sequence[int | str] | None = None) -> None:
        self.task, self.depths = task, depths
        names = [d for d in depths or [] if isinstance(d, str)]
        known = dict(task.net.named_modules())
        for name in names:
            if name not in known:
                raise InputError(f"task {task.name!r} has no layer {name!r}; its layers: {', '.join(n for n in known if n)}")
        if not names and not hasattr(task.net, "scales"):
            raise InputError(f"the network of task {task.name!r} has no scales(); name the layers to compare (depths=[...])")
        self.names = names

    def __call__(self, mu: Tensor, mu_full: Tensor) -> Tensor:
        """mu and mu_full (B, 1, ...) in 1/mm -> scalar."""
        if mu.shape != mu_full.shape:
            raise GeometryError(f"the images differ in shape: {tuple(mu.shape)} and {tuple(mu_full.shape)}")
        with torch.no_grad():
            wanted = self._maps(mu_full)
        terms = []
        for ours, theirs in zip((m.float() for m in self._maps(mu)), (m.float() for m in wanted), strict=True):
            power = (theirs - theirs.mean()).square().mean().clamp_min(torch.finfo(theirs.dtype).tiny)
            terms.append((ours - theirs).square().mean() / power)
        return torch.stack(terms).mean()

    def _maps(self, mu: Tensor) -> list[Tensor]:
        net = self.task.net
        if not self.names:
            self.task.check_frozen()
            scales = net.scales(self.task.prepare(mu))  # type: ignore[operator]
            return scales if self.depths is None else [scales[int(d)] for d in self.depths]
        caught: dict[str, Tensor] = {}
        hooks = [
            net.get_submodule(n).register_forward_hook(lambda _m, _i, out, n=n: caught.__setitem__(n, out)) for n in self.names
        ]
        try:
            self.task.predict(mu)
        finally:
            for hook in hooks:
                hook.remove()
        return [caught[n] for n in self.names]
