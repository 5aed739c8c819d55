"""A trained dose system from its run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from taskct.core.config import from_dict
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.evaluation.dose.target import parse_target
from taskct.geometry import Grid
from taskct.geometry.beam_config import beam_from_config
from taskct.models import open_model
from taskct.nets.weights import load_weights
from taskct.physics.modulation import ScannerLimits
from taskct.recon.fbp import fbp
from taskct.recon.learned import TrainedFor, make_model
from taskct.recon.learned.trained_for import Otherwise, watch
from taskct.systems.alara.learned.dose_module import DoseModule, DoseSpec
from taskct.systems.alara.learned.dose_system import Classical, DoseSystem
from taskct.systems.alara.learned.strategy import LearnedDose


def load_dose(
    source: Run | str | os.PathLike[str], *, model: nn.Module | None = None, otherwise: Otherwise = "refuse"
) -> DoseSystem:
    """The system of a finished dose training, in evaluation mode; `model` is your own module if its config names none.

    `source` is the name of a dose that comes with the package, a run folder, or a folder or file of weights (`open_model`).

    Its learned reconstruction refuses scans of another beam or of other pixels, as that of `load_reconstructor` does;
    `otherwise` "warn" or "allow" lets them pass.
    """
    saved = open_model(source)
    if saved.kind != "dose":
        raise InputError(
            f"{saved.where}: not a dose training (its config.toml has no [dose_module] table); train one with taskct dose"
        )
    with saved.naming_errors():
        about = dict(saved.config["dose_module"])
        about["prior"] = {"smooth_cols": 1, **about.get("prior", {})}  # trainings before scouts were smoothed do not say so
        spec = from_dict(DoseSpec, about, where="dose_module")
        if model is None:
            model = make_model(saved.config["model"]) if "model" in saved.config else _classical(saved.config)
    held = saved.table("held")
    system = DoseSystem(
        DoseModule(spec), model, noise=held.get("noise", "pre-log"), electronic_std=float(held.get("electronic_std", 0.0))
    )
    load_weights(system, saved.tensors(), what=str(saved.where))
    if any(True for _ in model.parameters()):
        watch(model, TrainedFor.of_config(str(saved.where), saved.config), otherwise=otherwise)
    return system.eval()


def _classical(config: Mapping[str, Any]) -> Classical:
    """The reconstruction of a training without a network: FBP, with the window that its config names."""
    return Classical(partial(fbp, window="hann") if "Hann" in str(config.get("classical", "")) else fbp)


def load_strategy(source: Run | str | os.PathLike[str], *, limits: ScannerLimits | None = None) -> LearnedDose:
    """The strategy of a finished dose training, for scans with the beam and the grid that it was trained with."""
    system, saved = load_dose(source), open_model(source)
    held, beam, grid = (saved.table(name) for name in ("held", "beam", "grid"))
    missing = [name for name in ("target", "unit") if name not in held]
    if missing:
        raise ConfigError(
            f"{saved.where}: [held] of its config lacks {', '.join(missing)}; it says what the dose was learnt for"
        )
    return LearnedDose(
        system.dose,
        parse_target(held["target"]),
        float(held["unit"]),
        limits,
        beam=beam_from_config(beam) if beam else None,
        grid=Grid(tuple(grid["shape"]), tuple(grid["spacing_mm"])) if grid else None,
    )
