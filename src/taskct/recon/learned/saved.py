"""A trained reconstructor by its name or from its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook, register_module_parameter_registration_hook

from taskct.core.config import check_settings
from taskct.core.errors import ConfigError, InputError, TaskctError, choose
from taskct.core.memory import free_bytes, require_memory
from taskct.core.runs import Run, is_run, load_run
from taskct.models import open_model, shipped_models
from taskct.nets.weights import load_weights
from taskct.recon.learned.biplanar import BiPlanarNet
from taskct.recon.learned.fbp_net import fbp_redcnn, fbp_unet
from taskct.recon.learned.itnet import ItNet
from taskct.recon.learned.learned_primal_dual import LearnedPrimalDual
from taskct.recon.learned.real_ct_net import RealCT
from taskct.recon.learned.seen_images import NOT_KNOWN, SeenImages
from taskct.recon.learned.trained_for import Otherwise, TrainedFor, watch

_MOST_PARTS = 20_000
_BYTES_PER_WEIGHT = 4 * 5  # float32: the weight, its gradient, two numbers of Adam, the running mean

_NO_RECONSTRUCTION = {"reader": "reads images", "dose": "chooses a dose", "task": "answers for images"}

LEARNED: dict[str, Callable[..., nn.Module]] = {
    "fbp_unet": fbp_unet,
    "fbp_redcnn": fbp_redcnn,
    "primal_dual": LearnedPrimalDual,
    "itnet": ItNet,
    "biplanar": BiPlanarNet,
    "real_ct": RealCT,
}


def make_model(config: Mapping[str, Any]) -> nn.Module:
    """An untrained reconstructor from a table: `kind`, one of LEARNED, and its settings.

    >>> type(make_model({"kind": "itnet", "iterations": 2, "widths": [4, 8]})).__name__
    'ItNet'
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"[model] expects a table with kind and settings, got {config!r}")
    if "kind" not in config:
        raise ConfigError(f"[model] lacks its kind; one of {', '.join(LEARNED)}")
    make = choose("kind of model", config["kind"], LEARNED)
    settings = {k: v for k, v in config.items() if k != "kind"}
    return make(**check_settings(make, settings, where="model", skip=("net", "scale")))


def check_model(config: Mapping[str, Any]) -> int:
    """The number of weights of a [model] table, which is built without memory for them.

    Raises ConfigError for settings from which no network can be built, ResourceError for one whose weights, gradients and
    state of Adam do not fit into free memory; a network of too many parts or weights is given up while it is built.
    """
    try:
        with torch.device("meta"), _bounded_size():
            model = make_model(config)
    except (RuntimeError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        if isinstance(error, TaskctError):
            raise
        raise ConfigError(f"[model] cannot be built from {dict(config)}: {str(error).splitlines()[0]}") from error
    count = sum(p.numel() for p in model.parameters())
    require_memory("[model]", count * _BYTES_PER_WEIGHT, what=f"training its {count:,} weights")
    return count


@contextmanager
def _bounded_size() -> Iterator[None]:
    """Modules are made until there are too many of them, or too many weights to train in free memory."""
    parts, weights = 0, 0

    def count_part(*_: Any) -> None:
        nonlocal parts
        parts += 1
        if parts > _MOST_PARTS:
            raise ConfigError(f"[model]: has more than {_MOST_PARTS:,} layers; take fewer scales, blocks or iterations")

    def count_weights(_module: nn.Module, _name: str, weight: Tensor | None) -> None:
        nonlocal weights
        weights += 0 if weight is None else weight.numel()
        if weights > free // _BYTES_PER_WEIGHT:
            require_memory("[model]", weights * _BYTES_PER_WEIGHT, what=f"training its more than {weights:,} weights")

    free = free_bytes() or 2**62
    hooks = (register_module_module_registration_hook(count_part), register_module_parameter_registration_hook(count_weights))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def load_reconstructor(
    source: Run | str | os.PathLike[str], *, model: nn.Module | None = None, otherwise: Otherwise = "refuse"
) -> nn.Module:
    """A trained reconstructor, in evaluation mode: a callable `(p, A) -> mu`.

    `source` is the name of a network of the package (`taskct models`), the run folder of a finished training, or a folder or
    file of weights (`open_model`). Give `model` for a network of your own module, whose code taskct does not hold: it gets
    the weights. A scan of another beam or of other pixels than the network was trained for is refused with a GeometryError;
    `otherwise` "warn" or "allow" lets it pass (`TrainedFor`; `trained_for(model)` gives the record back, and knows the doses
    as well).

    Raises InputError for a run without weights or without a model, ConfigError for weights of another network,
    FileFormatError for weights that are not finite, and what `open_model` raises.
    """
    saved = open_model(source, own=model is not None)
    name = saved.name if shipped_models().get(saved.name) == saved.where else str(saved.where)
    if saved.kind in _NO_RECONSTRUCTION:
        raise InputError(f"{name}: {_NO_RECONSTRUCTION[saved.kind]} and does not reconstruct; taskct models says which do")
    if model is None:
        if "model" not in saved.config:
            raise InputError(
                f"{saved.where}: does not say how its model was made; give it: load_reconstructor(run, model=...), or "
                "--model FILE.py:NAME on the command line"
            )
        with saved.naming_errors():
            model = make_model(saved.config["model"])
    load_weights(model, saved.tensors(), what=str(saved.where))
    seen = SeenImages.read(load_run(saved.where)) if is_run(saved.where) else NOT_KNOWN
    watch(model, TrainedFor.of_config(name, saved.config, seen=seen), otherwise=otherwise)
    return model.eval()
