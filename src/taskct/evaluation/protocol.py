"""What is measured and how: everything a number needs beside it to mean something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from taskct.core.errors import ConfigError, InputError, unknown_name
from taskct.evaluation.masks import MASKS
from taskct.evaluation.metrics import LODOPAB_MU_MAX_PER_MM, SSIM_WINDOWS
from taskct.evaluation.windows import Window, window_named


@dataclass(frozen=True)
class Protocol:
    """Names of the metrics and the conventions they are taken in.

    `mask` is "field of view" (what every view sees), "body" (the same, truth above -500 HU) or "none" (the whole image, as
    LoDoPaB). `window_hu` is the display window (level, width) of the windowed metrics, `window_clip` whether both images
    are clipped to it. `ssim_window` is "gaussian" (11 x 11, sigma 1.5) or "uniform" (7 x 7). `fixed_range_per_mm` is the
    data range of `psnr_fr` and `ssim_fr`. Regions of fewer samples than `region_min_pixels` in a slice are not measured.
    """

    metrics: tuple[str, ...] = ("rmse_hu", "bias_hu", "noise_sd_hu", "psnr", "psnr_fr", "ssim", "psnr_hu", "ssim_hu")
    mask: str = "field of view"
    window_hu: tuple[float, float] = (40.0, 400.0)
    window_clip: bool = True
    ssim_window: str = "gaussian"
    fixed_range_per_mm: float = LODOPAB_MU_MAX_PER_MM
    region_min_pixels: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "window_hu", tuple(float(v) for v in self.window_hu))
        if self.mask not in MASKS:
            raise unknown_name("mask", self.mask, MASKS)
        if self.ssim_window not in SSIM_WINDOWS:
            raise unknown_name("ssim_window", self.ssim_window, SSIM_WINDOWS)
        if not self.metrics:
            raise ConfigError("a protocol expects at least one metric")
        if not (self.fixed_range_per_mm > 0 and self.region_min_pixels >= 1):
            raise ConfigError(
                "a protocol expects fixed_range_per_mm > 0 and region_min_pixels >= 1, got "
                f"{self.fixed_range_per_mm!r} and {self.region_min_pixels!r}"
            )
        window_named(self.window_hu)

    @property
    def window(self) -> Window:
        """The display window of the windowed metrics, under its name if it has one."""
        from taskct.evaluation.windows import WINDOWS

        given = window_named(self.window_hu)
        return next((w for w in WINDOWS.values() if w.bounds_hu == given.bounds_hu), given)

    def words(self) -> dict[str, str]:
        """The conventions in words, for the labels of metrics."""
        size, sigma = SSIM_WINDOWS[self.ssim_window]
        shape = f"{size} x {size} pixels, " + ("uniform, sample covariance" if sigma is None else f"Gaussian sigma {sigma:g}")
        masks = {
            "field of view": "samples in the field of view",
            "body": "samples in the field of view with truth above -500 HU",
            "none": "the whole image",
        }
        return {
            "mask": masks[self.mask],
            "window": f"{self.window}" + (", both images clipped to it" if self.window_clip else ", not clipped"),
            "width": f"{self.window.width_hu:g} HU",
            "ssim_window": shape,
            "fixed": f"{self.fixed_range_per_mm:.6g} per mm",
        }


@dataclass(frozen=True)
class Images:
    """What a measure sees of one batch: reconstructions, truth, and which samples count.

    Tensors are (B, 1, Y, X) or (B, 1, Z, Y, X); mu in 1/mm, hu in HU, mask and each region bool.
    """

    mu: Tensor
    truth_mu: Tensor
    hu: Tensor
    truth_hu: Tensor
    mask: Tensor
    regions: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One metric: `compute(images, protocol, mask) -> (B,)`, float64, NaN where it is not defined.

    `better` is "higher", "lower" or "zero" (nearest to 0). `definition` may hold the words of Protocol.words in braces.
    `per_region` measures take every labelled region too. A user's own has the same form: `evaluate(measures=...)`.
    """

    label: str
    unit: str
    better: str
    definition: str
    compute: Callable[[Images, Protocol, Tensor], Tensor]
    per_region: bool = False

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower", "zero"):
            raise InputError(f"a measure expects better as 'higher', 'lower' or 'zero', got {self.better!r}")

    def describe(self, protocol: Protocol) -> dict[str, str]:
        """Label, unit, direction and full definition under this protocol, as plain text."""
        definition = self.definition.format(**protocol.words())
        return {"label": self.label, "unit": self.unit, "better": self.better, "definition": definition}


def chosen_measures(protocol: Protocol, more: Mapping[str, Measure] | None = None) -> dict[str, Measure]:
    """The measures that a protocol names, then the caller's own; ConfigError for a name that is none."""
    from taskct.evaluation import METRICS  # the literal dict stands in the package's __init__, which imports this file

    for name in protocol.metrics:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    for name in more or {}:
        if name in METRICS or name == "seconds":
            raise ConfigError(f"the measure {name!r} has the name of a built-in one; choose another")
    return {name: METRICS[name] for name in protocol.metrics} | dict(more or {})
