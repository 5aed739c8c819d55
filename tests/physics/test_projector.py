import pickle
import warnings

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError, UnitsError
from taskct.geometry import FanBeam, Grid, ParallelBeam, Poses
from taskct.physics.projector import Projector
from taskct.physics.rays import Frames

DISC_MU = 0.02


@pytest.fixture(params=["reference", "auto"])
def A(request, pair):  # noqa: N802
    return Projector(*pair, backend=request.param)


def _positive(*shape, dtype=torch.float64, seed=0):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)) + 0.1


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("maps", [("forward", "adjoint"), ("voxel_backproject", "voxel_backproject_adjoint")])
def test_both_inner_products_are_equal_so_the_transposes_are_exact(A, dtype, tolerance, maps):
    there, back = (getattr(A.backend_for("cpu", dtype), name) for name in maps)
    full = (A.poses.views, A.poses.rows, A.poses.cols)
    shapes = (A.mu_shape, full) if maps[0] == "forward" else (full, A.mu_shape)
    x, y = _positive(2, *shapes[0], dtype=dtype), _positive(2, *shapes[1], dtype=dtype, seed=1)
    left, right = (there(x).double() * y.double()).sum(), (x.double() * back(y).double()).sum()
    assert abs(left - right) / left < tolerance  # rounding of a sum of positive numbers, nothing else


def _box_chords_mm(A):
    """Exact lengths of every ray inside the box spanned by the grid's outer sample centres, and inside its outer edges."""
    points, directions = Frames(A.poses, torch.device("cpu")).rays(0, A.poses.views * A.poses.rows * A.poses.cols)
    found = []
    for grow in (0.0, 0.5, 1.0):
        near = torch.full((len(points),), -torch.inf, dtype=torch.float64)
        far = -near
        for axis in range(A.grid.ndim):
            p, d = points[:, 3 - A.grid.ndim + axis], directions[:, 3 - A.grid.ndim + axis]
            first, step = A.grid.origin_mm[axis], A.grid.spacing_mm[axis]
            ends = torch.stack([(first - grow * step - p) / d, (first + (A.grid.shape[axis] - 1 + grow) * step - p) / d]).sort(
                dim=0
            )
            near, far = torch.maximum(near, ends.values[0]), torch.minimum(far, ends.values[1])
        found.append((far - near).nan_to_num(0).clamp_min(0) * directions.norm(dim=1))  # NaN: beside the box, along it
    return found


def test_line_integrals_of_a_uniform_box_lie_between_its_chords(A):
    inner, middle, outer = _box_chords_mm(A)
    p = A(torch.full((1, 1, *A.mu_shape), DISC_MU, dtype=torch.float64)).flatten() / DISC_MU
    assert (p >= inner - 2 * max(A.grid.spacing_mm)).all()  # one step at either end, where Joseph interpolates to 0
    assert (p <= outer + 2 * max(A.grid.spacing_mm)).all()
    assert float(p.sum()) == pytest.approx(float(middle.sum()), rel=0.03)  # edges blur evenly; few rows sample them


