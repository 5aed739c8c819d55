"""Grey images side by side on one scale: windows in HU, contours of labels, titles, a bar with the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.windows import WINDOWS, Window, window_named
from taskct.report.style import COLOURS, figure_style, new_figure, plain

MOST_PANELS = 12
_COLS = 4
_PANEL_IN = 2.7
_BODY_ABOVE_HU = -500.0
_LUNG_SHARE = 0.2
_UNIT_WORDS = {"hu": "HU", "mu": "1/mm", "other": "", "p": "line integral"}


@dataclass(frozen=True)
class Panel:
    """One image: values (Y, X), its title, height over width of a pixel, labels (Y, X) to outline, names of its axes."""

    values: np.ndarray
    title: str = ""
    aspect: float = 1.0
    labels: np.ndarray | None = None
    axes: tuple[str, str] = ("", "")  # down, across


@dataclass(frozen=True)
class Scale:
    """Which value is black and which is white, in which unit, and that in words."""

    low: float
    high: float
    unit: str = ""
    words: str = ""


def scale_of(panels: Sequence[Panel], unit: str, window: str | Window | tuple[float, float] | None) -> Scale:
    """The grey scale of panels whose values are in HU (unit "hu"), line integrals ("p") or any other unit.

    HU without a window: lung where a good part of the body is lung, else soft tissue; other values from least to largest.
    """
    values = np.concatenate([p.values.ravel() for p in panels])
    if window is not None:
        chosen = window_named(window)
        if unit != "hu" and isinstance(window, str):
            low, high = float(values.min()), float(values.max())
            raise InputError(
                f"window {window!r} is one of HU, and these values ({low:.4g} to {high:.4g}) do not look like HU or 1/mm; say "
                "units='hu' or units='mu', or give the window as (level, width) in their own unit"
            )
        words = str(chosen) if unit == "hu" else f"{chosen.bounds_hu[0]:.4g} black, {chosen.bounds_hu[1]:.4g} white"
        return Scale(
            *chosen.bounds_hu, _UNIT_WORDS[unit], f"window {words.removeprefix('window ')}" if unit == "hu" else words
        )
    body = values[values > _BODY_ABOVE_HU]
    if unit == "hu" and body.size:
        lung = ((values > -950) & (values < -600)).sum()
        chosen = WINDOWS["lung" if lung > _LUNG_SHARE * (lung + body.size) else "soft tissue"]
        return Scale(*chosen.bounds_hu, "HU", f"window {chosen}")
    low, high = float(values.min()), float(values.max())
    words = f"{low:.4g} black, {high:.4g} white"
    return Scale(low, high if high > low else low + 1, _UNIT_WORDS[unit], words)


def refuse_window_of_mu(window: str | Window | tuple[float, float] | None) -> None:
    """InputError for a window narrower than 1 HU: no image in HU is shown so, and (level, width) in 1/mm look like that."""
    if window is not None and window_named(window).width_hu < 1:
        raise InputError(
            f"window {window!r} is narrower than 1 HU and looks like 1/mm; images in 1/mm are drawn in HU, so give (level, "
            "width) in HU, such as (40, 400), or say units='other' to draw them in 1/mm"
        )


def in_hu(values: np.ndarray, mu_water_per_mm: float) -> np.ndarray:
    """Values in 1/mm as HU, whatever they are: a picture refuses no outlier."""
    return 1000 * (values - mu_water_per_mm) / mu_water_per_mm


def panel_figure(
    panels: Sequence[Panel], scale: Scale, *, title: str = "", label_names: Mapping[int, str] | None = None
) -> Any:
    """A matplotlib Figure of at most MOST_PANELS images, four in a row."""
    cols = min(_COLS, len(panels))
    rows = -(-len(panels) // cols)
    shapes = [p.values.shape[0] * p.aspect / p.values.shape[1] for p in panels]
    tall = float(np.clip(max(shapes), 0.35, 1.6))
    with figure_style():
        figure, axes = new_figure(_PANEL_IN * cols + 0.9, (_PANEL_IN * tall + 0.35) * rows + 0.3, rows=rows, cols=cols)
        drawn = None
        lines = _Outlines(dict(label_names or {}))
        for axis, panel in zip(axes.flat, panels, strict=False):
            drawn = axis.imshow(
                panel.values, cmap="gray", vmin=scale.low, vmax=scale.high, aspect=panel.aspect, interpolation="nearest"
            )
            axis.set_title(plain(panel.title, most=34))
            _dress(axis, panel.axes)
            lines.draw(axis, panel.labels)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        assert drawn is not None
        figure.colorbar(drawn, ax=axes, label=scale.unit, shrink=0.8, pad=0.02, aspect=30)
        if lines.handles:
            figure.legend(handles=lines.handles, loc="outside lower center", ncols=min(5, len(lines.handles)))
        if title:
            figure.suptitle(plain(title, most=90))
    return figure


def _dress(axis: Any, names: tuple[str, str]) -> None:
    axis.grid(visible=False)
    if not any(names):
        axis.set_xticks([])
        axis.set_yticks([])
    axis.set_ylabel(names[0])
    axis.set_xlabel(names[1])


@dataclass
class _Outlines:
    """Contours of label maps, a colour for each label, and their legend."""

    names: dict[int, str]
    handles: list[Any] = field(default_factory=list)
    _colours: dict[int, str] = field(default_factory=dict)

    def draw(self, axis: Any, labels: np.ndarray | None) -> None:
        if labels is None or min(labels.shape) < 2:  # one row of pixels has no outline
            return
        from matplotlib.lines import Line2D

        for value in np.unique(labels[labels > 0]).astype(int).tolist():
            if value not in self._colours:
                self._colours[value] = COLOURS[(1 + len(self._colours)) % len(COLOURS)]
                name = plain(self.names.get(value, f"label {value}"), most=24)
                self.handles.append(Line2D([], [], color=self._colours[value], label=name))
            axis.contour(labels == value, levels=[0.5], colors=[self._colours[value]], linewidths=1.0)


def check_labels(labels: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """GeometryError for labels on other samples than the image's, InputError for labels that are not whole numbers."""
    if labels is not None and labels.shape != shape:
        raise GeometryError(f"show expects labels on the samples of the image, {shape}, got {labels.shape}")
    if labels is not None and not np.array_equal(labels, np.rint(labels)):  # NaN is not equal to itself
        raise InputError("show expects labels as whole numbers, got others; outline probabilities as labels=p > 0.5")
