"""The smallest chest experiment that does every kind of step."""

from __future__ import annotations

TINY = {
    "train_patients": 2,
    "validation_patients": 1,
    "test_patients": 3,
    "slices": 4,
    "crop": (48, 48),
    "pixel_mm": 4.0,
    "nodule_share": 1.0,
    "infection_share": 1.0,
    "widths": (8, 12),
    "batch": 3,
    "first_steps": 2,
    "steps": 2,
    "seeds": 1,
    "comparisons": ("steps",),
    "subsets": False,
    "shares": (),
    "backbones": (),
    "losses": (),
    "sharings": (),
    "preload": True,
    "doses": (0.05,),
    "bridge_slices": 1,
    "views": 30,
    "reader_steps": 2,
    "bridge_steps": 2,
}
