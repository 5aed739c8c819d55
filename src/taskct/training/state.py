"""All that a training must remember to resume as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor

from taskct.core.errors import ConfigError
from taskct.core.runs import Run
from taskct.nets.weights import copy_weights, load_weights
from taskct.training.average import WeightAverage
from taskct.training.checkpoint import load_optimiser, load_state, optimiser_tensors, require_same_settings, save_state
from taskct.training.players import Player, make_optimiser
from taskct.training.train_settings import TrainSettings
from taskct.training.training_end import Plateau


@dataclass
class Progress:
    """How far the training is; `finished` says why it ended."""

    step: int = 0  # steps that are done, taken or skipped
    finished: str = ""


@dataclass
class Steps:
    """Steps of one player: those taken, those skipped for want of a finite loss, and how many of these in a row."""

    taken: int = 0
    skipped: int = 0
    bad_in_a_row: int = 0


class PlayerState:
    """A player's model, the readers that learn along, its optimiser, running mean, best weights and counters."""

    def __init__(self, player: Player, settings: TrainSettings) -> None:
        self.player, self.descent = player, player.descent or settings
        self.optimiser: torch.optim.Optimizer = make_optimiser(player, self.descent)
        self.average = WeightAverage(player.model, self.descent.ema) if self.descent.ema else None
        self.best: dict[str, Tensor] = {}
        self.best_terms: dict[str, dict[str, Tensor]] = {}  # readers that learn along, at the same step
        self.steps = Steps()

    @property
    def kept(self) -> dict[str, Tensor]:
        """The weights that validation judges: the running mean, if there is one."""
        return self.average.tensors if self.average else dict(self.player.model.state_dict())

    def remember_best(self) -> None:
        """Keep a copy of the weights that validation has just judged."""
        self.best = _copied(self.kept)
        self.best_terms = {name: _copied(term.state_dict()) for name, term in self.player.objective.trained_terms().items()}

    def load_kept(self) -> None:
        """Give model and readers the weights that training leaves: the best ones, or the last."""
        copy_weights(self.player.model, self.best or self.kept)
        terms = self.player.objective.trained_terms()
        for name, tensors in self.best_terms.items():
            copy_weights(terms[name], tensors)

    def saved(self) -> tuple[dict[str, Mapping[str, Tensor]], dict[str, Any]]:
        """Groups of tensors, and plain values."""
        objective = self.player.objective
        tensors, values = optimiser_tensors(self.optimiser)
        groups: dict[str, Mapping[str, Tensor]] = {
            "model": self.player.model.state_dict(),
            "optimiser": tensors,
            "best": self.best,
            "average": self.average.tensors if self.average else {},
        }
        groups |= {f"term-{name}": term.state_dict() for name, term in objective.trained_terms().items()}
        groups |= {f"best-term-{name}": tensors for name, tensors in self.best_terms.items()}
        return groups, {"steps": asdict(self.steps), "objective": objective.memory(), "optimiser": values}

    def restore(self, groups: Mapping[str, Mapping[str, Tensor]], values: Mapping[str, Any], *, what: str) -> None:
        """Take back what `saved` gave."""
        player, device = self.player, self.player.device
        load_weights(player.model, groups["model"], what=what)
        for name, term in player.objective.trained_terms().items():
            load_weights(term, groups[f"term-{name}"], what=f"{what}: {name}")
            if f"best-term-{name}" in groups:
                self.best_terms[name] = {n: t.to(device) for n, t in groups[f"best-term-{name}"].items()}
        load_optimiser(self.optimiser, groups.get("optimiser", {}), values["optimiser"])
        if self.average:
            self.average.load(dict(groups["average"]))
        self.best = {name: tensor.to(device) for name, tensor in groups.get("best", {}).items()}
        player.objective.recall(values["objective"])
        self.steps = Steps(**values["steps"])


class State:
    """The states of all players, how far the training is, and the plateau it waits for; saved together in one move."""

    def __init__(self, players: Sequence[Player], settings: TrainSettings) -> None:
        self.settings = settings
        self.players = [PlayerState(player, settings) for player in players]
        self.plateau = Plateau(settings.patience, settings.least_gain)
        self.done = Progress()

    def save(self, run: Run) -> None:
        """Write everything in one move."""
        groups: dict[str, Mapping[str, Tensor]] = {}
        values: dict[str, Any] = {}
        for one in self.players:
            tensors, values[one.player.name] = one.saved()
            groups |= {f"{one.player.name}/{group}": members for group, members in tensors.items()}
        facts = {"progress": asdict(self.done), "plateau": asdict(self.plateau), "settings": self._settings()}
        save_state(run, groups, {**facts, "players": values})

    def restore(self, run: Run) -> None:
        """Take back what the run saved last, if it saved anything; ConfigError when its settings or players were others."""
        saved = load_state(run)
        if saved is None:
            return
        groups, values = saved
        names, known = [one.player.name for one in self.players], list(values["players"])
        if names != known:
            say = lambda found: ", ".join(name or "the main one" for name in found)
            raise ConfigError(f"{run.folder}: began with the players {say(known)}, got {say(names)}; resume it with the same")
        require_same_settings(run, values["settings"], self._settings())
        for one in self.players:
            prefix = f"{one.player.name}/"
            own = {name.removeprefix(prefix): members for name, members in groups.items() if name.startswith(prefix)}
            one.restore(own, values["players"][one.player.name], what=str(run.folder))
        self.plateau = Plateau(**values["plateau"])
        self.done = Progress(**values["progress"])

    def _settings(self) -> dict[str, Any]:
        own = {
            f"{one.player.name}.{key}": value
            for one in self.players
            if one.player.descent is not None
            for key, value in _plain(one.player.descent).items()
        }
        turns = {f"{p.name}.turns": [p.every, p.start] for p in (one.player for one in self.players) if p.every > 1 or p.start}
        return {**_plain(self.settings), **own, **turns}


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _plain(settings: Any) -> dict[str, Any]:
    assert is_dataclass(settings) and not isinstance(settings, type)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
