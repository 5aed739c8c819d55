"""The projectors on a GPU beside whichever peers can be imported: `python benchmarks/projectors_cuda.py`.

Milliseconds per call by CUDA events: medians over rounds in which ours and the peer take turns. Tensors stay on the GPU. Each
case says how far the result is from the compiled CPU kernels and how far the pair is from adjoint. Writes JSON, atomically.
Peers: torch's grid_sample (rotate and sum), ASTRA's CUDA projectors on linked GPU memory, diffct. One that fails leaves its
error in the file.

`--dry-run` runs the script on the CPU at toy sizes with the emulated kernels, to see that it works; its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam
from taskct.physics.backends.cuda import CudaBackend
from taskct.physics.cuda.driver import launcher
from taskct.physics.cuda.emulated import Emulation
from taskct.physics.projector import Projector

OUT = Path(__file__).resolve().parent / "results" / "projectors_cuda.json"
MAPS = ("forward", "adjoint", "voxel_backproject", "voxel_backproject_adjoint")
Call = Callable[[], Tensor]


def cases(scale: int) -> dict[str, tuple[Grid, Beam, int]]:
    """Grid, beam and images of each case; `scale` divides the sizes."""
    fan = {"views": 1000 // scale, "cols": 736 // scale, "source_iso_mm": 600.0, "source_detector_mm": 1200.0}
    fan["pixel_mm"] = 1.33565 * scale
    cone = lambda n, views, cols, **more: ConeBeam(
        views=views // scale, cols=cols // scale, rows=cols // scale, pixel_mm=1.7 * n / cols * scale,
        source_iso_mm=2.0 * n, source_detector_mm=3.0 * n, **more,
    )  # fmt: skip
    square = lambda n: Grid((n // scale,) * 2, float(scale))
    cube = lambda n: Grid((n // scale,) * 3, float(scale))
    parallel = ParallelBeam(views=1000 // scale, cols=513 // scale, pixel_mm=float(scale))
    return {
        "parallel": (square(362), parallel, 1),
        "parallel of 16": (square(362), parallel, 16),
        "fan flat": (square(512), FanBeam(**fan), 1),
        "fan flat of 16": (square(512), FanBeam(**fan), 16),
        "fan curved": (square(512), FanBeam(**fan, curved=True), 1),
        "cone": (cube(128), cone(128, 180, 256), 1),
        "cone curved": (cube(128), cone(128, 180, 256, curved=True), 1),
        "helix": (cube(128), cone(128, 360, 256, pitch_mm=40.0, arc_deg=720), 1),
        "cone 256": (cube(256), cone(256, 360, 384), 1),
        "cone 512": (cube(512), cone(512, 720, 512), 1),
    }


class Clock:
    """Milliseconds of a call on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def ms(self, call: Call) -> float:
        self.wait()
        if self.device.type != "cuda":
            before = time.perf_counter()
            call()
            return 1000 * (time.perf_counter() - before)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        self.wait()
        return float(start.elapsed_time(end))


def grid_sample_forward(mu: Tensor, beam: ParallelBeam) -> Call:
    """Rotate and sum, 50 views at a time; mu (1, 1, n, n) with the detector's pixel equal to the grid's."""
    size = mu.shape[-1]
    angles = torch.tensor(np.array(beam.angles_rad), dtype=mu.dtype, device=mu.device)

    def call() -> Tensor:
        made = []
        for t in angles.split(50):
            zero = torch.zeros_like(t)
            turn = torch.stack([torch.stack([t.cos(), -t.sin(), zero], -1), torch.stack([t.sin(), t.cos(), zero], -1)], 1)
            where = torch.nn.functional.affine_grid(turn, [len(t), 1, size, size], align_corners=True)
            turned = torch.nn.functional.grid_sample(mu.expand(len(t), -1, -1, -1), where, align_corners=True)
            made.append(turned.sum(-2))
        return torch.cat(made)

    return call


