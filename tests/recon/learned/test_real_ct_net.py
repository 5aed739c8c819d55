"""The reconstructor for real CT: one answer whatever the pixel, any dose, its options, and what its guard says."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError, UnitsError
from taskct.core.units import to_hu_unchecked, to_mu
from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned import make_model
from taskct.recon.learned.cubic_resampling import resample_cubic
from taskct.recon.learned.known_inputs import UnknownInputWarning
from taskct.recon.learned.real_ct_net import RealCT, inner_grid, inner_projector

FAN = FanBeam(views=420, cols=180, pixel_mm=1.2858, source_iso_mm=595.0, source_detector_mm=1085.6, curved=True)
GRID = Grid((96, 96), 1.0)
A = Projector(GRID, FAN)
KNOWN = {"noise_hu": [3.0, 300.0], "texture": [0.9, 1.05], "body_hu": [-60.0, 120.0]}


def body(grid: Grid, *, hu: float = 40.0) -> Tensor:
    """An ellipse of soft tissue with a denser rod, mu in 1/mm."""
    y, x = (torch.from_numpy(a).float() for a in grid.axes_mm()[-2:])
    inside = (x[None, :] / 40) ** 2 + (y[:, None] / 32) ** 2 < 1
    rod = (x[None, :] - 14) ** 2 + y[:, None] ** 2 < 36
    return to_mu(torch.where(rod & inside, hu + 200.0, torch.where(inside, hu, -1000.0)))[None, None]


def scan(A: Projector, *, photons: float = 2e5, seed: int = 0, **how: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    p = A(body(A.grid, **how))
    return p + torch.randn(p.shape, generator=generator) * (torch.exp(p) / photons).sqrt()


def network(**settings: object) -> RealCT:
    """A network that does something: its last convolution is not zero."""
    torch.manual_seed(0)
    model = RealCT(widths=(8, 12), **settings)  # type: ignore[arg-type]
    nn.init.normal_(model.net.out.weight, std=0.02)
    return model.eval()


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_the_answer_is_the_same_whatever_the_pixel() -> None:
    model, fine = network(), Grid((128, 128), 0.75)
    truth = scan(Projector(fine, FAN))
    on_inner = model(truth, Projector(fine, FAN))
    for grid in (Grid((192, 192), 0.5), Grid((120, 120), 0.8), Grid((64, 64), 1.5)):
        found = model(truth, Projector(grid, FAN))
        assert torch.allclose(found, resample_cubic(on_inner, fine, grid), atol=1e-6)
    assert inner_grid(fine) is fine and inner_projector(Projector(fine, FAN)).grid.spacing_mm == (0.75, 0.75)


def test_blend_0_is_fbp_with_a_hann_window_and_1_the_network_and_between_lies_between() -> None:
    p, model = scan(A), network()
    alone = model(p, A)
    model.blend = 0
    assert torch.equal(model(p, A), fbp(p, A, window="hann"))
    model.blend = 0.25
    assert torch.allclose(model(p, A), 0.25 * alone + 0.75 * fbp(p, A, window="hann"), atol=1e-7)
    for wrong in (-0.1, 1.1, math.nan, True):
        with pytest.raises(ConfigError, match="blend >= 0 and <= 1, got"):
            model.blend = wrong  # type: ignore[assignment]


def test_the_network_scales_with_image_and_noise() -> None:
    model = network()
    hu, noise = 30 * torch.randn(1, 1, 40, 40), torch.rand(1, 1, 40, 40) * 20 + 5
    one = model.correct(hu, noise)
    assert torch.allclose(model.correct(4 * hu, 4 * noise), 4 * one, rtol=1e-4, atol=1e-3)
    assert float((one - hu).abs().max()) > 0.5


def test_averaging_eight_turns_gives_an_answer_that_turns_with_the_image() -> None:
    model = network(flips=8)
    hu, noise = 30 * torch.randn(1, 1, 40, 40), torch.rand(1, 1, 40, 40) * 20 + 5
    turned = model.correct(hu.rot90(1, (2, 3)), noise.rot90(1, (2, 3)))
    assert torch.allclose(turned, model.correct(hu, noise).rot90(1, (2, 3)), atol=0.3)
    model.flips = 1
    assert not torch.allclose(model.correct(hu.flip(3), noise.flip(3)), model.correct(hu, noise).flip(3), atol=0.3)
    with pytest.raises(ConfigError, match="flips of 1, 2, 4, 8"):
        model.flips = 3


def test_a_scan_of_few_views_gets_its_noise_from_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("noise_from_halves", "noise_from_image"):
        real = getattr(__import__("taskct.recon.learned.noise_map", fromlist=[name]), name)
        monkeypatch.setattr(
            f"taskct.recon.learned.real_ct_net.{name}", lambda x, h, n=name, f=real: (asked.append(n), f(x, h))[1]
        )
    few = Projector(GRID, FanBeam(views=90, cols=180, pixel_mm=1.2858, source_iso_mm=595.0, source_detector_mm=1085.6))
    assert bool(torch.isfinite(network()(scan(few), few)).all()) and asked == ["noise_from_image"]
    network()(scan(A), A)
    assert asked == ["noise_from_image", "noise_from_halves"]
    with pytest.warns(UnknownInputWarning, match="streaks of 90 views"):
        network(known=KNOWN)(scan(few), few)


def test_scans_and_images_in_float64_are_corrected_as_those_in_float32() -> None:
    model, p = network(), scan(A)
    found = model(p.double(), A)
    assert found.dtype == torch.float64
    assert (
        float((to_hu_unchecked(found) - to_hu_unchecked(model(p, A))).abs().max()) < 2.0
    )  # the net itself may run in bfloat16
    image = fbp(p, A)
    assert model.from_image(image.double(), pixel_mm=1.0).dtype == torch.float64


def test_an_image_without_its_scan_is_corrected_too() -> None:
    image = fbp(scan(A), A)
    found = network().from_image(image, pixel_mm=1.0)
    assert found.shape == image.shape and float(to_hu_unchecked(found - image + 0.01929).abs().max()) < 500
    untrained = RealCT(widths=(8, 12)).from_image(image, pixel_mm=1.0)
    assert float(to_hu_unchecked(found - untrained + 0.01929).abs().max()) > 0.5
    with pytest.raises(UnitsError, match="look like HU"):
        network().from_image(to_hu_unchecked(image), pixel_mm=1.0)
    with pytest.raises(GeometryError, match=r"\(B, 1, Y, X\)"):
        network().from_image(image[0], pixel_mm=1.0)


def test_nan_counts_and_poses_without_a_formula_are_refused() -> None:
    p = scan(A)
    p[0, 0, 3, 3] = math.nan
    with pytest.raises(UnitsError, match="1 NaN or infinite"):
        network()(p, A)
    poses = FAN.poses()
    names = ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction")
    free = VectorBeam(rows=poses.rows, cols=poses.cols, **{n: getattr(poses, n) for n in names})
    F = Projector(GRID, free)
    with pytest.raises(GeometryError, match="no formula"):
        network()(scan(A), F)


def test_parallel_rays_views_in_part_volumes_and_batches_work() -> None:
    model = network()
    parallel = Projector(GRID, ParallelBeam(views=420, cols=140, pixel_mm=0.9))
    assert model(scan(parallel), parallel).shape == (1, 1, 96, 96)
    half = A.subset(slice(0, None, 2))
    assert bool(torch.isfinite(model(scan(A)[:, :, ::2], half)).all())
    two = torch.cat([scan(A), scan(A, seed=1)])
    assert torch.allclose(model(two, A)[1:], model(two[1:], A), atol=1e-7)
    cone = ConeBeam(views=410, cols=90, rows=4, pixel_mm=2.5, row_mm=4.0, source_iso_mm=595.0, source_detector_mm=1085.6)
    V = Projector(Grid((3, 64, 64), (2.0, 1.5, 1.5)), cone)
    p = V(body(Grid((64, 64), 1.5))[:, :, None].expand(1, 1, 3, 64, 64).contiguous())
    assert model(p, V).shape == (1, 1, 3, 64, 64)


def test_the_guard_speaks_on_nonsense_and_is_silent_on_a_body() -> None:
    model = network(known=KNOWN)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnknownInputWarning)
        model(scan(A), A)
        network(known={**KNOWN, "noise_hu": [40.0, 300.0]})(A(body(GRID)), A)  # little noise, whose grain tells nothing
    nonsense = {
        "no body is in it": scan(A) * 0,
        "noise of .* HU in the body": scan(A, photons=50.0),
        r"a body of .* HU \(median\)": scan(A, hu=900.0),
    }
    for words, p in nonsense.items():
        with pytest.warns(UnknownInputWarning, match=words):
            model(p, A)
    smooth = scan(A)
    smooth = sum(smooth.roll(k, -1) for k in range(-2, 3)) / 5  # a detector of five times the pixel
    with pytest.warns(UnknownInputWarning, match="another grain"):
        model(smooth, A)
    with pytest.warns(UnknownInputWarning, match="metal"):
        model(A(body(GRID) + 0.2 * (body(GRID) > 0.022)), A)


def test_a_network_of_this_kind_is_built_from_a_table_and_copied() -> None:
    model = make_model({"kind": "real_ct", "widths": [8, 12], "known": KNOWN})
    assert isinstance(model, RealCT) and model.known is not None and model.known.noise_hu == (3.0, 300.0)
    copied = copy.deepcopy(network())
    p = scan(A)
    assert torch.equal(copied(p, A), network()(p, A))
    with pytest.raises(ConfigError, match="noise_huu"):
        make_model({"kind": "real_ct", "known": {"noise_huu": [1, 2]}})


def test_gradients_reach_the_weights_and_the_scan() -> None:
    with torch.enable_grad():
        model, p = network(), scan(A).requires_grad_(True)
        model(p, A).square().sum().backward()
    assert p.grad is not None and bool(p.grad.abs().sum() > 0)
    assert all(w.grad is not None for w in model.parameters())


def test_what_changes_at_one_place_changes_the_image_there() -> None:
    """A lesion is seen where it is: beyond the reach of the network nothing but the scan's own streaks changes."""
    model = network()
    mu = body(GRID)
    lesion = mu.clone()
    lesion[..., 40:46, 30:36] -= 0.03 * 0.01929
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(A(mu).shape, generator=generator)
    change = to_hu_unchecked(model(A(lesion) + noise, A) - model(A(mu) + noise, A) + 0.01929)[0, 0]
    yy, xx = np.mgrid[:96, :96]
    far = np.hypot(yy - 42.5, xx - 32.5) > 40
    assert float(change[42, 32].abs()) > 5 and float(change[torch.from_numpy(far)].abs().max()) < 1.0
