"""The guard of a network for real CT: it says when an image lies outside of what the network learnt from, and why."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from taskct.core.config import from_dict
from taskct.recon.learned.noise_map import bends

_BODY_HU = -300.0
_TOLERANCE = 1.15  # factor by which noise and texture may exceed the range of the training
_LEAST_BODY = 0.01  # share of the image
_EVERY = 3  # one pixel of so many is measured
_NORMAL_MEDIAN = 0.6745  # of |x|, x standard normal
_METAL_HU, _METAL_SHARE = 2500.0, 0.002  # of the body: dense bone and teeth stay below


class UnknownInputWarning(UserWarning):
    """A network answers for an image unlike those that it learnt from."""


@dataclass(frozen=True, kw_only=True)
class KnownInputs:
    """What the training of a network for real CT held, in quantities that are read from an image itself.

    noise_hu   least and largest mean of the noise map inside the body, in HU; only more noise than in training is warned of
    texture    least and largest share of the noise's standard deviation in the image's mixed second differences: its grain
    body_hu    least and largest median of what is denser than -300 HU
    """

    noise_hu: tuple[float, float] = (0.0, float("inf"))
    texture: tuple[float, float] = (0.0, float("inf"))
    body_hu: tuple[float, float] = (-float("inf"), float("inf"))

    @classmethod
    def of(cls, values: KnownInputs | Mapping[str, Any] | None) -> KnownInputs | None:
        """From the table of a config; None where nothing is known."""
        return values if values is None or isinstance(values, KnownInputs) else from_dict(cls, values, where="model.known")


def measures(hu: Tensor, noise_hu: Tensor) -> dict[str, float]:
    """What `KnownInputs` bounds, and "metal", of slices (B, 1, Y, X) and their noise maps in HU; empty without a body."""
    some = hu[..., ::_EVERY, ::_EVERY]
    noise, fine = noise_hu[..., ::_EVERY, ::_EVERY], bends(hu)[..., ::_EVERY, ::_EVERY]
    body = some > _BODY_HU
    if float(body.float().mean()) < _LEAST_BODY:
        return {}
    inside = functional.avg_pool2d(body.float(), 3, stride=1, padding=1) > 0.99
    inside = inside if bool(inside.any()) else body
    grain = fine[inside].abs().median() / _NORMAL_MEDIAN / noise[inside].median()
    return {
        "noise_hu": float(noise[body].mean()),
        "texture": float(grain),
        "body_hu": float(some[inside].median()),
        "metal": float((some[body] > _METAL_HU).float().mean()),
    }


def reasons(known: KnownInputs, hu: Tensor, noise_hu: Tensor, *, measured: bool, views: int | None = None) -> list[str]:
    """Why an image lies outside of what is known, in words; empty where it does not.

    `measured` says whether the noise map was measured from two half-scans: only then can the grain of the image be compared
    with it. `views` is the number of views of the scan, where there was one.
    """
    found = measures(hu, noise_hu)
    if not found:
        return ["less than 1 % of it is denser than -300 HU: no body is in it"]
    words = [] if measured or views is None else [f"streaks of {views} views look like noise"]
    low, high = known.noise_hu
    noisy = found["noise_hu"] >= low / _TOLERANCE  # without noise the grain is that of the anatomy
    if found["noise_hu"] > high * _TOLERANCE:
        words.append(f"noise of {found['noise_hu']:.0f} HU in the body, {low:.0f} to {high:.0f} HU in training")
    low, high = known.texture
    if measured and noisy and not low / _TOLERANCE <= found["texture"] <= high * _TOLERANCE:
        words.append(
            f"noise of another grain ({found['texture']:.2f}, {low:.2f} to {high:.2f} in training): another "
            "detector or kernel, or too few views"
        )
    low, high = known.body_hu
    if not low <= found["body_hu"] <= high:
        words.append(f"a body of {found['body_hu']:.0f} HU (median), {low:.0f} to {high:.0f} HU in training")
    if found["metal"] > _METAL_SHARE:
        words.append(f"{100 * found['metal']:.1f} % of the body above {_METAL_HU:.0f} HU: metal was not in training")
    return words


def warn_of_unknown(
    known: KnownInputs | None, hu: Tensor, noise_hu: Tensor, *, measured: bool, views: int | None = None
) -> None:
    """UnknownInputWarning with the reasons, if there are any."""
    found = [] if known is None else reasons(known, hu, noise_hu, measured=measured, views=views)
    if found:
        warnings.warn(
            f"real-ct: this image is unlike those that the network learnt from ({'; '.join(found)}); do not rely on it",
            UnknownInputWarning,
            stacklevel=4,
        )
