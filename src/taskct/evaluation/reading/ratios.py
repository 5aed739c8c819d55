"""What the rows of a reader panel hold, and the ratios of sums that are computed from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from taskct.evaluation.reading.lesions import FALSE_ALARM_RATES


@dataclass(frozen=True)
class Ratio:
    """Sum over patients of some metrics over that of others, {metric: weight}; large patients weigh more.

    A `share` lies from 0 to 1, and so do the ends of its intervals.
    """

    label: str
    definition: str
    above: dict[str, float]
    below: dict[str, float]
    better: str = "higher"
    share: bool = True


def rate_name(rate: float) -> str:
    """A rate of false alarms as text: whole numbers, or fractions of one.

    >>> rate_name(0.125), rate_name(2.0)
    ('1/8', '2')
    """
    return f"{rate:g}" if rate >= 1 else f"1/{1 / rate:g}"


def _pooled(suffix: str) -> tuple[dict[str, float], dict[str, float]]:
    tp, fp, fn = (f"{name}_px{suffix}" for name in ("tp", "fp", "fn"))
    return {tp: 2.0}, {tp: 2.0, fp: 1.0, fn: 1.0}


RATIOS: dict[str, Ratio] = {
    "dice_pooled": Ratio("Dice, pooled", "of all pixels of all patients together", *_pooled("")),
    "dice_pooled_retuned": Ratio(
        "Dice, pooled, re-tuned", "the same after one logit bias per method was tuned on validation", *_pooled("_retuned")
    ),
    "sensitivity": Ratio("Lesion sensitivity", "lesions found over lesions", {"lesions_found": 1.0}, {"lesions": 1.0}),
    "false_pixels": Ratio(
        "False pixels", "marked pixels per image without the class", {"fp_px_free": 1.0}, {"images_free": 1.0}, "lower", False
    ),
    "false_alarms": Ratio(
        "False alarms", "marks that meet no lesion, per image", {"false_marks": 1.0}, {"images": 1.0}, "lower", False
    ),
} | {
    f"froc@{rate_name(rate)}": Ratio(
        f"Sensitivity at {rate_name(rate)} FP",
        f"lesions found over lesions at {rate_name(rate)} false alarms per image or fewer, whatever the threshold",
        {f"lesions_found@{rate_name(rate)}": 1.0},
        {"lesions": 1.0},
    )
    for rate in FALSE_ALARM_RATES
}

PLAIN: dict[str, tuple[str, str, str, str]] = {  # label, unit, better, definition
    "dice": ("Dice", "", "higher", "per case; not defined where the class does not occur"),
    "dice_slice": ("Dice of a slice", "", "higher", "mean over the images of a case in which the class occurs"),
    "dice_retuned": ("Dice, re-tuned", "", "higher", "per case, after one logit bias per method was tuned on validation"),
    "ap": ("Pixel AP", "", "higher", "area under precision over recall of the pixels of a case; no threshold"),
    "psnr": ("PSNR", "dB", "higher", "on mu over the whole image; data range per image: max - min of the truth"),
    "ssim": ("SSIM", "", "higher", "on mu; Gaussian 11 x 11, sigma 1.5; data range per image: max - min of the truth"),
    "rmse_hu": ("RMSE", "HU", "lower", "root mean squared error over the whole image, water at 70 keV"),
    "fp_px": ("False pixels", "px", "lower", "pixels marked that are not of the class"),
    "fn_px": ("Missed pixels", "px", "lower", "pixels of the class that are not marked"),
    "fp_px_free": ("False pixels", "px", "lower", "pixels marked on images without the class"),
    "false_marks": ("False marks", "", "lower", "connected marks that meet no lesion"),
}  # fmt: skip


_SHARES = ("dice", "dice_slice", "dice_retuned", "ap")  # of PLAIN: from 0 to 1


def better_side(name: str) -> str:
    """'higher' or 'lower'."""
    return RATIOS[name].better if name in RATIOS else PLAIN[name][2] if name in PLAIN else "higher"


def described_metrics(measured: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`Table.settings["metrics"]` of a table whose rows hold these metrics: theirs, and the ratios that they allow."""
    names = list(measured)
    ratios = [name for name, ratio in RATIOS.items() if {*ratio.above, *ratio.below} <= set(names)]
    return {name: describe_metric(name) for name in [*names, *ratios]}


def describe_metric(name: str) -> dict[str, Any]:
    """Label, unit, direction and definition of a metric; of a ratio also the sums above and below, {metric: weight}.

    Shares have `bounds`, at which their intervals end.
    """
    bounds = {"bounds": [0.0, 1.0]} if name in _SHARES or (name in RATIOS and RATIOS[name].share) else {}
    if name in RATIOS:
        ratio = RATIOS[name]
        about = {"label": ratio.label, "unit": "", "better": ratio.better, "definition": ratio.definition}
        return {**about, "above": dict(ratio.above), "below": dict(ratio.below), **bounds}
    label, unit, better, definition = PLAIN.get(name, (name.replace("_", " "), "", "higher", "count per case"))
    return {"label": label, "unit": unit, "better": better, "definition": definition, **bounds}
