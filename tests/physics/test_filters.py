"""Ramp filters: exact units, the closed form of a disk, the kernel against direct convolution, windows, gradients, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from taskct.core.errors import ConfigError, GeometryError
from taskct.geometry import Grid, ParallelBeam
from taskct.physics import filters
from taskct.physics.filters import WINDOWS, ramp_filter, ramp_response, window_response
from taskct.physics.native.filter import convolve_rows
from taskct.physics.native.library import kernels
from taskct.physics.projector import Projector
from taskct.recon import fbp


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("pixel_mm", [0.25, 1.0])
def test_the_filtered_projection_of_a_disk_is_mu_over_pi_inside_it(window: str, pixel_mm: float) -> None:
    u = (torch.arange(240, dtype=torch.float64) - 119.5) * pixel_mm
    radius_mm = 70.3 * pixel_mm
    p = 0.02 * 2 * (radius_mm**2 - u**2).clamp(min=0).sqrt()
    q = ramp_filter(p, pixel_mm=pixel_mm, window=window)
    inside = u.abs() < 0.7 * radius_mm
    # sampling of the disk's edge rings by less than 1 % in the inner 70 %, and averages out
    assert float((q[inside] * math.pi / 0.02 - 1).abs().max()) < 0.015
    assert abs(float(q[inside].mean()) * math.pi / 0.02 - 1) < 0.002


@pytest.mark.parametrize("cols", [1, 2, 17, 64])
def test_ram_lak_equals_direct_convolution_with_the_kernel_of_kak_and_slaney(cols: int) -> None:
    step = 0.7
    n = np.arange(-(cols - 1), cols)
    odd = n % 2 != 0
    kernel = np.where(odd, -1 / (np.pi * np.where(odd, n, 1) * step) ** 2, 0.0)
    kernel[cols - 1] = 1 / (4 * step**2)
    p = torch.rand(3, cols, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = np.stack([step * np.convolve(row, kernel, mode="full")[cols - 1 : 2 * cols - 1] for row in p.numpy()])
    np.testing.assert_allclose(ramp_filter(p, pixel_mm=step).numpy(), wanted, atol=1e-12)  # rounding of the FFT


def test_the_equiangular_kernel_is_the_flat_one_times_gamma_over_sine_squared() -> None:
    cols, step = 33, 0.02
    spike = torch.zeros(cols, dtype=torch.float64)
    spike[0] = 1
    flat, curved = ramp_filter(spike, pixel_mm=step), ramp_filter(spike, pixel_rad=step)
    gamma = torch.arange(cols, dtype=torch.float64) * step
    gamma[0] = 1e-9
    torch.testing.assert_close(curved, flat * (gamma / gamma.sin()) ** 2, rtol=1e-9, atol=1e-9)


def test_a_constant_row_keeps_a_small_positive_mean_and_not_zero() -> None:
    assert 0 < float(ramp_response(64, pixel_mm=1.0)[0]) < 0.01


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_start_at_one_fall_and_end_at_the_cut_off(window: str) -> None:
    f = torch.linspace(0, 1, 101, dtype=torch.float64)
    w = window_response(f, window, 0.641)
    assert float(w[0]) == pytest.approx(1.0)
    assert bool((w.diff() <= 1e-12).all())
    assert bool((w[f > 0.641] == 0).all())
    torch.testing.assert_close(window_response(f * 0.641, window, 0.641), window_response(f, window), rtol=1e-12, atol=1e-12)


def test_hann_with_frequency_scale_is_that_of_the_lodopab_recipe() -> None:
    f = torch.tensor([0.0, 0.3, 0.641, 0.7], dtype=torch.float64)
    wanted = torch.cos(f * math.pi / (2 * 0.641)) ** 2  # the form of the data set's reference code
    wanted[f > 0.641] = 0
    torch.testing.assert_close(window_response(f, "hann", 0.641), wanted, rtol=1e-12, atol=1e-15)


def test_the_filter_is_linear_symmetric_and_gives_gradients_of_any_order() -> None:
    gen = torch.Generator().manual_seed(1)
    p, q = torch.rand(2, 2, 5, 9, generator=gen, dtype=torch.float64)
    apply = lambda x: ramp_filter(x, pixel_rad=0.05, window="hann", frequency_scale=0.8)
    assert float((apply(p) * q).sum()) == pytest.approx(float((p * apply(q)).sum()), rel=1e-12)
    p.requires_grad_(True)
    assert torch.autograd.gradcheck(apply, (p,))
    assert torch.autograd.gradgradcheck(apply, (p,))


def test_float32_agrees_with_float64_and_shapes_and_input_stay() -> None:
    p = torch.rand(2, 1, 7, 3, 50, generator=torch.Generator().manual_seed(2))
    before = p.clone()
    q = ramp_filter(p, pixel_mm=1.0)
    assert q.shape == p.shape and q.dtype == torch.float32 and torch.equal(p, before)
    torch.testing.assert_close(q.double(), ramp_filter(p.double(), pixel_mm=1.0), atol=1e-6, rtol=1e-5)  # float32 rounding


def test_many_rows_in_parts_give_the_same_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_MATRIX_COLS", 0)
    p = torch.rand(2, 30, 20, generator=torch.Generator().manual_seed(3))
    whole = ramp_filter(p, pixel_mm=1.0)
    monkeypatch.setattr(filters, "_CHUNK_VALUES", 200)
    torch.testing.assert_close(ramp_filter(p, pixel_mm=1.0), whole, rtol=1e-6, atol=1e-7)


def test_errors_say_what_is_expected() -> None:
    p = torch.zeros(4, 8)
    with pytest.raises(ConfigError, match=r"unknown window 'han'; did you mean 'hann'\?"):
        ramp_filter(p, pixel_mm=1.0, window="han")
    for scale in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="fraction of Nyquist"):
            ramp_filter(p, pixel_mm=1.0, frequency_scale=scale)
    with pytest.raises(GeometryError, match="one of pixel_mm"):
        ramp_filter(p)
    with pytest.raises(GeometryError, match="spacing > 0"):
        ramp_filter(p, pixel_mm=-1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_matrix_of_short_rows_and_the_fft_of_long_ones_agree(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    gen = torch.Generator().manual_seed(4)
    p, views, rays, cols = (torch.rand(s, generator=gen, dtype=dtype) for s in ((2, 1, 9, 4, 30), (9, 1, 30), (4, 30), (30,)))
    apply = lambda: ramp_filter(p, pixel_mm=0.7, window="hann", factors=(views, rays, cols), pad=(5, 2))
    short = apply()
    with_gradient = ramp_filter(
        p.clone().requires_grad_(True), pixel_mm=0.7, window="hann", factors=(views, rays, cols), pad=(5, 2)
    )
    monkeypatch.setattr(filters, "_MATRIX_COLS", 0)
    long = apply()
    assert long.shape == (2, 1, 9, 4, 37)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14  # rounding of sums of 30 and of a transform of 80 values
    for other in (short, with_gradient.detach()):
        assert float((other - long).norm() / long.norm()) < tolerance


@pytest.mark.parametrize("window", ["ram-lak", "hann"])
@pytest.mark.parametrize("pad", [(0, 0), (3, 0), (4, 1)])
@pytest.mark.parametrize("cols", [1, 2, 30, 75, 300])
def test_compiled_filtering_agrees_with_the_matrix_in_float64_for_any_threads(
    cols: int, pad: tuple[int, int], window: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernels().library is None:
        pytest.skip("no compiled kernels here")
    served = []
    monkeypatch.setattr(filters, "convolve_rows", lambda *a, **k: served.append(q := convolve_rows(*a, **k)) or q)
    gen = torch.Generator().manual_seed(6)
    p, views, rays = (torch.rand(s, generator=gen) for s in ((2, 1, 5, 4, cols), (5, 1, cols), (4, cols)))
    apply = lambda p, *factors: ramp_filter(p, pixel_mm=0.7, window=window, pad=pad, factors=factors)
    wanted = apply(p.double(), views.double(), rays.double())
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(apply(p, views, rays))
    finally:
        torch.set_num_threads(before)
    assert float((found[0] - wanted).norm() / wanted.norm()) < 1e-6  # rounding of products and sums to 6e-8 each
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    assert torch.equal(found[0][1:], apply(p[1:], views, rays))
    assert [q is not None for q in served] == [False, True, True, True, True]  # float64 takes the matrix


@pytest.mark.parametrize("first", ["grad", "jvp", "vmap", "inference", "fake"])
def test_a_first_call_inside_a_transform_leaves_nothing_behind(first: str) -> None:
    cols = {"grad": 31, "jvp": 32, "vmap": 33, "inference": 34, "fake": 35}[first]  # sizes that no other test has asked for
    A = Projector(Grid((24, 24), 1.0), ParallelBeam(views=7, cols=cols, pixel_mm=1.0))
    p = torch.rand(2, 1, *A.p_shape, generator=torch.Generator().manual_seed(8))
    if first == "grad":
        torch.func.grad(lambda q: fbp(q, A).square().sum())(p)
    elif first == "jvp":
        torch.func.jvp(lambda q: fbp(q, A), (p,), (p,))
    elif first == "vmap":
        torch.vmap(lambda q: ramp_filter(q, pixel_mm=1.0))(p)
    elif first == "inference":
        with torch.inference_mode():
            fbp(p.double(), A)
    else:
        with FakeTensorMode(allow_non_fake_inputs=True):
            ramp_filter(torch.rand(2, cols), pixel_mm=1.0)
    q = p.double().requires_grad_(True)
    (gradient,) = torch.autograd.grad(fbp(q, A).square().sum(), q)
    assert bool(gradient.isfinite().all())
    torch.testing.assert_close(fbp(p, A), fbp(p.double(), A).float(), rtol=1e-4, atol=1e-5)


def test_factors_of_any_shape_that_broadcasts_and_their_gradients_pass() -> None:
    gen = torch.Generator().manual_seed(9)
    for shape, own in (((5, 4, 30), (5, 1, 30)), ((5, 4, 30), (4, 30)), ((4, 30), (4, 1)), ((30,), (30,)), ((1, 30), (4, 30))):
        p, factor = torch.rand(shape, generator=gen), torch.rand(own, generator=gen)
        wanted = ramp_filter((p * factor).double(), pixel_mm=1.0)
        torch.testing.assert_close(ramp_filter(p, pixel_mm=1.0, factors=(factor,)).double(), wanted, rtol=1e-4, atol=1e-6)
    factor = torch.rand(30, generator=gen).requires_grad_(True)
    assert ramp_filter(torch.rand(4, 30, generator=gen), pixel_mm=1.0, factors=(factor,)).requires_grad


def test_a_negative_pad_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"pad >= 0 on both sides, got \(-2, 0\)"):
        ramp_filter(torch.rand(2, 20), pixel_mm=1.0, pad=(-2, 0))


def test_a_bad_row_stays_one_row_and_transforms_and_tangents_pass_the_filter() -> None:
    p = torch.rand(3, 4, 20, generator=torch.Generator().manual_seed(7))
    apply = lambda p: ramp_filter(p, pixel_mm=1.0, factors=(torch.arange(20.0),))
    wanted = apply(p)
    torch.testing.assert_close(torch.vmap(apply)(p), wanted)
    tangent = torch.func.jvp(apply, (p,), (p,))[1]
    torch.testing.assert_close(tangent, wanted)  # linear
    torch.testing.assert_close(torch.compile(apply, backend="eager")(p), wanted)
    p[1, 2, 7] = float("nan")
    finite = torch.isfinite(apply(p)).all(-1)
    assert finite.sum() == 11 and not finite[1, 2]


def test_filtering_keeps_full_precision_where_networks_are_coarse() -> None:
    p = torch.rand(3, 40, generator=torch.Generator().manual_seed(5))
    wanted = ramp_filter(p.double(), pixel_mm=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        filtered = ramp_filter(p, pixel_mm=1.0)
    assert filtered.dtype == torch.float32
    assert float((filtered - wanted).norm() / wanted.norm()) < 1e-6  # float32 rounding; bfloat16 would give 4e-3


@pytest.mark.parametrize("pixel_mm", [0.6, 0.7, 0.9])
def test_rounding_the_matrix_leaves_the_mean_of_a_wide_object_alone(pixel_mm: float) -> None:
    p = (1 - torch.linspace(-1, 1, 736, dtype=torch.float64) ** 2).sqrt()[None].expand(4, 736).contiguous()
    wanted = ramp_filter(p, pixel_mm=pixel_mm)
    single = ramp_filter(p.float(), pixel_mm=pixel_mm).double()
    middle = slice(200, 536)
    bias = float((single - wanted)[:, middle].mean() / wanted[:, middle].mean())
    assert abs(bias) < 8e-6  # rounding of the sums leaves up to 4e-6; taps rounded one by one would leave 2e-5 and more
