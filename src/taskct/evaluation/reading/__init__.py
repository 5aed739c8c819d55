"""Whether a gain in a task is real: unseen and retrained readers, thresholds removed, lesions followed, artefacts searched."""

from taskct.evaluation.reading.area_scores import AreaSums, area_sums, lesion_dice
from taskct.evaluation.reading.artefacts import ArtefactReport, find_checkerboards, spectrum_ratio
from taskct.evaluation.reading.audit import Audit, LesionPair, Response, audit_lesions
from taskct.evaluation.reading.controls import random_reader, shuffled_labels
from taskct.evaluation.reading.detector_scores import (
    DetectorCurve,
    box_average_precision,
    competition_metric,
    detector_curve,
    found_by,
)
from taskct.evaluation.reading.finding_scores import accuracy, auc, calibration_error
from taskct.evaluation.reading.found_lesions import ScanMatches, match_boxes, match_points, merged_points
from taskct.evaluation.reading.lesions import Bins, Froc, LesionSet, MatchRule, TrueLesion, find_lesions, froc, match
from taskct.evaluation.reading.many_verdicts import correct_verdicts
from taskct.evaluation.reading.null_space import data_conflict, null_component, null_share
from taskct.evaluation.reading.panel import ReaderPanel, read_images
from taskct.evaluation.reading.readings import UNTRAINED, MethodImages
from taskct.evaluation.reading.recovery import share_recovered
from taskct.evaluation.reading.segmentation import average_precision, best_bias, count, log_odds, margin, predict_with_bias
from taskct.evaluation.reading.sharpness import EdgeResponse, disk_edge, region_contrast
from taskct.evaluation.reading.task_curves import DoseCurve, NeededDose, dose_curve, needed_dose
from taskct.evaluation.reading.task_verdict import Remark, TaskVerdict, task_verdict

__all__ = [
    "UNTRAINED",
    "AreaSums",
    "ArtefactReport",
    "Audit",
    "Bins",
    "DetectorCurve",
    "DoseCurve",
    "EdgeResponse",
    "Froc",
    "LesionPair",
    "LesionSet",
    "MatchRule",
    "MethodImages",
    "NeededDose",
    "ReaderPanel",
    "Remark",
    "Response",
    "ScanMatches",
    "TaskVerdict",
    "TrueLesion",
    "accuracy",
    "area_sums",
    "auc",
    "audit_lesions",
    "average_precision",
    "best_bias",
    "box_average_precision",
    "calibration_error",
    "competition_metric",
    "correct_verdicts",
    "count",
    "data_conflict",
    "detector_curve",
    "disk_edge",
    "dose_curve",
    "find_checkerboards",
    "find_lesions",
    "found_by",
    "froc",
    "lesion_dice",
    "log_odds",
    "margin",
    "match",
    "match_boxes",
    "match_points",
    "merged_points",
    "needed_dose",
    "null_component",
    "null_share",
    "predict_with_bias",
    "random_reader",
    "read_images",
    "region_contrast",
    "share_recovered",
    "shuffled_labels",
    "spectrum_ratio",
    "task_verdict",
]
