"""What all reconstructors say of their arguments: types, order, empty batches, units."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.core.units import UnitsWarning
from taskct.geometry import FanBeam, Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import RECONSTRUCTORS, fbp
from taskct.recon.checks import check_count, check_image, check_number
from taskct.recon.learned import ItNet, LearnedPrimalDual, fbp_redcnn, fbp_unet
from taskct.simulate import simulate_scan

GRID, BEAM = Grid((16, 16), 1.0), ParallelBeam(views=12, cols=24, pixel_mm=1.0)
LEARNED = {
    "FBPNet": lambda: fbp_unet(widths=(4, 8)),
    "RED-CNN": lambda: fbp_redcnn(filters=4),
    "ItNet": lambda: ItNet(widths=(4, 8), iterations=2),
    "LearnedPrimalDual": lambda: LearnedPrimalDual(iterations=1, width=4),
}
METHODS: dict[str, Callable] = {name: one for name, one in RECONSTRUCTORS.items() if name != "fdk"}


@pytest.fixture(params=[*METHODS, *LEARNED])
def solve(request: pytest.FixtureRequest) -> Callable:
    return METHODS[request.param] if request.param in METHODS else LEARNED[request.param]()


def test_an_empty_batch_is_refused_in_one_line_by_every_reconstructor_and_the_projector(solve: Callable) -> None:
    A = Projector(GRID, BEAM)
    with pytest.raises(GeometryError, match=r"expects at least one image in p, got an empty batch \(0, 1, 12, 24\)"):
        solve(torch.zeros(0, 1, 12, 24), A)
    with pytest.raises(GeometryError, match=r"at least one image in mu, got an empty batch"):
        A(torch.zeros(0, 1, 16, 16))
    with pytest.raises(GeometryError, match=r"at least one image in p, got an empty batch"):
        A.adjoint(torch.zeros(0, 1, 12, 24))
    with pytest.raises(GeometryError, match=r"at least one image in mu, got an empty batch"):
        simulate_scan(torch.zeros(0, 1, 16, 16), A, Dose(1e4), seed=0)


def test_numpy_arrays_and_arguments_that_changed_places_are_told_so(solve: Callable) -> None:
    A = Projector(GRID, BEAM)
    p = A(torch.full((1, 1, 16, 16), 0.02))
    with pytest.raises(GeometryError, match=r"pass torch.from_numpy\(p\).float\(\)$"):
        solve(p.numpy(), A)
    with pytest.raises(GeometryError, match=r"pass torch.from_numpy\(p\).float\(\)\[None, None\]$"):
        solve(p[0, 0].numpy(), A)
    with pytest.raises(InputError, match=r"expects the projections first and the projector second; call \w+\(p, A\)"):
        solve(A, p)
    with pytest.raises(InputError, match=r"expects A as a taskct.Projector, got a ParallelBeam; A = Projector\(grid, beam\)"):
        solve(p, BEAM)


@pytest.mark.parametrize("kind", ["coo", "csr of one image", "nested"])
def test_tensors_that_are_not_dense_are_refused_with_the_call_that_helps(solve: Callable, kind: str) -> None:
    A = Projector(GRID, BEAM)
    make = {
        "coo": lambda x: x.to_sparse(),
        "csr of one image": lambda x: x[0, 0].to_sparse_csr(),
        "nested": lambda x: torch.nested.nested_tensor([x[0], x[0]]),
    }[kind]
    p, mu = torch.zeros(1, 1, *A.p_shape), torch.zeros(1, 1, *A.mu_shape)
    calls = (lambda: solve(make(p), A), lambda: A(make(mu)), lambda: A.adjoint(make(p)))
    for call in (
        *calls,
        lambda: simulate_scan(make(mu), A, Dose(1e5), seed=0),
        lambda: RECONSTRUCTORS["sirt"](p, A, start=make(mu)),
    ):
        with pytest.raises(GeometryError, match=r"as a dense tensor, got .*; call \.to_dense\(\)"):
            call()


def test_the_projector_and_the_simulation_say_the_same_of_arrays() -> None:
    A, image = Projector(GRID, BEAM), torch.full((16, 16), 0.02)
    for call in (A, lambda x: simulate_scan(x, A, Dose(1e4), seed=0)):
        with pytest.raises(
            GeometryError, match=r"got a numpy array of shape \(16, 16\); pass torch.from_numpy\(mu\).float\(\)\[N"
        ):
            call(image.numpy())
    with pytest.raises(GeometryError, match=r"Projector expects a Grid first, then a beam, got a ParallelBeam"):
        Projector(BEAM, GRID)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"simulate_scan\(mu, A, dose, seed=0\) expects A as a taskct.Projector, got a Parallel"
    ):
        simulate_scan(image[None, None], BEAM, Dose(1e4), seed=0)  # type: ignore[arg-type]


def shepp_logan_from_0_to_1(size: int) -> torch.Tensor:
    from taskct.phantoms.exact.shepp_logan import shepp_logan

    return shepp_logan(radius_mm=size / 2, mu_per_mm=1.0).rasterise(Grid((size, size), 1.0))


@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_shepp_logan_from_0_to_1_on_pixels_of_1_is_reconstructed_with_one_warning(size: int, beam: str) -> None:
    image = shepp_logan_from_0_to_1(size)
    far = {"source_iso_mm": 3.0 * size, "source_detector_mm": 4.0 * size}
    of = {
        "parallel": ParallelBeam(views=2 * size, cols=round(1.5 * size), pixel_mm=1.0),
        "fan": FanBeam(views=2 * size, cols=2 * size, pixel_mm=1.0, **far),
    }
    A = Projector(Grid((size, size), 1.0), of[beam])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p = A(image)  # a linear map: the unit does not matter
    with pytest.warns(UnitsWarning, match=r"fbp got projections from .* taken as they are.*scale mu to 1/mm") as caught:
        mu = fbp(p, A)
        fbp(p, A, window="hann")
    assert len(caught) == 1
    inside = image[0, 0] > 0
    assert float((mu - image)[0, 0][inside].abs().median()) < 0.02
    assert float(mu[0, 0][inside].mean()) == pytest.approx(float(image[0, 0][inside].mean()), rel=0.04)  # a skull of 2 pixels
    with pytest.raises(UnitsError, match=r"scale it to 1/mm: mu \* 0.1 if that is soft tissue"):
        simulate_scan(image, A, Dose(1e5), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fbp(simulate_scan(image * 0.02, A, Dose(1e5), seed=0), replace_beam(A))


def replace_beam(A: Projector) -> Projector:
    """A projector that was not warned of yet."""
    return Projector(A.grid, replace(A.beam, start_deg=0.0))


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1.0, 1e3, 1e6])
def test_reconstruction_takes_any_unit_and_scales_with_it(factor: float) -> None:
    A = Projector(GRID, BEAM)
    mu = torch.zeros(1, 1, 16, 16)
    mu[..., 5:11, 4:12] = 0.02
    p = A(mu)
    for name in ("fbp", "sirt", "cgls", "os_sart", "tv_min"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, other = (RECONSTRUCTORS[name](x, A) for x in (p, p * factor))
        torch.testing.assert_close(
            other / factor, one, rtol=0.05, atol=0.02 * 0.02, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_quiet_scan_warns_of_nothing_and_hu_are_refused_by_the_projector() -> None:
    A = Projector(GRID, BEAM)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fbp(A(torch.full((1, 1, 16, 16), 0.02)), A)
    hu = torch.full((1, 1, 16, 16), -1000.5)
    hu[..., 4:12, 4:12] = 33.3
    with pytest.raises(UnitsError, match=r"look like HU .* see taskct.to_mu"):
        A(hu)
    with pytest.warns(UnitsWarning, match=r"fbp got projections from -\d+"):
        fbp(A(hu.requires_grad_(True)).detach(), A)
    with pytest.warns(UnitsWarning, match="if they are counts"):
        fbp(torch.rand(1, 1, 12, 24) * 1e5, Projector(GRID, BEAM))


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e12])
def test_tv_takes_weights_of_any_size(size: float) -> None:
    from taskct.recon import tv_min

    A = Projector(GRID, BEAM)
    mu = torch.zeros(1, 1, 16, 16)
    mu[..., 5:11, 4:12] = 0.02
    p = A(mu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tv_min(p, A, weights=torch.full_like(p, size))
    assert bool(torch.isfinite(found).all())
    if size > 1:
        assert float((found - mu).abs().max()) < 0.012


def test_a_scan_without_noise_counts_as_noisy_by_a_ten_thousandth_of_its_largest_value() -> None:
    from taskct.recon.noise_level import noise_level

    p = torch.zeros(3, 1, 12, 24)
    p[0], p[1] = 5.0, -3.0
    for part in (p, p[..., :2]):  # two columns have no second difference
        torch.testing.assert_close(noise_level(part).flatten(), torch.tensor([5e-4, 3e-4, 1.0]))


def test_arrays_beside_the_scan_are_answered_with_the_line_that_helps():
    A = Projector(Grid((8, 8), 4.0), ParallelBeam(views=6, cols=12, pixel_mm=4.0))
    p = A(torch.full((1, 1, 8, 8), 0.02))
    with pytest.raises(GeometryError, match=r"sirt expects start as a torch tensor.*torch\.from_numpy\(start\)\.float\(\)"):
        RECONSTRUCTORS["sirt"](p, A, start=np.zeros((1, 1, 8, 8)))
    with pytest.raises(GeometryError, match=r"tv_min expects weights as a torch tensor.*torch\.as_tensor\(weights\)"):
        RECONSTRUCTORS["tv_min"](p, A, weights=[1.0])


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((1, 1, 8, 8), True), ((2, 1, 8, 8), True), ((3, 1, 8, 8), False), ((2, 2, 8, 8), False), ((8, 8), False),
        ((1, 8, 8), False), ((1, 1, 1, 8, 8), False), ((1, 1, 8, 9), False), ((1, 1, 9, 8), False),
    ],
)  # fmt: skip
def test_an_image_beside_the_scan_is_one_for_all_or_one_for_each(shape, fits):
    A = Projector(Grid((8, 8), 4.0), ParallelBeam(views=6, cols=12, pixel_mm=4.0))
    p, mu = A(torch.full((2, 1, 8, 8), 0.02)), torch.rand(shape)
    if fits:
        found = check_image(mu.double(), p, A, who="sirt")
        assert found.shape == (2, 1, 8, 8) and found.dtype == p.dtype and torch.equal(found, mu.expand(2, 1, 8, 8))
        return
    with pytest.raises(GeometryError, match=r"sirt expects start of shape \(2, 1, 8, 8\), got .* make it on A.grid"):
        check_image(mu, p, A, who="sirt")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_image_that_is_not_finite_is_refused_by_its_name(bad):
    A = Projector(Grid((8, 8), 4.0), ParallelBeam(views=6, cols=12, pixel_mm=4.0))
    mu = torch.zeros(1, 1, 8, 8)
    mu[..., 3, 4] = bad
    with pytest.raises(UnitsError, match="tv_min expects a finite prior in 1/mm"):
        check_image(mu, A(torch.zeros(1, 1, 8, 8)), A, who="tv_min", name="prior")


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
def test_a_count_is_a_whole_number_from_its_least_on(value):
    with pytest.raises(ConfigError, match="cgls expects iterations as a whole number of at least 1"):
        check_count(value, who="cgls")
    assert check_count(1, who="cgls") == 1 and check_count(0, who="cgls", least=0) == 0


def test_a_number_lies_within_its_open_or_closed_bounds():
    bounded = partial(check_number, who="tv", name="strength")
    assert (
        bounded(0, least=0.0) == 0.0 and bounded(1e-300, above=0.0) == 1e-300 and bounded(0.99, above=0.0, below=1.0) == 0.99
    )
    for value, bounds, words in (
        (0.0, {"above": 0.0}, "> 0, got 0.0"),
        (-0.1, {"least": 0.0}, ">= 0, got -0.1"),
        (1.0, {"least": 0.0, "below": 1.0}, ">= 0 and < 1, got 1.0"),
        (math.nan, {"least": 0.0}, ">= 0, got nan"),
        (math.inf, {"above": 0.0}, "> 0, got inf"),
        (True, {"least": 0.0}, ">= 0, got True"),
        ("1", {"least": 0.0}, ">= 0, got '1'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(f"tv expects strength {words}")):
            bounded(value, **bounds)
