"""One look for all figures: colours that colour-blind readers can tell apart, plain axes, deterministic SVG."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from taskct.core.names import photon_count

INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
# Okabe and Ito (2008), ordered so that neighbours differ in lightness too; black is kept for the truth
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # the font that matplotlib carries: the same picture on every machine
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "taskct",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the look to the figures made inside; the caller's own settings come back after."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        yield


def new_figure(width_in: float, height_in: float, *, rows: int = 1, cols: int = 1, **subplots: Any) -> tuple[Any, Any]:
    """A figure that belongs to no window and its axes as an array (rows, cols); use it inside `figure_style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, cols, squeeze=False, **subplots)
    return figure, axes


def method_looks(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and dash of each method, the same in every figure."""
    return {
        name: {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
        }
        for i, name in enumerate(methods)
    }


def photon_axis(axis: Any) -> None:
    """Ticks of a logarithmic axis of photons that stand apart: plain numbers at 1, 2 and 5 of each decade, fewer over many.

    Call it once everything is drawn: the ticks follow the limits.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = axis.get_xlim()
    decades = math.log10(high / low)
    few = LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0), numticks=12)
    axis.xaxis.set_major_locator(few if decades > 0.8 else MaxNLocator(4, steps=[1, 2, 5, 10]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda photons, _: photon_count(photons)))
    axis.xaxis.set_minor_formatter(NullFormatter())


def plain(text: str, *, most: int = 60) -> str:
    """User text for a figure: no mathtext, no control characters, cut at `most` characters."""
    clean = "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def svg_uri(figure: Any) -> str:
    """A figure as a data URI of SVG; the same figure gives the same text."""
    buffer = io.BytesIO()
    with figure_style():  # the salt of its ids counts while saving
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.05)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
