"""The compiled kernels against the reference: every beam kind, every instruction set that runs here, both precisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, Poses, VectorBeam
from taskct.physics.backends import choose_backend
from taskct.physics.backends.native import NativeBackend
from taskct.physics.backends.reference import ReferenceBackend
from taskct.physics.native import library
from taskct.physics.native.library import LEVELS, kernels, load

MAPS = ("forward", "adjoint", "voxel_backproject", "voxel_backproject_adjoint")
TRANSPOSED = {"forward": "adjoint", "voxel_backproject": "voxel_backproject_adjoint"}


def levels_that_run() -> list[str]:
    found = []
    for level in LEVELS:
        try:
            if load(level).library is not None:
                found.append(level)
        except ConfigError:
            continue
    return found


RUNS = levels_that_run()
pytestmark = [pytest.mark.skipif(not RUNS, reason="taskct was installed without a C++ compiler"), pytest.mark.slow]
levels = pytest.mark.parametrize("level", RUNS)

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


_KINDS = ("parallel", "fan flat", "fan curved", "cone flat", "cone curved", "tilted cone")
BEAMS = beams()
every_beam = pytest.mark.parametrize("beam", BEAMS)


def pair(name: str, level: str) -> tuple[NativeBackend, ReferenceBackend]:
    grid, beam = BEAMS[name]
    poses: Poses = beam.poses()
    return NativeBackend(grid, poses, load(level)), ReferenceBackend(grid, poses)


def inputs(backend: NativeBackend, which: str, *, seed: int = 0, images: int = 1, signed: bool = False) -> torch.Tensor:
    poses = backend.poses
    from_image = which in ("forward", "voxel_backproject_adjoint")
    shape = backend.grid.shape if from_image else (poses.views, poses.rows, poses.cols)
    x = torch.rand((images, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x - 0.5 if signed else x


_EXPECTED: dict[tuple[object, str], tuple[torch.Tensor, torch.Tensor]] = {}


def expected(scan: object, reference: ReferenceBackend, which: str, x: torch.Tensor) -> torch.Tensor:
    """What the reference makes of x, computed once for all instruction sets: they are asked one after another."""
    if (scan, which) not in _EXPECTED:
        while len(_EXPECTED) >= 16:
            _EXPECTED.pop(next(iter(_EXPECTED)))
        _EXPECTED[scan, which] = x, getattr(reference, which)(x)
    same, wanted = _EXPECTED[scan, which]
    assert torch.equal(same, x)
    return wanted


@pytest.mark.parametrize("beam", [name for name in BEAMS if "at a time" in name or "mirrored" in name])
def test_the_scans_that_should_be_projected_four_or_eight_at_a_time_are(beam: str) -> None:
    ours, _ = pair(beam, RUNS[0])
    assert ours.quads is not None
    assert ours.quads.halves or "eight" not in beam
    assert not ours.quads.halves or "cone" not in beam or "four" not in beam


@levels
@every_beam
@pytest.mark.parametrize("which", MAPS)
def test_compiled_maps_agree_with_the_reference(which: str, beam: str, level: str) -> None:
    ours, reference = pair(beam, level)
    x = inputs(ours, which)
    wanted = expected(beam, reference, which, x)
    assert wanted.norm() > 0
    # float64: rounding of positions of about 100 samples, 1e-14 each
    assert (getattr(ours, which)(x) - wanted).norm() <= 1e-12 * wanted.norm()
    # float32: weights and sums rounded to 6e-8 each
    single = getattr(ours, which)(x.float())
    assert single.dtype == torch.float32
    assert (single.double() - wanted).norm() <= 2e-6 * wanted.norm()


@levels
@every_beam
@pytest.mark.parametrize("which", TRANSPOSED)
def test_compiled_pairs_are_adjoint(which: str, beam: str, level: str) -> None:
    ours, _ = pair(beam, level)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        x = inputs(ours, which, seed=1).to(dtype)
        y = inputs(ours, TRANSPOSED[which], seed=2).to(dtype)
        ahead = (getattr(ours, which)(x).double() * y.double()).sum()
        back = (getattr(ours, TRANSPOSED[which])(y).double() * x.double()).sum()
        assert abs(ahead - back) <= tolerance * abs(ahead)  # positive inputs: relative to the inner product itself


@levels
@every_beam
def test_bytes_do_not_depend_on_threads_runs_or_batch(beam: str, level: str) -> None:
    ours, _ = pair(beam, level)
    before = torch.get_num_threads()
    try:
        for which in MAPS:
            x = inputs(ours, which, images=3, signed=True).float()
            torch.set_num_threads(1)
            one = getattr(ours, which)(x)
            assert torch.equal(one, getattr(ours, which)(x))
            assert torch.equal(one[1:2], getattr(ours, which)(x[1:2].contiguous()))
            for threads in (2, 3):
                torch.set_num_threads(threads)
                assert torch.equal(one, getattr(ours, which)(x)), f"{which} with {threads} threads"
    finally:
        torch.set_num_threads(before)


@levels
@pytest.mark.parametrize("views", [24, 15])  # with and without twins
@pytest.mark.parametrize("row_offset_mm", [0.0, 1.3])
def test_rows_that_turn_round_at_a_source_within_the_grid(row_offset_mm: float, views: int, level: str) -> None:
    # Rays are lines, behind their source too.
    near = {"source_iso_mm": 4.16, "source_detector_mm": 4.58, "pixel_mm": 0.41, "row_mm": 0.03}
    beam = ConeBeam(views=views, cols=31, rows=16, **near, start_deg=30.0, row_offset_mm=row_offset_mm, curved=True)
    grid = Grid((3, 17, 17), (0.5, 0.7, 0.7))
    ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
    assert (ours.quads is not None) == (views == 24)
    mu = inputs(ours, "forward")
    wanted = expected((grid, beam), reference, "forward", mu)
    assert (ours.forward(mu.float()).double() - wanted).norm() <= 2e-6 * wanted.norm()


@levels
@pytest.mark.parametrize("planes", [9, 1])
@pytest.mark.parametrize("row_offset_mm", [0.0, 1e-3])  # eight and four lanes
def test_many_fine_rows_keep_their_places(row_offset_mm: float, planes: int, level: str) -> None:
    grid = Grid((planes, 8, 8), 1.0)
    pitch = {"rows": 20_000, "row_mm": 1.4 * (planes + 0.5) / 20_000}
    beam = ConeBeam(
        views=4, cols=3, pixel_mm=2.0, **pitch, source_iso_mm=40, source_detector_mm=60, row_offset_mm=row_offset_mm
    )
    ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
    assert ours.quads is not None and ours.quads.halves == (row_offset_mm == 0)
    mu = torch.zeros((1, *grid.shape), dtype=torch.float64)
    mu[:, ::2] = 1  # steep along z: places count
    wanted = expected((grid, beam), reference, "forward", mu)
    assert (ours.forward(mu.float()).double() - wanted).norm() <= 5e-7 * wanted.norm()


@levels
@pytest.mark.parametrize("views", [18, 7])  # with and without twins
def test_rows_far_apart_miss_the_grid(views: int, level: str) -> None:
    grid, beam = Grid((7, 8, 8), 1.0), ParallelBeam(views=views, cols=9, pixel_mm=1.0, rows=5, row_mm=2e8)
    ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
    for which in ("forward", "adjoint"):
        x = inputs(ours, which)
        wanted = expected((grid, beam), reference, which, x)
        assert wanted.norm() > 0
        assert (getattr(ours, which)(x.float()).double() - wanted).norm() <= 2e-6 * wanted.norm()


@levels
@pytest.mark.parametrize("views", [40, 37])  # with and without twins
@pytest.mark.parametrize(("size", "pixel_mm"), [(64, 64.0), (64, 512.0), (512, 128.0)])
def test_columns_far_apart_keep_their_places(size: int, pixel_mm: float, views: int, level: str) -> None:
    cols = 3 + int(size / pixel_mm)
    source = {"source_iso_mm": 1.3 * size, "source_detector_mm": 2.6 * size}
    for beam in (
        ParallelBeam(views=views, cols=cols, pixel_mm=pixel_mm),
        FanBeam(views=views, cols=cols, pixel_mm=2 * pixel_mm, **source),
    ):
        grid = Grid((size, size), 1.0)
        ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
        assert (ours.quads is not None) == (views == 40)
        for which in MAPS:
            x = inputs(ours, which)
            wanted = expected((grid, beam), reference, which, x)
            assert (getattr(ours, which)(x.float()).double() - wanted).norm() <= 2e-6 * wanted.norm(), which


@levels
def test_columns_far_apart_for_fine_pixels_keep_their_places(level: str) -> None:
    for grid, beam, which in (
        (Grid((256, 256), (1.0, 0.25)), ParallelBeam(views=7, cols=27, pixel_mm=15.0, col_offset_mm=1.95), "forward"),
        (
            Grid((64, 64), (1.0, 0.25)),
            FanBeam(views=7, cols=14, pixel_mm=15.0, source_iso_mm=70.4, source_detector_mm=140.8),
            "adjoint",
        ),
    ):
        ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
        x = inputs(ours, which)
        wanted = expected((grid, beam), reference, which, x)
        assert (getattr(ours, which)(x.float()).double() - wanted).norm() <= 2e-6 * wanted.norm()


@levels
@pytest.mark.parametrize("views", [12, 7])  # with and without twins
@pytest.mark.parametrize("row_mm", [1.0, 100.0])
def test_rows_ten_to_a_thousand_samples_apart_keep_their_places(row_mm: float, views: int, level: str) -> None:
    grid, cols = Grid((4000, 8, 8), (0.1, 1.0, 1.0)), {"cols": 9, "pixel_mm": 1.5}
    rows = {"rows": 4, "row_mm": row_mm}
    for beam in (
        ParallelBeam(views=views, **cols, **rows),
        ConeBeam(views=views, **cols, **rows, source_iso_mm=60, source_detector_mm=70, row_offset_mm=0.13),
    ):
        ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
        assert (ours.quads is not None) == (views == 12)
        for which in ("forward", "adjoint"):
            x = inputs(ours, which)
            wanted = expected((grid, beam), reference, which, x)
            assert (getattr(ours, which)(x.float()).double() - wanted).norm() <= 6e-7 * wanted.norm(), which


@levels
@pytest.mark.parametrize("shape", [(20, 20), (21, 21), (20, 21), (21, 20)])  # turns leave some columns of odd grids in place
def test_a_detector_that_is_turned_in_parts(shape: tuple[int, int], level: str) -> None:
    grid, beam = (
        Grid((3, *shape), 1.0),
        ConeBeam(**{**CONE, "views": 16, "cols": 1030, "rows": 1030, "pixel_mm": 0.05, "row_mm": 0.03}),
    )
    ours, reference = NativeBackend(grid, beam.poses(), load(level)), ReferenceBackend(grid, beam.poses())
    assert ours.quads is not None and 16 * ours.quads.views[:, 0].size * beam.rows * beam.cols > 64 << 20  # voxel3d_quads.cpp
    q = torch.rand((1, 16, 1030, 1030), generator=torch.Generator().manual_seed(0))
    wanted = expected((grid, beam), reference, "voxel_backproject", q.double())
    assert (ours.voxel_backproject(q).double() - wanted).norm() <= 2e-6 * wanted.norm()


@levels
@pytest.mark.parametrize("beam", [*_KINDS, *(f"{kind}, four at a time" for kind in _KINDS[:-1]), "cone, eight at a time"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_inf_reach_the_result_and_stay_local(bad: float, beam: str, level: str) -> None:
    ours, reference = pair(beam, level)
    for which in MAPS:
        for dtype in (torch.float32, torch.float64):
            x = inputs(ours, which).to(dtype)
            touched = torch.zeros_like(x)
            middle = tuple(n // 2 for n in x.shape[1:])
            touched[(0, *middle)] = 1
            x[(0, *middle)] = bad
            reached = getattr(reference, which)(touched) > 1e-6
            lost = torch.isfinite(getattr(ours, which)(x))
            assert reached.any()
            assert not (lost & reached).any()
            assert lost.float().mean() > 0.5


@levels
def test_one_pixel_grids_and_detectors_work(level: str) -> None:
    for grid, beam in (
        (Grid((1, 1), 1.0), ParallelBeam(views=4, cols=1, pixel_mm=1.0)),
        (Grid((1, 7), 1.0), FanBeam(views=3, cols=9, pixel_mm=2.0, source_iso_mm=50, source_detector_mm=90)),
        (Grid((7, 1), 1.0), FanBeam(views=3, cols=1, pixel_mm=2.0, source_iso_mm=50, source_detector_mm=90, curved=True)),
        (
            Grid((1, 5, 1), 1.0),
            ConeBeam(views=3, cols=5, rows=1, pixel_mm=2.0, source_iso_mm=50, source_detector_mm=90),
        ),
    ):
        poses = beam.poses()
        ours, reference = NativeBackend(grid, poses, load(level)), ReferenceBackend(grid, poses)
        for which in MAPS:
            x = inputs(ours, which)
            wanted = getattr(reference, which)(x)
            assert (getattr(ours, which)(x) - wanted).norm() <= 1e-12 * wanted.norm()
            assert (getattr(ours, which)(x.float()) - wanted).norm() <= 2e-6 * wanted.norm()


def test_auto_takes_the_kernels_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKCT_KERNELS", raising=False)
    poses = BEAMS["parallel"][1].poses()
    chosen = choose_backend(SLICE, poses, "auto", device=torch.device("cpu"), dtype=torch.float32)
    assert chosen.name == "native"
    assert kernels().level in chosen.reason
    half = choose_backend(SLICE, poses, "auto", device=torch.device("cpu"), dtype=torch.float16)
    assert half.name == "reference" and "float16" in half.reason


def test_the_environment_variable_forces_a_build_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    poses = BEAMS["parallel"][1].poses()
    choose = lambda name: choose_backend(SLICE, poses, name, device=torch.device("cpu"), dtype=torch.float32)
    for level in RUNS:
        monkeypatch.setenv("TASKCT_KERNELS", level)
        assert kernels().level == level and level in choose("auto").reason
    monkeypatch.setenv("TASKCT_KERNELS", "off")
    assert choose("auto").name == "reference" and "TASKCT_KERNELS=off" in choose("auto").reason
    with pytest.raises(ConfigError, match="backend 'native' cannot serve here: TASKCT_KERNELS=off"):
        choose("native")
    monkeypatch.setenv("TASKCT_KERNELS", "avx51")
    with pytest.raises(ConfigError, match="unknown TASKCT_KERNELS 'avx51'; did you mean 'avx512'"):
        choose("auto")


def test_kernels_of_older_sources_leave_the_reference_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: Path) -> None:
        raise ConfigError(f"{path.name} was built from older sources; install taskct again (make setup)")

    if kernels().library is None:
        pytest.skip("no compiled kernels here")
    monkeypatch.setattr(library, "_open", stale)
    load.cache_clear()
    try:
        found = load("")
        assert found.library is None and "built from older sources" in found.reason and "reference" in found.reason
        with pytest.raises(ConfigError, match="older sources"):
            load("baseline")
    finally:
        load.cache_clear()
