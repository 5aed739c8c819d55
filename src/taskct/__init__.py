"""taskct: task-aware low-dose CT. `import taskct` is light; each public name is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Grid": "taskct.geometry",
    "ParallelBeam": "taskct.geometry",
    "FanBeam": "taskct.geometry",
    "ConeBeam": "taskct.geometry",
    "VectorBeam": "taskct.geometry",
    "Projector": "taskct.physics.projector",
    "Dose": "taskct.physics.dose",
    "Case": "taskct.data.case",
    "to_hu": "taskct.core.units",
    "to_mu": "taskct.core.units",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604  (the names are the keys above, so the list cannot drift)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'taskct' has no attribute {name!r}; public names: {', '.join(sorted(_HOMES))}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
