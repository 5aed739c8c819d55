"""Methods x cases x doses -> a table of measured numbers."""

from taskct.evaluation import metrics as _m
from taskct.evaluation.compare_methods import evaluate
from taskct.evaluation.masks import field_of_view_mask, label_regions
from taskct.evaluation.metrics import bias, noise_sd, psnr, psnr_hu, rmse, ssim, ssim_hu
from taskct.evaluation.noise_power_spectrum import noise_power_spectrum
from taskct.evaluation.profiles import line_profile
from taskct.evaluation.project_case import PrepareLodopab, ProjectCase, subjects_from_cases
from taskct.evaluation.protocol import Images, Measure, Protocol
from taskct.evaluation.rows import DoseLevel, Example, Row
from taskct.evaluation.seeded import seeded_bootstrap
from taskct.evaluation.statistics import Interval, bootstrap_mean, paired_difference
from taskct.evaluation.subject import Subject
from taskct.evaluation.table import Table
from taskct.evaluation.tune import TuningWarning, tune
from taskct.evaluation.windows import WINDOWS, Window, window_named

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "WINDOWS",
    "DoseLevel",
    "Example",
    "Images",
    "Interval",
    "Measure",
    "PrepareLodopab",
    "ProjectCase",
    "Protocol",
    "Row",
    "Subject",
    "Table",
    "TuningWarning",
    "Window",
    "bias",
    "bootstrap_mean",
    "evaluate",
    "field_of_view_mask",
    "label_regions",
    "line_profile",
    "noise_power_spectrum",
    "noise_sd",
    "paired_difference",
    "psnr",
    "psnr_hu",
    "rmse",
    "seeded_bootstrap",
    "ssim",
    "ssim_hu",
    "subjects_from_cases",
    "tune",
    "window_named",
]

METRICS = {
    "rmse_hu": Measure(
        "RMSE", "HU", "lower", "root mean squared error in HU over {mask}",
        lambda i, c, mask: _m.rmse(i.hu, i.truth_hu, mask=mask), per_region=True,
    ),
    "bias_hu": Measure(
        "Bias", "HU", "zero", "mean of reconstruction minus truth in HU over {mask}",
        lambda i, c, mask: _m.bias(i.hu, i.truth_hu, mask=mask), per_region=True,
    ),
    "noise_sd_hu": Measure(
        "Error SD", "HU", "lower", "SD of reconstruction minus truth in HU over {mask}: noise, artefacts and blur",
        lambda i, c, mask: _m.noise_sd(i.hu, i.truth_hu, mask=mask), per_region=True,
    ),
    "psnr": Measure(
        "PSNR", "dB", "higher", "on mu over {mask}; data range per image: max − min of the truth there; not clipped",
        lambda i, c, mask: _m.psnr(i.mu, i.truth_mu, mask=mask),
    ),
    "psnr_fr": Measure(
        "PSNR-FR", "dB", "higher", "on mu over {mask}; fixed data range {fixed}; not clipped",
        lambda i, c, mask: _m.psnr(i.mu, i.truth_mu, data_range=c.fixed_range_per_mm, mask=mask),
    ),
    "ssim": Measure(
        "SSIM", "", "higher", "on mu over {mask}; window {ssim_window}; data range per image: max − min of the truth there",
        lambda i, c, mask: _m.ssim(i.mu, i.truth_mu, window=c.ssim_window, mask=mask),
    ),
    "ssim_fr": Measure(
        "SSIM-FR", "", "higher", "on mu over {mask}; window {ssim_window}; fixed data range {fixed}",
        lambda i, c, mask: _m.ssim(i.mu, i.truth_mu, data_range=c.fixed_range_per_mm, window=c.ssim_window, mask=mask),
    ),
    "psnr_hu": Measure(
        "PSNR (window)", "dB", "higher", "on HU over {mask}; display window {window}; data range {width}",
        lambda i, c, mask: _m.psnr_hu(i.hu, i.truth_hu, window=c.window, clip=c.window_clip, mask=mask),
    ),
    "ssim_hu": Measure(
        "SSIM (window)", "", "higher", "on HU over {mask}; window {ssim_window}; display window {window}; data range {width}",
        lambda i, c, mask: _m.ssim_hu(
            i.hu, i.truth_hu, window=c.window, clip=c.window_clip, kernel=c.ssim_window, mask=mask
        ),
    ),
}  # fmt: skip

PROTOCOLS = {
    "default": Protocol(),
    "lodopab": Protocol(metrics=("psnr", "psnr_fr", "ssim", "ssim_fr", "rmse_hu"), mask="none", ssim_window="uniform"),
}
