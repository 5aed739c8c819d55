from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from taskct.core.errors import ConfigError, OutputExistsError
from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.report import draw_geometry
from taskct.report.geometry_figure import _edge, geometry_words

FLAT = Grid((32, 32), 4.0)
SOLID = Grid((16, 32, 32), 4.0)
FAN = FanBeam(views=30, cols=64, pixel_mm=4.0, source_iso_mm=200.0, source_detector_mm=400.0)
CONE = ConeBeam(views=30, cols=64, rows=24, pixel_mm=4.0, source_iso_mm=200.0, source_detector_mm=400.0, pitch_mm=20.0)
POSES = FAN.poses()
FREE = VectorBeam(
    rows=1,
    cols=64,
    detector_mm=POSES.detector_mm[:2],
    col_step_mm=POSES.col_step_mm[:2],
    row_step_mm=POSES.row_step_mm[:2],
    source_mm=POSES.source_mm[:2],
)


@pytest.mark.parametrize(
    ("grid", "beam", "panels"),
    [
        (FLAT, ParallelBeam(views=30, cols=48, pixel_mm=4.0), 1),
        (FLAT, FAN, 1),
        (FLAT, dataclasses.replace(FAN, curved=True, arc_deg=200.0, col_offset_mm=30.0), 1),
        (FLAT, FREE, 1),
        (FLAT, dataclasses.replace(FAN, views=1), 1),
        (SOLID, CONE, 2),
        (SOLID, dataclasses.replace(CONE, curved=True), 2),
        (SOLID, ParallelBeam(views=3, cols=48, rows=20, pixel_mm=4.0), 2),
    ],
)
def test_every_beam_can_be_drawn_with_units_on_its_axes(grid, beam, panels):
    figure = draw_geometry(grid, beam)
    assert len(figure.axes) == panels
    for axes in figure.axes:
        assert axes.get_xlabel().endswith("/ mm") and axes.get_ylabel().endswith("/ mm")
        assert axes.get_aspect() == 1.0  # to scale


def test_the_drawn_detector_lies_where_its_pixels_are():
    edge = _edge(POSES, 3, 0.0, along_rows=False)
    outer = POSES.detector_mm[3] + 32 * POSES.col_step_mm[3]  # the outer edge of the last of 64 columns
    assert np.allclose(edge[-1], outer)
    curved = dataclasses.replace(FAN, curved=True).poses()
    arc = _edge(curved, 0, 0.0, along_rows=False)
    distances = np.linalg.norm(arc - curved.source_mm[0], axis=1)
    assert np.allclose(distances, 400.0)  # an arc about the source
    assert np.linalg.norm(np.diff(arc, axis=0), axis=1).sum() == pytest.approx(64 * 4.0, rel=1e-3)  # chords of 60 steps


def test_the_words_state_the_scanner():
    words = geometry_words(SOLID, CONE)
    for line in (
        "Cone beam, flat detector",
        "30 views over 360°",
        "24 rows of 4 mm",
        "helix, 20 mm per turn",
        "grid 16 × 32 × 32",
    ):
        assert line in words


def test_a_drawing_is_written_whole_or_not_at_all(tmp_path):
    for kind in ("png", "svg", "pdf"):
        draw_geometry(FLAT, FAN, tmp_path / f"g.{kind}")
        assert (tmp_path / f"g.{kind}").stat().st_size > 5000
    with pytest.raises(OutputExistsError):
        draw_geometry(FLAT, FAN, tmp_path / "g.png")
    with pytest.raises(ConfigError, match="one of png, svg, pdf"):
        draw_geometry(FLAT, FAN, tmp_path / "g.docx")
    assert len(list(tmp_path.iterdir())) == 3
