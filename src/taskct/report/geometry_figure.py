"""A scan geometry as a drawing: source, detector, rays and grid, to scale, in mm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.errors import unknown_name
from taskct.core.files import atomic_path, refuse_existing
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam, field_of_view_mm
from taskct.geometry.poses import Poses
from taskct.report.style import COLOURS, GREY, INK, figure_style, new_figure

FORMATS = ("png", "svg", "pdf")
_SOURCE, _DETECTOR = COLOURS[1], COLOURS[0]
_FAINT_VIEWS = 12  # source positions shown besides the first


def draw_geometry(grid: Grid, beam: Beam, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> Any:
    """Draw a geometry to scale and return the matplotlib Figure; write it to `path` (png, svg, pdf) when given.

    The axial view is the displayed slice: x to the patient's left, y to the back (downwards). The first view is drawn in full,
    further source positions as small marks. A 3D grid gets a side view as well (z upwards, towards the head). A parallel
    detector has no distance: it is drawn outside the grid.

    >>> from taskct.geometry.presets import clinical_fan
    >>> len(draw_geometry(Grid((64, 64), 5.0), clinical_fan(views=90)).axes)
    1
    """
    if path is not None:
        if Path(path).suffix.lstrip(".").lower() not in FORMATS:
            raise unknown_name("figure format", Path(path).suffix.lstrip("."), FORMATS)
        refuse_existing(path, overwrite=overwrite)
    solid = grid.ndim == 3
    with figure_style():
        figure, axes = new_figure(10.4 if solid else 7.2, 4.6, cols=2 if solid else 1)
        poses = beam.poses()
        reach_mm = 1.35 * grid.radius_mm  # where parallel rays start and end
        _axial(axes[0, 0], grid, beam, poses, reach_mm)
        if solid:
            _side(axes[0, 1], grid, beam, poses, reach_mm)
        axes[0, -1].text(
            1.04,
            0.5,
            "\n".join(geometry_words(grid, beam)),
            transform=axes[0, -1].transAxes,
            va="center",
            fontsize=8.5,
            color=INK,
        )
        if path is not None:
            with atomic_path(path, overwrite=overwrite) as part:
                kind = Path(path).suffix.lstrip(".").lower()
                figure.savefig(part, format=kind, dpi=200, bbox_inches="tight", pad_inches=0.1)
    return figure


def geometry_words(grid: Grid, beam: Beam) -> list[str]:
    """The geometry in a few short lines."""
    names = {ParallelBeam: "Parallel beam", FanBeam: "Fan beam", ConeBeam: "Cone beam", VectorBeam: "Free poses"}
    kind = names[type(beam)]
    if isinstance(beam, FanBeam | ConeBeam):
        kind += ", curved detector" if beam.curved else ", flat detector"
    lines = [kind]
    if isinstance(beam, VectorBeam):
        lines += [f"{beam.views} views", f"{beam.rows} rows × {beam.cols} columns"]
    else:
        lines.append(f"{beam.views} views over {beam.arc_deg:g}°")
        lines.append(f"{beam.cols} columns of {beam.pixel_mm:.4g} mm")
        if beam.rows > 1 and not isinstance(beam, FanBeam):
            lines.append(f"{beam.rows} rows of {beam.row_mm or beam.pixel_mm:.4g} mm")
        if isinstance(beam, FanBeam | ConeBeam):
            lines.append(f"source to isocentre {beam.source_iso_mm:g} mm")
            lines.append(f"source to detector {beam.source_detector_mm:g} mm")
        if isinstance(beam, ConeBeam) and beam.pitch_mm:
            lines.append(f"helix, {beam.pitch_mm:g} mm per turn")
        if beam.col_offset_mm:
            lines.append(f"detector offset {beam.col_offset_mm:.4g} mm")
        lines.append(f"field of view ⌀ {2 * field_of_view_mm(beam):.0f} mm")
    size = " × ".join(f"{n}" for n in grid.shape)
    extent = " × ".join(f"{s:.4g}" for s in grid.size_mm)
    return [*lines, "", f"grid {size}", f"{extent} mm"]


def _axial(axes: Any, grid: Grid, beam: Beam, poses: Poses, reach_mm: float) -> None:
    from matplotlib.patches import Circle, Rectangle

    (y0, y1), (x0, x1) = grid.bounds_mm[-2:]
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor="#eeeeee", edgecolor=GREY, linewidth=1.0, label="grid"))
    if not isinstance(beam, VectorBeam):
        radius = field_of_view_mm(beam)
        if radius < 3 * grid.radius_mm:
            view = Circle(
                (0, 0), radius, fill=False, edgecolor=COLOURS[2], linestyle="--", linewidth=1.2, label="field of view"
            )
            axes.add_patch(view)
    views = np.unique(np.linspace(0, poses.views - 1, min(poses.views, _FAINT_VIEWS + 1)).round().astype(int))
    spots = np.array([_source(poses, v, reach_mm) for v in views])
    if poses.views > 1:
        every = np.array([_source(poses, v, reach_mm) for v in range(0, poses.views, max(1, poses.views // 360))])
        axes.plot(every[:, 2], every[:, 1], color=_SOURCE, linewidth=0.8, alpha=0.45)
        axes.plot(spots[1:, 2], spots[1:, 1], "o", markersize=3.5, color="white", markeredgecolor=_SOURCE, markeredgewidth=0.8)
        _turn_arrow(axes, every)
    shown = range(min(poses.views, 4)) if isinstance(beam, VectorBeam) else (0,)
    for v in shown:
        _view(axes, poses, v, reach_mm, across=2, up=1, axis=1, label=v == 0)
    axes.plot(0, 0, "+", color=INK, markersize=7, markeredgewidth=1.0, label="isocentre")
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set(xlabel="x, to the patient's left / mm", ylabel="y, to the back / mm", title="Axial view")
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), ncols=5, fontsize=7.5, handlelength=1.6, columnspacing=1.0)


def _side(axes: Any, grid: Grid, beam: Beam, poses: Poses, reach_mm: float) -> None:
    from matplotlib.patches import Rectangle

    (z0, z1), (y0, y1), _ = grid.bounds_mm
    axes.add_patch(Rectangle((y0, z0), y1 - y0, z1 - z0, facecolor="#eeeeee", edgecolor=GREY, linewidth=1.0))
    if isinstance(beam, ConeBeam) and beam.pitch_mm:
        path = np.array([_source(poses, v, reach_mm) for v in range(0, poses.views, max(1, poses.views // 720))])
        axes.plot(path[:, 1], path[:, 0], color=_SOURCE, linewidth=0.8, alpha=0.6)
    shown = range(min(poses.views, 4)) if isinstance(beam, VectorBeam) else (0,)
    for v in shown:
        _view(axes, poses, v, reach_mm, across=1, up=0, axis=2, label=False)
    axes.plot(0, 0, "+", color=INK, markersize=7, markeredgewidth=1.0)
    axes.set_aspect("equal")
    axes.set(xlabel="y, to the back / mm", ylabel="z, to the head / mm", title="Side view of the first view")


def _view(axes: Any, poses: Poses, view: int, reach_mm: float, *, across: int, up: int, axis: int, label: bool) -> None:
    """Source, detector and outer rays of one view, in the plane of world axes `across` and `up`.

    `axis` 1 shows the extent of the columns, 2 that of the rows.
    """
    edge = _edge(poses, view, reach_mm, along_rows=axis == 2)
    axes.plot(
        edge[:, across],
        edge[:, up],
        color=_DETECTOR,
        linewidth=3.0,
        solid_capstyle="butt",
        label="detector" if label else None,
    )
    starts = [_source(poses, view, reach_mm)] * 2
    if poses.direction is not None:
        starts = [e - 2 * reach_mm * poses.direction[view] for e in (edge[0], edge[-1])]
        fractions = np.linspace(0, 1, 7)
        ends = edge[0] + fractions[:, None] * (edge[-1] - edge[0])
        for end in ends:
            start = end - 2 * reach_mm * poses.direction[view]
            axes.plot([start[across], end[across]], [start[up], end[up]], color=_SOURCE, linewidth=0.6, alpha=0.7)
        axes.plot(
            *[[s[i] for s in starts] for i in (across, up)], color=_SOURCE, linewidth=2.0, label="rays" if label else None
        )
        return
    for start, end in zip(starts, (edge[0], edge[-1]), strict=True):
        axes.plot([start[across], end[across]], [start[up], end[up]], color=_SOURCE, linewidth=0.9)
    axes.plot(
        starts[0][across], starts[0][up], "o", color=_SOURCE, markersize=8, label="source" if label else None, linestyle="none"
    )


def _edge(poses: Poses, view: int, reach_mm: float, *, along_rows: bool) -> np.ndarray:
    """Points (n, 3) along the middle row of the detector from edge to edge, or along its middle column."""
    centre, col, row = poses.detector_mm[view], poses.col_step_mm[view], poses.row_step_mm[view]
    if poses.direction is not None:
        centre = centre + (reach_mm - centre @ poses.direction[view]) * poses.direction[view]
    half = (poses.rows if along_rows else poses.cols) / 2
    steps = np.linspace(-half, half, 2 if along_rows or not poses.curved else 61)[:, None]
    if along_rows:
        return centre + steps * row
    if not poses.curved:
        return centre + steps * col
    assert poses.source_mm is not None
    source = poses.source_mm[view]
    unit_row = row / np.linalg.norm(row)
    along = (centre - source) - ((centre - source) @ unit_row) * unit_row
    radius = np.linalg.norm(along)
    gamma = poses.curved_offset_rad + steps * np.linalg.norm(col) / radius
    side = col / np.linalg.norm(col)
    return source + np.cos(gamma) * along + radius * np.sin(gamma) * side + ((centre - source) @ unit_row) * unit_row


def _source(poses: Poses, view: int, reach_mm: float) -> np.ndarray:
    """Where the rays of a view come from, z y x in mm; for parallel rays a point outside the grid."""
    if poses.source_mm is not None:
        return poses.source_mm[view]
    assert poses.direction is not None
    return -reach_mm * poses.direction[view]


def _turn_arrow(axes: Any, path: np.ndarray) -> None:
    """An arrow along the source's path that shows which way it turns."""
    place = len(path) // 14
    if place + 1 < len(path) and np.linalg.norm(path[place + 1] - path[place]) > 0:
        start, end = path[place], path[place + 1]
        axes.annotate(
            "", xy=(end[2], end[1]), xytext=(start[2], start[1]), arrowprops={"arrowstyle": "-|>", "color": _SOURCE, "lw": 1.2}
        )
