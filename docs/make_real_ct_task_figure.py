"""Real livers through networks that were trained on built-in patients: docs/real-ct-task.md and its figure.

    python docs/make_real_ct_task_figure.py DATA RUNS [--models NAME ...] [--readers NAME ...] [--places 6]

DATA holds `abdomen_totalseg_siemens20`, `abdomen_totalseg_3mm`, `dicom_seg_liver_3slice` and `abdomen_crlm1004` (sources and
licences are on the page). RUNS holds run folders: of readers (config with [reader]) and of reconstructions ([model], [beam]).
Lesions are put into the CT before it is projected. A few minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.files import write_text
from taskct.core.runs import is_run, load_run
from taskct.core.units import to_hu
from taskct.data.case import AIR_HU, Case
from taskct.data.classes import with_classes
from taskct.data.cohort import CohortSettings, insert_lesion, make_patient
from taskct.data.open import open_case
from taskct.evaluation.studies import ProjectCase
from taskct.evaluation.task import LesionPair, audit_lesions, count, find_lesions, match, read_images
from taskct.evaluation.task.audit import FULL_DOSE, Audit
from taskct.evaluation.task.segmentation import winner
from taskct.geometry import Grid
from taskct.geometry.config import beam_from_config
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import load_reconstructor
from taskct.simulate.scan import add_noise
from taskct.task.frozen import FrozenTask
from taskct.task.readers import load_reader
from taskct.training.sources import onto_common_grid

HERE = Path(__file__).parent
PAGE, FIGURE = HERE / "real-ct-task.md", HERE / "figures" / "real_ct_task.png"
Reconstruct = Callable[[Tensor, Projector], Tensor]
RADII_MM, CONTRASTS_HU = (5.0, 8.0, 12.0), (-20.0, -40.0, -60.0)
MARGIN_MM = 3.0  # between a lesion and the surface of the liver
REFINE = 2


HEAD = """
# Real livers through networks trained on built-in patients

Readers and reconstructions learnt from computed patients only (docs/cohort.md). Here they meet real CT: what carries over
and what does not. Written by `python docs/make_real_ct_task_figure.py DATA RUNS`.

