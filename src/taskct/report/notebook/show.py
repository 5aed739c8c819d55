"""`taskct.show`: images with their window, sinograms, volumes, curves and tables, for a notebook or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, unknown_name
from taskct.core.runs import Run
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.scan import Scan
from taskct.evaluation.table import Table
from taskct.evaluation.windows import Window
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam, field_of_view_mm
from taskct.physics.projector import Projector
from taskct.report.curve_figures import MOST_PANELS as MOST_METRICS
from taskct.report.curve_figures import dose_curve_figure
from taskct.report.geometry_figure import draw_geometry, geometry_words
from taskct.report.notebook.curves import curve_figure
from taskct.report.notebook.numbers import (
    KINDS,
    UNITS,
    Kind,
    Units,
    check_finite,
    common_unit,
    drawable,
    is_array,
    units_of,
    without_batch,
)
from taskct.report.notebook.panels import (
    MOST_PANELS,
    Panel,
    check_labels,
    in_hu,
    panel_figure,
    refuse_window_of_mu,
    scale_of,
)
from taskct.report.notebook.shown import Shown
from taskct.report.notebook.shown_parts import Slices, chosen, of_batch, of_scan, of_volume
from taskct.report.number_tables import metric_table
from taskct.report.training_curves import training_figure
from taskct.report.verdict import verdict

Array = Tensor | np.ndarray
Showable = (
    Array
    | Sequence[float]
    | Sequence[Array]
    | Mapping[str, Array | Case | Sequence[float]]
    | Case
    | Scan
    | ImageSet
    | Table
    | Projector
    | Beam
    | Run
)
_KNOWN = (
    "images, sinograms, volumes and curves (arrays, tensors, or a dict of names), a Case, Scan, ImageSet, Table, Projector, "
    "beam or Run"
)
_UNLABELLED = (
    "show outlines labels on images and volumes (arrays or a Case); scans, sinograms, curves and image sets take none"
)


def show(
    x: Showable,
    *,
    kind: Kind = "auto",
    window: str | Window | tuple[float, float] | None = None,
    units: Units = "auto",
    slices: int | Sequence[int] | None = None,
    labels: Array | None = None,
    spacing_mm: float | Sequence[float] | None = None,
    along: Array | Sequence[float] | Mapping[str, Array | Sequence[float]] | None = None,
    axes: tuple[str, str] = ("", ""),
    title: str = "",
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
) -> Shown:
    """Draw `x`: a notebook displays what is returned, and `.save("x.png")` writes it. Tensors and numpy arrays alike.

    x            an image (Y, X), images (B, 1, Y, X), a volume (Z, Y, X) or (1, 1, Z, Y, X), a curve (N,); several of one kind
                 side by side on one scale as a list or as a dict of names; a Case (its labels are outlined), Scan, ImageSet,
                 Table (means with intervals, curves over dose), Projector or beam (drawn to scale), or the Run of a training
    kind         "sinogram" for projections (B, 1, V, C) or (1, 1, V, R, C), whose shapes are those of images; "image",
                 "volume" or "curve" where a shape may be several, or "auto"
    window       of images in HU or 1/mm, which are both drawn in HU: "soft tissue", "liver", "lung", "bone", "brain" or
                 (level, width) in HU; without one, soft tissue or lung. Of all other values, and with units="other":
                 (level, width) in the unit of the values; without one, from the least to the largest
    units        "hu", "mu" (1/mm, drawn in HU), "other" (drawn as they are), or "auto": what the numbers look like
    slices       number or numbers of the slices, images or views; a volume without them is cut in three planes
    labels       whole numbers on the samples of the image or volume, outlined
    spacing_mm   distance of samples, one number or one per axis, so that a pixel has its true height over width
    along, axes  positions of the points of curves, for all or by name, and names of the horizontal and the vertical axis
    mu_water_per_mm   what HU 0 is, for images in 1/mm

    At most 12 images are drawn at once; patient's left on the right, head up. Nothing is changed in `x`. Raises InputError for
    objects, empty arrays and what cannot be drawn, UnitsError for NaN, GeometryError for a shape that could be several things.

    >>> import taskct
    >>> case = taskct.phantom_case("abdomen", shape=(2, 64, 64), spacing_mm=(5.0, 5.6, 5.6))
    >>> taskct.show(case.mu, window="liver")
    <2 images of 64 x 64, window liver (level 60, width 160 HU); a notebook displays it, .save('x.png') writes it>
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    if units not in UNITS:
        raise unknown_name("units", units, UNITS)
    if not isinstance(title, str | None):
        raise InputError(f"show expects title as text, got {title!r}")
    if not (isinstance(axes, tuple | list) and len(axes) == 2 and all(isinstance(name, str) for name in axes)):
        raise InputError(f"show expects axes as the names of the horizontal and the vertical axis, got {axes!r}")
    if isinstance(x, Table):
        return _table(x, title)
    if isinstance(x, Run):
        return _run(x)
    if isinstance(x, Projector | ParallelBeam | FanBeam | ConeBeam | VectorBeam):
        return _geometry(x)
    if not (isinstance(mu_water_per_mm, int | float | np.floating) and 0 < mu_water_per_mm < float("inf")):
        raise InputError(f"show expects mu_water_per_mm as a positive number of 1/mm, got {mu_water_per_mm!r}")
    how = _How(window, units, slices, labels, spacing_mm, title, mu_water_per_mm)
    if labels is not None and (isinstance(x, Scan | ImageSet) or kind in ("sinogram", "curve")):
        raise InputError(_UNLABELLED)
    if isinstance(x, Scan):
        return _images(_read({x.case_id: x.p}, "sinogram"), how)
    if isinstance(x, ImageSet):
        numbers = chosen(slices, len(x), "image")
        own = replace(how, slices=None, spacing_mm=spacing_mm or x.spacing_mm, mu_water_per_mm=x.mu_water_per_mm)
        return _images(_read({x.ids[k]: x[k].mu for k in numbers}, "image"), own)
    if isinstance(x, Case):
        names = {k: str(v) for k, v in x.label_names.items()}
        marks = x.labels if labels is None else labels
        return _images(_read({"": x}, kind), replace(how, labels=marks, label_names=names, title=title or x.case_id))
    things = _read(_named(x), kind)
    kinds = {thing.kind for thing in things.values()}
    if len(kinds) > 1:
        raise GeometryError(f"show draws things of one kind side by side, got {', '.join(sorted(kinds))}; show each by itself")
    if kinds == {"curve"}:
        if labels is not None:
            raise InputError(_UNLABELLED)
        curves = {name: thing.values for name, thing in things.items()}
        places = along if isinstance(along, Mapping) else {} if along is None else dict.fromkeys(curves, along)
        where = {name: drawable(places[name], "along") for name in curves if name in places}
        foreign = next((name for name in along if name not in curves), None) if isinstance(along, Mapping) else None
        if foreign is not None:
            raise unknown_name("curve in along", str(foreign), list(curves), InputError)
        points = " and ".join(dict.fromkeys(str(len(values)) for values in curves.values()))
        words = f"{len(curves)} curve{'s' if len(curves) > 1 else ''} of {points} points"
        return Shown(title or words, curve_figure(curves, along=where, title=title, axes=axes))
    return _images(things, how)


