"""NVIDIA's run-time compiler, as torch brings it: finds it and makes the kernels for a GPU. It needs no GPU and no driver.

`TASKCT_NVRTC` names its library where it is not found by itself.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskct.core.errors import ConfigError, ResourceError
from taskct.physics.cuda.job import SOURCES, definitions

VARIABLE = "TASKCT_NVRTC"
# Contraction is off so that an image gives the same bytes alone and in a batch; multiply-adds are written out.
FLAGS = ("-std=c++17", "-fmad=false")


class Nvrtc:
    """One loaded compiler."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._library: Any = ctypes.CDLL(path)
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        self.version = major.value, minor.value

    def architectures(self) -> list[int]:
        """The compute capabilities that it compiles for, 10 * major + minor, in order."""
        count = ctypes.c_int()
        self._check(self._library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
        found = (ctypes.c_int * count.value)()
        self._check(self._library.nvrtcGetSupportedArchs(found))
        return sorted(found)

    def target(self, capability: int) -> str:
        """The option for a GPU: its own machine code, or the newest portable code when the GPU is newer than this compiler.

        Raises ConfigError for a GPU that this compiler has given up.
        """
        known = self.architectures()
        if capability in known:
            return f"sm_{capability}"
        if capability > known[-1]:
            return f"compute_{known[-1]}"
        raise ConfigError(
            f"NVRTC {self.version[0]}.{self.version[1]} compiles for compute capability {known[0] / 10} and newer, "
            f"the GPU has {capability / 10}; install a torch built for an older CUDA"
        )

    def compile(self, part: int, target: str) -> bytes:
        """kernels.cu for TASKCT_PART=`part`: a CUBIN for "sm_.." targets, PTX for "compute_.." ones."""
        headers = sorted(SOURCES.glob("*.h"))
        program = ctypes.c_void_p()
        texts = (ctypes.c_char_p * len(headers))(*[header.read_bytes() for header in headers])
        names = (ctypes.c_char_p * len(headers))(*[header.name.encode() for header in headers])
        source = (SOURCES / "kernels.cu").read_bytes()
        create = self._library.nvrtcCreateProgram
        self._check(create(ctypes.byref(program), source, b"kernels.cu", ctypes.c_int(len(headers)), texts, names))
        try:
            options = [f"-arch={target}", *FLAGS, *definitions(), f"-DTASKCT_PART={part}"]
            told = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            if self._library.nvrtcCompileProgram(program, ctypes.c_int(len(options)), told):
                log = self._read(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
                raise ResourceError(f"{self.path} could not compile the kernels for {target}:\n{log[-2000:]}")
            return self._read(program, "CUBIN" if target.startswith("sm_") else "PTX")
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _read(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        text = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, text))
        return text.raw

    def _check(self, code: int) -> None:
        if code:
            self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise ResourceError(f"{self.path}: {self._library.nvrtcGetErrorString(code).decode()}")


@functools.cache
def find(named: str = "") -> Nvrtc:
    """The compiler of `TASKCT_NVRTC` (here `named`), of torch's own packages, or of the system.

    Raises ConfigError when there is none.
    """
    tried = []
    for path in [named] if named else _candidates():
        try:
            return Nvrtc(path)
        except (OSError, AttributeError) as error:
            tried.append(f"{path}: {error}")
    if named:
        raise ConfigError(f"{VARIABLE}={named} is not NVRTC: {'; '.join(tried)}")
    raise ConfigError(
        "no NVRTC (NVIDIA's run-time compiler): a torch built for CUDA brings it; or pip install nvidia-cuda-nvrtc-cu12; "
        f"or let {VARIABLE} name libnvrtc.so" + "".join(f"; {line}" for line in tried)
    )


def wanted() -> str:
    """What `TASKCT_NVRTC` says."""
    return os.environ.get(VARIABLE, "").strip()


def _candidates() -> Iterator[str]:
    import torch

    pattern = "nvrtc64_*.dll" if sys.platform == "win32" else "libnvrtc*.so*"
    folders = [Path(torch.__file__).parent / "lib"]
    for place in dict.fromkeys([str(Path(torch.__file__).parents[1]), *sys.path]):
        folders += sorted(Path(place).glob("nvidia/*/lib")) + sorted(Path(place).glob("nvidia/*/bin"))
    found = [p for folder in folders for p in sorted(folder.glob(pattern)) if not re.search("builtins|alt|static", p.name)]
    torchs = (torch.version.cuda or "").split(".")[0]
    yield from map(str, sorted(found, key=lambda path: not re.search(rf"so\.{torchs}\b|64_{torchs}", path.name)))
    system = ctypes.util.find_library("nvrtc")
    if system:
        yield system
    yield from map(str, Path("/usr/local/cuda/lib64").glob("libnvrtc.so.*"))
