"""The compiled kernels against the reference: every beam kind, every instruction set that runs here, both precisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from native_beams import (
    CONE,
    SLICE,
    beams,
)

from taskct.core.errors import ConfigError
from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam, Poses
from taskct.physics.backends import choose_backend
from taskct.physics.backends.native import NativeBackend
from taskct.physics.backends.reference import ReferenceBackend
from taskct.physics.native import library
from taskct.physics.native.library import LEVELS, kernels, load

BEAMS = beams()
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

KINDS = ("parallel", "fan flat", "fan curved", "cone flat", "cone curved", "tilted cone")
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
@pytest.mark.parametrize("views", [12, 9])  # with and without twins
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
        assert (ours.quads is not None) == (views == 12)
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
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("beam", [*KINDS, *(f"{kind}, four at a time" for kind in KINDS[:-1]), "cone, eight at a time"])
def test_nan_and_inf_reach_the_result_and_stay_local(bad: float, beam: str, level: str) -> None:
    ours, reference = pair(beam, level)
    for which in MAPS:
        touched = torch.zeros_like(inputs(ours, which))
        middle = tuple(n // 2 for n in touched.shape[1:])
        touched[(0, *middle)] = 1
        reached = expected((beam, "one value"), reference, which, touched) > 1e-6
        for dtype in (torch.float32, torch.float64):
            x = inputs(ours, which).to(dtype)
            x[(0, *middle)] = bad
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
