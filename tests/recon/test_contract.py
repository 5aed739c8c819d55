"""What holds for any reconstructor and any beam: shape, dtype, inputs left alone, batch = single, repeatable, refusals.

A new reconstructor gets these tests by its name in RECONSTRUCTORS and its shortest options in SHORT.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, TaskctError, UnitsError
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.projector import Projector
from taskct.recon import RECONSTRUCTORS, ConvergenceWarning

FAR = {"pixel_mm": 2.0, "source_iso_mm": 60.0, "source_detector_mm": 120.0}
PARALLEL = ParallelBeam(views=18, cols=20, pixel_mm=1.0)
FAN = FanBeam(views=20, cols=20, **FAR)
CONE = ConeBeam(views=20, cols=20, rows=8, **FAR)


def free(beam: Beam) -> VectorBeam:
    """The same poses as a VectorBeam."""
    poses = beam.poses()
    names = ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction")
    return VectorBeam(rows=poses.rows, cols=poses.cols, **{n: getattr(poses, n) for n in names})


BEAMS: dict[str, Beam] = {
    "parallel": PARALLEL,
    "parallel stack": replace(PARALLEL, rows=6),
    "fan flat": FAN,
    "fan curved": replace(FAN, curved=True),
    "fan short": replace(FAN, arc_deg=205.0),
    "cone flat": CONE,
    "cone curved": replace(CONE, curved=True),
    "helix": replace(CONE, arc_deg=720.0, pitch_mm=3.0),
    "free fan": free(FAN),
    "free cone": free(replace(CONE, views=2, arc_deg=180.0)),
}
SHORT: dict[str, dict[str, Any]] = {
    "fbp": {},
    "fdk": {},
    "sirt": {"iterations": 3},
    "cgls": {"iterations": 3},
    "os_sart": {"iterations": 2, "subsets": 2},
    "tv_min": {"iterations": 10},
}
WITHOUT_FORMULA = ("helix", "free fan", "free cone")


def grid_for(name: str) -> Grid:
    return (
        Grid((12, 11), 1.0)
        if name in ("parallel", "fan flat", "fan curved", "fan short", "free fan")
        else Grid((6, 12, 11), 1.0)
    )


def served(method: str, beam: str) -> bool:
    if method == "fdk":
        return beam in ("cone flat", "cone curved")
    return method != "fbp" or beam not in WITHOUT_FORMULA


PAIRS = [(m, b) for m in RECONSTRUCTORS for b in BEAMS]


@pytest.fixture(autouse=True)
def _few_iterations_are_enough() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def scan(name: str, dtype: torch.dtype = torch.float32) -> tuple[Projector, Tensor]:
    A = Projector(grid_for(name), BEAMS[name])
    mu = 0.02 * torch.rand((2, 1, *A.mu_shape), generator=torch.Generator().manual_seed(0), dtype=dtype)
    return A, A(mu)


def reconstructor(method: str) -> Callable[..., Tensor]:
    return lambda p, A: RECONSTRUCTORS[method](p, A, **SHORT[method])


def test_the_list_covers_every_method_and_most_pairs_are_served() -> None:
    assert set(SHORT) == set(RECONSTRUCTORS)
    assert sum(served(m, b) for m, b in PAIRS) >= 45
    for solve in RECONSTRUCTORS.values():
        names = list(inspect.signature(solve).parameters.values())
        assert [n.name for n in names[:2]] == ["p", "A"]
        assert all(n.kind is inspect.Parameter.KEYWORD_ONLY and n.default is not inspect.Parameter.empty for n in names[2:])


@pytest.mark.parametrize(("method", "beam"), [pair for pair in PAIRS if served(*pair)])
def test_shape_dtype_and_device_follow_the_input_which_stays_as_it_was(method: str, beam: str) -> None:
    for dtype in (torch.float32, torch.float64):
        A, p = scan(beam, dtype)
        before = p.clone()
        mu = reconstructor(method)(p, A)
        assert mu.shape == (2, 1, *A.mu_shape) and mu.dtype == dtype and mu.device == p.device
        assert bool(torch.isfinite(mu).all()) and float(mu.abs().max()) > 1e-3
        assert torch.equal(p, before)
        assert not mu.requires_grad


@pytest.mark.parametrize(("method", "beam"), [pair for pair in PAIRS if served(*pair)])
def test_a_batch_gives_what_its_scans_give_alone_and_twice_the_same(method: str, beam: str) -> None:
    A, p = scan(beam, torch.float64)
    together = reconstructor(method)(p, A)
    assert torch.equal(together, reconstructor(method)(p, A))
    for k in range(2):
        torch.testing.assert_close(reconstructor(method)(p[k : k + 1], A), together[k : k + 1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", [m for m in RECONSTRUCTORS if m != "fdk"])
def test_views_in_memory_out_of_order_are_fine(method: str) -> None:
    A, p = scan("parallel", torch.float64)
    odd = p.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(reconstructor(method)(odd, A), reconstructor(method)(p, A), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("method", "beam"), [pair for pair in PAIRS if not served(*pair)])
def test_a_beam_that_is_not_served_is_refused_with_advice(method: str, beam: str) -> None:
    A, p = scan(beam)
    with pytest.raises(GeometryError, match=r"use .*(sirt|tv_min)"):
        reconstructor(method)(p, A)


@pytest.mark.parametrize("method", RECONSTRUCTORS)
def test_bad_projections_are_refused_in_one_line(method: str) -> None:
    A, p = scan("cone flat")
    solve = reconstructor(method)
    wrong: list[tuple[Tensor, type[TaskctError], str]] = [
        (
            p[:, :, 1:],
            GeometryError,
            rf"{method}|fbp expects p of shape \(B, 1, 20, 8, 20\) from its projector, got \(2, 1, 19, 8",
        ),
        (p[0], GeometryError, "p and A must come from the same beam"),
        (p.long(), GeometryError, "float32 or float64, got torch.int64"),
        (torch.where(p == p.max(), np.nan, p), UnitsError, "got 1 NaN or infinite values"),
        (torch.where(p == p.max(), np.inf, p), UnitsError, "got 1 NaN or infinite values"),
    ]
    for bad, error, text in wrong:
        with pytest.raises(error, match=text) as caught:
            solve(bad, A)
        assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("method", "beam"), [pair for pair in PAIRS if served(*pair)])
def test_a_cuda_scan_gives_the_image_of_the_cpu_on_its_device(method: str, beam: str) -> None:
    A, p = scan(beam, torch.float64)
    mu = reconstructor(method)(p.cuda(), A)
    assert mu.device.type == "cuda"
    torch.testing.assert_close(mu.cpu(), reconstructor(method)(p, A), rtol=1e-7, atol=1e-10)


def test_counts_given_as_projections_are_refused_with_advice():
    A = Projector(Grid((8, 8), 1.0), ParallelBeam(views=4, cols=12, pixel_mm=1.0))
    with pytest.raises(UnitsError, match=r"these look like counts, take -ln\(counts / counts in air\) first"):
        RECONSTRUCTORS["fbp"](torch.full((1, 1, 4, 12), 1e5), A)
