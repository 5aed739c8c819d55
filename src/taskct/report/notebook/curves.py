"""Curves in one panel: line profiles, spectra, losses over steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from taskct.core.errors import GeometryError
from taskct.report.style import figure_style, method_looks, new_figure, plain


def curve_figure(
    curves: Mapping[str, np.ndarray], *, along: Mapping[str, np.ndarray], title: str = "", axes: tuple[str, str] = ("", "")
) -> Any:
    """A matplotlib Figure of curves (N,) over `along` of their name, or over their index; `axes` names the two axes.

    Raises GeometryError for a curve that is not as long as its `along`.
    """
    looks = method_looks(list(curves))
    with figure_style():
        figure, panels = new_figure(6.4, 3.2)
        panel = panels[0, 0]
        for name, values in curves.items():
            where = along.get(name, np.arange(len(values)))
            if where.shape != values.shape:
                raise GeometryError(
                    f"show expects along of the length of the curve {name!r}, {values.shape[0]}, got shape {where.shape}"
                )
            style = {k: v for k, v in looks[name].items() if k != "marker"}
            panel.plot(where, values, label=plain(name, most=28), **style)
        if len(curves) > 1:
            panel.legend()
        panel.set(xlabel=axes[0] or ("" if along else "index"), ylabel=axes[1])
        if title:
            panel.set_title(plain(title))
    return figure
