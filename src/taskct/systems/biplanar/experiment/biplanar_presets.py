"""Named sizes of the bi-planar experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "small": {
        "train_skulls": 80, "validation_skulls": 8, "test_skulls": 16, "second_skulls": 8, "steps": 250,
        "nets": ("unrolled", "psct-small", "x2ct"), "doses": (0.01,), "pose_errors": (3.0,),
        "plain": ("back-projection", "sirt", "atlas", "nearest", "gaussian", "nearest-registered"), "reading_skulls": 0,
    },
    "first": {"nets": ("unrolled", "psct-small", "x2ct")},
    "full": {"seeds": 3},
    "geometries": {"geometries": 48, "nets": ("unrolled", "psct-small", "x2ct"), "pose_errors": (),
                   "reading_skulls": 0},
    "adults": {  # what real heads are scored with: skulls of 15 to 20 years in a volume of 250 mm
        "age_months": (180.0, 240.0), "field_mm": 250.0, "detector_mm": 400.0, "test_skulls": 20, "second_skulls": 10,
        "nets": ("unrolled", "psct-small", "x2ct"), "doses": (), "pose_errors": (), "reading_skulls": 0,
        "plain": ("sirt", "tv", "nearest", "gaussian", "atlas-registered", "nearest-registered"),
    },
    "64": {
        "size": 64, "train_skulls": 120, "validation_skulls": 8, "test_skulls": 20, "second_skulls": 10, "steps": 500,
        "batch": 2, "nets": ("unrolled", "psct-small", "x2ct"), "doses": (), "pose_errors": (),
        "reading_skulls": 0,
    },
    "gpu": {
        "size": 128, "train_skulls": 800, "validation_skulls": 40, "test_skulls": 100, "second_skulls": 50,
        "reading_skulls": 300, "steps": 20000, "seeds": 3, "view_counts": (1, 3, 4, 6, 10),
    },
}  # fmt: skip

NETWORK_OF_PACKAGE = "skull-unrolled"
DEMO: dict[str, Any] = {  # another seed than that of the network's training: other children
    "seed": 1, "train_skulls": 40, "validation_skulls": 4, "test_skulls": 8, "second_skulls": 4, "nets": (),
    "package": (NETWORK_OF_PACKAGE,), "plain": ("back-projection", "atlas", "nearest", "gaussian"), "doses": (0.01,),
    "pose_errors": (3.0,), "refined": (), "reading_skulls": 0,
}  # fmt: skip
