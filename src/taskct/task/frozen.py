"""A task network that cannot learn any more, but tells an image how to serve it better."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.class_names import refuse_other_order
from taskct.core.errors import InputError
from taskct.task.prepare import check_water, water_of

_CLOSE = 0.05  # pixels of scanners' fields of view differ from patient to patient


class FrozenTask(nn.Module):
    """`task(mu, target)` -> scalar penalty; `task.predict(mu)` -> what the network says of an image in 1/mm.

    `net` is any module, `prepare` the differentiable way from mu (B, 1, ...) to its input (`HuWindow`, `Resample`, `Chain`),
    `penalty(prediction, target)` a scalar that is smaller for better answers (`DiceCE`), `name` what it is logged under,
    `classes` the names of its output's channels and `spacing_mm` the pixels that it is made for, where they are known.
    The weights of `net` stay as they are, BatchNorm statistics and dropout included: `train()` does not reach it.
    (Sefercioglu et al., arXiv 2511.07094, Fig. 1: the second loss.)

    Raises InputError for a net that is not frozen (see `freeze`), and when a gradient that the caller asked for is blocked
    on its way: by a `prepare` that detaches or rounds, or a net that predicts inside `no_grad` or `inference_mode`.

    >>> net = freeze(nn.Conv2d(1, 2, 1))
    >>> task = FrozenTask(net, nn.Identity(), lambda logits, target: logits.square().mean(), "demo")
    >>> mu = torch.ones(1, 1, 4, 4, requires_grad=True)
    >>> task(mu, None).backward(); mu.grad.abs().sum() > 0
    tensor(True)
    """

    def __init__(
        self,
        net: nn.Module,
        prepare: Callable[[Tensor], Tensor],
        penalty: Callable[[Any, Any], Tensor],
        name: str,
        *,
        classes: Sequence[str] = (),
        spacing_mm: Sequence[float] = (),
    ) -> None:
        super().__init__()
        if not name:
            raise InputError("FrozenTask expects a name, under which its penalty is logged")
        self.net, self.prepare, self.penalty, self.name = net, prepare, penalty, name
        self.classes, self.spacing_mm = tuple(classes), tuple(spacing_mm)
        self.check_frozen()

    def forward(self, mu: Tensor, target: Any) -> Tensor:
        """Penalty of an image: mu (B, 1, ...) in 1/mm, target as `penalty` wants it -> scalar."""
        return self.penalty(self.predict(mu), target)

    def predict(self, mu: Tensor) -> Any:
        """The network's answer: mu (B, 1, ...) in 1/mm -> its output, with a gradient to mu when mu asks for one.

        A tensor, or a table or list of tensors with an entry for each image.
        """
        self.check_frozen()
        wanted = mu.requires_grad and torch.is_grad_enabled()
        x = self.prepare(mu)
        if wanted and not x.requires_grad:
            raise InputError(
                f"task {self.name!r}: its prepare step blocks the gradient (it detaches, rounds or converts to numpy); "
                "use differentiable steps such as HuWindow and Resample"
            )
        answer = self.net(x)
        if wanted and not _asks_for_gradient(answer):
            raise InputError(
                f"task {self.name!r}: its network blocks the gradient (it predicts inside no_grad or inference_mode, as "
                "whole-image predictors do); pass the bare network instead of the predictor"
            )
        return answer

    def train(self, mode: bool = True) -> FrozenTask:
        """Does nothing: a frozen task stays in evaluation mode."""
        return self

    def requires_grad_(self, requires_grad: bool = True) -> FrozenTask:
        """Refuses to thaw the weights."""
        if requires_grad:
            raise InputError(f"task {self.name!r} is frozen; train a copy of its network instead")
        return self

    @property
    def mu_water_per_mm(self) -> float | None:
        """The attenuation that it takes for water; None where its preparation does not say."""
        return next((own for own in map(water_of, (self.prepare, self.net)) if own is not None), None)

    def check_images(
        self,
        *,
        who: str,
        mu_water_per_mm: float,
        spacing_mm: Sequence[float] | None = None,
        label_names: Mapping[int, str] | None = None,
    ) -> None:
        """Whether the network can read images, as far as both say what they are.

        UnitsError where water is another attenuation in them than in its preparation; InputError where `label_names`, the
        truth that it is held against, number its classes otherwise. Pixels of another size than those it is made for are
        warned of.
        """
        name = f"{who}: task {self.name!r}"
        for part in (self.prepare, self.net):
            check_water(part, mu_water_per_mm, who=name)
        refuse_other_order(dict(enumerate(self.classes)), label_names or {}, who=name)
        own, theirs = self.spacing_mm, tuple(spacing_mm or ())
        axes = min(len(own), len(theirs))
        if axes and not all(math.isclose(a, b, rel_tol=_CLOSE) for a, b in zip(own[-axes:], theirs[-axes:], strict=True)):
            sizes = [" x ".join(f"{s:.3g}" for s in one) for one in (own, theirs)]
            warnings.warn(
                f"{name} is made for pixels of {sizes[0]} mm, and those of the images are {sizes[1]} mm: it reads them, but "
                "not as well as it can; bring them onto its pixels, or train it on theirs",
                stacklevel=3,
            )

    def check_frozen(self) -> None:
        """Raise InputError when a weight may move or a layer is in training mode."""
        loose = [n for n, p in self.net.named_parameters() if p.requires_grad]
        if loose:
            raise InputError(
                f"task {self.name!r}: {len(loose)} weights are not frozen ({loose[0]}, ...); use taskct.task.freeze(net)"
            )
        training = [n or "the network itself" for n, m in self.net.named_modules() if m.training]
        if training:
            raise InputError(
                f"task {self.name!r}: {training[0]} is in training mode, so its statistics would move; use freeze(net)"
            )


def _asks_for_gradient(answer: Any) -> bool:
    if isinstance(answer, Mapping):
        return any(map(_asks_for_gradient, answer.values()))
    if isinstance(answer, list | tuple):
        return any(map(_asks_for_gradient, answer))
    return isinstance(answer, Tensor) and answer.requires_grad


def freeze(net: nn.Module) -> nn.Module:
    """A frozen copy of a network, in evaluation mode; the original stays as it is."""
    frozen = copy.deepcopy(net)
    frozen.eval()
    return nn.Module.requires_grad_(frozen, False)