![full dose and reconstructions with the reader's marks](figures/real_ct_task.png)

*Blue: what `{shown}` takes for liver; red: for tumour; dotted yellow: where the lesion was put in. {photons} photons a bin.
Window -20 to 200 HU.*

## How

Images of {pixels}, {views} views, {photons} photons a bin, projected on a grid twice as fine. Readers: {readers}, trained on
full dose of built-in patients. Arms and table are taken out of the real scans, since no built-in patient has any. Lesions
(radius 5, 8 and 12 mm, contrast -20, -40 and -60 HU) are put into the CT on its own pixels by `insert_lesion` before it is
projected, each in a slice of its own; a reader says "lesion" when it marks a tenth of the place. The same slice, with the
same noise, is asked without the lesion.

These are three real patients with labels and one without: counts, no evidence about patients. The labels of the first two
come from a network.

## Liver, and marks where no tumour is known

Pooled Dice of the liver (tumour counted as liver) / tumour marks per slice, mean over readers.
"""

LESIONS = """
## Lesions that were put in

Answers "lesion" where one was put in / at the same place without it, of all places and readers asked.
"""

NOTES = """
## What it says, and what not

What carries over: the liver is outlined in scans that no network ever saw the like of, and lesions of the contrast and size
that built-in patients have are found in a real liver nearly as often as in a built-in one. What does not: real texture,
vessels without contrast medium and the streaks between the arms are marked as tumours where built-in livers are quiet, at
full dose already. Scans without contrast medium are outside of what the readers learnt (livers of 45 HU instead of 73 to
121, more noise): there a reconstruction that removes noise helps them beyond full dose, and at full dose a lesion of -60 HU,
darker than any that they know, is found less often than a faint one.

Differences of a few answers between learned methods are within chance: places in one liver are not independent, and there is
one training of each. The comparison of methods is that of the built-in test patients, with intervals.
"""

SOURCES = """
## Sources

TotalSegmentator test data (Apache-2.0; Wasserthal et al., Radiol. Artif. Intell. 5:e230024 (2023)): the Siemens scan and
that of 3 mm. CRLM-CT-1004 (Simpson et al., TCIA, doi:10.7937/QXK2-QG03, CC BY 4.0): the scan with metastases. Test data of
dcmqi (BSD-3-Clause): the three slices with a DICOM SEG of the liver.
"""


@dataclass(frozen=True, eq=False)
class Subject:
    """A patient: `case` with labels 1 liver and 2 tumour, what is known about the scan, and whether the liver is labelled."""

    name: str
    about: str
    case: Case
    labelled: bool = True


@dataclass(frozen=True, eq=False)
class Trained:
    """What the run folders hold: readers, methods in the order of the tables, the scanner and the doses."""

    readers: Sequence[FrozenTask]
    methods: Mapping[str, Reconstruct]
    A: Projector
    doses: Sequence[Dose]


def load_runs(runs: Path, *, models: Sequence[str] = (), readers: Sequence[str] = ()) -> Trained:
    """Readers of full dose and reconstructions from run folders; all reconstructions must share scanner and grid."""
    found = {path.name: load_run(path) for path in sorted(runs.iterdir()) if path.is_dir() and is_run(path)}
    done = {name: run for name, run in found.items() if run.path("weights.safetensors").exists()}
    named_readers = readers or [n for n, r in done.items() if r.config.get("reads") == "full dose"]
    named = models or [n for n, r in done.items() if "model" in r.config and "-base-" not in n]
    missing = [n for n in (*named_readers, *named) if n not in done]
    if missing or not named_readers or not named:
        raise InputError(f"{runs}: expected finished runs of readers and models, missing {missing or 'all'}; has {list(done)}")
    config = done[named[0]].config
    for name in named[1:]:
        if (done[name].config["beam"], done[name].config["grid"]) != (config["beam"], config["grid"]):
            raise InputError(f"{runs / name}: was trained for another scanner or grid than {named[0]}")
    A = Projector(Grid(tuple(config["grid"]["shape"]), tuple(config["grid"]["spacing_mm"])), beam_from_config(config["beam"]))
    full = Dose(config["dose"]["photons"], electronic_std=config["dose"]["electronic_std"])
    fractions = sorted({config["dose"]["highest"], config["dose"]["lowest"]}, reverse=True)
    methods: dict[str, Reconstruct] = {"FBP, Hann": partial(fbp, window="hann")}
    methods |= {name: load_reconstructor(done[name]) for name in named}
    return Trained([load_reader(done[n]) for n in named_readers], methods, A, [full.at(f) for f in fractions])


def read_subjects(data: Path) -> list[Subject]:
    """Real CT, and two built-in patients without tumours beside it."""
    labels = "labels_totalsegmentator.nii.gz"
    places: list[tuple[str, str, Path, Path | None, dict[str, list[str | int]]]] = [
        ("Siemens, portal venous", "20 slices of 2 mm; arms at the sides", data / "abdomen_totalseg_siemens20" / "ct.nii.gz",
         data / "abdomen_totalseg_siemens20" / labels, {"liver": [5]}),
        ("no contrast medium, 3 mm", "30 slices of 3 mm voxels", data / "abdomen_totalseg_3mm" / "ct.nii.gz",
         data / "abdomen_totalseg_3mm" / labels, {"liver": [5]}),
        ("no contrast medium, 3 slices", "3 slices of 1 mm", data / "dicom_seg_liver_3slice",
         data / "dicom_seg_liver_3slice" / "liver.dcm", {"liver": [1]}),
        ("GE, liver metastases", "41 slices of 5 mm, no labels", data / "abdomen_crlm1004" / "ct.nii.gz", None, {}),
    ]  # fmt: skip
    found = []
    for name, about, path, label, numbers in places:
        case = open_case(path, labels=label)
        case = with_classes(case, {**numbers, "tumour": []}) if numbers else case
        found.append(Subject(name, about, body_only(replace(case, case_id=name, patient_id=name)), bool(numbers)))
    for number in (8, 9):  # test patients of every cohort
        made = make_patient(
            0, number, shape=(16, 256, 256), spacing_mm=(2.5, 1.5, 1.5), settings=CohortSettings(healthy_share=1)
        )
        case = replace(made.case, case_id=f"built-in {number}", patient_id=f"built-in {number}", provenance={})
        found.append(Subject(f"built-in {number}", "16 slices of 2.5 mm", case))
    return found


def body_only(case: Case) -> Case:
    """The trunk in the middle of the image; table and arms become air, as the networks never saw any."""
    from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, label

    opened = binary_opening(case.hu.numpy() > -300, structure=np.ones((1, 5, 5)))
    pieces, _ = label(opened)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    trunk = np.stack([binary_fill_holes(one) for one in pieces == sizes.argmax()])
    trunk = binary_dilation(trunk, structure=np.ones((1, 3, 3)), iterations=max(1, round(3 / case.spacing_mm[1])))
    at = np.argwhere(trunk.any(0))
    shift = [round((n - 1) / 2 - (lo + hi) / 2) for n, lo, hi in zip(case.hu.shape[1:], at.min(0), at.max(0), strict=True)]
    hu = torch.where(torch.from_numpy(trunk), case.hu, torch.tensor(AIR_HU))
    assert case.affine_mm is not None
    affine = case.affine_mm.copy()
    affine[:3, 3] -= affine[:3, 1] * shift[0] + affine[:3, 2] * shift[1]
    labels = None if case.labels is None else torch.roll(case.labels, shift, (1, 2))
    return replace(case, hu=torch.roll(hu, shift, (1, 2)), labels=labels, affine_mm=affine)


def onto(case: Case, grid: Grid, slices: Sequence[int]) -> Case:
    """Some slices on the networks' grid, as a case."""
    mu, labels = onto_common_grid(case, grid, slices)
    return Case(
        to_hu(mu[:, 0]),
        (case.spacing_mm[0], grid.spacing_mm[0], grid.spacing_mm[1]),
        case.case_id,
        case.patient_id,
        labels=labels,
        label_names=case.label_names,
    )


def places_mm(case: Case, radius_mm: float, most: int) -> list[tuple[float, float, float]]:
    """Places in the liver for lesions of a radius, apart from one another and from its surface: the same ones each time."""
    from scipy.ndimage import distance_transform_edt

    assert case.labels is not None and case.affine_mm is not None
    liver = np.pad((case.labels == 1).numpy(), ((0, 0), (1, 1), (1, 1)))  # slices go on above and below
    depth = distance_transform_edt(liver, sampling=case.spacing_mm)[:, 1:-1, 1:-1]
    fits = np.argwhere(depth > radius_mm + MARGIN_MM)
    found: list[np.ndarray] = []
    for at in fits[np.random.default_rng(7).permutation(len(fits))]:
        gaps = [np.linalg.norm((at - other) * case.spacing_mm) for other in found]
        if not gaps or min(gaps) > 2 * radius_mm:
            found.append(at)
        if len(found) == most:
            break
    return [tuple(float(v) for v in (case.affine_mm @ [*at, 1.0])[:3]) for at in found]  # type: ignore[misc]


def pairs_of(case: Case, grid: Grid, *, radius_mm: float, contrast_hu: float, most: int) -> list[LesionPair]:
    """One slice of the case without and with each lesion: put in on the scanner's own pixels, then on the networks' grid."""
    found = []
    for number, place in enumerate(places_mm(case, radius_mm, most)):
        made = insert_lesion(case, centre_mm=place, radius_mm=radius_mm, contrast_hu=contrast_hu, seed=number)
        assert case.affine_mm is not None
        k = int(np.linalg.solve(case.affine_mm, [*place, 1.0])[0].round())
        name = f"{case.case_id}, place {number}"
        one, other = (replace(onto(c, grid, [k]), case_id=name) for c in (case, made))
        found.append(LesionPair(one, other))
    return found


def audit_all(
    subjects: Sequence[Subject], trained: Trained, dose: Dose, *, most: int
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


def group_of(subject: Subject) -> str:
    """Which line of the tables a subject belongs to."""
    if subject.name.startswith("built-in"):
        return "built-in"
    return "no contrast medium" if subject.name.startswith("no contrast") else "portal venous"


def liver_rows(subjects: Sequence[Subject], trained: Trained, dose: Dose) -> list[dict[str, Any]]:
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


def reconstructions(case: Case, trained: Trained, dose: Dose) -> dict[str, Tensor]:
    """Full dose, and what each method makes of one noisy scan: (N, 1, Y, X) in 1/mm."""
    numbers = range(len(case.hu))
    study = ProjectCase(refine=REFINE)(case, numbers, trained.A)
    p = add_noise(study.p, dose, seed=1, case_id=case.case_id, items=numbers)
    with torch.no_grad():
        return {FULL_DOSE: study.truth_mu} | {name: make(p.clone(), trained.A) for name, make in trained.methods.items()}


def draw(subjects: Sequence[Subject], trained: Trained, dose: Dose, path: Path, *, reader: FrozenTask) -> None:
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


def page(rows: list[dict[str, Any]], audits: Mapping[tuple[str, float, float], Audit], trained: Trained, dose: Dose) -> str:
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
            f"### {group[0].upper()}{group[1:]}",
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
    chosen = {f"{c:g} HU": [a for (_, contrast), a in mine.items() if contrast == c] for c in CONTRASTS_HU}
    chosen |= {f"radius {r:g} mm": [a for (radius, _), a in mine.items() if radius == r] for r in RADII_MM}
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


def main(words: Sequence[str] | None = None) -> None:
    """Read, ask, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--models", nargs="*", default=())
    parser.add_argument("--readers", nargs="*", default=())
    parser.add_argument("--places", type=int, default=6, help="lesions of each size and contrast in a patient, at most")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    chosen = parser.parse_args(words)
    trained = load_runs(chosen.runs, models=chosen.models, readers=chosen.readers)
    subjects = read_subjects(chosen.data)
    dose = trained.doses[-1] if len(trained.doses) == 1 else trained.doses[0]
    rows = liver_rows(subjects, trained, dose)
    audits = audit_all(subjects, trained, dose, most=chosen.places)
    chosen.figure.parent.mkdir(parents=True, exist_ok=True)
    draw(subjects, trained, dose, chosen.figure, reader=trained.readers[-1])
    write_text(chosen.page, page(rows, audits, trained, dose), overwrite=True)


if __name__ == "__main__":
    main()
