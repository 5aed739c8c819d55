"""A trained dose system from its run folder."""

from __future__ import annotations

import os

from torch import nn

from taskct.core.config import from_dict
from taskct.core.errors import InputError
from taskct.core.runs import Run, load_run
from taskct.evaluation.dose.target import parse_target
from taskct.geometry import Grid
from taskct.geometry.config import beam_from_config
from taskct.nets.weights import load_weights
from taskct.physics.modulation import ScannerLimits
from taskct.recon.fbp import fbp
from taskct.recon.learned import TrainedFor, make_model
from taskct.recon.learned.trained_for import Otherwise, watch
from taskct.systems.alara.learned.module import DoseModule, DoseSpec
from taskct.systems.alara.learned.strategy import LearnedDose
from taskct.systems.alara.learned.system import Classical, DoseSystem


def load_dose(
    run: Run | str | os.PathLike[str], *, model: nn.Module | None = None, otherwise: Otherwise = "refuse"
) -> DoseSystem:
    """The system of a finished dose training, in evaluation mode; `model` is your own module if its config names none.

    Its learned reconstruction refuses scans of another beam or of other pixels, as that of `load_reconstructor` does;
    `otherwise` "warn" or "allow" lets them pass.
    """
    run = run if isinstance(run, Run) else load_run(run)
    if "dose_module" not in run.config:
        raise InputError(
            f"{run.folder}: not a dose training (its config.toml has no [dose_module] table); train one with taskct dose"
        )
    if not run.path("weights.safetensors").exists():
        raise InputError(f"{run.folder}: holds no weights yet (weights.safetensors); let its training end first")
    spec = from_dict(DoseSpec, run.config["dose_module"], where="dose_module")
    if model is None:
        model = make_model(run.config["model"]) if "model" in run.config else Classical(fbp)
    held = run.config.get("held", {})
    system = DoseSystem(
        DoseModule(spec), model, noise=held.get("noise", "pre-log"), electronic_std=float(held.get("electronic_std", 0.0))
    )
    load_weights(system, run.load_tensors("weights.safetensors")[0], what=str(run.folder))
    if any(True for _ in model.parameters()):
        watch(model, TrainedFor.of_run(run), otherwise=otherwise)
    return system.eval()


def load_strategy(run: Run | str | os.PathLike[str], *, limits: ScannerLimits | None = None) -> LearnedDose:
    """The strategy of a finished dose training, for scans with the beam and the grid that it was trained with."""
    run = run if isinstance(run, Run) else load_run(run)
    held = run.config["held"]
    system = load_dose(run)
    beam, grid = run.config.get("beam"), run.config.get("grid")
    return LearnedDose(
        system.dose,
        parse_target(held["target"]),
        float(held["unit"]),
        limits,
        beam=beam_from_config(beam) if beam else None,
        grid=Grid(tuple(grid["shape"]), tuple(grid["spacing_mm"])) if grid else None,
    )
