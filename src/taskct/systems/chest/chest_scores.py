"""The scores of a network on test patients: each a number for any weights of the patients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from taskct.evaluation.influence import WeightedStatistic
from taskct.evaluation.reading import accuracy, auc, box_average_precision, calibration_error, competition_metric
from taskct.systems.chest.chest_classes import AREAS, FINDINGS, LESIONS
from taskct.systems.chest.reading_crops import IOUS, Readings

_RATES = tuple(2.0**-k for k in range(6, -1, -1))  # false boxes in one lung of one slice
LARGE_MM = 8.0  # nodules whose Dice is asked for

ABOUT = {
    "AUC": "of a finding in one lung of one slice; sections of nodules below 3 pixels count neither way",
    "AUC by boxes": "of the finding in one lung of one slice, by the surest box of its class",
    "AUC of lungs": "of a finding in a whole lung, by the surest of its slices",
    "ECE": "expected calibration error in 10 bins, one lung of one slice",
    "Dice": "of a class, mean over the patients who have it",
    "pooled Dice": "of a class over the pixels of all patients",
    "Dice of nodules": f"mean over nodules of {LARGE_MM:g} mm and more in three dimensions; 0 where one is missed",
    "CPM": "mean sensitivity at 1/8 to 8 false findings a scan, whole scans, nodules of 3 mm and more, interpolated linearly",
    "AP": "area under the best precision, boxes in one lung of one slice, by the overlap that finds",
    "FROC": f"mean sensitivity at 1/64 to 1 false box in one lung of one slice, IoU {min(IOUS):g}: not the CPM of LUNA16",
    "PSNR": "of the reconstruction head, or of the images that are read, in a window of 1600 HU, mean over slices",
    "SSIM": "likewise, cut to that window, Gaussian 11 x 11, sigma 1.5",
    "HU bias": "likewise, mean error of the pixels inside of that window",
}


def scores_of(readings: Readings) -> dict[str, WeightedStatistic]:
    """Score -> a function of the weights (P,) of the patients; those of heads that the network does not have are missing."""
    found: dict[str, WeightedStatistic] = {}
    owner = readings.owner
    if readings.logits is not None and readings.presence is not None:
        probabilities = 1 / (1 + np.exp(-np.asarray(readings.logits, float)))
        for k, name in enumerate(FINDINGS):
            p, truth = probabilities[:, k], readings.presence[:, k].astype(float)
            found[f"AUC {name}"] = partial(_of_images, auc, p, truth, owner)
            lung_p, lung_truth, lung_owner = _of_lungs(p, truth, readings)
            found[f"AUC {name} of lungs"] = partial(_of_images, auc, lung_p, lung_truth, lung_owner)
            found[f"accuracy {name}"] = partial(_of_images, accuracy, p, truth, owner)
            found[f"ECE {name}"] = partial(_of_images, calibration_error, p, truth, owner)
    if readings.sums is not None:
        for k, name in enumerate(AREAS):
            found[f"Dice {name}"] = partial(_mean, readings.sums.per_patient[:, k], np.arange(len(readings.patients)))
            found[f"pooled Dice {name}"] = partial(_pooled, readings, k)
        large = [one for one in readings.nodules if one["diameter_mm"] >= LARGE_MM]
        values = np.array([one["dice"] for one in large], float)
        whose = np.array([readings.row[one["patient"]] for one in large], int)
        if large:
            found[f"Dice nodules >= {LARGE_MM:g} mm"] = partial(_mean, values, whose)
    for rule, name in (("luna16", "CPM nodule"), ("near", "CPM nodule, reach of a slice")):
        if rule in readings.points:
            found[name] = partial(_of_scans, competition_metric, readings, rule)
    for (name, iou), matches in readings.boxes.items():
        found[f"AP{round(100 * iou)} {name}"] = partial(_of_boxes, matches, readings)
        if iou == min(IOUS):
            found[f"FROC {name}, slices"] = partial(_of_slices, matches, readings)
    for name in LESIONS:
        sections = readings.boxes.get((name, min(IOUS)))
        if sections is not None and readings.presence is not None:
            surest = np.array([one.scores.max(initial=0.0) for one in sections])
            truth = readings.presence[:, list(FINDINGS).index(name)].astype(float)
            found[f"AUC {name} by boxes"] = partial(_of_images, auc, surest, truth, owner)
    images = (("PSNR", readings.restored), ("SSIM", readings.ssim), ("HU bias", readings.bias_hu))
    found |= {name: partial(_mean, each.astype(float), owner) for name, each in images if each is not None}
    return found


def _of_lungs(p: np.ndarray, truth: np.ndarray, readings: Readings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slices of a lung as one: the surest probability; present where a slice shows it, unknown where one is unknown."""
    count = int(readings.lung.max()) + 1
    best, there, unknown, owner = np.zeros(count), np.zeros(count), np.zeros(count, bool), np.zeros(count, int)
    np.maximum.at(best, readings.lung, p)
    np.maximum.at(there, readings.lung, np.nan_to_num(truth))
    unknown[readings.lung[np.isnan(truth)]] = True
    owner[readings.lung] = readings.owner
    return best, np.where((there == 0) & unknown, np.nan, there), owner


def _of_images(score: Callable[..., float], p: np.ndarray, truth: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> float:
    return score(p, truth, weights=weights[owner])


def _mean(values: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> float:
    known = ~np.isnan(values)
    counts = weights[owner][known]
    return float((counts * values[known]).sum() / counts.sum()) if counts.sum() else float("nan")


def _pooled(readings: Readings, k: int, weights: np.ndarray) -> float:
    assert readings.sums is not None
    return float(readings.sums.pooled(weights=weights)[k])


def _named(readings: Readings, weights: np.ndarray) -> dict[str, float]:
    return dict(zip(readings.patients, weights.tolist(), strict=True))


def _of_scans(score: Callable[..., float], readings: Readings, rule: str, weights: np.ndarray) -> float:
    return score(readings.points[rule], weights=_named(readings, weights))


def _of_slices(matches: list, readings: Readings, weights: np.ndarray) -> float:  # type: ignore[type-arg]
    return competition_metric(matches, rates=_RATES, weights=_named(readings, weights))


def _of_boxes(matches: list, readings: Readings, weights: np.ndarray) -> float:  # type: ignore[type-arg]
    return box_average_precision(matches, weights=_named(readings, weights))
