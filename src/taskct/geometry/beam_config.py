"""A beam as plain values, for config files and scan files: `kind` or `preset`, then the names of the beam's own numbers.

[beam]                              [beam]
preset = "clinical_fan"             kind = "fan"
views = 360                         views = 720
                                    cols = 512
                                    ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from taskct.core.config import check_settings, from_dict, to_dict
from taskct.core.errors import ConfigError, choose, unknown_name
from taskct.geometry.beams import Beam, ConeBeam, FanBeam, ParallelBeam, VectorBeam
from taskct.geometry.grid import Grid
from taskct.geometry.presets import PRESETS

BEAM_KINDS = {"parallel": ParallelBeam, "fan": FanBeam, "cone": ConeBeam, "vector": VectorBeam}

_VECTORS = ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction")


def beam_from_config(values: Mapping[str, Any], *, where: str = "beam") -> Beam:
    """The beam of a table with `kind` (parallel, fan, cone, vector) or `preset`; further keys are the beam's own.

    With a preset they replace its numbers. Raises ConfigError for unknown keys and types, GeometryError for an
    impossible beam.

    >>> beam_from_config({"kind": "parallel", "views": 8, "cols": 4, "pixel_mm": 1})
    ParallelBeam(views=8, cols=4, pixel_mm=1.0, arc_deg=180.0, start_deg=0.0, col_offset_mm=0.0, rows=1, row_mm=None)
    >>> beam_from_config({"preset": "clinical_fan", "views": 90}).views
    90
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a table with kind or preset, got {values!r}")
    rest = {k: v for k, v in values.items() if k not in ("kind", "preset")}
    if ("kind" in values) == ("preset" in values):
        raise ConfigError(
            f"[{where}] expects either kind ({', '.join(BEAM_KINDS)}) or preset ({', '.join(PRESETS)}), "
            f"got {'both' if 'kind' in values else 'neither'}"
        )
    if "preset" in values:
        base = preset_beam(values["preset"])
        return dataclasses.replace(base, **check_settings(type(base), rest, where=where, complete=False))
    kind = choose(f"kind in [{where}]", values["kind"], BEAM_KINDS)
    return _vector_beam(rest, where) if kind is VectorBeam else from_dict(kind, rest, where=where)


def beam_to_config(beam: Beam) -> dict[str, Any]:
    """The table that `beam_from_config` turns into an equal beam."""
    kind = next(name for name, made in BEAM_KINDS.items() if isinstance(beam, made))
    if isinstance(beam, VectorBeam):
        vectors = {n: getattr(beam, n).tolist() for n in _VECTORS if getattr(beam, n) is not None}
        return {"kind": kind, "rows": beam.rows, "cols": beam.cols, **vectors}
    return {"kind": kind, **to_dict(beam)}


def preset_beam(name: str) -> Beam:
    """The beam of a preset; ConfigError for a name that is none."""
    make: Callable[[], Any] = choose("preset", name, PRESETS)  # type: ignore[assignment]  # each takes numbers of its own
    made = make()
    return made[1] if isinstance(made, tuple) else made


def grid_from_config(values: Mapping[str, Any], *, where: str = "grid") -> Grid:
    """The grid of a table with shape, spacing_mm and, if it is not centred, origin_mm."""
    return from_dict(Grid, values, where=where)


def grid_to_config(grid: Grid) -> dict[str, Any]:
    """The table that `grid_from_config` turns into an equal grid."""
    return to_dict(grid)


def _vector_beam(values: Mapping[str, Any], where: str) -> VectorBeam:
    names = [f.name for f in dataclasses.fields(VectorBeam)]
    for name in values:
        if name not in names:
            raise unknown_name(f"setting in [{where}]", name, names)
    missing = [n for n in names if n not in values and n not in ("source_mm", "direction")]
    if missing:
        raise ConfigError(f"settings in [{where}] lack {', '.join(missing)}; add them, there is no default")
    checked = dict(values)
    for name in _VECTORS:
        if name in values:
            try:
                checked[name] = np.asarray(values[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{where}.{name}: expected one [z, y, x] per view in mm") from error
    return VectorBeam(**checked)
