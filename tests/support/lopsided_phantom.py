"""A phantom that no turn or flip leaves as it is, and the beam that scans it in the viewer's tests."""

from __future__ import annotations

import torch

from taskct.data.case import Case
from taskct.geometry import ParallelBeam

BEAM = ParallelBeam(views=40, cols=80, pixel_mm=1.5)


def lopsided(case_id: str = "ct", planes: int = 4) -> Case:
    """Water with a bright block high on the left of the image and a small lesion low on its right; no two pixels are alike."""
    hu = torch.full((planes, 32, 48), -1000.0)
    hu[:, 4:28, 6:42] = 0.0
    hu[:, 6:12, 8:20] = 300.0
    hu += torch.arange(32.0)[None, :, None] + 0.5 * torch.arange(48.0).round() + 2 * torch.arange(float(planes))[:, None, None]
    hu = hu.round()
    labels = torch.zeros(planes, 32, 48, dtype=torch.uint8)
    labels[:, 4:28, 6:42] = 1
    labels[2, 20:24, 30:36] = 2
    return Case(hu, (5.0, 2.0, 1.5), case_id=case_id, labels=labels, label_names={1: "liver", 2: "liver tumour"})