def _named(x: Any) -> dict[str, Any]:
    """What is drawn, by name: one thing, a list, or a dict."""
    if is_array(x):
        return {"": x}
    if isinstance(x, Mapping) and x:
        wrong = [v for v in x.values() if not (is_array(v) or isinstance(v, Case))]
        if wrong:
            raise InputError(f"show expects arrays, tensors or cases in a dict, got a {type(wrong[0]).__name__}")
        return {str(name): value for name, value in x.items()}
    if isinstance(x, list | tuple) and x and all(is_array(v) or isinstance(v, Case) for v in x):
        names = [v.case_id if isinstance(v, Case) else f"{k}" for k, v in enumerate(x)]
        return {
            (name if names.count(name) == 1 else f"{name} ({k})"): v for k, (name, v) in enumerate(zip(names, x, strict=True))
        }
    what = f"an empty {type(x).__name__}" if isinstance(x, Mapping | list | tuple) and not x else f"a {type(x).__name__}"
    raise InputError(f"show draws {_KNOWN}; got {what}")


@dataclass(frozen=True)
class _Thing:
    """The numbers of one array as `without_batch` gives them, what they are, and what is known of them if it is a Case."""

    kind: Kind
    values: np.ndarray
    solid: bool  # one volume or the scan of one, not a batch
    case: Case | None


def _read(many: Mapping[str, Any], kind: Kind) -> dict[str, _Thing]:
    """The numbers of each array, by name; InputError, UnitsError and GeometryError for what cannot be drawn."""
    things = {}
    for name, x in many.items():
        case = x if isinstance(x, Case) else None
        raw = drawable(x if case is None else case.hu, name)
        what, values = without_batch(raw, kind if case is None else "volume", name)
        check_finite(values, name)
        things[name] = _Thing(what, values, what == "volume" or raw.ndim == 5, case)
    return things


@dataclass(frozen=True)
class _How:
    """The arguments of `show` that say how images are drawn; see there."""

    window: str | Window | tuple[float, float] | None
    units: Units
    slices: Slices
    labels: Array | None
    spacing_mm: float | Sequence[float] | None
    title: str
    mu_water_per_mm: float
    label_names: Mapping[int, str] = field(default_factory=dict)


