"""All that a training must remember to go on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taskct.core.runs import Run
from taskct.nets.weights import load_weights
from taskct.training.average import WeightAverage
from taskct.training.checkpoint import load_optimiser, load_state, optimiser_tensors, require_same_settings, save_state
from taskct.training.objective import Objective
from taskct.training.settings import TrainSettings
from taskct.training.stopping import Plateau


@dataclass
class Progress:
    """How far it is; `finished` says why it ended."""

    step: int = 0  # steps that are done, taken or skipped
    taken: int = 0
    skipped: int = 0
    bad_in_a_row: int = 0
    finished: str = ""


class State:
    """Model, readers that learn along, optimiser, running mean, best weights and counters, saved and taken back together."""

    def __init__(
        self, model: nn.Module, objective: Objective, optimiser: torch.optim.Optimizer, settings: TrainSettings
    ) -> None:
        self.model, self.objective, self.optimiser, self.settings = model, objective, optimiser, settings
        self.average = WeightAverage(model, settings.ema) if settings.ema else None
        self.plateau = Plateau(settings.patience, settings.least_gain)
        self.best: dict[str, Tensor] = {}
        self.best_terms: dict[str, dict[str, Tensor]] = {}  # readers that learn along, at the same step
        self.done = Progress()

    @property
    def kept(self) -> dict[str, Tensor]:
        """The weights that validation judges: the running mean, if there is one."""
        return self.average.tensors if self.average else dict(self.model.state_dict())

    def remember_best(self) -> None:
        """Keep a copy of the weights that validation has just judged."""
        self.best = _copied(self.kept)
        self.best_terms = {name: _copied(term.state_dict()) for name, term in self.objective.trained_terms().items()}

    def load_kept(self, what: str) -> None:
        """Give model and readers the weights that training leaves: the best ones, or the last."""
        load_weights(self.model, self.best or self.kept, what=what)
        for name, tensors in self.best_terms.items():
            load_weights(self.objective.modules_[name], tensors, what=what)

    def save(self, run: Run) -> None:
        """Write everything in one move."""
        tensors, values = optimiser_tensors(self.optimiser)
        groups = {"model": self.model.state_dict(), "optimiser": tensors, "best": self.best}
        groups |= {f"term-{name}": term.state_dict() for name, term in self.objective.trained_terms().items()}
        groups |= {f"best-term-{name}": tensors for name, tensors in self.best_terms.items()}
        groups["average"] = self.average.tensors if self.average else {}
        facts = {"progress": asdict(self.done), "plateau": asdict(self.plateau), "objective": self.objective.memory()}
        save_state(run, groups, {**facts, "optimiser": values, "settings": _plain(self.settings)})

    def restore(self, run: Run) -> None:
        """Take back what the run saved last, if it saved anything; ConfigError when its settings were others."""
        saved = load_state(run)
        if saved is None:
            return
        groups, values = saved
        require_same_settings(run, values["settings"], _plain(self.settings))
        device = next(self.model.parameters()).device
        load_weights(self.model, groups["model"], what=str(run.folder))
        for name, term in self.objective.trained_terms().items():
            load_weights(term, groups[f"term-{name}"], what=f"{run.folder}: {name}")
            if f"best-term-{name}" in groups:
                self.best_terms[name] = {n: t.to(device) for n, t in groups[f"best-term-{name}"].items()}
        load_optimiser(self.optimiser, groups.get("optimiser", {}), values["optimiser"])
        if self.average:
            self.average.load(groups["average"])
        self.best = {name: tensor.to(device) for name, tensor in groups.get("best", {}).items()}
        self.objective.recall(values["objective"])
        self.plateau = Plateau(**values["plateau"])
        self.done = Progress(**values["progress"])


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _plain(settings: TrainSettings) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
