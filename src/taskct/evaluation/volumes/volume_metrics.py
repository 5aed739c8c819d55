"""What the metrics of volumes are called and how they are defined: a literal dict that tables and pages print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLASS, NUMBER = "auc: ", "read: "  # how the metrics of readers begin
_CLIP = "both clipped to -1000..1500 HU"
_SSIM = f"Gaussian 11 x 11, sigma 1.5; {_CLIP}"
_OWN = "absolute difference from the truth's own measurement"


def _about(label: str, unit: str, better: str, definition: str) -> dict[str, str]:
    return {"label": label, "unit": unit, "better": better, "definition": definition}


VOLUME_METRICS: dict[str, dict[str, str]] = {
    "psnr3d": _about("PSNR3D", "dB", "higher", f"whole volume in HU, {_CLIP}; data range 2500 HU"),
    "slice_psnr": _about("Slice PSNR", "dB", "higher", f"mean over slices of three axes, empty truths left out; {_CLIP}"),
    "slice_psnr_100": _about("Slice PSNR, 100 dB", "dB", "higher", "published convention: slices without error count 100 dB"),
    "empty_slices": _about("Empty slices", "", "zero", "slices of three axes in which the truth has one value only"),
    "ssim_axial": _about("SSIM, axial", "", "higher", f"mean over axial slices, {_SSIM}"),
    "ssim_coronal": _about("SSIM, coronal", "", "higher", f"mean over coronal slices, {_SSIM}"),
    "ssim_sagittal": _about("SSIM, sagittal", "", "higher", f"mean over sagittal slices, {_SSIM}"),
    "mae_hu": _about("MAE", "HU", "lower", f"mean absolute error, whole volume and head (truth above -500 HU); {_CLIP}"),
    "bone_dice": _about("Bone Dice", "", "higher", "voxels above 200 HU"),
    "bone_surface_mm": _about("Bone surface", "mm", "lower", "mean distance of the surfaces of bone, both directions"),
    "bone_surface_p95_mm": _about("Bone surface, 95 %", "mm", "lower", "the larger of both directions' 95 % quantiles"),
    "cranial_index": _about("Cranial index", "%", "zero", "result minus truth, both measured on their vault maps"),
    "asymmetry": _about("Vault asymmetry", "%", "zero", "result minus truth, difference of the diagonals over the longer one"),
    "fontanelle_mm2": _about("Fontanelle", "mm2", "zero", "result minus truth, area whose rays meet less than half the bone"),
    "cranial_index_error": _about("Cranial index, error", "%", "lower", _OWN),
    "asymmetry_error": _about("Vault asymmetry, error", "%", "lower", _OWN),
    "fontanelle_error_mm2": _about("Fontanelle, error", "mm2", "lower", _OWN),
    "reprojection_rms": _about(
        "Re-projection", "", "lower", "RMS of A mu - p; the row 'truth' is the floor of this grid, below it is over-fitting"
    ),
    "seen_share": _about(
        "Error the views could show", "", "lower", "share of the error's energy in the row space of A (CGLS, 60 iterations)"
    ),
    "spread_ratio": _about("Error over spread", "", "lower", "RMS error over RMS spread; 1 is calibrated"),
}

SHAPES = {
    "cranial_index": "cranial_index_error",
    "asymmetry": "asymmetry_error",
    "fontanelle_mm2": "fontanelle_error_mm2",
}


def about_metric(name: str) -> Mapping[str, Any]:
    """Label, definition and bounds of a metric, from `VOLUME_METRICS` or made by `task_rows`."""
    if name in VOLUME_METRICS:
        return VOLUME_METRICS[name]
    if name.startswith(CLASS):
        what = name.removeprefix(CLASS)
        words = "values per case whose mean is the AUC of a linear reader (DeLong); its interval ends at 0 and 1"
        return {"label": f"AUC, {what}", "unit": "", "better": "higher", "definition": words, "bounds": [0.0, 1.0]}
    if name.startswith(NUMBER):
        what = name.removeprefix(NUMBER)
        words = "absolute error of a linear reader, in the unit of the label"
        return {"label": f"Error, {what}", "unit": "", "better": "lower", "definition": words}
    return {"label": name, "unit": "", "better": "lower", "definition": "not stated"}
