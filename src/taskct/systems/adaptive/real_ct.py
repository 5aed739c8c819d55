"""Real livers through networks that were trained on built-in patients: lesions asked for, livers outlined, images drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.units import to_hu
from taskct.data.case import Case
from taskct.evaluation.project_case import ProjectCase
from taskct.evaluation.reading import audit_lesions, count, find_lesions, match, read_images
from taskct.evaluation.reading.audit import FULL_DOSE, Audit
from taskct.evaluation.reading.segmentation import winner
from taskct.physics.dose import Dose
from taskct.simulate.noisy_scan import add_noise
from taskct.systems.adaptive.real_ct_cases import RealPatient, group_of, onto, pairs_of
from taskct.systems.adaptive.real_ct_runs import TrainedRuns
from taskct.task.frozen import FrozenTask

RADII_MM, CONTRASTS_HU = (5.0, 8.0, 12.0), (-20.0, -40.0, -60.0)
REFINE = 2


def audit_all(
    subjects: Sequence[RealPatient], trained: TrainedRuns, dose: Dose, *, most: int
) -> dict[tuple[str, float, float], Audit]:
    """(group of subjects, radius, contrast) -> answers; real portal-venous, real without contrast medium, built-in."""
    audits: dict[tuple[str, float, float], Audit] = {}
    for subject in subjects:
        if not subject.labelled:
            continue
        for radius in RADII_MM:
            for contrast in CONTRASTS_HU:
                pairs = pairs_of(subject.case, trained.A.grid, radius_mm=radius, contrast_hu=contrast, most=most)
                if not pairs:
                    continue
                found = audit_lesions(
                    pairs, trained.methods, trained.A, dose, trained.readers, seed=1, prepare=ProjectCase(refine=REFINE)
                )
                key = (group_of(subject), radius, contrast)
                audits[key] = audits[key] + found if key in audits else found
    return audits


def liver_rows(subjects: Sequence[RealPatient], trained: TrainedRuns, dose: Dose) -> list[dict[str, Any]]:
    """Per subject, method and reader: Dice of the liver, and marks per slice where no tumour is known."""
    rows = []
    for subject in subjects:
        if not subject.labelled:
            continue
        labels_of = subject.case.labels
        assert labels_of is not None
        slices = [k for k in range(len(labels_of)) if int((labels_of[k] == 1).sum())]
        case = onto(subject.case, trained.A.grid, slices[:: max(1, len(slices) // 10)])
        assert case.labels is not None
        for method, mu in reconstructions(case, trained, dose).items():
            for reader in trained.readers:
                said = winner(read_images(reader, mu))
                truth = find_lesions(case.labels.numpy(), 2, spacing_mm=case.spacing_mm[1:])
                _, alarms = match((said == 2).numpy(), truth)
                liver = count((said > 0).long(), (case.labels > 0).long(), 1).pooled_dice
                rows.append({"subject": subject.name, "method": method, "reader": reader.name, "dice": liver,
                             "alarms": float(alarms.mean()), "slices": len(case.hu)})  # fmt: skip
    return rows


def reconstructions(case: Case, trained: TrainedRuns, dose: Dose) -> dict[str, Tensor]:
    """Full dose, and what each method makes of one noisy scan: (N, 1, Y, X) in 1/mm."""
    numbers = range(len(case.hu))
    subject = ProjectCase(refine=REFINE)(case, numbers, trained.A)
    p = add_noise(subject.p, dose, seed=1, case_id=case.case_id, items=numbers)
    with torch.no_grad():
        return {FULL_DOSE: subject.mu} | {name: make(p.clone(), trained.A) for name, make in trained.methods.items()}


def draw(subjects: Sequence[RealPatient], trained: TrainedRuns, dose: Dose, path: Path, *, reader: FrozenTask) -> None:
    """A lesion put into the portal-venous liver, the same slice without it, and the patient with metastases."""
    from taskct.report.style import figure_style, new_figure

    shown = next(s for s in subjects if group_of(s) == "portal venous" and s.labelled)
    pair = pairs_of(shown.case, trained.A.grid, radius_mm=12.0, contrast_hu=-40.0, most=1)[0]
    rows = [(f"{shown.name}\nlesion put in: 12 mm, -40 HU", pair.with_lesion), ("the same slice\nwithout it", pair.without)]
    unlabelled = [s for s in subjects if not s.labelled]
    rows += [(f"{s.name}\n(no truth known)", onto(s.case, trained.A.grid, [len(s.case.hu) // 2 + 2])) for s in unlabelled]
    ring = pair.region[0].numpy()
    columns = [FULL_DOSE, *list(trained.methods)[:4]]
    with figure_style():
        figure, axes = new_figure(2.1 * len(columns), 1.55 * len(rows) + 0.2, rows=len(rows), cols=len(columns))
        for r, (about, case) in enumerate(rows):
            images = reconstructions(case, trained, dose)
            body = np.argwhere((case.hu[0] > -300).numpy())
            seen = [(lo - 3, hi + 3) for lo, hi in zip(body.min(0), body.max(0), strict=True)]
            for c, name in enumerate(columns):
                ax, mu = axes[r, c], images[name]
                said = winner(read_images(reader, mu))[0].numpy()
                ax.imshow(to_hu(mu[0, 0]).numpy(), cmap="gray", vmin=-20, vmax=200, interpolation="nearest")
                for level, colour in ((1, "#56b4e9"), (2, "#d55e00")):
                    marked = said >= level
                    if marked.any() and not marked.all():
                        ax.contour(marked, [0.5], colors=colour, linewidths=0.9)
                if r < 2:
                    ax.contour(ring, [0.5], colors="#f0e442", linewidths=0.7, linestyles="dotted")
                ax.set(xticks=[], yticks=[], xlim=seen[1], ylim=seen[0][::-1])
                ax.grid(False)
                if r == 0:
                    ax.set_title(name, fontsize=8)
                if c == 0:
                    ax.set_ylabel(about, fontsize=7.5)
        figure.savefig(path, dpi=90)
