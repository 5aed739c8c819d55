"""What all plans of trainings share: reading a file with changes, and finding out what is wrong before any work."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from taskct.core.config import from_dict, read_toml
from taskct.core.errors import ConfigError, InputError, TaskctError
from taskct.core.memory import require_memory
from taskct.core.runs import load_run
from taskct.geometry import Beam, Grid
from taskct.geometry.beam_config import beam_from_config
from taskct.nets.weights import check_fit
from taskct.physics.projector import Projector
from taskct.recon.learned import check_model, make_model
from taskct.training.players import WEIGHTS

Plan = TypeVar("Plan")
_BYTES_PER_NUMBER = 4 * 3  # float32: the clean scan, the noisy one and its filtered copy


def read_plan_of(
    kind: Callable[..., Plan],
    path: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    others: Mapping[str, str] | None = None,
) -> Plan:
    """A plan of some kind from a TOML file; `changes` replace values, tables within tables. Errors begin with the path.

    `others` maps tables that a plan of this kind cannot have to the command whose configs have them.
    """
    values = merged(read_toml(path), changes or {})
    for table, command in (others or {}).items():
        if table in values:
            raise ConfigError(f"{path}: its table [{table}] makes it a config of `{command}`; say {command} {path}")
    try:
        return from_dict(kind, values)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables with some values replaced.

    >>> merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}})
    {'a': {'b': 9, 'c': 2}, 'd': 3}
    """
    out = dict(values)
    for key, value in changes.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def seeded_model(config: Mapping[str, Any], seed: int) -> nn.Module:
    """The model of a [model] table, its first weights drawn from a seed without touching the caller's randomness."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_model(config)


def check_parts(model: Mapping[str, Any] | None, beam: Mapping[str, Any] | None) -> None:
    """ConfigError or GeometryError for a [model] or a [beam] that cannot be made, before anything is made."""
    if beam is not None:
        beam_from_config(beam)
    if model is not None:
        check_model(model)


def make_projector(grid: Grid, beam: Beam, *, batch: int) -> Projector:
    """The projector of a plan; ResourceError when the scans of one batch do not fit into free memory."""
    numbers = math.prod(_scan_shape(beam)) * batch
    require_memory("[beam]", numbers * _BYTES_PER_NUMBER, what=f"a batch of {batch} scans")
    return Projector(grid, beam)


def check_reconstruction(model: nn.Module, A: Projector) -> None:
    """ConfigError when a model cannot reconstruct an empty scan of A to an image of its grid: of other axes, say."""
    _try("the model", model, A.mu_shape, lambda like: model(torch.zeros(1, _channels(model), *A.p_shape, device=like), A))


def check_reader(net: nn.Module, shape: tuple[int, ...]) -> None:
    """ConfigError when a reader cannot answer an image of some shape."""
    _try("the reader", net, shape, lambda like: net(torch.zeros(1, 1, *shape, device=like)))


def check_warm_start(folder: str, model: nn.Module | None = None) -> None:
    """InputError for a warm start without a finished run, ConfigError when its weights do not fit `model`."""
    if not folder:
        return
    try:
        run = load_run(folder)
    except InputError as error:
        raise type(error)(f"warm_start: {error}") from error
    if not run.path(WEIGHTS).exists():
        raise ConfigError(f"warm_start: {run.folder} holds no weights yet ({WEIGHTS}); let its training end first")
    if model is not None:
        check_fit(model, run.load_tensors(WEIGHTS)[0], what=f"warm_start: {run.folder}")


def _try(who: str, model: nn.Module, shape: tuple[int, ...], ask: Callable[[torch.device], Tensor]) -> None:
    """Ask a model once, in evaluation mode and without a gradient, and compare the grid of its answer."""
    was, device = model.training, next(model.parameters(), torch.zeros(())).device
    model.eval()
    try:
        with torch.no_grad():
            found = tuple(ask(device).shape)
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, TaskctError) and not isinstance(error, InputError):
            raise
        raise ConfigError(f"{who} cannot answer for images of {shape}: {str(error).splitlines()[0]}") from error
    finally:
        model.train(was)
    if found[2:] != tuple(shape):
        raise ConfigError(f"{who} answers on a grid of {found[2:]}, the images have {tuple(shape)}")


def _channels(model: nn.Module) -> int:
    return 2 * int(getattr(model, "neighbours", 0)) + 1


def _scan_shape(beam: Beam) -> tuple[int, ...]:
    return (beam.views, beam.rows if hasattr(beam, "rows") else 1, beam.cols)
