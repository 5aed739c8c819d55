"""The pictures of a bi-planar page: radiographs beside re-projections, slices, bone, and what the prior alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.report.first_screen import figure_row
from taskct.report.number_text import MINUS
from taskct.report.pictures import Encoder
from taskct.systems.biplanar.pages.bone_rendering import render_bone

WINDOW_HU = (-400.0, 1200.0)
SPREAD_HU = (0.0, 600.0)
_MOST_IN_ROW = 5
PLANES = (("axial", 0), ("coronal", 1), ("sagittal", 2))


class Shown(NamedTuple):
    """A column: its heading, a volume (Z, Y, X) in HU, its radiographs (V, R, C), and where it has one its spread in HU."""

    name: str
    hu: Tensor
    p: Tensor
    spread: Tensor | None = None


class ExampleSkull(NamedTuple):
    """A skull with its columns, the truth first; `bone` False leaves out pictures of its surface (a real head has a face)."""

    title: str
    columns: Sequence[Shown]
    bone: bool = True


def example_section(example: ExampleSkull, encoder: Encoder) -> str:
    """One skull: a column for the truth and each method; rows of radiographs, slices, and the surface of bone."""
    columns = example.columns
    heads = "".join(f"<th scope='col'>{escape(one.name)}</th>" for one in columns)
    rows = []
    names = [f"{one.name}: {example.title}" for one in columns]
    top = float(columns[0].p.max()) or 1.0
    for view in range(len(columns[0].p)):
        rows.append(_row(f"view {view + 1}", names, [encoder.add(_grey(one.p[view].flip(0), 0.0, top)) for one in columns]))
    for plane, axis in PLANES:
        rows.append(_row(plane, names, [encoder.add(_slice(one.hu, axis)) for one in columns]))
    if any(one.spread is not None for one in columns):
        for plane, axis in PLANES[::2]:
            spreads = ["" if one.spread is None else encoder.add(_slice(one.spread, axis, SPREAD_HU)) for one in columns]
            rows.append(_row(f"spread, {plane}", names, spreads))
    if example.bone:
        for name, axis in (("bone, front", 1), ("bone, side", 2)):
            rows.append(_row(name, names, [encoder.add(render_bone(one.hu, axis=axis)) for one in columns]))
    return (
        f"<h3>{escape(example.title)}</h3><div class='wide'><table class='pictures'><colgroup><col class='dose'>"
        f"<col span='{len(columns)}'></colgroup><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        "</div>"
    )


def example_row(example: ExampleSkull, encoder: Encoder) -> str:
    """The middle slice of the truth and of what was made of its radiographs, in one row; not what the prior alone shows."""
    shown = [one for one in example.columns if "prior only" not in one.name][:_MOST_IN_ROW]
    figures = []
    for one in shown:
        alt = escape(f"{one.name}: middle axial slice of {example.title}", quote=True)
        image = f'<img class="near" alt="{alt}" src="{encoder.add(_slice(one.hu, 0))}">'
        figures.append(f"<figure>{image}<figcaption>{escape(one.name)}</figcaption></figure>")
    low, high = WINDOW_HU
    words = f"{example.title}, middle axial slice, {MINUS}{-low:g} to {high:g} HU."
    return figure_row(figures, escape(words))


def _row(name: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    alts = [escape(f"{name}, {column}", quote=True) for column in columns]
    cells = "".join(
        f'<td><img class="near" alt="{alt}" src="{key}"></td>' if key else "<td>–</td>"
        for alt, key in zip(alts, keys, strict=True)
    )
    return f"<tr><th scope='row' class='dose'><span>{escape(name)}</span></th>{cells}</tr>"


def _slice(hu: Tensor, axis: int, window: tuple[float, float] = WINDOW_HU) -> np.ndarray:
    """The middle slice across an axis, head upwards."""
    image = hu.select(axis, hu.shape[axis] // 2).float()
    return _grey(image if axis == 0 else image.flip(0), *window)


def _grey(image: Tensor, low: float, high: float) -> np.ndarray:
    grey = ((image.float() - low) / (high - low)).clamp(0, 1) * 255
    found: np.ndarray = grey.round().to(torch.uint8).numpy()
    return found
