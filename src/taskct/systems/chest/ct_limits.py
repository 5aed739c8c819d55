"""A CT beside the computed chests that a chest network was trained on: a sentence on each thing outside of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from taskct.data.case import Case
from taskct.data.lungs import Lungs

PIXEL_MM = 2.0
BONE_HU, LEAST_BONE = 250.0, 50  # denser than most contrast medium; fewer samples say nothing


@dataclass(frozen=True, kw_only=True)
class SeenInTraining:
    """Ranges of the built-in chests of `ChestExperiment`, (low, high) each.

    slice_mm       distance of slices up to which lesions are not skipped
    thickness_mm   of a slice
    pixel_mm       up to that of training, for finer ones are averaged
    noise_hu       of 2 mm pixels in soft tissue, as `noise_of` measures it, with the noise that was added in training
    lung_hu        median of lung
    contrast_hu    soft tissue less lung
    body_mm        width of the trunk
    spine_percent  of the bone between the lungs, how much lies behind their middle
    """

    slice_mm: tuple[float, float] = (0.0, 5.0)
    thickness_mm: tuple[float, float] = (0.0, 3.0)
    pixel_mm: tuple[float, float] = (0.0, 2.0)
    noise_hu: tuple[float, float] = (2.0, 25.0)
    lung_hu: tuple[float, float] = (-915.0, -760.0)
    contrast_hu: tuple[float, float] = (780.0, 1000.0)
    body_mm: tuple[float, float] = (270.0, 470.0)
    spine_percent: tuple[float, float] = (50.0, 100.0)


_WORDS = {
    "slice_mm": ("slices are {value:.1f} mm apart", "mm", "small nodules lie between them"),
    "thickness_mm": ("slices are {value:.1f} mm thick", "mm", "small nodules fade in them"),
    "pixel_mm": ("pixels have {value:.2f} mm", "mm", "small nodules fade in them"),
    "noise_hu": ("its noise is about {value:.0f} HU in pixels of 2 mm", "HU", "findings may be noise, or be hidden by it"),
    "lung_hu": (
        "the median of its lung is {value:.0f} HU",
        "HU",
        "breath held out, emphysema or a wrong scale change what is seen",
    ),
    "contrast_hu": ("soft tissue is {value:.0f} HU denser than lung", "HU", "its scale or its kernel is another"),
    "spine_percent": (
        "{value:.0f} % of the bone between the lungs lies behind their middle",
        "%",
        "the CT may be turned front to back, or contrast medium fills the heart",
    ),
    "body_mm": ("the trunk is {value:.0f} mm wide", "mm", "a child, an arm in the field, or another scale"),
}


def facts_of_ct(case: Case, lungs: Lungs) -> dict[str, float]:
    """The numbers that are compared; `thickness_mm` only where the series says it."""
    hu = case.hu[lungs.slices[0] : lungs.slices[1]].numpy()
    middle = hu[len(hu) // 2]
    tissue = hu[:: max(1, len(hu) // 12)]
    soft = tissue[(tissue > -20) & (tissue < 120)]
    rows = slice(min(box[1] for box in lungs.boxes.values()), max(box[4] for box in lungs.boxes.values()))
    across = np.flatnonzero((middle[rows] > -400).any(0))  # beside the lungs: the table lies behind
    facts = {
        "slice_mm": case.spacing_mm[0],
        "pixel_mm": max(case.spacing_mm[1:]),
        "noise_hu": noise_of(tissue, case.spacing_mm[1:]),
        "lung_hu": lungs.median_hu,
        "contrast_hu": float(np.median(soft)) - lungs.median_hu if soft.size else 0.0,
        "body_mm": float(len(across) and (across[-1] - across[0] + 1) * case.spacing_mm[2]),
    }
    thickness: Any = case.provenance.get("slice_thickness_mm")
    if thickness:
        facts["thickness_mm"] = float(thickness)
    behind = bone_behind(tissue, lungs)
    if behind is not None:
        facts["spine_percent"] = 100 * behind
    return facts


def bone_behind(hu: np.ndarray, lungs: Lungs) -> float | None:
    """Share of the bone between the lungs of slices (N, Y, X) that lies behind their middle; None without bone there."""
    boxes = list(lungs.boxes.values())
    middle = (min(box[1] for box in boxes) + max(box[4] for box in boxes)) / 2
    if len(boxes) < 2:
        return None
    left, right = sorted((box[2] + box[5]) // 2 for box in boxes)
    quarter = (right - left) // 4
    rows = np.nonzero(hu[:, :, left + quarter : right - quarter] > BONE_HU)[1]
    return float((rows > middle).mean()) if len(rows) >= LEAST_BONE else None


def outside_of_training(facts: dict[str, float], lungs: Lungs, seen: SeenInTraining | None = None) -> list[str]:
    """A sentence on each fact that lies outside of what the network saw, and on lungs that are not whole."""
    known = seen or SeenInTraining()
    found = []
    for name, value in facts.items():
        low, high = getattr(known, name)
        if not low <= value <= high:
            words, unit, why = _WORDS[name]
            span = f"up to {high:g}" if low <= 0 else f"{low:g} to {high:g}"
            found.append(f"{words.format(value=value)}, in training {span} {unit}: {why}")
    return [*found, *lungs.notes]


def noise_of(hu: np.ndarray, pixel_mm: tuple[float, ...]) -> float:
    """Noise in HU of slices (N, Y, X) averaged to pixels of 2 mm, in soft tissue, by second differences.

    >>> rng = np.random.default_rng(0)
    >>> 9 < noise_of(40 + rng.normal(0, 10, (4, 64, 64)), (2.0, 2.0)) < 11
    True
    """
    steps = [max(1, round(PIXEL_MM / p)) for p in pixel_mm[-2:]]
    y, x = (n // k * k for n, k in zip(hu.shape[1:], steps, strict=True))
    small = hu[:, :y, :x].reshape(len(hu), y // steps[0], steps[0], x // steps[1], steps[1]).mean((2, 4))
    second = small[:, :, :-2] - 2 * small[:, :, 1:-1] + small[:, :, 2:]
    soft = np.ones(second.shape, bool)
    for shift in range(3):
        part = small[:, :, shift : small.shape[2] - 2 + shift]
        soft &= (part > -20) & (part < 120)
    if soft.sum() < 50:
        return 0.0
    return float(1.4826 * np.median(np.abs(second[soft])) / np.sqrt(6))
