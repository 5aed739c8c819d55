"""taskct: task-aware low-dose CT. `import taskct` is light; each public name is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    # nouns
    "Grid": "taskct.geometry",
    "ParallelBeam": "taskct.geometry",
    "FanBeam": "taskct.geometry",
    "ConeBeam": "taskct.geometry",
    "VectorBeam": "taskct.geometry",
    "Projector": "taskct.physics.projector",
    "Dose": "taskct.physics.dose",
    "Case": "taskct.data.case",
    "Scan": "taskct.data.scan",
    "FrozenTask": "taskct.task",
    "Run": "taskct.core.runs",
    # from files to attenuation and back
    "open_case": "taskct.data.open",
    "open_cases": "taskct.data.open",
    "phantom_case": "taskct.phantoms",
    "Cohort": "taskct.phantoms.cohort",
    "insert_lesion": "taskct.phantoms.lesions",
    "remove_lesion": "taskct.phantoms.lesions",
    "case_lesions": "taskct.phantoms.lesions.of_case",
    "liver_classes": "taskct.data.classes",
    "split_by_patient": "taskct.data.splits",
    "to_hu": "taskct.core.units",
    "to_mu": "taskct.core.units",
    "write_nifti": "taskct.data.nifti",
    "write_series": "taskct.data.dicom.write",
    "read_scan": "taskct.data.scan",
    "write_scan": "taskct.data.scan",
    # low dose
    "simulate_scan": "taskct.simulate",
    "simulate_scan_differentiable": "taskct.simulate",
    "scan_case": "taskct.simulate",
    "lodopab_scan": "taskct.simulate",
    "lower_dose": "taskct.simulate",
    # reconstruction
    "fbp": "taskct.recon",
    "fdk": "taskct.recon",
    "sirt": "taskct.recon",
    "cgls": "taskct.recon",
    "os_sart": "taskct.recon",
    "tv_min": "taskct.recon",
    # proof
    "Table": "taskct.evaluation",
    "evaluate": "taskct.evaluation",
    "tune": "taskct.evaluation",
    # learning
    "ImageSet": "taskct.data.images",
    "DoseRange": "taskct.training",
    "ImageError": "taskct.training",
    "LabelPenalty": "taskct.training",
    "FeaturePenalty": "taskct.training",
    "convex": "taskct.training",
    "train": "taskct.training",
    "train_reader": "taskct.training",
    "train_task": "taskct.training",
    "load_reconstructor": "taskct.recon.learned",
    "load_reader": "taskct.task.readers",
    "optimise_dose": "taskct.evaluation.dose",
    "load_run": "taskct.core.runs",
    "write_report": "taskct.report",
    "draw_geometry": "taskct.report",
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
