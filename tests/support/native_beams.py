"""Beams of every kind on grids that are no special case, named by how the compiled kernels project them."""

from __future__ import annotations

import numpy as np

from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, Poses, VectorBeam

# Grids with oblong pixels, odd sizes and an origin off the isocentre: nothing may assume squares or centres.
SLICE = Grid((41, 50), (1.3, 0.9), (-25.0, -24.0))
CENTRED = Grid((37, 50), (1.3, 0.9))  # its views may be each other's mirror images
SQUARE = Grid((45, 45), 1.1)  # and quarter turns
EVEN = Grid((46, 46), 1.1)
BLOCK = Grid((13, 21, 21), (1.7, 1.1, 1.1))
EVEN_BLOCK = Grid((14, 21, 21), (1.7, 1.1, 1.1))
ALOFT = Grid((13, 21, 21), (1.7, 1.1, 1.1), (30.0 - 6 * 1.7, -11.0, -11.0))
SPOT = Grid((24, 24), 0.2)  # in a detector fifty times as wide: most rays pass it by, some exactly along its rows
TALL = Grid((150, 10, 10), (0.4, 1.1, 1.1))  # z columns that are done in two layers
VOLUME = Grid((13, 21, 26), (1.7, 1.1, 0.9), (-9.0, -13.0, -10.0))
FAN = {"views": 11, "cols": 70, "source_iso_mm": 90.0, "source_detector_mm": 150.0, "start_deg": 20.0}
CONE = {"views": 7, "cols": 35, "rows": 18, "pixel_mm": 1.9, "row_mm": 2.3, "source_iso_mm": 60.0, "source_detector_mm": 100.0}


def wide_fan(source_iso_mm: float, half_deg: float) -> FanBeam:
    """Rays of both main axes in every view; some cross between the rows of the image, beside the source."""
    pixel_mm = 4 * source_iso_mm * np.tan(np.deg2rad(half_deg)) / 64
    return FanBeam(views=12, cols=64, pixel_mm=pixel_mm, source_iso_mm=source_iso_mm, source_detector_mm=2 * source_iso_mm)


def tilted(rng: np.random.Generator, views: int, *, rows: int, cols: int, dim: int, parallel: bool = False) -> VectorBeam:
    """Poses all round, with skewed detector axes; in 3D the main axis is often z."""
    ray = rng.standard_normal((views, 3))
    if dim == 2:
        ray[:, 0] = 0
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    up = np.tile([1.0, 0.0, 0.0], (views, 1)) if dim == 2 else rng.standard_normal((views, 3))
    col = np.cross(up, ray)
    col /= np.linalg.norm(col, axis=1, keepdims=True)
    row = np.cross(ray, col) if dim == 3 else up
    return VectorBeam(
        rows=rows,
        cols=cols,
        detector_mm=60 * ray + 2 * col,
        col_step_mm=1.4 * col + (0.1 * row if dim == 3 else 0),
        row_step_mm=1.8 * row,
        source_mm=None if parallel else -90 * ray,
        direction=ray if parallel else None,
    )


def raised(poses: Poses, z_mm: float, *, down: bool = False) -> VectorBeam:
    """The same poses higher up; `down`: their rows run against z."""
    up = np.array([z_mm, 0.0, 0.0])
    assert poses.source_mm is not None
    return VectorBeam(
        rows=poses.rows,
        cols=poses.cols,
        detector_mm=poses.detector_mm + up,
        col_step_mm=poses.col_step_mm,
        row_step_mm=-poses.row_step_mm if down else poses.row_step_mm,
        source_mm=poses.source_mm + up,
    )


