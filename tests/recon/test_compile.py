"""torch.compile of `fbp` and of the built-in networks gives the eager result; their set-up is not traced."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from taskct.geometry import FanBeam, Grid, ParallelBeam
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import ItNet, LearnedPrimalDual, fbp_redcnn, fbp_unet

MODELS: dict[str, Callable[[], Callable]] = {
    "fbp": lambda: fbp,
    "fbp_unet": lambda: fbp_unet(widths=(4, 8)).eval(),
    "fbp_redcnn": lambda: fbp_redcnn(filters=4).eval(),
    "LearnedPrimalDual": lambda: LearnedPrimalDual(iterations=2, width=4).eval(),
    "ItNet": lambda: ItNet(widths=(4, 8), iterations=2).eval(),
}
BEAMS = {
    "parallel": ParallelBeam(views=20, cols=40, pixel_mm=1.0),
    "offset fan": FanBeam(views=20, cols=30, pixel_mm=2.4, source_iso_mm=90, source_detector_mm=170, col_offset_mm=8.0),
}


@pytest.mark.parametrize(
    ("name", "beam"),
    [("fbp", "parallel"), ("fbp", "offset fan"), ("fbp_unet", "offset fan"), ("fbp_redcnn", "parallel"), ("ItNet", "parallel"),
     ("LearnedPrimalDual", "offset fan")],
)  # fmt: skip
def test_a_compiled_reconstructor_gives_the_bytes_of_the_eager_one(name: str, beam: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    A = Projector(Grid((24, 24), 1.0), BEAMS[beam])
    p = torch.rand(2, 1, *A.p_shape)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    fresh = Projector(A.grid, A.beam)  # nothing of it is set up yet
    assert torch.equal(compiled(p, fresh), model(p, A))
    q = p.clone().requires_grad_(True)
    (there,) = torch.autograd.grad(compiled(q, fresh).square().sum(), q)
    (here,) = torch.autograd.grad(model(q, A).square().sum(), q)
    torch.testing.assert_close(there, here)


def test_a_compiled_reconstructor_still_refuses_bad_projections() -> None:
    A = Projector(Grid((24, 24), 1.0), BEAMS["parallel"])
    p = torch.rand(1, 1, *A.p_shape)
    compiled = torch.compile(fbp, backend="eager")
    compiled(p, A)
    with pytest.raises(ValueError, match="1 NaN"):
        compiled(torch.where(p == p.max(), float("nan"), p), A)