def astra_calls(grid: Grid, beam: Beam, mu: Tensor, p: Tensor) -> dict[str, Call]:
    """ASTRA's 3D CUDA projectors on torch's own memory, one image; a slice is a volume of one plane."""
    import astra

    size_z, size_y, size_x = (1,) * (3 - grid.ndim) + grid.shape
    size = [
        n * s / 2
        for n, s in zip((size_z, size_y, size_x), (grid.spacing_mm[0],) * (3 - grid.ndim) + grid.spacing_mm, strict=True)
    ]
    volume = astra.create_vol_geom(size_y, size_x, size_z, -size[2], size[2], -size[1], size[1], -size[0], size[0])
    rows = beam.poses().rows
    angles = np.array(beam.angles_rad)
    row_mm = getattr(beam, "row_mm", None) or beam.pixel_mm
    if isinstance(beam, ParallelBeam):
        geometry = astra.create_proj_geom("parallel3d", beam.pixel_mm, row_mm, rows, beam.cols, angles)
    else:
        ray = (beam.source_iso_mm, beam.source_detector_mm - beam.source_iso_mm)
        geometry = astra.create_proj_geom("cone", beam.pixel_mm, row_mm, rows, beam.cols, angles, *ray)
    image, frames = (
        mu[0].reshape(size_z, size_y, size_x).clone(),
        p[0].reshape(-1, rows, beam.cols).swapaxes(0, 1).contiguous(),
    )
    link = lambda a: astra.data3d.GPULink(a.data_ptr(), a.shape[2], a.shape[1], a.shape[0], a.shape[2] * 4)
    ids = astra.data3d.link("-vol", volume, link(image)), astra.data3d.link("-sino", geometry, link(frames))
    projector = astra.create_projector("cuda3d", geometry, volume)

    def forward() -> Tensor:
        astra.experimental.direct_FP3D(projector, *ids)
        return frames

    def adjoint() -> Tensor:
        astra.experimental.direct_BP3D(projector, *ids)
        return image

    return {"astra cuda/forward": forward, "astra cuda/adjoint": adjoint}


def diffct_calls(grid: Grid, beam: Beam, mu: Tensor) -> dict[str, Call]:
    """diffct's forward projection of one image, where its interface is the one known here."""
    from diffct.differentiable import FanProjectorFunction, ParallelProjectorFunction

    angles = torch.tensor(np.array(beam.angles_rad), dtype=mu.dtype, device=mu.device)
    image = mu[0, 0].contiguous()
    if isinstance(beam, ParallelBeam):
        call = lambda: ParallelProjectorFunction.apply(image, angles, beam.cols, beam.pixel_mm, grid.spacing_mm[0])
    else:
        rest = (beam.cols, beam.pixel_mm, beam.source_detector_mm, beam.source_iso_mm, grid.spacing_mm[0])
        call = lambda: FanProjectorFunction.apply(image, angles, *rest)
    return {"diffct/forward": call}


def peers(name: str, grid: Grid, beam: Beam, mu: Tensor, p: Tensor, *, errors: dict[str, str]) -> dict[str, Call]:
    """The peers that know this case."""
    found: dict[str, Call] = {}
    makers: dict[str, Callable[[], dict[str, Call]]] = {}
    if isinstance(beam, ParallelBeam) and grid.ndim == 2 and len(mu) == 1:
        makers["grid_sample"] = lambda: {"grid_sample/forward": grid_sample_forward(mu, beam)}
    if not getattr(beam, "curved", False) and not getattr(beam, "pitch_mm", 0) and len(mu) == 1 and mu.is_cuda:
        makers["astra"] = lambda: astra_calls(grid, beam, mu, p)
        if grid.ndim == 2:
            makers["diffct"] = lambda: diffct_calls(grid, beam, mu)
    for peer, maker in makers.items():
        try:
            for key, call in maker().items():
                call()
                found[key] = call
        except Exception as error:  # a peer that is missing or fails must not end the comparison
            errors[f"{name}: {peer}"] = f"{type(error).__name__}: {error}"[:300]
    return found


