"""Does a task keep the contract: its weights stay, its gradient reaches the image and is right."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.errors import InputError
from taskct.core.seeds import generator
from taskct.core.units import to_mu
from taskct.task.frozen import FrozenTask
from taskct.testing.check_findings import Findings

_DIRECTIONS = 3


def check_task(
    task: FrozenTask,
    mu: Tensor | None = None,
    target: Any = None,
    *,
    shape: Sequence[int] = (64, 64),
    classes: int = 3,
    gradient_tolerance: float = 0.02,
    seed: int = 0,
) -> Findings:
    """Questions that a `FrozenTask` must answer well, on an image `mu` (B, 1, ...) in 1/mm and its `target`.

    - the penalty is one finite number, for a batch of 1 and of 2; `mu` is not edited; no global random numbers are drawn;
    - the same image gives the same bytes, also after `train()` of everything round the task;
    - no weight asks for a gradient, none is handed to an optimiser that moves, and neither weights nor statistics (of
      normalisation, in any buffer) differ after answers, gradients and an optimiser's step;
    - the gradient reaches the image, and is the one that differences find (float64, along it and along random directions,
      to `gradient_tolerance`; a straight-through step or a forgotten one fails here);
    - a step along it serves the task better;
    - the task can be copied and moved.

    Without `mu`: two slices (or volumes) of `shape`, an ellipse of soft tissue with an organ and a lesion in it, with label
    maps up to `classes` - 1 as target. Give both where your target is another: a tensor, or a table or list with an entry for
    each image. Returns `Findings`; `.raise_if_failed()` makes
    a test of them.

    >>> from taskct.task import DiceCE, HuWindow, freeze
    >>> task = FrozenTask(freeze(nn.Conv2d(1, 3, 3, padding=1)), HuWindow(60, 320), DiceCE(), "organ")
    >>> check_task(task).passed
    True
    """
    if not isinstance(task, FrozenTask):
        raise InputError(f"check_task expects a FrozenTask, got {type(task).__name__}; see docs/tutorial-task.md")
    if mu is None:
        weight = next(task.parameters(), None)
        mu, target = (x.to("cpu" if weight is None else weight.device) for x in example_image(shape, classes=classes))
    found = Findings(f"task {task.name!r}")
    before = {k: v.clone() for k, v in task.state_dict().items()}
    with found.asking("answers an image in 1/mm"):
        kept, state = mu.clone(), torch.get_rng_state()
        with torch.no_grad():
            penalty = task(mu, target)
        good = isinstance(penalty, Tensor) and penalty.numel() == 1 and bool(penalty.isfinite())
        said = f"{float(penalty):.4g}" if good else f"got {penalty!r:.100}"
        if not found.say("the penalty is one finite number", good, said):
            return found
        found.say("mu is not edited", torch.equal(mu, kept))
        quiet = torch.equal(torch.get_rng_state(), state)
        found.say("no global random numbers", quiet, "" if quiet else "something is drawn at random, such as dropout")
    if found.lines and found.lines[-1].question == "answers an image in 1/mm":
        return found
    with found.asking("one image alone has a finite penalty"):
        with torch.no_grad():
            alone = task(mu[:1], _of_first(target, len(mu)))
        found.say("one image alone has a finite penalty", bool(alone.isfinite()), f"{float(alone):.4g}")
    with found.asking("same image, same bytes"):
        nn.ModuleList([task]).train()
        with torch.no_grad():
            again = task(mu, target)
        found.say(
            "same image, same bytes", torch.equal(again, penalty), "" if torch.equal(again, penalty) else "answers differ"
        )
    loose = [name for name, p in task.named_parameters() if p.requires_grad]
    found.say(
        "no weight asks for a gradient", not loose, f"{len(loose)} do ({loose[0]}, ...); use freeze(net)" if loose else ""
    )
    with found.asking("weights and statistics stay"):
        _stay(found, task, mu, target, before)
    with found.asking("the gradient reaches the image"):
        _gradient(found, task, mu, target, tolerance=gradient_tolerance, seed=seed)
    with found.asking("can be copied"):
        twin = copy.deepcopy(task)
        with torch.no_grad():
            found.say("can be copied", torch.equal(twin(mu, target), penalty))
    return found


def example_image(shape: Sequence[int], *, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Two images in 1/mm (2, 1, *shape), noise-like texture included, and label maps (2, *shape) of 0 to `classes` - 1."""
    sides = [torch.linspace(-1, 1, n) for n in shape]
    places = torch.meshgrid(*sides, indexing="ij")
    far = lambda centre: sum((p - c) ** 2 for p, c in zip(places[-2:], centre, strict=True)).sqrt()
    draw = generator(0, "example image")
    images, labels = [], []
    for shift in (0.0, 0.15):
        body, organ, lesion = far((0, 0)) < 0.9, far((0.1, -0.3 + shift)) < 0.5, far((0.0, -0.35 + shift)) < 0.2
        hu = -1000.0 + 1050.0 * body + 60.0 * organ - 45.0 * lesion
        images.append(to_mu(hu + 12.0 * torch.randn(tuple(shape), generator=draw) * body))
        labels.append((organ.long() + lesion.long()).clamp_max(classes - 1))
    return torch.stack(images)[:, None], torch.stack(labels)


