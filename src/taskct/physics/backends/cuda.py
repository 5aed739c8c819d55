"""The GPU kernels behind the seam, for CUDA tensors; the same source emulated on the CPU serves the tests.

Upright scanners in float32 take the fast kernels, everything else the general ones (docs/gpu.md). Nothing is atomic: results
are the same bytes from run to run, for an image alone or in a batch.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from taskct.core.errors import ResourceError
from taskct.geometry import Grid, Poses
from taskct.physics.cuda.driver import launcher
from taskct.physics.cuda.job import RUN, Job
from taskct.physics.cuda.scanner_tables import Upright, frames, upright

_TOGETHER = 4  # images whose threads share one set of positions
_MOST_THREADS = 2**31 - 1
_BUSY = 1 << 18  # threads that keep a large GPU busy


class Launcher(Protocol):
    """What runs kernels: a GPU's driver, or the emulation."""

    reason: str

    def prepare(self, part: int) -> None:
        """Compile and load the kernels of kernels.cu for TASKCT_PART=`part`."""

    def launch(self, part: int, name: str, job: Job, stream: int) -> None:
        """Run `job.threads` threads of one of them."""

    def stream(self) -> int:
        """The stream on which torch works now."""


def cuda_backend(grid: Grid, poses: Poses, *, device: torch.device, dtype: torch.dtype) -> CudaBackend | str:
    """The back-end for tensors on a GPU, its kernels compiled and loaded, or why there is none."""
    if dtype not in (torch.float32, torch.float64):
        return f"the GPU kernels take float32 and float64, not {dtype}"
    found = launcher(device)
    if isinstance(found, str):
        return found
    backend = CudaBackend(grid, poses, found, device)
    try:
        found.prepare(backend.part(dtype))
    except ResourceError as error:
        return str(error)
    return backend


class CudaBackend:
    """Joseph line integrals and voxel-driven back-projection on a GPU, on torch's current stream."""

    name = "cuda"
    units_seen = False

    def __init__(self, grid: Grid, poses: Poses, runs: Launcher, device: torch.device, *, general: bool = False) -> None:
        self.grid, self.poses, self.launcher, self.device = grid, poses, runs, device
        self._frames = (poses.views, poses.rows, poses.cols)
        every = frames(grid, poses)
        found = "asked for by name" if general else upright(grid, poses, every)
        self._upright = found if isinstance(found, Upright) else None
        which = "fast kernels in float32" if self._upright else f"general kernels ({found})"
        self.reason = f"{runs.reason}; {which}"
        tables = {"frame": torch.from_numpy(every)} | (self._upright.tables if self._upright else {})
        self._tables = {name: table.to(device) for name, table in tables.items()}
        self._stream = runs.stream()

    def forward(self, mu: Tensor) -> Tensor:
        """Line integrals: (N, *grid.shape) -> (N, V, R, C)."""
        return self._run("forward", mu, self._frames)

    def adjoint(self, p: Tensor) -> Tensor:
        """Exact transpose of `forward`: (N, V, R, C) -> (N, *grid.shape)."""
        if self._is_fast(p):
            weighed, each = torch.empty_like(p), self.poses.views * self.poses.rows * self.poses.cols
            self._launch("weigh_rays", p, p, weighed, images=range(len(p)), together=1, threads=each, parts=1)
            p = weighed
        return self._run("adjoint", p, self.grid.shape)

    def voxel_backproject(self, q: Tensor) -> Tensor:
        """Distance-weighted voxel-driven back-projection: (N, V, R, C) -> (N, *grid.shape)."""
        return self._run("backproject", q, self.grid.shape)

    def voxel_backproject_adjoint(self, mu: Tensor) -> Tensor:
        """Exact transpose of `voxel_backproject`: (N, *grid.shape) -> (N, V, R, C)."""
        return self._run("backproject_adjoint", mu, self._frames)

    def part(self, dtype: torch.dtype) -> int:
        """Which kernels serve this precision: 2 and 3 are fast ones, by dimensions, 0 the general ones."""
        return self.grid.ndim if self._upright is not None and dtype == torch.float32 else 0

    def _is_fast(self, x: Tensor) -> bool:
        return self.part(x.dtype) > 0

    def _run(self, name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        x = x.contiguous()
        poses, grid, fast = self.poses, self.grid, self._is_fast(x)
        run = RUN if fast and grid.ndim == 3 else 1
        to_image = name in ("adjoint", "backproject")
        size_z = 1 if grid.ndim == 2 else grid.shape[0]
        if to_image:
            threads = -(-size_z // run) * grid.shape[-2] * grid.shape[-1]
        else:
            threads = poses.views * -(-poses.rows // run) * poses.cols
        # A small image has too few voxels to keep a GPU busy: several threads then share the views of one.
        parts = max(1, min(8, poses.views, _BUSY // threads)) if fast and to_image else 1
        turned = x
        if fast and not to_image and self._upright is not None and self._upright.along_x:
            turned = x.transpose(-1, -2).contiguous()
        y = torch.empty((parts, len(x), *shape), dtype=x.dtype, device=x.device)
        threads *= parts
        if not fast:
            kernel = f"{name}_{'f32' if x.dtype == torch.float32 else 'f64'}"
            self._launch(kernel, x, turned, y, images=range(len(x)), together=1, threads=threads, parts=1)
        else:
            whole = len(x) // _TOGETHER * _TOGETHER
            for images, together in ((range(whole), _TOGETHER), (range(whole, len(x)), 1)):
                kernel = f"{name}_{grid.ndim}d_{together}"
                self._launch(kernel, x, turned, y, images=images, together=together, threads=threads, parts=parts)
        for share in y[1:]:  # one by one: the order of torch's sum depends on the batch
            y[0] += share
        return y[0]

    def _launch(
        self, kernel: str, x: Tensor, turned: Tensor, y: Tensor, *, images: range, together: int, threads: int, parts: int
    ) -> None:
        """Run a kernel for some images of x, as many at a time as their threads can be counted."""
        job, poses, grid = Job(), self.poses, self.grid
        pad = 3 - grid.ndim
        job.size_z, job.size_y, job.size_x = (1,) * pad + grid.shape
        job.views, job.rows, job.cols = self._frames
        job.images, job.parts, job.dim = len(x), parts, grid.ndim
        job.curved, job.parallel = int(poses.curved), int(poses.source_mm is None)
        job.spacing[:] = [1.0] * pad + list(grid.spacing_mm)
        job.origin[:] = [0.0] * pad + list(grid.origin_mm)
        job.gamma_step = self._upright.gamma_step if self._upright else 0.0
        job.gamma_offset = poses.curved_offset_rad
        for name, table in self._tables.items():
            setattr(job, name, table.data_ptr())
        part = self.part(x.dtype)
        step = max(1, _MOST_THREADS // threads) * together
        stream = self.launcher.stream()
        if stream != self._stream:  # the tables must outlive what other streams do with them
            for table in self._tables.values():
                table.record_stream(torch.cuda.current_stream(self.device))
        for first in range(images.start, images.stop, step):
            count = min(step, images.stop - first)
            job.threads = count // together * threads
            if job.threads > _MOST_THREADS:
                raise ResourceError(f"one image needs {job.threads} threads of a GPU kernel, which counts to {_MOST_THREADS}")
            job.source, job.turned = (a.data_ptr() + first * _bytes(a, len(x)) for a in (x, turned))
            job.target = y.data_ptr() + first * _bytes(y, parts * len(x))
            self.launcher.launch(part, kernel, job, stream)


def _bytes(a: Tensor, images: int) -> int:
    return a.numel() // images * a.element_size()
