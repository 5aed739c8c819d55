"""Packs the two networks for real CT, and writes the tables and the picture of docs/real-ct-network.md.

    python docs/make_real_ct_network.py runs/real-ct [--pack]

of `taskct reproduce real-ct --set data=FOLDER --out runs/real-ct`. The scores go to benchmarks/results/real_ct_network.csv.
`--pack` puts both networks into the package, in half precision where no error (RMSE in the body) of the test changes by
.1 HU or more.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from page_tables import filled

from taskct.core.config import from_dict
from taskct.core.files import write_text
from taskct.core.runs import load_run
from taskct.core.units import to_hu_unchecked
from taskct.experiments.step_record import read_record
from taskct.models import Card, Figure, TrainingData, pack_model
from taskct.models.package_models import SHIPPED
from taskct.physics.dose import Dose
from taskct.recon.learned import load_reconstructor
from taskct.systems.real_ct.judge_ct import METHOD_OF, read_images
from taskct.systems.real_ct.judged_ct import JUDGED, body_of
from taskct.systems.real_ct.judged_summary import METHODS, Scores, goals, table_of
from taskct.systems.real_ct.judging import TV_WEIGHTED, Subject
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
from taskct.systems.real_ct.training_slices import described, seen_slices

HERE = Path(__file__).parent
PAGE, FIGURE = HERE / "real-ct-network.md", HERE / "figures" / "real_ct_network.jpg"
RESULTS = HERE.parent / "benchmarks" / "results" / "real_ct_network.csv"
LICENCES = {
    "abdomen_totalseg_siemens20": "Apache-2.0 (test data of TotalSegmentator, Wasserthal et al. 2023)",
    "dicom_seg_liver_3slice": "BSD-3-Clause (test data of dcmqi)",
    "abdomen_totalseg_3mm": "Apache-2.0 (test data of TotalSegmentator, Wasserthal et al. 2023)",
}
SHOWN = {"abdomen_crlm1004": (50, 350), "chest_lidc0314_nodule": (40, 400)}
SAME_HU = 0.1
TITLES = {
    "image": "real CT: FBP and a network for the image error alone",
    "task": "real CT: FBP and a network for the image error and the contrast of lesions",
}
PURPOSES = {
    "image": "low-dose CT of abdomen, chest and head at any pixel and dose; trained for the image error alone, the rival of "
    "real-ct-task: it has less error and takes more of a lesion's contrast",
    "task": "low-dose CT of abdomen, chest and head at any pixel and dose; trained so that small lesions keep their contrast",
}
LIMITS = (
    "research software, not a medical device; no patient may be treated by its images",
    "six real CT took part in training and test; other scanners, kernels, phases and diseases were not measured",
    "noise was simulated (Poisson counts, fan beams and parallel rays); scatter, beam hardening, motion and metal were not",
    "children, limbs and implants were not in training; the guard warns of noise, grain and tissue that were not",
    "contrast was measured for inserted discs of -30 HU; what happens to real lesions was not",
)


def main() -> None:
    """Tables, scores and picture; with --pack the networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", action="store_true")
    parser.add_argument("--commit", default="", help="with which they were trained; by default as the runs recorded it")
    chosen = parser.parse_args()
    rows = list(csv.DictReader((chosen.folder / "report" / "scores.csv").open()))
    scores = Scores(rows)
    write_text(RESULTS, (chosen.folder / "report" / "scores.csv").read_text(), overwrite=True)
    settings = settings_of(chosen.folder)
    if chosen.pack:
        for arm in METHOD_OF:
            pack(chosen.folder, arm, settings, scores, commit=chosen.commit)
    tables = {
        name: "\n".join(line for ct in scores.cts if JUDGED[ct].seen == seen for line in about_ct(scores, ct))
        for name, seen in (("unseen", False), ("seen", True))
    }
    tables["goals"] = "\n".join(f"- {line}" for line in goals(scores))
    tables["sources"] = "\n".join(source_lines(settings))
    write_text(PAGE, filled(PAGE, tables), overwrite=True)
    picture(chosen.folder)


def settings_of(folder: Path) -> RealCTExperiment:
    """The settings that the experiment began with."""
    return from_dict(RealCTExperiment, {k: v for k, v in load_run(folder).config["experiment"].items() if k != "name"})


def pack(folder: Path, arm: str, settings: RealCTExperiment, scores: Scores, *, commit: str) -> None:
    """The network of an arm with its card."""
    run = load_run(folder / arm)
    made = run.provenance
    seconds = sum(float(read_record(folder, step).get("cpu_s", 0.0)) for step in ("base", arm))
    card = Card(
        kind="reconstruction",
        title=TITLES[arm],
        purpose=PURPOSES[arm],
        licence="Apache-2.0, like the code; the licences of the CT that it learnt from stand beside them",
        geometry="any beam that FBP takes, 400 views or more; pixels of any size, worked on at .75 mm; learnt with "
        "clinical_fan (1152 and 720 views), a fan of finer columns and parallel rays",
        photons=settings.photons,
        steps=settings.base_steps + settings.fork_steps,
        cpu_minutes=round(seconds / 60, 1),
        training_data=sources(settings),
        figures=figures(scores, arm, settings),
        limits=LIMITS,
        command=f"taskct reproduce real-ct --set data=FOLDER; step {arm}",
        commit=commit or str(made["git_commit"]),
        created_utc=str(made["created_utc"]),
    )
    with tempfile.TemporaryDirectory() as place:
        pair = [pack_model(run, Path(place) / f"{half}", card=card, half=half) for half in (False, True)]
        apart = _apart(settings, *map(load_reconstructor, pair))
    print(f"real-ct-{arm}: half precision changes its error by up to {apart:.3f} HU")
    packed = pack_model(run, SHIPPED / f"real-ct-{arm}", card=card, half=apart < SAME_HU, overwrite=True)
    seen_slices(Path(settings.data)).write(load_run(packed))