def _images(things: Mapping[str, _Thing], how: _How) -> Shown:
    """Images, sinograms or volumes (of one kind) on one grey scale; of several volumes one slice each."""
    panels: list[Panel] = []
    units: set[str] = set()
    sizes: list[str] = []
    count = 0
    for name, thing in things.items():
        what, values, solid = thing.kind, thing.values, thing.solid
        count += 1 if solid else len(values)
        sizes.append(" x ".join(map(str, values.shape if solid else values.shape[1:])))
        marks = _labels(how.labels, what, values.shape)
        z_mm, y_mm, x_mm = _spacing(thing.case.spacing_mm if thing.case else how.spacing_mm)
        if what == "sinogram":
            parts = of_scan(values, name, solid=solid, slices=how.slices)
        elif what == "volume":
            one = how.slices if how.slices is not None or len(things) == 1 else len(values) // 2
            parts = of_volume(values, name, (z_mm, y_mm, x_mm), marks, one)
        else:
            parts = of_batch(values, name, y_mm / x_mm, marks, how.slices)
        units.add("p" if what == "sinogram" else "hu" if thing.case else units_of(values, how.units))
        panels += [replace(part, values=part.values.astype(np.float64)) for part in parts]
    if len(panels) > MOST_PANELS:
        raise InputError(f"show draws at most {MOST_PANELS} images at once, got {len(panels)}; choose some with slices=")
    unit = common_unit(units)
    if unit == "mu":
        refuse_window_of_mu(how.window)
        panels = [replace(part, values=in_hu(part.values, how.mu_water_per_mm)) for part in panels]
        unit = "hu"
    scale = scale_of(panels, unit, how.window)
    size = " and ".join(dict.fromkeys(sizes))
    words = f"{what} of {size}" if count == 1 else f"{count} {what}s of {size}"
    if not solid and len(panels) < count:
        words = f"{len(panels)} of {words}"
    words = f"{how.title}: {words}, {scale.words}" if how.title else f"{words}, {scale.words}"
    return Shown(words, panel_figure(panels, scale, title=how.title, label_names=how.label_names))


def _labels(labels: Array | None, what: Kind, shape: tuple[int, ...]) -> np.ndarray | None:
    if labels is None:
        return None
    marks = drawable(labels, "labels")
    marks = without_batch(marks, what if marks.ndim > 2 else "image", "labels")[1]
    check_labels(marks, shape)
    return marks


def _spacing(spacing_mm: float | Sequence[float] | None) -> tuple[float, float, float]:
    """(z, y, x); one number serves all axes, two are those of a slice."""
    if spacing_mm is None:
        return 1.0, 1.0, 1.0
    try:
        given = np.asarray(spacing_mm, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    steps = (float(given),) * 3 if given.ndim == 0 else tuple(given.ravel().tolist())
    if len(steps) == 2:
        steps = (1.0, *steps)
    if len(steps) != 3 or not all(0 < s < float("inf") for s in steps):
        raise GeometryError(f"show expects spacing_mm as a positive number, (y, x) or (z, y, x), got {spacing_mm!r}")
    return steps[0], steps[1], steps[2]


def _table(table: Table, title: str) -> Shown:
    metrics = table.metrics[:MOST_METRICS]
    if not metrics:
        raise InputError("show expects a table with rows, got one without")
    lines = "".join(f"<p>{escape(s.text)}</p>" for s in verdict(table))
    numbers = "".join(metric_table(table, metric) for metric in metrics[:3])
    head = f"<h4>{escape(title)}</h4>" if title else ""
    words = f"scores of {', '.join(table.methods)} over dose: {', '.join(table.label(m)['label'] for m in metrics)}"
    return Shown(words, dose_curve_figure(table, metrics), html=f"{head}{lines}{numbers}")


def _run(run: Run) -> Shown:
    figure = training_figure(run)
    if figure is None:
        raise InputError(
            f"{run.folder}: holds no steps of a training, so there are no curves; show(taskct.Table.read(folder)) draws the "
            "scores of an evaluation"
        )
    return Shown(f"training {run.folder.name}: loss and scores over its steps", figure)


def _geometry(x: Any) -> Shown:
    if isinstance(x, Projector):
        grid, beam = x.grid, x.beam
    elif isinstance(x, VectorBeam):
        raise InputError("show draws a VectorBeam with the grid that it scans: show(taskct.Projector(grid, beam))")
    else:
        side_mm = 2**0.5 * field_of_view_mm(x)
        grid, beam = Grid((64, 64) if x.planar else (64, 64, 64), side_mm / 64), x
    return Shown(", ".join(filter(None, geometry_words(grid, beam))), draw_geometry(grid, beam))
