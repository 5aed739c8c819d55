"""What the sizes of a grid and a beam tell before any work: too many views, too little memory, voxels between rays."""

from __future__ import annotations

import warnings

import pytest

from taskct.core.errors import GeometryError, ResourceError
from taskct.geometry import CoarseDetectorWarning, ConeBeam, FanBeam, Grid, ParallelBeam, check_pair, coverage

FAR = {"source_iso_mm": 150.0, "source_detector_mm": 300.0}


def test_absurd_numbers_of_views_are_refused_before_anything_is_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FanBeam, "poses", lambda self: pytest.fail("poses were made"))
    monkeypatch.setattr(ConeBeam, "poses", lambda self: pytest.fail("poses were made"))
    with pytest.raises(GeometryError, match="a slice takes up to 100000 views, got 1000000; 101 resolve 64 pixels"):
        check_pair(Grid((64, 64), 1.0), FanBeam(views=1_000_000, cols=64, pixel_mm=2.0, **FAR))
    cone = ConeBeam(views=1_000_000, cols=4096, rows=4096, pixel_mm=0.1, **FAR)
    with pytest.raises(ResourceError, match=r"a scan of 1000000 x 4096 x 4096 .* GiB of memory .* use fewer views, rows"):
        check_pair(Grid((8, 64, 64), 1.0), cone)


def test_a_scan_is_refused_where_the_machine_has_no_memory_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, beam = Grid((64, 64), 1.0), ParallelBeam(views=100, cols=100, pixel_mm=1.0)
    needed = 2 * 4 * (100 * 100 + 64 * 64)
    monkeypatch.setattr(coverage, "free_bytes", lambda: needed - 1)
    with pytest.raises(ResourceError, match="a scan of 100 x 1 x 100 and an image of 64 x 64"):
        check_pair(grid, beam)
    for enough in (needed, None):
        monkeypatch.setattr(coverage, "free_bytes", lambda enough=enough: enough)
        check_pair(grid, beam)


@pytest.mark.parametrize(("pixel_mm", "told"), [(0.55, False), (0.65, True), (1.5, True)])
def test_voxels_that_fall_between_rays_are_warned_of_with_the_columns_that_see_them(pixel_mm: float, told: bool) -> None:
    grid = Grid((65, 65), 0.2)
    beams = (
        ParallelBeam(views=9, cols=64, pixel_mm=pixel_mm),
        FanBeam(views=9, cols=128, pixel_mm=2 * pixel_mm, **FAR),  # magnified twice
    )
    for beam, columns in zip(beams, ("0.4", "0.8"), strict=True):
        if told:
            with pytest.warns(CoarseDetectorWarning, match=rf"{pixel_mm:.3g} mm apart .* of {columns} mm or less"):
                check_pair(grid, beam)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                check_pair(grid, beam)


def test_many_views_are_not_searched_for_twins() -> None:
    from taskct.physics.native.symmetry import quads

    beam = ParallelBeam(views=40_000, cols=8, pixel_mm=1.0)
    assert quads(Grid((4, 4), 1.0), beam.poses()) is None
    assert quads(Grid((4, 4), 1.0), beam.poses().take(slice(0, None, 2))) is not None


def test_rows_cover_what_the_magnification_leaves_of_them_on_the_axis() -> None:
    far = {"source_iso_mm": 200.0, "source_detector_mm": 500.0}  # the detector is 2.5 times larger than what it sees
    parallel = ParallelBeam(views=4, cols=8, rows=10, pixel_mm=1.0, row_mm=3.0)
    assert coverage.axial_cover_mm(parallel) == (-15.0, 15.0)
    flat = ConeBeam(views=4, cols=8, rows=10, pixel_mm=1.0, **far)
    assert coverage.axial_cover_mm(flat) == pytest.approx((-2.0, 2.0))
    shifted = ConeBeam(views=4, cols=8, rows=10, pixel_mm=1.0, row_offset_mm=2.5, **far)
    assert coverage.axial_cover_mm(shifted) == pytest.approx((-1.0, 3.0))
    helix = ConeBeam(views=4, cols=8, rows=10, pixel_mm=1.0, pitch_mm=6.0, arc_deg=720.0, **far)
    assert coverage.axial_cover_mm(helix) == pytest.approx((-8.0, 8.0))  # 12 mm of travel: 6 mm to each side
