"""Mixed precision where it pays: bfloat16 on devices that compute in it, float32 elsewhere."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Precision = Literal["auto", "bf16", "float32"]


def computes_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware.

    Processors without such instructions emulate them: a convolution then takes some ten times as long as in float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases of torch cannot tell
        return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def at_least_float32(x: Tensor) -> Tensor:
    """Half-precision numbers as float32; others as they are. Sums over images need it: float16 ends at 65,504.

    >>> at_least_float32(torch.ones(2, dtype=torch.float16)).dtype, at_least_float32(torch.ones(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return x.to(torch.promote_types(x.dtype, torch.float32)) if x.is_floating_point() else x


def autocast(device: torch.device, precision: Precision = "auto") -> torch.autocast:
    """The block in which networks run: weights stay float32; "auto" takes bfloat16 where `computes_bf16` says so."""
    wanted = precision == "bf16" or (precision == "auto" and computes_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)
