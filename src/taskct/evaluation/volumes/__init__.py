"""Scores of volumes made of a few radiographs: intensity, bone, shape, tasks, what the views say, spread, learnt or not."""

from taskct.evaluation.volumes.atlas_check import AtlasCheck, check_against_atlas
from taskct.evaluation.volumes.bone_surfaces import bone_dice, surface_distance
from taskct.evaluation.volumes.linear_reader import LinearReader, film_features
from taskct.evaluation.volumes.roc_area import auc_values
from taskct.evaluation.volumes.spread_calibration import Reliability, ensemble_spread, reliability, spread_factor
from taskct.evaluation.volumes.task_rows import (
    FILM_READER,
    film_rows,
    fit_task_readers,
    skull_targets,
    task_rows,
    vault_features,
)
from taskct.evaluation.volumes.vault_map import VaultMap, vault_map
from taskct.evaluation.volumes.view_share import reprojection_rms, seen_part, seen_share
from taskct.evaluation.volumes.volume_metrics import VOLUME_METRICS
from taskct.evaluation.volumes.volume_scores import psnr3d, slice_psnr, ssim_along
from taskct.evaluation.volumes.volume_table import (
    TRUTH,
    VolumeCases,
    evaluate_volumes,
    score_volumes,
    volume_table,
)

__all__ = [
    "FILM_READER",
    "TRUTH",
    "VOLUME_METRICS",
    "AtlasCheck",
    "LinearReader",
    "Reliability",
    "VaultMap",
    "VolumeCases",
    "auc_values",
    "bone_dice",
    "check_against_atlas",
    "ensemble_spread",
    "evaluate_volumes",
    "film_features",
    "film_rows",
    "fit_task_readers",
    "psnr3d",
    "reliability",
    "reprojection_rms",
    "score_volumes",
    "seen_part",
    "seen_share",
    "skull_targets",
    "slice_psnr",
    "spread_factor",
    "ssim_along",
    "surface_distance",
    "task_rows",
    "vault_features",
    "vault_map",
    "volume_table",
]
