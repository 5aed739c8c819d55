"""The training loop: one function that can be read and copied. `train` and `train_reader` say what it is fed.

Everything random in step k is drawn from (seed, k), so a run that resumes after a kill needs no state of generators, and
two processes draw what one would.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from taskct.core.errors import DataError
from taskct.core.precision import autocast
from taskct.core.progress import track
from taskct.core.runs import Run
from taskct.core.seeds import derive_seed
from taskct.training.batch import Batch
from taskct.training.metrics_log import MetricsLog
from taskct.training.players import Player, check_players, clip_gradients, set_learning_rate
from taskct.training.processes import any_rank, rank, world
from taskct.training.run_lock import alone_in_its_run
from taskct.training.state import PlayerState, State
from taskct.training.train_settings import TrainSettings
from taskct.training.training_end import StopRequest
from taskct.training.validation import Measure, validate


class Source(Protocol):
    """Where batches come from: a function of the step, never of what came before."""

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of a step."""

    def validation(self) -> Iterable[Batch]:
        """The validation images, the same at every call; none without validation."""


@dataclass(frozen=True)
class Trained:
    """What a training left: the main player's model with its final weights, in evaluation mode, and how it went.

    `remark` says what its user should know, such as an end that is worse than filtered back-projection; "" otherwise.
    """

    model: nn.Module
    run: Run
    steps: int
    stopped: str
    best_step: int
    best: float
    skipped: int
    remark: str = ""


@alone_in_its_run
def fit(
    players: Player | Sequence[Player],
    source: Source,
    run: Run,
    settings: TrainSettings,
    *,
    measure: Measure | None = None,
    progress: bool | None = None,
    tensorboard: bool = False,
) -> Trained:
    """Train one or more players on what `source` gives, for `settings.steps` steps or to the plateau; resumes a stopped `run`.

    The first player is the main one: validation judges it, and its weights are the run's. `measure(answered batch)` adds
    scores to validation. The run receives metrics.jsonl and .csv, weights.safetensors (NAME.safetensors of other players),
    and state.safetensors while it lasts. Raises DataError after several steps without a finite loss, naming the images;
    BusyError when another process trains in the run; KeyboardInterrupt or SystemExit when it is stopped, with its state saved.
    """
    players = [players] if isinstance(players, Player) else list(players)
    check_players(players)
    state = State(players, settings)
    state.restore(run)
    done, plateau, main = state.done, state.plateau, state.players[0]
    shared = [_shared(player) for player in players]
    lead = rank() == 0
    log = MetricsLog(run, lead=lead, tensorboard=tensorboard, from_step=done.step)

    with ExitStack() as stack:
        request = stack.enter_context(StopRequest())
        stack.enter_context(torch.random.fork_rng(enabled=True))
        steps = range(done.step, settings.steps) if not done.finished else range(0)
        for step in track(steps, "training", total=len(steps), progress=progress if lead else False):
            torch.manual_seed(derive_seed(settings.seed, "layers", step, rank()))  # dropout and the like
            for player in players:  # those that rest as well: others may ask them
                player.train()
            batch = source.batch(step)
            turns = [k for k, player in enumerate(players) if player.learns_in(step)]
            for k, (own, module) in enumerate(zip(state.players, shared, strict=True)):
                if k in turns:
                    batch = take_step(own, module, batch, settings, log)
                elif turns and k < turns[-1]:  # somebody after it learns from what it answers
                    batch = _answer_only(own.player, batch, settings)
            done.step = step + 1
            last = done.step == settings.steps
            if done.step % settings.log_every == 0 or last:
                log.write(done.step, images=len(batch), **_facts(state, step))
            if done.step % settings.validate_every == 0 or last:
                scores = validate(state, source.validation(), measure=measure)
                if "total" in scores:
                    if plateau.improves(scores["total"], done.step) and settings.keep == "best":
                        for one in state.players:
                            one.remember_best()
                    log.validation(done.step, scores)
                    if plateau.reached:
                        done.finished = f"no gain in {settings.patience} validations since step {plateau.best_step}"
            if last and not done.finished:
                done.finished = "all steps done"
            stop = request.came
            if lead and (done.step % settings.checkpoint_every == 0 or done.finished or stop):
                state.save(run)
                run.write_metrics_csv()
            if done.finished or stop:
                break
    request.obey()
    for own in state.players:
        own.load_kept()
        own.player.model.eval()
        if lead:
            _write_weights(own.player, run)
    log.close()
    skipped = sum(own.steps.skipped for own in state.players)
    return Trained(main.player.model, run, done.step, done.finished, plateau.best_step, plateau.best, skipped)


