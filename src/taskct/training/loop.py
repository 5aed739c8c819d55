"""The training loop: one function that can be read and copied. `train` and `train_reader` say what it is fed.

Everything random in step k is drawn from (seed, k), so a run that goes on after a kill needs no state of generators, and
two processes draw what one would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, DataError
from taskct.core.precision import autocast
from taskct.core.progress import track
from taskct.core.runs import Run
from taskct.core.seeds import derive_seed
from taskct.nets.weights import load_weights
from taskct.training.batch import Batch
from taskct.training.metrics_log import MetricsLog
from taskct.training.objective import Objective
from taskct.training.processes import any_rank, rank, world
from taskct.training.schedules import learning_rate_share
from taskct.training.settings import TrainSettings
from taskct.training.state import State
from taskct.training.stopping import StopRequest

WEIGHTS = "weights.safetensors"


class Source(Protocol):
    """Where batches come from: a function of the step, never of what came before."""

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of a step."""

    def validation(self) -> Iterable[Batch]:
        """The validation images, the same at every call; none without validation."""


class Learner(nn.Module):
    """A model and its objective as one module, so that several processes share the gradients of both."""

    def __init__(self, model: nn.Module, objective: Objective, answer: Callable[[nn.Module, Batch], Batch]) -> None:
        super().__init__()
        self.model, self.objective, self.answer = model, objective, answer

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and parts of a batch."""
        return self.objective(self.answer(self.model, batch))


@dataclass(frozen=True)
class Trained:
    """What a training left: the model with its final weights, in evaluation mode, and how it went."""

    model: nn.Module
    run: Run
    steps: int
    stopped: str
    best_step: int
    best: float
    skipped: int


def fit(
    learner: Learner,
    source: Source,
    run: Run,
    settings: TrainSettings,
    *,
    measure: Callable[[Batch], dict[str, float]] | None = None,
    show: bool | None = None,
    tensorboard: bool = False,
) -> Trained:
    """Train `learner` on what `source` gives, for `settings.steps` steps or to the plateau; goes on where `run` stopped.

    `measure(batch with mu_hat)` adds scores to validation. The run receives metrics.jsonl and .csv, weights.safetensors, and
    state.safetensors while it lasts. Raises DataError after several steps without a finite loss, naming the images;
    KeyboardInterrupt or SystemExit when it is stopped, with its state saved.
    """
    model, objective = learner.model, learner.objective
    device = next(model.parameters()).device
    optimiser = _optimiser(learner, settings)
    state = State(learner.model, objective, optimiser, settings)
    state.restore(run)
    done, plateau = state.done, state.plateau
    shared: nn.Module = learner
    if world() > 1:  # a reader that learns along may rest while its weight is 0
        shared = nn.parallel.DistributedDataParallel(learner, find_unused_parameters=bool(objective.trained_terms()))
    lead = rank() == 0
    log = MetricsLog(run, lead=lead, tensorboard=tensorboard, from_step=done.step)

    with ExitStack() as stack:
        request = stack.enter_context(StopRequest())
        stack.enter_context(torch.random.fork_rng(enabled=True))
        steps = range(done.step, settings.steps) if not done.finished else range(0)
        for step in track(steps, "training", total=len(steps), show=show if lead else False):
            learner.train()
            torch.manual_seed(derive_seed(settings.seed, "layers", step, rank()))  # dropout and the like
            share = learning_rate_share(
                step,
                steps=settings.steps,
                warmup_steps=settings.warmup_steps,
                final_share=settings.final_lr_share,
                schedule=settings.schedule,
            )
            for group in optimiser.param_groups:
                group["lr"] = group["full_lr"] * share
            batch = source.batch(step)
            buffers = [b.clone() for b in learner.buffers()]
            with autocast(device, settings.precision):
                loss, parts = shared(batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            size = _gradient_norm(learner, settings.clip_norm)
            if any_rank(not (math.isfinite(loss.item()) and math.isfinite(size))):
                optimiser.zero_grad(set_to_none=True)
                for now, before in zip(learner.buffers(), buffers, strict=True):
                    now.copy_(before)  # statistics of normalisation have seen the bad batch
                done.skipped, done.bad_in_a_row = done.skipped + 1, done.bad_in_a_row + 1
                log.skip(step, batch.ids)
                if done.bad_in_a_row >= settings.most_bad_steps:
                    raise DataError(_say_bad(learner, batch, parts, settings))
            else:
                optimiser.step()
                objective.commit(parts)
                if state.average:
                    state.average.update(model, done.taken)
                done.taken, done.bad_in_a_row = done.taken + 1, 0
                log.add(loss, parts, size)
            done.step = step + 1
            last = done.step == settings.steps
            if done.step % settings.log_every == 0 or last:
                log.write(
                    done.step,
                    images=len(batch.mu),
                    learning_rate=settings.lr * share,
                    skipped=done.skipped,
                    **objective.logged(step),
                )
            if done.step % settings.validate_every == 0 or last:
                scores = _validate(learner, source, state, measure=measure)
                if scores:
                    if plateau.improves(scores["total"], done.step) and settings.keep == "best":
                        state.remember_best()
                    log.validation(done.step, scores)
                    if plateau.reached:
                        done.finished = f"plateau: no gain in {settings.patience} validations since step {plateau.best_step}"
            if last and not done.finished:
                done.finished = "all steps done"
            stop = request.came
            if lead and (done.step % settings.checkpoint_every == 0 or done.finished or stop):
                state.save(run)
                run.write_metrics_csv()
            if done.finished or stop:
                break
    request.obey()
    state.load_kept(str(run.folder))
    model.eval()
    if lead:
        run.save_tensors(WEIGHTS, model.state_dict(), overwrite=True)
        for name, term in objective.trained_terms().items():
            run.save_tensors(f"joint_{name}.safetensors", term.state_dict(), overwrite=True)
    log.close()
    return Trained(model, run, done.step, done.finished, plateau.best_step, plateau.best, done.skipped)


def _optimiser(learner: Learner, settings: TrainSettings) -> torch.optim.Optimizer:
    readers = [p for m in learner.objective.trained_terms().values() for p in m.parameters() if p.requires_grad]
    weights = [p for p in learner.model.parameters() if p.requires_grad]
    if not weights and not readers:
        raise ConfigError("nothing to train: no weight of the model asks for a gradient")
    groups: list[dict[str, Any]] = [{"params": weights, "full_lr": settings.lr}] if weights else []
    if readers:
        groups.append({"params": readers, "full_lr": settings.reader_lr or settings.lr})
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay)


def _gradient_norm(learner: Learner, clip_norm: float) -> float:
    """Norm of the model's gradient, which is then clipped; a reader that learns along is clipped apart from it."""
    sizes = []
    for part in (learner.model, learner.objective):
        weights = [p for p in part.parameters() if p.grad is not None]
        if weights:
            size = nn.utils.clip_grad_norm_(weights, clip_norm or math.inf)
            sizes.append(float(size))
    return max(sizes, key=lambda s: math.inf if math.isnan(s) else s, default=0.0)


def _validate(
    learner: Learner, source: Source, state: State, *, measure: Callable[[Batch], dict[str, float]] | None
) -> dict[str, float]:
    """Mean scores over the validation images, of the weights that would be kept."""
    settings, device = state.settings, next(learner.model.parameters()).device
    raw = {n: t.detach().clone() for n, t in learner.model.state_dict().items()}
    load_weights(learner.model, state.kept, what="running mean")
    learner.eval()
    sums: dict[str, float] = {}
    count = 0
    for batch in source.validation():
        with torch.no_grad(), autocast(device, settings.precision):
            answered = learner.answer(learner.model, batch)
            scores = learner.objective.measure(answered, final_step=settings.steps)
        scores |= measure(answered) if measure else {}
        for name, value in scores.items():
            sums[name] = sums.get(name, 0.0) + value * len(batch.mu)
        count += len(batch.mu)
    load_weights(learner.model, raw, what="training")
    return {name: value / count for name, value in sums.items()}


def _say_bad(learner: Learner, batch: Batch, parts: Mapping[str, Tensor], settings: TrainSettings) -> str:
    """Which images made the loss infinite, or which part of it, as far as can be told."""
    learner.eval()
    with torch.no_grad():
        answered = learner.answer(learner.model, batch)
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