def _of_first(target: Any, count: int) -> Any:
    """What of a target belongs to the first of `count` images: the target has an entry for each, in tensors, tables, lists."""
    if isinstance(target, Mapping):
        return {name: _of_first(part, count) for name, part in target.items()}
    if isinstance(target, tuple) and hasattr(target, "_fields"):  # a named tuple of parts
        return type(target)(*(_of_first(part, count) for part in target))
    return target[:1] if isinstance(target, Tensor | list | tuple) and len(target) == count else target


def _in_double(target: Any) -> Any:
    """The target, its fractional numbers as float64."""
    if isinstance(target, Tensor):
        return target.double() if target.is_floating_point() else target
    if isinstance(target, Mapping):
        return {name: _in_double(part) for name, part in target.items()}
    if isinstance(target, tuple) and hasattr(target, "_fields"):
        return type(target)(*map(_in_double, target))
    return type(target)(map(_in_double, target)) if isinstance(target, list | tuple) else target


def _stay(found: Findings, task: FrozenTask, mu: Tensor, target: Any, before: dict[str, Tensor]) -> None:
    image = mu.clone().requires_grad_()
    weights = [*task.parameters()]
    optimiser = torch.optim.SGD([image, *weights], lr=1e-3, weight_decay=0.1)  # as if somebody handed it all weights
    for _ in range(2):
        optimiser.zero_grad()
        task(image, target).backward()
        optimiser.step()
    after = task.state_dict()
    moved = [name for name, kept in before.items() if not torch.equal(after[name], kept)]
    names = {n for n, _ in task.named_parameters()}
    what = f"{len(moved)} moved, such as {moved[0]} ({'a weight' if moved[0] in names else 'a statistic'})" if moved else ""
    found.say("weights and statistics stay", not moved, what)


def _gradient(found: Findings, task: FrozenTask, mu: Tensor, target: Any, *, tolerance: float, seed: int) -> None:
    exact = copy.deepcopy(task).double()
    target = _in_double(target)
    image = mu.double().requires_grad_()
    penalty = exact(image, target)
    now = float(penalty.detach())
    if not penalty.requires_grad:
        found.say("the gradient reaches the image", False, "the penalty does not depend on the image through autograd")
        return
    (grad,) = torch.autograd.grad(penalty, image)
    share = float((grad != 0).double().mean())
    size = float(grad.norm())
    good = size > 0 and bool(grad.isfinite().all())
    if not found.say("the gradient reaches the image", good, f"{share:.0%} of the pixels, norm {size:.3g}"):
        return
    draw = generator(seed, "check_task")
    ways = [grad / size]
    for _ in range(_DIRECTIONS - 1):
        way = torch.randn(mu.shape, generator=draw, dtype=torch.float64)
        ways.append(way / way.norm() + 0.5 * grad / size)  # a random way alone is almost orthogonal to the gradient
    length = 1e-6 * float(mu.double().norm())
    worst, said = 0.0, ""
    for way in ways:
        with torch.no_grad():
            ahead, back = (float(exact(mu.double() + s * length * way, target)) for s in (1, -1))
        difference, ours = (ahead - back) / (2 * length), float((grad * way).sum())
        off = abs(ours - difference) / max(abs(difference), abs(ours), 1e-300)
        if off >= worst:
            worst, said = off, f"autograd {ours:.6g}, difference {difference:.6g}"
    found.say("the gradient is that of differences", worst <= tolerance, f"{said} (limit {tolerance:.0%})")
    with torch.no_grad():
        better = float(exact(mu.double() - 10 * length * grad / size, target))
    found.say("a step along it serves the task better", better < now, f"{now:.8g} -> {better:.8g}")
