"""Beams and grids as plain values and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from taskct.core.config import read_toml, write_config
from taskct.core.errors import ConfigError, GeometryError
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.geometry.beam_config import beam_from_config, beam_to_config, grid_from_config, grid_to_config
from taskct.geometry.presets import PRESETS, clinical_fan, lodopab

FAN = FanBeam(views=8, cols=4, pixel_mm=1.5, source_iso_mm=100, source_detector_mm=200, curved=True, col_offset_mm=0.25)
_poses = FAN.poses()
BEAMS: list[Beam] = [
    ParallelBeam(views=8, cols=4, pixel_mm=1.0 / 3, arc_deg=270, start_deg=0.09, rows=2, row_mm=2.0),
    FAN,
    ConeBeam(views=8, cols=4, rows=3, pixel_mm=1, source_iso_mm=100, source_detector_mm=200, pitch_mm=5, row_offset_mm=1),
    VectorBeam(
        rows=1,
        cols=4,
        detector_mm=_poses.detector_mm,
        col_step_mm=_poses.col_step_mm,
        row_step_mm=_poses.row_step_mm,
        source_mm=_poses.source_mm,
    ),
]


@pytest.mark.parametrize("beam", BEAMS, ids=lambda b: type(b).__name__)
def test_a_beam_written_to_a_file_and_read_again_is_equal(beam: Beam, tmp_path: Path) -> None:
    write_config(tmp_path / "beam.toml", {"beam": beam_to_config(beam)})
    assert beam_from_config(read_toml(tmp_path / "beam.toml")["beam"]) == beam


@pytest.mark.parametrize("grid", [Grid((4, 6), 0.7), Grid((3, 4, 5), (2, 1, 1), origin_mm=(0, 0.1, 0.2))])
def test_a_grid_written_and_read_again_is_equal(grid: Grid) -> None:
    assert grid_from_config(grid_to_config(grid)) == grid


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_named(name: str) -> None:
    made = PRESETS[name]()
    assert beam_from_config({"preset": name}) == (made[1] if isinstance(made, tuple) else made)


def test_the_numbers_of_a_preset_can_be_replaced() -> None:
    assert beam_from_config({"preset": "clinical_fan", "views": 90}) == clinical_fan(views=90)
    assert beam_from_config({"preset": "lodopab"}) == lodopab()[1]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "either kind .* or preset .*, got neither"),
        ({"kind": "fan", "preset": "lodopab"}, "got both"),
        ({"kind": "fann"}, r"unknown kind in \[beam\] 'fann'; did you mean 'fan'\?"),
        ({"preset": "lodopap"}, r"unknown preset 'lodopap'; did you mean 'lodopab'\?"),
        ({"preset": "lodopab", "view": 3}, r"unknown setting in \[beam\] 'view'; did you mean 'views'\?"),
        ({"kind": "parallel", "views": 3}, r"settings in \[beam\] lack cols, pixel_mm"),
        ({"kind": "parallel", "views": "many"}, r"beam\.views: expected a whole number"),
        ({"kind": "vector", "rows": 1}, "lack cols, detector_mm"),
        ({"kind": "vector", "sources": 1}, "unknown setting"),
    ],
)
def test_a_wrong_table_is_refused_by_name(values: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        beam_from_config(values)


def test_vectors_that_are_no_numbers_are_refused() -> None:
    values = beam_to_config(BEAMS[3])
    with pytest.raises(ConfigError, match=r"beam\.col_step_mm: expected one \[z, y, x\]"):
        beam_from_config({**values, "col_step_mm": "none"})
    with pytest.raises(GeometryError, match="finite vectors of shape"):
        beam_from_config({**values, "col_step_mm": np.zeros((2, 3)).tolist()})


def test_an_impossible_beam_is_refused_by_the_beam_itself() -> None:
    with pytest.raises(GeometryError, match="source_detector_mm > source_iso_mm"):
        beam_from_config({"preset": "clinical_fan", "source_iso_mm": 2000})