def _apart(settings: RealCTExperiment, one: Any, other: Any) -> float:
    """The largest difference of the error (RMSE in HU) of two networks on a slice of each CT, at highest and lowest dose."""
    found = []
    for name, about in JUDGED.items():
        subject = Subject(name, *about.slice_of(Path(settings.data), about.slices[0]))
        for fraction in (max(settings.fractions), min(settings.fractions)):
            p = subject.scans(Dose(settings.judged_photons, fraction))[:1]
            body = torch.from_numpy(body_of(subject.hu))
            with torch.no_grad():
                images = [to_hu_unchecked(net(p, subject.scanner))[0, 0] for net in (one, other)]
            errors = [float((x - torch.from_numpy(subject.hu))[body].square().mean().sqrt()) for x in images]
            found.append(abs(errors[0] - errors[1]))
    return max(found)


def sources(settings: RealCTExperiment) -> tuple[TrainingData, ...]:
    """What it learnt from."""
    return tuple(
        TrainingData(
            name=name if name.startswith("built-in") else f"{name}, one patient",
            licence=LICENCES.get(name, "none needed: computed by taskct, no patient's data"),
            patients=len(numbers) if name.startswith("built-in") else 1,
            images=count,
            where="taskct.Cohort" if name.startswith("built-in") else "docs/real-ct-network.md",
        )
        for name, count, numbers in described(settings)
    )


def figures(scores: Scores, arm: str, settings: RealCTExperiment) -> tuple[Figure, ...]:
    """On CT that no training saw: RMSE, that of TV, largest bias, contrast of 8 mm."""
    found = []
    for ct in scores.cts:
        if JUDGED[ct].seen:
            continue
        for dose in scores.doses:
            get = lambda metric, region, m, c=ct, d=dose: scores.mean(c, d, m, metric, region)
            ours, rival = (get("rmse_hu", "body", m) for m in (METHOD_OF[arm], TV_WEIGHTED))
            share = get("contrast_share", "8 mm", METHOD_OF[arm])
            bias = [abs(get("bias_hu", r, METHOD_OF[arm]) or 0.0) for r in scores.regions(ct)]
            about = {"photons": settings.judged_photons * float(dose), "patients": 1, "images": len(JUDGED[ct].slices)}
            of = f"{ct}; TV tuned on another slice: {rival:.1f}" if rival is not None else ct
            if ours is not None:
                found.append(Figure(what="RMSE in HU", mean=round(ours, 2), of=of, **about))
            if share is not None:
                found.append(Figure(what="contrast kept of discs of 8 mm and -30 HU", mean=round(share, 3), of=ct, **about))
            if bias:
                found.append(Figure(what="largest bias of a region in HU", mean=round(max(bias), 2), of=ct, **about))
    return tuple(found)


def source_lines(settings: RealCTExperiment) -> list[str]:
    """The sources as a table."""
    rows = [["source", "patients", "slices", "licence"]]
    rows += [[s.name, f"{s.patients}", f"{s.images}", s.licence] for s in sources(settings)]
    return markdown(rows)


def about_ct(scores: Scores, ct: str) -> list[str]:
    """A heading, what the CT is, its table."""
    about = JUDGED[ct]
    slices = f"{len(about.slices)} slice{'s' if len(about.slices) > 1 else ''}"
    return [f"#### {ct}", "", f"{about.about[0].upper()}{about.about[1:]}; {slices}.", "", *markdown(table_of(scores, ct)), ""]


def markdown(rows: list[list[str]]) -> list[str]:
    """A table as lines."""
    head, *body = rows
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return [line(head), line(["---"] * 2 + ["--:"] * (len(head) - 2)), *map(line, body)]


def picture(folder: Path) -> None:
    """Full dose and all methods at a tenth of the dose, on the CT that may be shown."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown: dict[str, Mapping[str, np.ndarray]] = {}
    for ct in SHOWN:
        images: dict[str, np.ndarray] = {}
        for step in (f"judge-classical-{ct}", f"judge-weighted-{ct}", *(f"judge-{arm}-{ct}" for arm in METHOD_OF)):
            if read_record(folder, step).get("done"):
                images |= read_images(folder / step)
        if images:
            shown[ct] = images
    names = [n for n in ("full dose", *METHODS) if any(n in images for images in shown.values())]
    figure, axes = plt.subplots(len(shown), len(names), figsize=(2.3 * len(names), 2.2 * len(shown)), squeeze=False)
    for row, (ct, images) in zip(axes, shown.items(), strict=True):
        level, width = SHOWN[ct]
        for axis, name in zip(row, names, strict=True):
            axis.set_axis_off()
            if name in images:
                axis.imshow(images[name][60:-60, 30:-30], cmap="gray", vmin=level - width / 2, vmax=level + width / 2)
                axis.set_title(name, fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(FIGURE, dpi=130, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main()
