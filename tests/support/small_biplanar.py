"""The bi-planar experiment on a handful of skulls of 16 voxels: seconds, and nothing to be learnt from its numbers."""

from __future__ import annotations

from typing import Any

from taskct.systems.biplanar.experiment import BiPlanar

SIZES: dict[str, Any] = {
    "train_skulls": 3,
    "validation_skulls": 1,
    "test_skulls": 4,
    "second_skulls": 1,
    "size": 16,
    "steps": 2,
    "batch": 2,
    "nets": ("smear",),
    "main_nets": ("smear",),
    "plain": ("atlas", "gaussian"),
    "doses": (0.01,),
    "pose_errors": (3.0,),
    "refined": (),
    "reading_skulls": 0,
    "examples": 1,
}


def settings(**more: Any) -> BiPlanar:
    return BiPlanar(**{**SIZES, **more})
