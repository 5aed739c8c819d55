"""The step that scores a row with wrong poses that it refines itself, in turn with its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from taskct.evaluation.rows import Row
from taskct.experiments.made import Made
from taskct.recon.pose_refinement import reconstruct_and_refine
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of, poses_name, with_wrong_poses, wrong_poses
from taskct.systems.biplanar.experiment.method_source import MethodSource
from taskct.systems.biplanar.experiment.row_scores import score_briefly, write_scores
from taskct.systems.biplanar.experiment.shared_skulls import Skulls


def refined_name(error: float) -> str:
    """The name of a condition with wrong poses that are refined.

    >>> refined_name(3.0)
    'poses off by 3 deg and mm, refined'
    """
    return f"{poses_name(error)}, refined"


def score_refined(folder: Path, *, settings: BiPlanar, skulls: Made[Skulls], source: MethodSource) -> None:
    """PSNR3D and bone Dice after refinement, and what is left of the errors of the poses."""
    drawn = skulls.load()
    main = cases_of(drawn.folder, settings, "test", settings.views)
    method = source.method(drawn, settings)
    rows: list[Row] = []
    about: dict[str, Any] = {"method": source.label, "seed": source.seed}
    for error in settings.pose_errors:
        cases = with_wrong_poses(drawn.folder, settings, error)
        with torch.no_grad():
            mu, fit = reconstruct_and_refine(method, cases.p, cases.A)
        found = score_briefly(f"{source.label}, {refined_name(error)}", mu, cases, seed=source.seed)
        rows += [row for row in found if row.metric != "reprojection_rms"]  # it is that of the poses told
        turn, shift = wrong_poses(settings, error)
        about[refined_name(error)] = {
            "turn_deg": _rms(turn), "shift_mm": _rms(shift),
            "turn_left_deg": _rms(fit.turn_deg - turn), "shift_left_mm": _rms(fit.shift_mm - shift),
        }  # fmt: skip
    write_scores(folder, rows, main, about, {})


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