def beams() -> dict[str, tuple[Grid, Beam]]:
    rng = np.random.default_rng(3)
    slices = {
        "parallel": ParallelBeam(views=13, cols=75, pixel_mm=0.8, col_offset_mm=0.3, arc_deg=180),
        "parallel, coarse detector": ParallelBeam(views=9, cols=17, pixel_mm=4.1, start_deg=11),
        "parallel, fine detector": ParallelBeam(views=9, cols=400, pixel_mm=0.17, start_deg=5),
        "parallel, along the axes": ParallelBeam(views=8, cols=75, pixel_mm=0.9, arc_deg=360),
        "fan flat": FanBeam(**FAN, pixel_mm=1.8, col_offset_mm=0.45),
        "fan curved": FanBeam(**FAN, pixel_mm=1.7, col_offset_mm=-0.5, curved=True, arc_deg=-250.0),
        "fan, fine detector": FanBeam(**{**FAN, "cols": 600}, pixel_mm=0.21),
        "fan, fine detector that cuts off": FanBeam(**{**FAN, "cols": 50}, pixel_mm=0.55),
        "fan curved, fine detector that cuts off": FanBeam(**{**FAN, "cols": 50}, pixel_mm=0.6, curved=True),
        "fan, source close": FanBeam(views=12, cols=120, pixel_mm=1.9, source_iso_mm=46, source_detector_mm=100, curved=True),
        "fan of 120 degrees": wide_fan(30.0, 60.0),
        "fan curved, wide": FanBeam(views=9, cols=90, pixel_mm=1.6, source_iso_mm=30.0, source_detector_mm=60.0, curved=True),
        "fan vectors": tilted(rng, 9, rows=1, cols=64, dim=2),
        "parallel vectors": tilted(rng, 9, rows=1, cols=64, dim=2, parallel=True),
    }
    volumes = {
        "parallel 3D": ParallelBeam(views=7, cols=41, rows=19, pixel_mm=0.9, row_mm=1.3, col_offset_mm=0.4),
        "cone flat": ConeBeam(**CONE, col_offset_mm=0.7, row_offset_mm=1.0),
        "cone curved": ConeBeam(**CONE, curved=True, col_offset_mm=0.7, row_offset_mm=-1.0),
        "helix": ConeBeam(**CONE, pitch_mm=9.0, arc_deg=500.0),
        "helix, curved": ConeBeam(**CONE, pitch_mm=9.0, arc_deg=500.0, curved=True),
        "steep cone": ConeBeam(**{**CONE, "rows": 60}, row_offset_mm=40.0),
        "tilted cone": tilted(rng, 6, rows=20, cols=30, dim=3),
        "tilted parallel": tilted(rng, 6, rows=20, cols=30, dim=3, parallel=True),
    }
    fan = {**FAN, "views": 12, "pixel_mm": 1.7}
    twins = {  # see native/symmetry.py; some views have no twin, so that lanes are empty
        "parallel, four at a time": ParallelBeam(views=18, cols=75, pixel_mm=0.8),
        "parallel, fine detector, four at a time": ParallelBeam(views=16, cols=400, pixel_mm=0.17, arc_deg=360),
        "parallel, coarse detector, four at a time": ParallelBeam(views=16, cols=17, pixel_mm=4.1, arc_deg=360),
        "parallel, very coarse detector, four at a time": ParallelBeam(views=16, cols=9, pixel_mm=11.0, arc_deg=360),
        "fan flat, four at a time": FanBeam(**fan, col_offset_mm=0.45),
        "fan curved, four at a time": FanBeam(**fan, col_offset_mm=-0.5, curved=True),
        "fan, finest detector, four at a time": FanBeam(**{**fan, "cols": 600, "pixel_mm": 0.05}),
        "fan, source close, four at a time": FanBeam(**{**fan, "source_iso_mm": 40.0}),
        "fan of 80 degrees, four at a time": wide_fan(26.0, 40.0),
        "fan of 120 degrees, four at a time": wide_fan(30.0, 60.0),
        "fan from within, four at a time": wide_fan(8.0, 60.0),
        "fan curved, from within, four at a time": FanBeam(  # its views' steps of the fan angle differ in the last bits
            views=8, cols=90, pixel_mm=0.4, source_iso_mm=5.1, source_detector_mm=12.75, start_deg=90.0, curved=True
        ),
        "fan curved, wide, four at a time": FanBeam(
            views=12, cols=90, pixel_mm=1.6, source_iso_mm=30.0, source_detector_mm=60.0, curved=True
        ),
    }
    halves = {  # the rays of half a detector serve both
        "parallel, even columns, eight at a time": ParallelBeam(views=18, cols=76, pixel_mm=0.8),
        "parallel, fine detector, eight at a time": ParallelBeam(views=16, cols=400, pixel_mm=0.17),
        "parallel, coarse detector, eight at a time": ParallelBeam(views=16, cols=17, pixel_mm=4.1),
        "parallel, very coarse detector, eight at a time": ParallelBeam(views=16, cols=9, pixel_mm=11.0),
        "parallel, one column, eight at a time": ParallelBeam(views=16, cols=1, pixel_mm=0.8),
    }
    mirrors = {
        "fan flat, mirrored": FanBeam(**{**fan, "start_deg": 30.0}),
        "fan curved, mirrored": FanBeam(**{**fan, "start_deg": 30.0}, curved=True),
    }
    cone = {**CONE, "views": 8}
    upright = {
        "cone flat, four at a time": ConeBeam(**cone, col_offset_mm=0.7, row_offset_mm=1.0),
        "cone curved, four at a time": ConeBeam(**cone, curved=True, col_offset_mm=0.7, row_offset_mm=-1.0),
        "cone curved, on the diagonals": ConeBeam(
            **{**cone, "views": 72, "cols": 21, "pixel_mm": 100 * np.pi / 180, "row_mm": 2.0}, curved=True
        ),
        "cone, on the diagonals": ConeBeam(**{**cone, "cols": 21, "pixel_mm": 10.0, "source_iso_mm": 30.0}),
        "steep cone, four at a time": ConeBeam(**{**cone, "cols": 34, "rows": 60}, row_offset_mm=40.0),
    }
    level = {  # the rays of half the rows serve both
        "cone, eight at a time": ConeBeam(**{**cone, "cols": 34}),
        "cone, odd rows, eight at a time": ConeBeam(**{**cone, "cols": 34, "rows": 19}),
        "cone curved, eight at a time": ConeBeam(**cone, curved=True, col_offset_mm=0.7),
        "cone, fine rows, eight at a time": ConeBeam(**{**cone, "cols": 34, "rows": 90, "row_mm": 0.4}),
        "cone, finest rows, eight at a time": ConeBeam(**{**cone, "cols": 34, "rows": 60, "row_mm": 0.1}),
        "cone, coarse rows, eight at a time": ConeBeam(**{**cone, "cols": 34, "rows": 5, "row_mm": 9.0}),
        "cone, one row, eight at a time": ConeBeam(**{**cone, "cols": 34, "rows": 1}),
        "parallel 3D, eight at a time": ParallelBeam(views=18, cols=41, rows=19, pixel_mm=0.9, row_mm=1.3),
    }
    even = {
        "cone, even planes, eight at a time": level["cone, eight at a time"],
        "cone, even planes, odd rows, eight at a time": level["cone, odd rows, eight at a time"],
    }
    aloft = {
        "cone, rows downwards, eight at a time": raised(level["cone, eight at a time"].poses(), 30.0, down=True),
        "cone, beside the middle plane, four at a time": raised(level["cone, eight at a time"].poses(), 30.1),
    }
    tall = {
        "cone, tall, eight at a time": ConeBeam(**{**cone, "cols": 12, "rows": 50}),
        "cone, tall, four at a time": ConeBeam(**{**cone, "cols": 12, "rows": 50}, row_offset_mm=0.5),
        "cone, tall, fine rows, eight at a time": ConeBeam(**{**cone, "cols": 12, "rows": 500, "row_mm": 0.23}),
        "cone, tall, fine rows, four at a time": ConeBeam(
            **{**cone, "cols": 12, "rows": 500, "row_mm": 0.23}, row_offset_mm=0.05
        ),
    }
    beside = {
        "parallel, far beside": ParallelBeam(views=15, cols=401, pixel_mm=0.7, start_deg=90),
        "parallel, far beside, four at a time": ParallelBeam(views=16, cols=401, pixel_mm=0.7, start_deg=90),
    }
    every = [
        (SLICE, slices),
        (SQUARE, twins),
        (EVEN, halves),
        (CENTRED, mirrors),
        (SPOT, beside),
        (VOLUME, volumes),
        (BLOCK, upright),
        (BLOCK, level),
        (EVEN_BLOCK, even),
        (ALOFT, aloft),
        (TALL, tall),
    ]
    return {name: (grid, beam) for grid, beams in every for name, beam in beams.items()}
