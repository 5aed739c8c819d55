"""The one argument of every kernel, laid out as `Job` of kernels/common.h."""

from __future__ import annotations

import ctypes
from pathlib import Path

SOURCES = Path(__file__).parent / "kernels"
BLOCK = 128  # threads
RUN = 4  # neighbours along z of one thread in 3D: kRun of kernels/common.h
FRACTION = 40  # bits of a position: kFraction there

_WHOLE = ("size_z", "size_y", "size_x", "views", "rows", "cols", "images", "threads", "parts", "dim", "curved", "parallel")
_POINTERS = ("source", "turned", "target", "path", "climb", "length", "rise", "sight", "angle", "frame")


class Job(ctypes.Structure):
    """Sizes, geometry, and pointers into the memory of the device that runs the kernel."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _WHOLE),
        ("spacing", ctypes.c_double * 3),
        ("origin", ctypes.c_double * 3),
        ("gamma_step", ctypes.c_double),
        ("gamma_offset", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    )


def definitions() -> list[str]:
    """What both compilers must be told."""
    return [f"-DTASKCT_JOB_BYTES={ctypes.sizeof(Job)}", f"-DTASKCT_BLOCK={BLOCK}"]
