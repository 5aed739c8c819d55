"""taskct's side of the comparison: `python ours.py THREADS`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import cache

import torch
from cases import BALL_PER_MM, BALL_RADIUS, CONE, CONE_256, FAN, PARALLEL
from worker import serve

import taskct
from taskct.geometry import ConeBeam, FanBeam, Grid, ParallelBeam
from taskct.physics.native.library import kernels
from taskct.physics.projector import Projector
from taskct.recon import fbp, fdk


def ball(shape: tuple[int, ...]) -> torch.Tensor:
    axes = torch.meshgrid(*[torch.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    inside = sum(a.square() for a in axes) < (BALL_RADIUS * shape[-1]) ** 2
    return BALL_PER_MM * inside.float()[None, None]


@cache
def made(name: str) -> tuple[Projector, torch.Tensor, torch.Tensor]:
    """The projector, an image and its projections."""
    if name == "parallel":
        grid = Grid((PARALLEL["pixels"],) * 2, 1.0)
        beam = ParallelBeam(views=PARALLEL["views"], cols=PARALLEL["cols"], pixel_mm=1.0)
    elif name.startswith("fan"):
        grid = Grid((FAN["pixels"],) * 2, 1.0)
        beam = FanBeam(
            views=FAN["views"],
            cols=FAN["cols"],
            pixel_mm=FAN["pixel_mm"],
            source_iso_mm=FAN["source_iso_mm"],
            source_detector_mm=FAN["source_iso_mm"] + FAN["iso_detector_mm"],
            curved=name == "fan curved",
        )
    else:
        case = CONE if name == "cone" else CONE_256
        grid = Grid((case["voxels"],) * 3, 1.0)
        beam = ConeBeam(
            views=case["views"],
            cols=case["cols"],
            rows=case["cols"],
            pixel_mm=case["pixel_mm"],
            source_iso_mm=case["source_iso_mm"],
            source_detector_mm=case["source_detector_mm"],
        )
    with warnings.catch_warnings():  # the fan cuts the corners off, as in published comparisons
        warnings.simplefilter("ignore")
        A = Projector(grid, beam)
    mu = ball(grid.shape)
    return A, mu, A(mu)


def offers() -> dict[str, Callable[[], torch.Tensor]]:
    found: dict[str, Callable[[], torch.Tensor]] = {}
    for name in ("parallel", "fan", "fan curved", "cone", "cone 256"):
        filtered = fdk if name.startswith("cone") else fbp
        found[f"{name}/forward"] = lambda name=name: made(name)[0](made(name)[1])[0, 0]
        found[f"{name}/adjoint"] = lambda name=name: made(name)[0].adjoint(made(name)[2])[0, 0]
        found[f"{name}/backproject"] = lambda name=name: made(name)[0].voxel_backproject(made(name)[2])[0, 0]
        found[f"{name}/fbp"] = lambda name=name, filtered=filtered: filtered(made(name)[2], made(name)[0])[0, 0]
        found[f"{name}/forward of 16"] = lambda name=name: made(name)[0](made(name)[1].expand(16, *made(name)[1].shape[1:]))
    return found


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve(offers(), {"taskct": taskct.__version__, "torch": torch.__version__, "kernels": kernels().level})
