"""Sizes of the chest experiment: `small` for ten minutes of two cores, `full` for hours of them, `gpu` for hours of a GPU.

`first`, `together`, `bridge` and `shortcut` ask one question each, on a core. `shortcut` scans 104 patients (2.3 CPU s each),
trains ten networks (0.06 CPU s a step of 16 lungs) and reads with each (9 CPU s).
"""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "train_patients": 14,
    "validation_patients": 1,
    "test_patients": 6,
    "slices": 20,
    "crop": (96, 80),
    "first_steps": 200,
    "steps": 60,
    "seeds": 1,
    "subsets": False,
    "shares": (0.3,),
    "backbones": (),
    "losses": ("generalised-dice",),
    "sharings": ("uncertainty",),
    "doses": (0.10, 0.05),
    "bridge_slices": 4,
    "views": 160,
    "reader_steps": 100,
    "bridge_steps": 60,
}

PRESETS: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "full": {},
    "first": {  # all four heads at full dose and nothing else: 24 minutes of one core, six of them for painting the patients
        "train_patients": 150,
        "validation_patients": 4,
        "test_patients": 40,
        "first_steps": 1500,
        "more_steps": 2000,
        "steps": 0,
        "bridge_steps": 0,
    },
    "together": {  # heads together or alone, by steps, computing, labels and losses: about 2 1/4 hours of one core
        "train_patients": 60,
        "validation_patients": 4,
        "test_patients": 40,
        "first_steps": 0,
        "steps": 600,
        "seeds": 7,
        "shares": (0.1,),
        "share_seeds": 3,
        "backbones": (),
        "bridge_steps": 0,
    },
    "bridge": {  # heads in the loss of a low-dose reconstruction: about an hour of one core
        "train_patients": 150,
        "validation_patients": 4,
        "test_patients": 40,
        "first_steps": 0,
        "steps": 0,
        "bridge_seeds": 3,
    },
    "shortcut": {  # does a findings head read the disease or the scanner? about 13 minutes of one core
        "train_patients": 60,
        "validation_patients": 4,
        "test_patients": 40,
        "infection_share": 0.5,
        "first_steps": 0,
        "steps": 0,
        "shares": (),
        "bridge_steps": 0,
        "shortcut_steps": 800,
        "shortcut_seeds": 5,
    },
    "gpu": {
        "train_patients": 700,
        "test_patients": 200,
        "first_steps": 30_000,
        "steps": 8_000,
        "seeds": 7,
        "length_seeds": 7,
        "share_seeds": 3,
        "reader_steps": 8_000,
        "bridge_steps": 4_000,
    },
}
