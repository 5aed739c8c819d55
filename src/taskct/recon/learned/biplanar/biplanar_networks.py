"""Named networks: the settings of `BiPlanarNet` for each, as plain values. `prior` is added by whoever trains one."""

from __future__ import annotations

from typing import Any

_ALL = ["repeat", "smear", "rays", "attention"]

BIPLANAR: dict[str, dict[str, Any]] = {
    "repeat": {"lift": ["repeat"]},
    "x2ct": {"lift": ["repeat"], "decoder": "fused"},
    "smear": {"lift": ["smear"]},
    "released-geometry": {"lift": ["smear"], "geometry": "released"},
    "rays": {"lift": ["smear", "rays"]},
    "attention": {"lift": ["repeat", "attention"]},
    "attention-published": {"lift": ["repeat", "attention"], "positions": False},
    "state-space": {"lift": ["smear"], "core": "state-space"},
    "fused": {"lift": ["smear", "repeat"], "decoder": "fused"},
    "smear-agree": {"lift": ["smear"], "agree": "last", "agree_steps": 3},
    "repeat-agree": {"lift": ["repeat"], "agree": "last", "agree_steps": 3},
    "unrolled": {"lift": ["smear"], "agree": "unrolled"},
    "psct-small": {"lift": _ALL, "core": "state-space", "decoder": "fused", "positions": False, "widths": [16, 24, 48]},
    "psct": {
        "lift": _ALL,
        "core": "state-space",
        "decoder": "fused",
        "encoder": "dense",
        "widths": [16, 16, 32, 64, 128, 256],
        "fold": 1,
        "norm": "batch",
        "positions": False,
        "geometry": "released",
        "last_size": 7,
        "positive": True,
    },
}


def preset_config(name: str, **changes: Any) -> dict[str, Any]:
    """The [model] table of a preset, with changes such as `prior=[32, 32, 32]`; ConfigError for an unknown name.

    >>> preset_config("smear", widths=[8, 16])
    {'kind': 'biplanar', 'lift': ['smear'], 'widths': [8, 16]}
    """
    from taskct.core.errors import choose

    return {"kind": "biplanar", **choose("preset of bi-planar networks", name, BIPLANAR), **changes}
