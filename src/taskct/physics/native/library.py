"""Finds, chooses and loads the compiled kernels, and says which run and why.

`TASKCT_KERNELS` forces a build (baseline, avx2, avx512) or turns them off; it is read at first use.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch  # noqa: F401  loaded first: the kernels then share its OpenMP threads instead of bringing their own

from taskct.core.errors import ConfigError, unknown_name

LEVELS = ("baseline", "avx2", "avx512")
MAPS = ("forward", "adjoint", "backproject", "backproject_adjoint")
VARIABLE = "TASKCT_KERNELS"
ABI = 5  # of cpp/api.cpp
FOLDER = Path(__file__).parent


class Geometry(ctypes.Structure):
    """`taskct_geometry` of cpp/geometry.h."""

    _fields_ = (
        ("dim", ctypes.c_int64),
        ("shape", ctypes.c_int64 * 3),
        ("spacing", ctypes.c_double * 3),
        ("origin", ctypes.c_double * 3),
        ("views", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("cols", ctypes.c_int64),
        ("detector", ctypes.c_void_p),
        ("col_step", ctypes.c_void_p),
        ("row_step", ctypes.c_void_p),
        ("source", ctypes.c_void_p),
        ("direction", ctypes.c_void_p),
        ("curved", ctypes.c_int64),
        ("curved_offset_rad", ctypes.c_double),
        ("quads", ctypes.c_int64),
        ("quad_views", ctypes.c_void_p),
        ("quad_backwards", ctypes.c_void_p),
        ("turns", ctypes.c_int64 * 4),
        ("halves", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Kernels:
    """A loaded build, or the reason why there is none (`library` is None)."""

    level: str
    reason: str
    library: ctypes.CDLL | None
    openmp: bool = False


def kernels() -> Kernels:
    """The kernels in use, by `TASKCT_KERNELS` or the best that this processor runs."""
    return load(os.environ.get(VARIABLE, "").strip().lower())


@functools.cache
def load(wanted: str = "") -> Kernels:
    """The build called `wanted` ("off" for none), or the best for "". Raises ConfigError for one that cannot run here."""
    if wanted and wanted not in (*LEVELS, "off"):
        raise unknown_name(VARIABLE, wanted, (*LEVELS, "off"))
    if wanted == "off":
        return Kernels("off", f"{VARIABLE}=off", None)
    built = {level: path for level in LEVELS if (path := _path(level)).exists()}
    if not built:
        why = (
            "taskct was installed without a working C++ compiler, so the slow reference serves; install one, then taskct again"
        )
        if wanted:
            raise ConfigError(f"{VARIABLE}={wanted}: {why}")
        return Kernels("none", why, None)
    try:
        first = _open(next(iter(built.values())))
    except ConfigError as error:  # of older sources
        if wanted:
            raise
        return Kernels("none", f"{error}; until then the slow reference serves", None)
    runs = LEVELS[: first.taskct_cpu_level() + 1]
    usable = [level for level in runs if level in built]
    if wanted and wanted not in usable:
        raise ConfigError(f"{VARIABLE}={wanted} does not run here; this processor and build offer {', '.join(usable)}")
    if not usable:
        return Kernels("none", f"no build fits this processor (built: {', '.join(built)})", None)
    level = wanted or usable[-1]
    library = _open(built[level])
    why = f"{VARIABLE}={wanted}" if wanted else "the best build that this processor runs"
    return Kernels(level, why, library, bool(library.taskct_has_openmp()))


def _path(level: str) -> Path:
    return FOLDER / f"_kernels_{level}{'.dylib' if sys.platform == 'darwin' else '.so'}"


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    if not hasattr(library, "taskct_abi") or library.taskct_abi() != ABI:
        raise ConfigError(f"{path.name} was built from older sources; install taskct again (make setup)")
    for name in MAPS:
        for suffix in ("f32", "f64"):
            function = getattr(library, f"taskct_{name}_{suffix}")
            function.restype = ctypes.c_int
            function.argtypes = (
                ctypes.POINTER(Geometry),
                ctypes.c_int64,
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_void_p,
            )
    library.taskct_filter_f32.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    library.taskct_tv_push_f32.argtypes = library.taskct_tv_move_f32.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library
