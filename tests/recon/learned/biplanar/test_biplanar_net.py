"""What holds for every preset of bi-planar networks, and what single blocks promise.

A new preset gets these tests by its name in BIPLANAR.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError
from taskct.core.runs import Run
from taskct.geometry import Grid, bi_planar
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.learned import BIPLANAR, BiPlanarNet, load_reconstructor, make_model, preset_config

N = 16
SMALL = [name for name in BIPLANAR if name != "psct"]


def radiographs(*angles_deg: float, n: int = N) -> Projector:
    """Views from some angles that see the whole grid."""
    beam = bi_planar(cols=n, rows=n, pixel_mm=384.0 / n, source_iso_mm=1000, source_detector_mm=1500, angles_deg=angles_deg)
    return Projector(Grid((n, n, n), 192.0 / n), beam)


A = radiographs(0, 90)


def small(name: str, **changes: Any) -> BiPlanarNet:
    """A preset, narrow and with two levels less to fold."""
    torch.manual_seed(0)
    config = preset_config(name, **{"widths": [4, 8], "heads": 4, "prior": [N, N, N], **changes})
    model = make_model(config)
    assert isinstance(model, BiPlanarNet)
    if model.prior is not None:
        model.set_prior(torch.full((1, 1, N, N, N), 0.01))
    return model


def scans(count: int, seed: int = 0) -> Tensor:
    """Radiographs (count, 1, 2, N, N) of order 1."""
    return 3 * torch.rand((count, 1, 2, N, N), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", SMALL)
def test_a_preset_gives_volumes_and_its_gradient_reaches_every_weight_with_one_geometry_and_with_several(name: str) -> None:
    model = small(name)
    p = scans(2).requires_grad_()
    for geometry in (A, Projectors([A, radiographs(8, 95)])):
        model.zero_grad()
        mu = model(p, geometry)
        assert mu.shape == (2, 1, N, N, N) and mu.dtype == torch.float32
        (gradient,) = torch.autograd.grad(mu.square().sum(), p, retain_graph=True)
        assert float(gradient.abs().max()) > 0
        (1e3 * mu).square().mean().backward()
        still = [n for n, w in model.named_parameters() if w.requires_grad and (w.grad is None or not w.grad.any())]
        assert still == []


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_is_its_images_one_by_one_and_one_geometry_is_several_equal_ones(name: str) -> None:
    model, p = small(name).eval(), scans(2)
    together = model(p, A)
    assert torch.allclose(together[1:], model(p[1:], A), atol=1e-6)
    assert torch.allclose(together, model(p, Projectors([A, A])), atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_a_saved_run_rebuilds_the_network_from_plain_values(name: str, tmp_path: Path) -> None:
    model = small(name).eval()
    config = {
        "model": preset_config(name, widths=[4, 8], heads=4, prior=[N, N, N]),
        "beam": beam_to_config(A.beam),
        "grid": {"shape": [N, N, N], "spacing_mm": [12.0, 12.0, 12.0]},
    }
    run = Run.create(tmp_path / "run", config)
    run.save_tensors("weights.safetensors", model.state_dict())
    loaded, p = load_reconstructor(tmp_path / "run"), scans(1)
    assert torch.equal(loaded(p, A), model(p, A))  # with its prior
    with pytest.raises(GeometryError, match="was trained for another scan"):
        loaded(p, radiographs(8, 95))


def test_what_uses_the_geometry_answers_by_it_and_copies_along_an_axis_do_not() -> None:
    p, turned = scans(1), radiographs(8, 98)
    for name in ("smear", "rays", "unrolled", "smear-agree", "repeat-agree"):
        model = small(name).eval()
        assert not torch.allclose(model(p, A), model(p, turned), atol=1e-6), name
    for name in ("repeat", "x2ct", "attention"):
        model = small(name).eval()
        assert torch.equal(model(p, A), model(p, turned)), name
    model = small("released-geometry").eval()
    assert torch.equal(model(p, A), model(p, turned))


@pytest.mark.parametrize("name", ["smear-agree", "unrolled"])
def test_agreement_inside_brings_the_answer_nearer_to_the_radiographs(name: str) -> None:
    truth = torch.zeros(1, 1, N, N, N)
    truth[..., 4:12, 5:11, 4:12] = 0.03
    p = A(truth)
    with_it, without = small(name).eval(), small("smear").eval()
    misfit = lambda mu: float((A(mu).detach() - p).square().mean())
    assert misfit(with_it(p, A)) < 0.2 * misfit(without(p, A))


def test_the_fused_decoder_answers_for_each_view_too_and_trains_those_answers_on_demand() -> None:
    p = scans(1)
    model = small("x2ct", view_answers=True)
    answers = model.outputs(p, A)
    assert [a.shape for a in answers] == [(1, 1, N, N, N)] * 3
    torch.stack(answers).square().mean().backward()
    assert all(w.grad is not None and w.grad.any() for w in model.nets[0].decoder.outs.parameters())
    assert not any(w.requires_grad for w in small("x2ct").nets[0].decoder.outs[1:].parameters())
    assert len(small("smear").outputs(p, A)) == 1


def test_an_untrained_network_starts_near_its_prior() -> None:
    mu = small("smear").eval()(scans(1), A)
    assert float((mu - 0.01).abs().mean()) < 0.003


def test_a_centred_network_sees_only_what_differs_from_its_prior() -> None:
    model = small("smear", centred=True).eval()
    usual = A(torch.full((1, 1, N, N, N), 0.01))
    seen: list[Tensor] = []
    model.nets[0].register_forward_pre_hook(lambda module, given: seen.extend(given[:2]))
    model(usual, A)
    assert all(float(one.abs().max()) < 1e-5 for one in seen)


def test_more_views_than_two_are_a_setting() -> None:
    three = radiographs(0, 60, 120)
    p = torch.rand(1, 1, 3, N, N)
    for name in ("smear", "unrolled", "repeat", "psct-small"):
        assert small(name, views=3)(p, three).shape == (1, 1, N, N, N)
    with pytest.raises(GeometryError, match="made for 2 views, got 3"):
        small("smear")(p, three)


def test_the_released_configuration_has_the_published_widths() -> None:
    net = make_model(preset_config("psct"))
    assert isinstance(net, BiPlanarNet)
    inner = net.nets[0]
    assert inner.view_encoders[0].widths == (64, 128, 256, 512, 512, 704)
    assert inner.volume_encoder.widths == (16, 16, 32, 64, 128, 256)
    assert [tuple(q.queries.shape) for q in inner.queries] == [(64, 256)] * 2
    assert all(q.key_code is None for q in inner.queries)
    assert net.geometry == "released" and net.positive and net.prior is None


def test_the_small_published_network_has_about_as_many_weights_as_the_unrolled_one() -> None:
    count = lambda name: sum(w.numel() for w in make_model(preset_config(name)).parameters())
    ours, theirs = count("unrolled"), count("psct-small")
    assert abs(theirs / ours - 1) < 0.1


def test_blocks_that_do_not_fit_together_are_refused_with_what_to_do() -> None:
    for wrong, words in (
        ({"lift": ("ray",)}, "did you mean 'rays'"),
        ({"lift": ("attention",)}, "second lift"),
        ({"lift": ("smear", "smear")}, "different lifts"),
        ({"decoder": "fused"}, "branch for each view"),
        ({"encoder": "dense"}, "six widths"),
        ({"core": "mamba"}, "core"),
        ({"agree": "first"}, "agreement"),
        ({"geometry": "wrong"}, "geometry"),
        ({"norm": "group"}, "crawl away from the mean image"),
        ({"widths": (8,)}, "two widths"),
        ({"dropout": 1.0}, "dropout"),
        ({"stages": 0}, "stages"),
        ({"centred": True}, "needs one"),
        ({"films": "png"}, "kind of films"),
        ({"films": "8-bit", "agree": "last"}, "say nothing of how much a head attenuates"),
        ({"films": "8-bit", "centred": True, "prior": (N, N, N)}, "not centred, got agree 'none' and centred True"),
    ):
        with pytest.raises(ConfigError, match=words):
            BiPlanarNet(**wrong)  # type: ignore[arg-type]


def test_a_network_of_8_bit_films_knows_neither_gain_nor_offset_of_a_film() -> None:
    model, told = (small("psct-small", films=kind, centred=False).eval() for kind in ("8-bit", "line integral"))
    p, dulled = scans(1), 0.5 * scans(1) + 0.7
    with torch.no_grad():
        assert torch.equal(model(p, A), model(dulled, A)) and not torch.allclose(told(p, A), told(dulled, A))
        other = p.clone()
        other[..., 3, 4] = 2.9 - other[..., 3, 4]
        assert not torch.equal(model(p, A), model(other, A))


def test_scans_that_do_not_fit_are_refused_with_what_to_do() -> None:
    with pytest.raises(GeometryError, match=r"divide by 8, got \(12, 12, 12\)"):
        BiPlanarNet(widths=(4, 4, 8))(torch.zeros(1, 1, 2, 12, 12), radiographs(0, 90, n=12))
    with pytest.raises(GeometryError, match="prior of"):
        small("smear")(torch.zeros(1, 1, 2, 32, 32), radiographs(0, 90, n=32))
    with pytest.raises(GeometryError, match="expects radiographs"):
        small("smear")(torch.zeros(1, 2, 2, N, N), A)
    with pytest.raises(GeometryError, match="expects a prior of shape"):
        small("smear").set_prior(torch.zeros(1, 1, 8, 8, 8))
