"""How the heads of one network share its training: plain sums, learnt uncertainties, gradients balanced at the encoder.

The published comparison switches heads on and off by weights of 0 and 1 (Hryniewska-Guzik et al., arXiv 2308.01137). Other
ways to weigh them are few on purpose: well-chosen sums match them (Kurin et al., NeurIPS 2022; Xin et al., NeurIPS 2022).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor

from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.runs import Run, load_run
from taskct.nets.shared_net import ENCODER, SharedNet
from taskct.nets.weights import copy_weights
from taskct.training.balanced import Balanced, Uncertain
from taskct.training.objective import Objective
from taskct.training.players import WEIGHTS
from taskct.training.schedules import Weight
from taskct.training.terms import AnswerPenalty

SHARINGS = ("sum", "uncertainty", "gradients")


def shared_objective(
    penalties: Mapping[str, Callable[[Any, Any], Tensor]],
    *,
    weights: Mapping[str, Weight] | None = None,
    sharing: str = "sum",
    share: float = 0.5,
) -> Objective:
    """The objective of several heads: {head: penalty(answer, target)}.

    "sum"          sum of weight * penalty, each weight 1 unless `weights` says otherwise; a head of weight 0 takes no part
    "uncertainty"  weights learnt as uncertainties (`Uncertain`)
    "gradients"    weights that give the heads after the first `share` of the pull at the encoder's maps (`Balanced`)

    Raises ConfigError for weights of heads that have no penalty, for weights beside a sharing that finds its own, and where
    nothing is left to train.
    """
    chosen = dict(weights or {})
    for head in chosen:
        if head not in penalties:
            raise unknown_name("head", head, list(penalties))
    if sharing not in SHARINGS:
        raise unknown_name("sharing", sharing, SHARINGS)
    kept = {h: p for h, p in penalties.items() if callable(chosen.get(h, 1.0)) or chosen.get(h, 1.0) != 0}
    if not kept:
        raise ConfigError(f"every head has weight 0, so there is nothing to train: {', '.join(penalties)}")
    terms = {head: AnswerPenalty(penalty, task=head) for head, penalty in kept.items()}
    if sharing == "sum" or len(terms) == 1:
        return Objective({head: (chosen.get(head, 1.0), term) for head, term in terms.items()})
    odd = [head for head in kept if chosen.get(head, 1.0) != 1]
    if odd:
        raise ConfigError(
            f"sharing {sharing!r} finds the weights itself, and was given one of {chosen[odd[0]]!r} for {odd[0]!r}"
        )
    return (
        Uncertain(terms) if sharing == "uncertainty" else Balanced(terms, share=share, at=lambda batch: batch.answers[ENCODER])
    )


def preload(
    net: SharedNet,
    weights: Run | str | os.PathLike[str] | Mapping[str, Tensor],
    *,
    parts: Collection[str] = (ENCODER,),
) -> list[str]:
    """Give parts of a network ("encoder", or heads by name) the weights of another one's -> names of the tensors.

    `weights` is a finished run, or tensors by name. Raises InputError for a part that the weights do not hold or that has
    another shape there: nothing is left as it was in silence.
    """
    if isinstance(weights, Mapping):
        tensors, what = dict(weights), "these weights"
    else:
        run = weights if isinstance(weights, Run) else load_run(weights)
        tensors, what = run.load_tensors(WEIGHTS)[0], str(run.folder)
    own, taken = net.state_dict(), {}
    for part in parts:
        if part != ENCODER and part not in net.heads:
            raise unknown_name("part of the network", part, [ENCODER, *net.heads])
        start = f"{ENCODER}." if part == ENCODER else f"heads.{part}."
        for name, tensor in own.items():
            if not name.startswith(start):
                continue
            if name not in tensors:
                raise InputError(f"{what}: hold no {name}, which {part!r} needs; are they of a network with that part?")
            if tensors[name].shape != tensor.shape:
                raise InputError(
                    f"{what}: {name} has shape {tuple(tensors[name].shape)}, here {tuple(tensor.shape)}; the networks differ"
                )
            taken[name] = tensors[name]
    copy_weights(net, taken)
    return sorted(taken)
