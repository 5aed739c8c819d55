"""Mixed precision where it pays: bfloat16 on devices that compute in it, float32 elsewhere."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "bf16", "float32"]


def computes_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware.

    Processors without such instructions emulate them: a convolution then takes some ten times as long as in float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def autocast(device: torch.device, precision: Precision = "auto") -> torch.autocast:
    """The block in which networks run: weights stay float32; "auto" takes bfloat16 where `computes_bf16` says so."""
    wanted = precision == "bf16" or (precision == "auto" and computes_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)
