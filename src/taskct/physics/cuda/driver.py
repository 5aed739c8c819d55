"""Loads compiled kernels and launches them through the CUDA driver, in torch's own context and on its current stream."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import torch

from taskct.core.errors import ConfigError, ResourceError
from taskct.physics.cuda import nvrtc
from taskct.physics.cuda.job import BLOCK, Job
from taskct.physics.cuda.nvrtc import Nvrtc

_TOO_OLD = (218, 222, 209)  # invalid PTX, unsupported PTX version, no binary for the GPU


class Gpu:
    """A launcher (physics/backends/cuda.py) for one GPU. `cuda` is the driver's library, `compiler` makes its kernels."""

    def __init__(self, index: int, *, cuda: Any, compiler: Nvrtc, capability: int) -> None:
        self.index, self.compiler, self.target = index, compiler, compiler.target(capability)
        version = ".".join(map(str, compiler.version))
        self.reason = f"kernels compiled for {self.target} by NVRTC {version} ({compiler.path})"
        self._cuda = cuda
        self._functions: dict[tuple[int, str], ctypes.c_void_p] = {}
        self._modules: dict[int, ctypes.c_void_p] = {}
        self._check("cuInit", ctypes.c_uint(0))
        device = ctypes.c_int()
        self._check("cuDeviceGet", ctypes.byref(device), ctypes.c_int(index))
        self._context = ctypes.c_void_p()  # the one that torch uses
        self._check("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)

    def prepare(self, part: int) -> None:
        """Compile and load the kernels of kernels.cu for TASKCT_PART=`part`, if that was not done before.

        Raises ResourceError, with the driver's own words, when it cannot.
        """
        if part in self._modules:
            return
        image = self.compiler.compile(part, self.target)
        module = ctypes.c_void_p()
        self._inside("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(image))
        self._modules[part] = module

    def launch(self, part: int, name: str, job: Job, stream: int) -> None:
        """Run `job.threads` threads of a kernel in blocks of 128; the driver copies `job` before this returns."""
        if job.threads <= 0:
            return
        function = self._functions.get((part, name))
        if function is None:
            self.prepare(part)
            function = ctypes.c_void_p()
            self._inside("cuModuleGetFunction", ctypes.byref(function), self._modules[part], ctypes.c_char_p(name.encode()))
            self._functions[part, name] = function
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(job))
        one = ctypes.c_uint(1)
        blocks, threads = ctypes.c_uint(-(-job.threads // BLOCK)), ctypes.c_uint(BLOCK)
        sizes = blocks, one, one, threads, one, one, ctypes.c_uint(0)
        self._inside("cuLaunchKernel", function, *sizes, ctypes.c_void_p(stream), arguments, ctypes.c_void_p(None))

    def stream(self) -> int:
        """The stream on which torch works now."""
        return int(torch.cuda.current_stream(self.index).cuda_stream)

    def _inside(self, name: str, *arguments: Any) -> None:
        """Call the driver within the GPU's context, whatever this thread's was."""
        self._check("cuCtxPushCurrent_v2", self._context)
        try:
            self._check(name, *arguments)
        finally:
            self._check("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def _check(self, name: str, *arguments: Any) -> None:
        code = getattr(self._cuda, name)(*arguments)
        if not code:
            return
        text = ctypes.c_char_p()
        self._cuda.cuGetErrorName(ctypes.c_int(code), ctypes.byref(text))
        said = (text.value or b"an unknown error").decode()
        advice = ""
        if code in _TOO_OLD:
            version = ".".join(map(str, self.compiler.version))
            advice = f"; the driver is too old for NVRTC {version}: update it, or install a torch built for an older CUDA"
        raise ResourceError(f"the CUDA driver answered {name} on GPU {self.index} with {said} ({code}){advice}")


@functools.cache
def gpu(index: int) -> Gpu | str:
    """The launcher for a GPU that torch sees, or why there is none."""
    if torch.version.hip is not None:
        return "this torch is built for AMD GPUs, the kernels are for NVIDIA's"
    try:
        major, minor = torch.cuda.get_device_capability(index)
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return Gpu(index, cuda=cuda, compiler=nvrtc.find(nvrtc.wanted()), capability=10 * major + minor)
    except (ConfigError, ResourceError, RuntimeError, OSError, AssertionError) as error:
        return str(error)


def launcher(device: torch.device) -> Gpu | str:
    """The launcher for tensors on `device`, or why there is none."""
    if device.type != "cuda":
        return f"the GPU kernels take CUDA tensors, this one is on {device}"
    return gpu(device.index if device.index is not None else torch.cuda.current_device())


def describe() -> str:
    """What serves CUDA tensors on this machine, and why."""
    if not torch.cuda.is_available():
        return f"none: torch {torch.__version__} finds no CUDA device"
    served = [gpu(index) for index in range(torch.cuda.device_count())]
    said = [f"reference (PyTorch): {found}" if isinstance(found, str) else found.reason for found in served]
    return "; ".join(dict.fromkeys(said))
