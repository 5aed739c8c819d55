"""How far a reader's inner view of an image is from its view of the full-dose image: a task loss that needs no labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taskct.core.errors import GeometryError, InputError
from taskct.task.frozen import FrozenTask

_FLAT, _SILENT = 1e-8, 1e-8


def layer_names(net: nn.Module) -> list[str]:
    """The names that `FeatureDistance(task, depths=[...])` takes for a network: its sub-modules, from outside in.

    >>> layer_names(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.ReLU())))
    ['0', '1', '1.0']
    """
    return [name for name, _ in net.named_modules() if name]


class FeatureDistance:
    """`distance(mu, mu_full)` -> scalar: mean squared difference of a frozen task's feature maps, each scaled to unit power.

    `depths` are indices into `task.net.scales(x)` (all of them without), or names of sub-modules of `task.net`, whose outputs
    are then taken: `layer_names(task.net)` lists them. Networks of other libraries (MONAI, nnU-Net) have no `scales()` and
    need names; layers in the middle of the encoder and at its end are a good first choice.

    A distance of 1 means that the maps differ as much as they vary. The full-dose image gets no gradient. Differences and
    powers are float32 whatever the precision inside the network: maps that nearly agree differ by less than bfloat16 shows.
    """

    def __init__(self, task: FrozenTask, *, depths: Sequence[int | str] | None = None) -> None:
        self.task, self.depths = task, depths
        names = [d for d in depths or [] if isinstance(d, str)]
        listed = _some(layer_names(task.net))
        if names and len(names) < len(depths or []):
            raise InputError(f"task {task.name!r}: depths are names or numbers, not both, got {list(depths or [])}")
        known = dict(task.net.named_modules())
        for name in names:
            if name not in known:
                raise InputError(f"task {task.name!r} has no layer {name!r}; its layers: {listed}")
        if not names and not hasattr(task.net, "scales"):
            middle = _middle(task.net)
            raise InputError(
                f"the network of task {task.name!r} has no scales(); name the layers to compare, such as depths=[{middle!r}]; "
                f"its layers: {listed}"
            )
        self.names = names

    def __call__(self, mu: Tensor, mu_full: Tensor) -> Tensor:
        """mu and mu_full (B, 1, ...) in 1/mm -> scalar."""
        if mu.shape != mu_full.shape:
            raise GeometryError(f"the images differ in shape: {tuple(mu.shape)} and {tuple(mu_full.shape)}")
        with torch.no_grad():
            wanted = self._maps(mu_full)
        terms = []
        for ours, theirs in zip((m.float() for m in self._maps(mu)), (m.float() for m in wanted), strict=True):
            floor = (_FLAT * theirs.square().mean()).clamp_min(_SILENT)  # maps without variation say nothing of its size
            power = torch.maximum((theirs - theirs.mean()).square().mean(), floor)
            terms.append((ours - theirs).square().mean() / power)
        return torch.stack(terms).mean()

    def _maps(self, mu: Tensor) -> list[Tensor]:
        net = self.task.net
        if not self.names:
            self.task.check_frozen()
            scales = net.scales(self.task.prepare(mu))  # type: ignore[operator]
            if self.depths is not None and any(not -len(scales) <= int(d) < len(scales) for d in self.depths):
                raise InputError(
                    f"the network of task {self.task.name!r} has {len(scales)} scales, got depths {list(self.depths)}"
                )
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


def _some(names: Sequence[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more (taskct.task.layer_names)" if len(names) > most else "")


def _middle(net: nn.Module) -> str:
    """A layer half way through: of those with weights, the middle one."""
    able = [name for name, module in net.named_modules() if name and next(module.parameters(recurse=False), None) is not None]
    return able[len(able) // 2] if able else ""
