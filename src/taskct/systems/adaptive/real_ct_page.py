"""The words and tables of real-ct-task.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from taskct.core.names import capital
from taskct.evaluation.reading.audit import FULL_DOSE, Audit
from taskct.physics.dose import Dose
from taskct.systems.adaptive.real_ct_runs import TrainedRuns

HEAD = """
# Real livers through networks trained on built-in patients

Readers and reconstructions learnt from computed patients only ([cohort](cohort.md)). This page shows how far they serve
real CT. Written by `python docs/make_real_ct_task_figure.py DATA RUNS`.

![full dose and reconstructions with the reader's marks](figures/real_ct_task.png)

*Blue: what `{shown}` takes for liver; red: for tumour; dotted yellow: where the lesion was put in. {photons} photons a bin.
Window -20 to 200 HU.*

## How

Images of {pixels}, {views} views, {photons} photons a bin, projected on a grid twice as fine. Readers: {readers}, trained on
full dose of built-in patients. Arms and table are taken out of the real scans, since no built-in patient has any. Lesions
(radius 5, 8 and 12 mm, contrast -20, -40 and -60 HU) are put into the CT on its own pixels by `insert_lesion` before it is
projected, each in a slice of its own; a reader says "lesion" when it marks a tenth of the place. The same slice, with the
same noise, is asked without the lesion.

These are three real patients with labels, and one with metastases and no labels, who is in the picture only. The numbers are
counts and not evidence about patients. The labels of the first two come from a network.

## Liver, and marks where no tumour is known

Pooled Dice of the liver (tumour counted as liver) / tumour marks per slice, mean over readers.
"""

LESIONS = """
## Inserted lesions

Share of the answers "lesion", over all places and readers: where a lesion was inserted / at the same place without it.
"""

NOTES = """
## Interpretation and limits

Some of it carries over: the liver is outlined in scans unlike any that the networks have seen, and lesions of the contrast and
size that built-in patients have are found in a real liver too, somewhat less often than in a built-in one. Some does not: real
texture, vessels without contrast medium and the streaks between the arms are marked as tumours where built-in livers are
quiet, at full dose already. Scans without contrast medium are outside of what the readers learnt (livers of 45 HU instead
of 73 to 121, more noise): there a reconstruction that removes noise helps them beyond full dose, and at full dose a lesion
of -60 HU, darker than any that they know, is found less often than a faint one.

Differences of a few answers between learned methods are within chance: places in one liver are not independent, and there is
one training of each. The comparison of methods is that of the built-in test patients, with intervals.
"""

SOURCES = """
## Sources

TotalSegmentator test data (Apache-2.0; Wasserthal et al., Radiol. Artif. Intell. 5:e230024 (2023)): the Siemens scan and
that of 3 mm. CRLM-CT-1004 (Simpson et al., TCIA, doi:10.7937/QXK2-QG03, CC BY 4.0): the scan with metastases. Test data of
dcmqi (BSD-3-Clause): the three slices with a DICOM SEG of the liver.
"""


def page(
    rows: list[dict[str, Any]], audits: Mapping[tuple[str, float, float], Audit], trained: TrainedRuns, dose: Dose
) -> str:
    """The page, every number of which comes from the arguments."""
    methods, grid = [FULL_DOSE, *trained.methods], trained.A.grid
    facts = {
        "shown": trained.readers[-1].name,
        "readers": ", ".join(f"`{r.name}`" for r in trained.readers),
        "photons": f"{dose.used_photons:g}",
        "pixels": f"{grid.shape[1]} x {grid.shape[0]} pixels of {grid.spacing_mm[1]:.2f} mm",
        "views": trained.A.p_shape[0],
    }
    parts = HEAD.format(**facts).split("\n\n")
    parts += [_table("patient", methods, _liver_lines(rows, methods)), *LESIONS.split("\n\n")]
    for group in dict.fromkeys(key[0] for key in audits):
        parts += [
            f"### {capital(group)}",
            _table("lesions | asked", methods, _lesion_lines(group, audits, methods)),
        ]
    parts += NOTES.split("\n\n") + SOURCES.split("\n\n")
    parts = [part.strip() for part in parts]
    return "\n\n".join(part if part[0] in "#|!" else fill(" ".join(part.split()), 120) for part in parts) + "\n"


def _liver_lines(rows: list[dict[str, Any]], methods: Sequence[str]) -> list[list[str]]:
    lines = []
    for subject in dict.fromkeys(r["subject"] for r in rows):
        cells = [subject]
        for method in methods:
            mine = [r for r in rows if r["subject"] == subject and r["method"] == method]
            dice, alarms = (float(np.mean([r[key] for r in mine])) for key in ("dice", "alarms"))
            cells.append(f"{dice:.2f} / {alarms:.1f}")
        lines.append(cells)
    return lines


def _lesion_lines(group: str, audits: Mapping[tuple[str, float, float], Audit], methods: Sequence[str]) -> list[list[str]]:
    """By contrast over all sizes, then by size over all contrasts."""
    mine = {key[1:]: audit for key, audit in audits.items() if key[0] == group}
    chosen: dict[str, list[Audit]] = {}
    for (_, contrast), audit in mine.items():
        chosen.setdefault(f"{contrast:g} HU", []).append(audit)
    for (radius, _), audit in mine.items():
        chosen.setdefault(f"radius {radius:g} mm", []).append(audit)
    chosen["all"] = list(mine.values())
    lines = []
    for name, found in chosen.items():
        answers = [answer for audit in found for answer in audit.answers]
        if not answers:
            continue
        cells = [name, str(sum(a.method == FULL_DOSE for a in answers))]
        for method in methods:
            of = [a for a in answers if a.method == method]
            cells.append(f"{sum(a.when_present for a in of)} / {sum(a.when_absent for a in of)}")
        lines.append(cells)
    return lines


def _table(first: str, methods: Sequence[str], lines: list[list[str]]) -> str:
    head = f"| {first} | " + " | ".join(methods) + " |"
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *("| " + " | ".join(cells) + " |" for cells in lines)])
