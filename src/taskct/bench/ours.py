"""taskct's side of the comparison: `python -m taskct.bench.ours THREADS`, asked by `compare`."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from taskct.bench.bench_geometries import Case
from taskct.bench.peers import ball, serve
from taskct.bench.rotate_and_sum import rotate_and_sum
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam
from taskct.physics.native.library import kernels
from taskct.physics.projector import Projector
from taskct.recon import fbp


@lru_cache(maxsize=2)
def _made(words: str, dtype: torch.dtype) -> tuple[Projector, Tensor, Tensor]:
    """The projector of a case, a ball and its projections."""
    case = json.loads(words)
    views, cols, pixel_mm = case["views"], case["cols"], case["pixel_mm"]
    shape = (case["pixels"],) * (3 if case["kind"] == "cone" else 2)
    beam: Beam
    if case["kind"] == "parallel":
        beam = ParallelBeam(views=views, cols=cols, pixel_mm=pixel_mm)
    else:
        distances = {name: case[name] for name in ("source_iso_mm", "source_detector_mm")}
        if case["kind"] == "cone":
            beam = ConeBeam(views=views, cols=cols, rows=cols, pixel_mm=pixel_mm, **distances)
        else:
            beam = FanBeam(views=views, cols=cols, pixel_mm=pixel_mm, curved=case["kind"] == "fan curved", **distances)
    with warnings.catch_warnings():  # the fan cuts the corners off, as in published comparisons
        warnings.simplefilter("ignore")
        A = Projector(Grid(shape, 1.0), beam)
    image = torch.from_numpy(ball(shape, case)).to(dtype)
    mu = image.expand(case["batch"], 1, *shape).contiguous()
    return A, mu, A(mu)


def answer(work: str, case: Case) -> Callable[[], Tensor]:
    """`forward` of a case in float32, as a function that does it; `forward float64` in float64, the reference.

    `grid_sample forward` is that of a peer which needs nothing but torch.
    """
    if work == "grid_sample forward":
        _, mu, _ = _made(json.dumps(case, sort_keys=True), torch.float32)
        return lambda: rotate_and_sum(mu, views=case["views"], cols=case["cols"], pixel_mm=case["pixel_mm"])
    what, _, precision = work.partition(" ")
    A, mu, p = _made(json.dumps(case, sort_keys=True), torch.float64 if precision else torch.float32)
    backend: Any = A.backend_for("cpu", mu.dtype)
    works: dict[str, Callable[[], Tensor]] = {
        "forward": lambda: A(mu),
        "adjoint": lambda: A.adjoint(p),
        "backproject": lambda: A.voxel_backproject(p),
        "backproject_adjoint": lambda: backend.voxel_backproject_adjoint(mu[:, 0]),
        "fbp": lambda: fbp(p, A),
    }
    return works[what]


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    versions = {"torch": torch.__version__, "kernels": kernels().level}
    serve(answer, {"versions": versions, "offers": [("grid_sample", "parallel", "forward")]})
