"""Time and memory of a large cone: forward, adjoint and FDK of 512^3 voxels with 720 views of 512 x 512.

    python benchmarks/cone_memory.py [--pixels 512] [--views 720] [--threads 1]

Memory is the peak above what was in use before the work, less the work's output: what a map needs beside its input and output.
Linux only, where the peak can be started again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from taskct.bench.bench_geometries import BALL_PER_MM, BALL_RADIUS, BALL_SHIFT, cone
from taskct.bench.peers import ball, peak_memory_mib, restart_peak_memory
from taskct.geometry import ConeBeam, Grid
from taskct.physics.projector import Projector
from taskct.recon import fdk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, default=512)
    parser.add_argument("--views", type=int, default=720)
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    case = cone(words.pixels, words.views, words.pixels)
    shape = (words.pixels,) * 3
    distances = {name: case[name] for name in ("source_iso_mm", "source_detector_mm")}
    beam = ConeBeam(views=words.views, cols=words.pixels, rows=words.pixels, pixel_mm=case["pixel_mm"], **distances)
    A = Projector(Grid(shape, 1.0), beam)
    whole = case | {"ball_radius": BALL_RADIUS, "ball_per_mm": BALL_PER_MM, "ball_shift": BALL_SHIFT}
    mu = torch.from_numpy(ball(shape, whole))[None, None]
    print(f"{words.pixels}^3 voxels, {words.views} views of {words.pixels} x {words.pixels}, {A.backend_for('cpu').reason}")
    p = measured("forward", lambda: A(mu))
    measured("adjoint", lambda: A.adjoint(p))
    fdk_mu = measured("fdk", lambda: fdk(p, A))
    inside = mu > 0.99 * BALL_PER_MM
    print(f"the ball of {BALL_PER_MM}/mm is {float(fdk_mu[inside].mean()):.5f}/mm after fdk")


def measured(name: str, work: Callable[[], Tensor]) -> Tensor:
    """Do it and print CPU and wall seconds and the memory beside input and output."""
    before = restart_peak_memory()
    cpu, wall = time.process_time(), time.perf_counter()
    out = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    output_mib = out.numel() * out.element_size() / 2**20
    extra_gb = (peak_memory_mib() - before - output_mib) * 2**20 / 1e9
    print(f"{name:8s} {cpu:7.1f} s CPU, {wall:7.1f} s wall, {extra_gb:.2f} GB beside input and output", flush=True)
    return out


if __name__ == "__main__":
    main()
