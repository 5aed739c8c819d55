"""Arrays of any library -> numpy arrays whose numbers can be drawn; all that cannot be is refused in one sentence."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.core.tensors import check_dense

Kind = Literal["auto", "image", "sinogram", "volume", "curve"]
Units = Literal["auto", "hu", "mu", "other"]
KINDS: tuple[Kind, ...] = ("auto", "image", "sinogram", "volume", "curve")
UNITS: tuple[Units, ...] = ("auto", "hu", "mu", "other")
_AIR_BELOW_HU = -500.0
_MU_PER_MM = (0.004, 0.15)  # the largest value of an image in 1/mm lies between: a fifth of water, twice aluminium
_LEAST_MU_PER_MM = -0.1
_AS_NUMBERS = "x.dequantize() makes numbers of a quantized one, and a meta tensor has none"


def is_array(x: object) -> bool:
    """True for what is drawn as one image, sinogram, volume or curve: a tensor, an array, a list of numbers."""
    if isinstance(x, Tensor | np.ndarray):
        return True
    return isinstance(x, list | tuple) and len(x) > 0 and all(isinstance(v, int | float | np.number) for v in x)


def drawable(x: Any, name: str = "") -> np.ndarray:
    """The numbers of a tensor (any device, with or without gradient), a numpy array or a list, same shape, float32 or longer.

    Raises InputError for objects, text, complex numbers and arrays without values, UnitsError for NaN and infinite values.
    """
    of = f" in {name!r}" if name else ""
    if isinstance(x, Tensor):
        check_dense(x, who="show", name=name or "x")
        if x.is_complex():
            raise InputError(f"show expects real numbers{of}, got {x.dtype}; take .abs() or .real")
        if x.is_meta or x.is_quantized:
            raise InputError(f"show expects numbers{of}, got a {'meta' if x.is_meta else 'quantized'} tensor; {_AS_NUMBERS}")
        x = x.detach().to("cpu").resolve_neg()
        values = (x if x.dtype == torch.float64 else x.float()).numpy()
    else:
        if np.ma.is_masked(x):
            raise InputError(f"show draws every value, and some are masked{of}; x.filled(value) says what stands for them")
        values = np.asarray(x)
        if values.dtype.kind == "c":
            raise InputError(f"show expects real numbers{of}, got {values.dtype}; take abs(x) or x.real")
        if values.dtype.kind not in "biuf":
            raise InputError(
                f"show expects numbers{of}, got an array of dtype {values.dtype} and shape {values.shape}; images of "
                "different sizes go into a dict of names, as in show({'a': a, 'b': b})"
            )
        values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    if values.size == 0:
        raise InputError(f"show expects at least one value{of}, got an empty array of shape {values.shape}")
    return values


def check_finite(values: np.ndarray, name: str = "") -> None:
    """UnitsError for NaN and infinite values, with their number."""
    if np.isfinite(values.min()) and np.isfinite(values.max()):
        return
    bad = int((~np.isfinite(values)).sum())
    if bad:
        of = f" in {name!r}" if name else ""
        raise UnitsError(
            f"show expects finite values{of}, got {bad:,} NaN or infinite ones of {values.size:,}; find out where they come "
            "from, or draw them as numbers of your choice with np.nan_to_num(x, nan=0)"
        )


def without_batch(values: np.ndarray, kind: Kind, name: str = "") -> tuple[Kind, np.ndarray]:
    """What an array holds, and its numbers as: curve (N,), image (N, Y, X), sinogram (N, V, C) or (V, R, C), volume (Z, Y, X).

    With kind "auto", 1 axis is a curve, 2 are an image, (B, 1, Y, X) are images, 3 a volume, (1, 1, Z, Y, X) a volume.
    Raises GeometryError for a shape that is none of them or that could be several.
    """
    of, shape, n = f" {name!r}" if name else "", values.shape, values.ndim
    if n == 0:
        raise GeometryError(f"show expects an array{of}, got the single number {float(values):g}; print it")
    if kind in ("auto", "curve") and n == 1:
        return "curve", values
    if kind in ("auto", "image", "sinogram") and n == 2:
        return ("image" if kind == "auto" else kind), values[None]
    if kind in ("auto", "image", "sinogram") and n == 4 and shape[1] == 1:
        return ("image" if kind == "auto" else kind), values[:, 0]
    if kind in ("image", "sinogram") and n == 3:
        return kind, values
    if kind in ("auto", "volume") and n == 3:
        return "volume", values
    if kind in ("auto", "volume", "sinogram") and n == 5 and shape[:2] == (1, 1):
        return ("volume" if kind == "auto" else kind), values[0, 0]
    if kind == "volume" and n == 4 and shape[1] == 1:  # slices as a batch, as Case.mu gives them
        return "volume", values[:, 0]
    raise GeometryError(f"show cannot tell what{of} of shape {shape} is{_advice(kind, shape)}")


def _advice(kind: Kind, shape: tuple[int, ...]) -> str:
    wanted = {
        "auto": "one image (Y, X), images (B, 1, Y, X), a volume (Z, Y, X) or (1, 1, Z, Y, X), or a curve (N,)",
        "image": "one image (Y, X), or several, (N, Y, X) or (B, 1, Y, X)",
        "sinogram": "one sinogram (V, C), several, (B, 1, V, C), or a scan of a volume, (1, 1, V, R, C)",
        "volume": "a volume (Z, Y, X), (1, 1, Z, Y, X) or (Z, 1, Y, X)",
        "curve": "a curve (N,), or several in a dict of names",
    }[kind]
    pick = {4: "x[0] is the first of them, x[:, :1] the first channel of each", 5: "x[:1, :1] is the first of them"}
    more = f"; {pick[len(shape)]}" if len(shape) in pick and 0 not in shape else ""
    asked = "" if kind == "auto" else f" with kind={kind!r}"
    return f"{asked}; it expects {wanted}{more}"


def units_of(values: np.ndarray, units: Units) -> Units:
    """The unit as stated, or what the numbers look like: HU (there is air), 1/mm (the largest is of tissue or bone), other."""
    if units != "auto":
        return units
    low, high = float(values.min()), float(values.max())
    if low <= _AIR_BELOW_HU and high <= 70000:
        return "hu"
    return "mu" if _MU_PER_MM[0] <= high <= _MU_PER_MM[1] and low >= _LEAST_MU_PER_MM else "other"


def common_unit(units: set[str]) -> str:
    """The unit of images on one scale: one whose numbers tell none (a difference, a crop without air) has that of the others.

    >>> common_unit({"hu", "other"}), common_unit({"mu", "other"}), common_unit({"other"})
    ('hu', 'mu', 'other')
    """
    if {"hu", "mu"} <= units:
        raise UnitsError("show draws images on one scale, and these are in HU and in 1/mm; taskct.to_hu converts")
    return next((unit for unit in ("p", "hu", "mu") if unit in units), "other")