def test_a_single_voxel_is_seen_where_it_projects_to(A):
    index = tuple(n // 3 for n in A.mu_shape)
    point = np.zeros((1, 3))
    point[0, 3 - A.grid.ndim :] = [axis[i] for axis, i in zip(A.grid.axes_mm(), index, strict=True)]
    mu = torch.zeros((1, 1, *A.mu_shape), dtype=torch.float64)
    mu[(0, 0, *index)] = 1.0
    p = A(mu).view(A.poses.views, A.poses.rows, A.poses.cols)
    seen = 0
    for view in range(A.poses.views):
        row, col, _ = Frames(A.poses, torch.device("cpu")).project_points(torch.tensor(point), view)
        total = p[view].sum()
        if not (1 < col < A.poses.cols - 2) or (A.poses.rows > 1 and not 1 < row < A.poses.rows - 2) or total == 0:
            continue
        seen += 1
        j = (p[view].sum(0) * torch.arange(A.poses.cols)).sum() / total
        i = (p[view].sum(1) * torch.arange(A.poses.rows)).sum() / total
        assert float(j) == pytest.approx(float(col), abs=0.6)  # a voxel covers one to two pixels, sampled coarsely
        if A.poses.rows > 1:
            assert float(i) == pytest.approx(float(row), abs=0.6)
    assert seen >= A.poses.views // 2


def test_parallel_and_fan_columns_are_where_the_formulas_say():
    point = torch.tensor([[0.0, 3.0, -5.0]], dtype=torch.float64)
    y, x = 3.0, -5.0
    parallel = ParallelBeam(views=5, cols=40, pixel_mm=0.8, col_offset_mm=0.3)
    fan = FanBeam(views=5, cols=40, pixel_mm=0.8, source_iso_mm=60, source_detector_mm=90, col_offset_mm=0.3)
    curved = FanBeam(views=5, cols=40, pixel_mm=0.8, source_iso_mm=60, source_detector_mm=90, curved=True)
    for view in range(5):
        t = parallel.angles_rad[view]
        _, col, weight = Frames(parallel.poses(), torch.device("cpu")).project_points(point, view)
        assert float(col) == pytest.approx((x * np.cos(t) + y * np.sin(t) - 0.3) / 0.8 + 19.5)
        assert float(weight) == 1
        t = fan.angles_rad[view]
        across, along = x * np.cos(t) + y * np.sin(t), 60 + y * np.cos(t) - x * np.sin(t)
        _, col, weight = Frames(fan.poses(), torch.device("cpu")).project_points(point, view)
        assert float(col) == pytest.approx((90 * across / along - 0.3) / 0.8 + 19.5)
        assert float(weight) == pytest.approx(along**-2)
        _, col, weight = Frames(curved.poses(), torch.device("cpu")).project_points(point, view)
        assert float(col) == pytest.approx(np.arctan2(across, along) * 90 / 0.8 + 19.5)
        assert float(weight) == pytest.approx(1 / (across**2 + along**2))


def test_gradients_of_first_and_second_order_are_right(A):
    small = A.subset(slice(0, 2))
    mu = _positive(1, 1, *A.mu_shape).requires_grad_()
    p = _positive(1, 1, *small.p_shape).requires_grad_()
    for apply, x in ((small, mu), (small.adjoint, p), (small.voxel_backproject, p)):
        assert torch.autograd.gradcheck(apply, x, fast_mode=True)
        assert torch.autograd.gradgradcheck(lambda x, f=apply: f(x) ** 2, x, fast_mode=True)


def test_a_batch_with_channels_equals_its_images_one_by_one(A):
    mu, p = _positive(2, 3, *A.mu_shape), _positive(2, 3, *A.p_shape)
    for apply, x in ((A, mu), (A.adjoint, p), (A.voxel_backproject, p)):
        together = apply(x)
        for b in range(2):
            for c in range(3):
                assert torch.equal(together[b, c], apply(x[b : b + 1, c : c + 1])[0, 0])


def test_a_subset_is_some_of_the_views(A):
    mu = _positive(1, 1, *A.mu_shape)
    some = A.subset([4, 1])
    assert torch.equal(some(mu), A(mu)[:, :, [4, 1]])
    assert some.views.tolist() == [4, 1] and A.subset(slice(0, None, 2)).subset([1]).views.tolist() == [2]


def test_the_same_scanner_stands_on_another_grid_with_the_views_that_it_holds(A):
    fine = A.grid.refined(2)
    mu = _positive(1, 1, *fine.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = A.subset([4, 1]).on_grid(fine)
        assert torch.equal(found(mu), A.on_grid(fine)(mu)[:, :, [4, 1]])
    assert found.grid == fine and found.views.tolist() == [4, 1]


def test_strided_inputs_give_the_same_numbers_and_stay_as_they_are(A):
    mu = _positive(1, 2, *A.mu_shape)
    swapped = mu.transpose(-1, -2).contiguous().transpose(-1, -2)
    kept = swapped.clone()
    assert torch.equal(A(swapped), A(mu))
    assert torch.equal(swapped, kept)


def test_nan_passes_visibly_to_every_ray_that_meets_it(A):
    mu = torch.zeros((1, 1, *A.mu_shape))
    index = tuple(n // 2 for n in A.mu_shape)
    mu[(0, 0, *index)] = float("nan")
    mark = torch.zeros_like(mu)
    mark[(0, 0, *index)] = 1.0
    assert torch.isnan(A(mu))[A(mark) > 1e-3].all()


def test_the_norm_bounds_the_gain_of_any_image(pair):
    A = Projector(*pair)
    for seed in range(3):
        x = _positive(1, 1, *A.mu_shape, dtype=torch.float32, seed=seed)
        assert A(x).norm() <= A.norm * x.norm() * (1 + 1e-3)


def test_scikit_image_agrees_within_its_own_interpolation_error():
    from skimage.data import shepp_logan_phantom
    from skimage.transform import radon, resize

    image = resize(shepp_logan_phantom(), (128, 128), anti_aliasing=True)
    degrees = np.arange(0, 180, 3.0)
    theirs = radon(image, theta=degrees, circle=True)  # (cols, views); it rotates the image, with bilinear interpolation
    # skimage turns the other way, about the pixel n // 2
    A = Projector(
        Grid((128, 128), 1.0, (-64.0, -64.0)),
        ParallelBeam(views=60, cols=128, pixel_mm=1.0, arc_deg=-180, col_offset_mm=-0.5),
    )
    ours = A(torch.tensor(image)[None, None])[0, 0].numpy()
    error = np.linalg.norm(ours - theirs.T) / np.linalg.norm(theirs)
    axis_parallel = np.abs(ours[[0]] - theirs.T[[0]]).max() / theirs.max()
    assert axis_parallel < 1e-6  # at 0 degrees neither interpolates
    assert error < 0.02  # bilinear rotation blurs what Joseph does not


def test_wrong_shapes_units_and_types_are_refused_with_advice():
    A = Projector(Grid((16, 16), 1.0), ParallelBeam(views=4, cols=24, pixel_mm=1.0))
    with pytest.raises(GeometryError, match=r"expects mu of shape \(B, 1, 16, 16\), got \(1, 1, 8, 8\); resample it"):
        A(torch.zeros(1, 1, 8, 8))
    with pytest.raises(GeometryError, match=r"expects p of shape \(B, 1, 4, 24\), got \(4, 24\)"):
        A.adjoint(torch.zeros(4, 24))
    with pytest.raises(GeometryError, match=r"float32 or float64, got torch.int16"):
        A(torch.zeros(1, 1, 16, 16, dtype=torch.int16))
    with pytest.raises(UnitsError, match=r"look like HU \(min -1000\); Projector wants mu in 1/mm; see taskct.to_mu"):
        A(torch.full((1, 1, 16, 16), -1000.0))
    with pytest.raises(ConfigError, match="unknown backend 'referense'; did you mean 'reference'"):
        Projector(A.grid, A.beam, backend="referense")(torch.zeros(1, 1, 16, 16))
    with pytest.raises(GeometryError, match="a subset needs at least one of the 4 views"):
        A.subset([])


def test_a_beam_beside_the_grid_has_no_norm():
    A = Projector(Grid((4, 4), 1.0, (0.0, 500.0)), ParallelBeam(views=1, cols=4, pixel_mm=1.0))
    with pytest.raises(GeometryError, match="no ray of this beam meets the grid"):
        _ = A.norm


def test_a_planted_wrong_geometry_is_caught_by_the_law_of_the_single_voxel():
    """The dot test cannot see a wrong geometry, since the adjoint goes wrong with it; this law must."""
    grid, beam = Grid((22, 25), 1.0), ParallelBeam(views=5, cols=41, pixel_mm=1.0, start_deg=20)
    A = Projector(grid, beam, backend="reference")
    shifted = Poses(
        rows=1, cols=41, detector_mm=A.poses.detector_mm + 2 * A.poses.col_step_mm, col_step_mm=A.poses.col_step_mm,
        row_step_mm=A.poses.row_step_mm, direction=A.poses.direction,
    )  # fmt: skip
    mu = torch.zeros(1, 1, 22, 25)
    mu[0, 0, 5, 5] = 1
    before = A(mu)
    A._stand(shifted)
    moved = A(mu)
    assert torch.allclose(moved[..., :-2], before[..., 2:], atol=1e-5) and not torch.allclose(moved, before)


def test_coarser_levels_and_single_views_are_made_once_and_anew_in_a_copy() -> None:
    from taskct.geometry import bi_planar

    beam = bi_planar(cols=8, rows=8, pixel_mm=6.0, source_iso_mm=500, source_detector_mm=700)
    A = Projector(Grid((8, 8, 8), 3.0), beam)
    assert A.coarser(2) is A.coarser(2) and A.single_views is A.single_views
    mu = torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(torch.cat([one(mu) for one in A.single_views], 2), A(mu))
    copy = pickle.loads(pickle.dumps(A))
    assert copy.coarser(2) is not A.coarser(2)
    assert torch.equal(copy.single_views[1](mu), A.single_views[1](mu))
