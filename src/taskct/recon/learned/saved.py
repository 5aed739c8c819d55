"""A trained reconstructor from its run folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from taskct.core.config import check_settings
from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.core.runs import Run, load_run
from taskct.nets.weights import load_weights
from taskct.recon.learned.fbp_net import fbp_redcnn, fbp_unet
from taskct.recon.learned.itnet import ItNet
from taskct.recon.learned.primal_dual import LearnedPrimalDual

LEARNED: dict[str, Callable[..., nn.Module]] = {
    "fbp_unet": fbp_unet,
    "fbp_redcnn": fbp_redcnn,
    "primal_dual": LearnedPrimalDual,
    "itnet": ItNet,
}


def make_model(config: Mapping[str, Any]) -> nn.Module:
    """An untrained reconstructor from a table: `kind`, one of LEARNED, and its settings.

    >>> type(make_model({"kind": "itnet", "iterations": 2, "widths": [4, 8]})).__name__
    'ItNet'
    """
    if "kind" not in config:
        raise ConfigError(f"[model] lacks its kind; one of {', '.join(LEARNED)}")
    kind = config["kind"]
    if kind not in LEARNED:
        raise unknown_name("kind of model", kind, LEARNED)
    settings = {k: v for k, v in config.items() if k != "kind"}
    return LEARNED[kind](**check_settings(LEARNED[kind], settings, where="model", skip=("net", "scale")))


def load_reconstructor(run: Run | str | os.PathLike[str], *, model: nn.Module | None = None) -> nn.Module:
    """The reconstructor of a finished training run, in evaluation mode: a callable `(p, A) -> mu`.

    Give `model` for a run of your own module, whose code taskct does not hold: it gets the weights.
    """
    run = run if isinstance(run, Run) else load_run(run)
    if model is None:
        if "model" not in run.config:
            raise InputError(f"{run.folder}: does not say how its model was made; give it: load_reconstructor(run, model=...)")
        model = make_model(run.config["model"])
    if not run.path("weights.safetensors").exists():
        raise InputError(f"{run.folder}: holds no weights yet (weights.safetensors); let its training end first")
    load_weights(model, run.load_tensors("weights.safetensors")[0], what=str(run.folder))
    return model.eval()