def take_step(own: PlayerState, module: nn.Module, batch: Batch, settings: TrainSettings, log: MetricsLog) -> Batch:
    """One player descends on a batch; a step without a finite loss is skipped and leaves no trace.

    `module` is the player, or the player shared by several processes. Returns the batch as the player answered it, without
    gradients. A batch of which nothing is labelled for the player moves nothing and is not counted.
    """
    player, optimiser, counted = own.player, own.optimiser, own.steps
    set_learning_rate(optimiser, own.descent, step=batch.step, steps=settings.steps)
    buffers = [b.clone() for b in player.buffers()]
    with autocast(player.device, settings.precision):
        loss, parts, answered = module(batch)
    if not any_rank(bool(parts)):
        return answered
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    size = clip_gradients(player, own.descent.clip_norm)
    if any_rank(not (math.isfinite(loss.item()) and math.isfinite(size))):
        optimiser.zero_grad(set_to_none=True)
        for now, before in zip(player.buffers(), buffers, strict=True):
            now.copy_(before)  # statistics of normalisation have seen the bad batch
        counted.skipped, counted.bad_in_a_row = counted.skipped + 1, counted.bad_in_a_row + 1
        log.skip(batch.step, batch.ids)
        if counted.bad_in_a_row >= settings.most_bad_steps:
            raise DataError(_say_bad(player, batch, parts, settings))
        return answered
    optimiser.step()
    player.objective.commit(parts)
    if own.average:
        own.average.update(player.model, counted.taken)
    counted.taken, counted.bad_in_a_row = counted.taken + 1, 0
    log.add({player.labelled_as(n): v for n, v in {"total": loss, **parts, "gradient_norm": torch.tensor(size)}.items()})
    return answered


def _answer_only(player: Player, batch: Batch, settings: TrainSettings) -> Batch:
    with torch.no_grad(), autocast(player.device, settings.precision):
        return player.answer(player.model, batch).detached()


def _shared(player: Player) -> nn.Module:
    """The player, its gradients shared by all processes of the training."""
    if world() == 1:
        return player
    # a reader that learns along rests while its weight is 0, a head of the network while nothing is labelled for it
    resting = player.objective.trained_terms() or any(hasattr(t, "count") for t in player.objective.terms.values())
    return nn.parallel.DistributedDataParallel(player, find_unused_parameters=bool(resting))


def _facts(state: State, step: int) -> dict[str, float]:
    """Learning rates, steps without a finite loss, and weights that change, for the metrics."""
    found: dict[str, float] = {}
    for own in state.players:
        rate = set_learning_rate(own.optimiser, own.descent, step=step, steps=state.settings.steps)
        facts = {"learning_rate": rate, "skipped": own.steps.skipped, **own.player.objective.logged(step)}
        found |= {own.player.labelled_as(name): value for name, value in facts.items()}
    return found


def _write_weights(player: Player, run: Run) -> None:
    run.save_tensors(player.weights_file, player.model.state_dict(), overwrite=True)
    for name, term in player.objective.trained_terms().items():
        own = f"{player.name}_{name}" if player.name else name
        run.save_tensors(f"joint_{own}.safetensors", term.state_dict(), overwrite=True)


def _say_bad(player: Player, batch: Batch, parts: Mapping[str, Tensor], settings: TrainSettings) -> str:
    """Which images made the loss infinite, or which part of it, as far as can be told."""
    player.eval()
    with torch.no_grad():
        answered = player.answer(player.model, batch)
    image = answered.image if answered.mu_hat is not None else batch.mu
    broken = [name for name, one in zip(batch.ids, image, strict=True) if not bool(torch.isfinite(one).all())]
    terms = [name for name, value in parts.items() if not bool(torch.isfinite(value))]
    names = broken or list(batch.ids)
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return (
        f"{listed}: {settings.most_bad_steps} steps in a row gave no finite loss (in {', '.join(terms) or 'the gradient'}); "
        + ("the reconstruction of these images is not finite" if broken else "these images were in the last of them")
        + "; look at them, lower lr, or train in precision='float32'"
    )
