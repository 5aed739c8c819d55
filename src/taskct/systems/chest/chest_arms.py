"""The trainings that are compared: which heads, which labels, which encoder, for how long."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from taskct.systems.chest.chest_classes import TASKS

# CPU time of a step; that of all four heads on the small encoder is 1
_ENCODER, _HEADS = 0.35, {"classify": 0.01, "segment": 0.26, "restore": 0.18, "detect": 0.20}


@dataclass(frozen=True)
class Arm:
    """One training; arms of one `group` differ by their seed only."""

    tasks: tuple[str, ...]
    steps: int
    seed: int = 0
    share: float = 1.0
    backbone: str = "small"
    loss: str = "dice-ce"
    sharing: str = "sum"
    length: str = "steps"
    preload: bool = False
    name: str = ""

    @property
    def group(self) -> str:
        """What it is called in tables, whatever its seed."""
        if self.name:
            return self.name
        heads = "all" if set(self.tasks) == set(TASKS) else "+".join(task for task in TASKS if task in self.tasks)
        words = [heads]
        words += [self.labelled] if self.share < 1 else []
        words += [self.backbone] if self.backbone != "small" else []
        words += [self.loss] if self.loss != "dice-ce" else []
        words += [self.sharing] if self.sharing != "sum" else []
        words += [self.length] if self.length != "steps" else []
        words += ["preloaded"] if self.preload else []
        return "-".join(words)

    @property
    def labelled(self) -> str:
        """The share of patients with labels, such as "30pc"; "" for all.

        >>> Arm(("segment",), steps=1, share=0.3).labelled, Arm(("segment",), steps=1, share=0.304).labelled
        ('30pc', '30.4pc')
        """
        return f"{100 * self.share:g}pc" if self.share < 1 else ""

    @property
    def label(self) -> str:
        """The name of its step."""
        return f"{self.group.replace('+', '.')}-{self.seed}"

    @property
    def cost(self) -> float:
        """CPU time, that of a step of all four heads is 1."""
        times = {"small": 1.0, "vgg13": 8.0, "resnet50": 6.0}[self.backbone]
        return self.steps * times * (_ENCODER + sum(_HEADS[task] for task in self.tasks))


def all_subsets() -> list[tuple[str, ...]]:
    """The fifteen subsets of heads that are not empty, the largest first.

    >>> len(all_subsets()), all_subsets()[0], all_subsets()[-1]
    (15, ('classify', 'segment', 'restore', 'detect'), ('detect',))
    """
    return [subset for k in range(len(TASKS), 0, -1) for subset in itertools.combinations(TASKS, k)]