def measure(
    name: str, grid: Grid, beam: Beam, images: int, *, device: torch.device, rounds: int, errors: dict[str, str]
) -> list[dict]:
    """One row for each map: ours, and beside it each peer that has it."""
    with warnings.catch_warnings():  # the fan cuts the corners off, as in published comparisons
        warnings.simplefilter("ignore")
        A = Projector(grid, beam)
    ours = A.backend_for(device)
    if device.type == "cpu":
        ours = CudaBackend(grid, A.poses, Emulation(), device)
    elif ours.name != "cuda":
        raise SystemExit(f"the GPU kernels do not serve: {ours.reason}")
    clock, frames = Clock(device), (A.poses.views, A.poses.rows, A.poses.cols)
    make = torch.Generator().manual_seed(0)
    mu = (torch.rand((images, *grid.shape), generator=make) / 50).to(device)
    p = torch.rand((images, *frames), generator=make).to(device)
    others = peers(name, grid, beam, mu.unsqueeze(1), p, errors=errors)
    # Samples met along the main axis by rays, or places worked out: the unit of the tables for the CPU.
    samples = {"forward": images * float(np.prod(frames)) * max(grid.shape[-2:])}
    samples["adjoint"] = samples["forward"]
    samples["voxel_backproject"] = samples["voxel_backproject_adjoint"] = images * float(np.prod(grid.shape)) * frames[0]
    small = float(np.prod(frames)) * max(grid.shape) < 5e9  # what the CPU does in seconds
    cpu = A.backend_for("cpu")
    rows = []
    for which in MAPS:
        x = mu if which in ("forward", "voxel_backproject_adjoint") else p
        call = lambda which=which, x=x: getattr(ours, which)(x)
        call(), call()
        times: dict[str, list[float]] = {which: []}
        for _ in range(rounds):
            times[which].append(clock.ms(call))
            for key, other in others.items():
                if key.endswith("/" + which):
                    times.setdefault(key, []).append(clock.ms(other))
        ms = median(times.pop(which))
        row: dict[str, Any] = {"case": name, "map": which, "images": images, "ms": round(ms, 4)}
        row["updates_per_ns"] = round(samples[which] / ms / 1e6, 3)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            call()
            row["peak_mib_above_inputs"] = round((torch.cuda.max_memory_allocated(device) - before) / 2**20, 1)
        row["peers_ms"] = {key: round(median(t), 4) for key, t in times.items()}
        if small:
            wanted = getattr(cpu, which)(x[:1].cpu())
            row["relative_difference_to_cpu"] = float((call()[:1].cpu() - wanted).norm() / wanted.norm())
        rows.append(row)
        print(json.dumps(row), flush=True)
    for there, back in (("forward", "adjoint"), ("voxel_backproject", "voxel_backproject_adjoint")):
        x, y = (mu, p) if there == "forward" else (p, mu)
        ahead = (getattr(ours, there)(x).double() * y.double()).sum()
        behind = (x.double() * getattr(ours, back)(y).double()).sum()
        rows.append({"case": name, "map": there, "off_adjoint": float((ahead - behind).abs() / ahead)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def copy_gb_per_s(device: torch.device) -> float:
    """Bytes read and written by a large copy on the device, per second: the bandwidth limit."""
    a = torch.empty(2**28 if device.type == "cuda" else 2**20, device=device)
    b, clock = torch.empty_like(a), Clock(device)
    times = [clock.ms(lambda: b.copy_(a)) for _ in range(7)]
    return 2 * a.numel() * 4 / median(times) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="run only the cases whose name contains this")
    parser.add_argument("--dry-run", action="store_true", help="toy sizes on the CPU; writes nothing unless --out is given")
    parser.add_argument("--out", type=Path, help=f"default {OUT.name} in benchmarks/results")
    asked = parser.parse_args()
    if not asked.dry_run and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; --dry-run tries the script on the CPU")
    device = torch.device("cpu") if asked.dry_run else torch.device("cuda", torch.cuda.current_device())
    found = None if asked.dry_run else launcher(device)
    if isinstance(found, str):
        raise SystemExit(f"the GPU kernels do not serve: {found}")
    errors: dict[str, str] = {}
    rows = []
    for name, (grid, beam, images) in cases(16 if asked.dry_run else 1).items():
        if asked.only in name:
            rows += measure(name, grid, beam, images, device=device, rounds=asked.rounds, errors=errors)
    result = {
        "command": "python benchmarks/projectors_cuda.py",
        "machine": {
            "gpu": "none: a dry run" if asked.dry_run else torch.cuda.get_device_name(device),
            "kernels": "emulated" if found is None else found.reason,
            "copy_gb_per_s": round(copy_gb_per_s(device), 1),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "rounds": asked.rounds,
        "rows": rows,
        "peers_without_result": errors,
    }
    out = asked.out or (None if asked.dry_run else OUT)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part")
        part.write_text(json.dumps(result, indent=1) + "\n")
        part.replace(out)
        print(f"wrote {out}")


if __name__ == "__main__":
    main()
