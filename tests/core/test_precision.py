"""Mixed precision only where the device computes in it."""

from __future__ import annotations

import pytest
import torch

from taskct.core.precision import autocast, computes_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize(("able", "wanted"), [({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"bf16": True}, True)])
def test_a_processor_without_bfloat16_instructions_trains_in_float32(
    able: dict[str, bool], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert computes_bf16(CPU) is wanted
    with autocast(CPU):
        assert torch.is_autocast_enabled("cpu") is wanted


@pytest.mark.parametrize(("precision", "wanted"), [("bf16", True), ("float32", False)])
def test_a_stated_precision_is_obeyed_whatever_the_device(precision: str, wanted: bool) -> None:
    with autocast(CPU, precision):  # type: ignore[arg-type]
        assert torch.is_autocast_enabled("cpu") is wanted
