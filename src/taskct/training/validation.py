"""What a training measures on validation images, with the weights that it would keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from taskct.core.precision import autocast
from taskct.nets.weights import copy_weights
from taskct.training.batch import Batch
from taskct.training.state import State

Measure = Callable[[Batch], dict[str, float]]
"""Scores of an answered batch: means over its images. A score that cannot be told of a batch is left out."""


def validate(state: State, batches: Iterable[Batch], *, measure: Measure | None = None) -> dict[str, float]:
    """Mean scores over the validation images, by name, of the weights that each player would keep; none without images.

    A term's mean goes over the images that are labelled for it. "total" is what the main player is compared by.
    """
    players, steps = [own.player for own in state.players], state.settings.steps
    raw = [{n: t.detach().clone() for n, t in player.model.state_dict().items()} for player in players]
    for own in state.players:
        copy_weights(own.player.model, own.kept)
        own.player.eval()
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    images = 0
    for given in batches:
        batch = given
        for player in players:
            with torch.no_grad(), autocast(player.device, state.settings.precision):
                batch = player.answer(player.model, batch)
                scores = player.objective.measure(batch, final_step=steps)
            sizes = player.objective.sizes(batch)
            if player is players[0]:
                scores |= measure(batch) if measure else {}
            for name, value in scores.items():
                size, known_as = sizes.get(name, len(batch)), player.labelled_as(name)
                sums[known_as] = sums.get(known_as, 0.0) + value * size
                counts[known_as] = counts.get(known_as, 0) + size
        images += len(given)
    for player, tensors in zip(players, raw, strict=True):
        copy_weights(player.model, tensors)
    means = {name: total / counts[name] for name, total in sums.items() if counts[name]}
    for player in players:  # where terms speak of different images, their sum is made of their means
        terms = {name: player.labelled_as(name) for name in player.objective.terms}
        if any(0 < counts.get(name, 0) < images for name in terms.values()):
            known = {name: means[own] for name, own in terms.items() if own in means}
            means[player.labelled_as("total")] = player.objective.merit(known, steps)
    return means
