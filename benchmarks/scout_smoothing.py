"""How much dose the noise of the scout costs rules that use its longest path, and what a learned dose gains without it.

    python benchmarks/scout_smoothing.py --csv benchmarks/results/scout_smoothing.csv        three minutes of one core

Two cohorts of `docs/dose-optimisation.md`, FBP, mean noise in the liver: the size of its noise tables (60 held-out patients
of 128 pixels), and that of the network `abdomen-dose` (40 patients of 64 pixels, seed 1), where that network stands beside
them. Every strategy is scaled to the same mean noise and scanned with fresh noise, once with the scout as it comes, once
smoothed (`SMOOTH_COLS`), and once with a scout without noise; the dose of the scout is left out and counted. No training is
needed.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from taskct.data.images import ImageSet
from taskct.evaluation.dose.target import parse_target
from taskct.evaluation.subject import Subject
from taskct.experiments.cohort_images import cohort_of, projector_of
from taskct.models import open_model
from taskct.simulate.clean_scans import CleanScans
from taskct.simulate.scout import SCOUT_PHOTONS, SMOOTH_COLS, scout_share
from taskct.systems.alara.dose_demo import DEMO, DOSE_OF_PACKAGE
from taskct.systems.alara.experiment.alara_presets import PRESETS
from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.experiment.shared_subjects import CLASSES, measure_of, smooth_fbp
from taskct.systems.alara.learned import load_strategy
from taskct.systems.alara.rivals.compare_strategies import compare_strategies
from taskct.systems.alara.rivals.measuring import Measuring
from taskct.systems.alara.rivals.strategies import STRATEGIES, FixedDose, Strategy, TubeCurrentModulation

LEVELS = tuple(2.0**k for k in range(12, 17))
LEARNED = "learned (abdomen-dose)"
_SCOUTS = {"1": "as it comes", str(SMOOTH_COLS): f"smoothed over {SMOOTH_COLS} columns", "exact": "without noise"}
COLUMNS = ("cohort", "scout", "strategy", "photons", "with_scout", "against", "percent", "low", "high", "percent_with_scout")


def subjects_of(settings: DoseExperiment) -> list[Subject]:
    """The held-out patients, drawn anew."""
    images = cohort_of(settings).images("test", progress=False)
    scans = CleanScans(images, projector_of(settings), progress=False)
    names = {number: name for name, number in CLASSES.items()}
    found = []
    for numbers in images.by_patient().values():
        part = images[numbers]
        p = scans.take(torch.tensor(numbers), torch.device("cpu")).reshape(len(numbers), 1, *scans.A.p_shape)
        found.append(Subject(ImageSet(part.mu, part.patient_ids, part.labels, part.ids, label_names=names), p, scans.A))
    return found


def strategies(cols: int) -> dict[str, Strategy]:
    """The strategies of the experiment, their scout smoothed over so many columns."""
    found: dict[str, Strategy] = {}
    for name, one in STRATEGIES.items():
        found[name] = one if isinstance(one, FixedDose) else replace(one, smooth_cols=cols)  # type: ignore[type-var]
    return found


def measure(name: str, settings: DoseExperiment, target: str, learned: Strategy | None) -> list[dict[str, Any]]:
    """Rows of one cohort: each strategy against a = 0.5 of the same scout, and against itself with the noisy scout."""
    subjects, held = subjects_of(settings), parse_target(target)
    share = scout_share(SCOUT_PHOTONS, settings.views)
    job = Measuring(subjects, measure_of(held, None), held)
    all_of: dict[str, Strategy] = {f"{k}|1": v for k, v in strategies(1).items()}
    all_of |= {f"{k}|{SMOOTH_COLS}": v for k, v in strategies(SMOOTH_COLS).items() if k != "fixed"}
    all_of["modulation a=0.5|exact"] = TubeCurrentModulation(0.5, scout_photons=None, smooth_cols=1)
    if learned is not None:
        all_of[f"{LEARNED}|1"] = learned
    found = compare_strategies(all_of, smooth_fbp, LEVELS, job, seed=settings.seed + 1, oracles=False, progress=False)
    photons = {o.strategy: float(o.photons.mean()) for o in found.outcomes}
    rows = []
    for one in all_of:
        kind, cols = one.split("|")
        rivals = ["modulation a=0.5|1", f"modulation a=0.5|{SMOOTH_COLS}", f"{kind}|1", "fixed|1"]
        for rival in dict.fromkeys(r for r in rivals if r != one):
            saved = found.saved(one, rival)
            counted = 100 * ((photons[one] + share) / (photons[rival] + share) - 1)
            rows.append({
                "cohort": name, "scout": _SCOUTS[cols], "strategy": kind,
                "photons": f"{photons[one]:.0f}", "with_scout": f"{photons[one] + share:.0f}",
                "against": rival.replace("|1", ", noisy scout").replace(f"|{SMOOTH_COLS}", ", smoothed scout"),
                "percent": f"{saved.mean:.2f}", "low": f"{saved.low:.2f}", "high": f"{saved.high:.2f}",
                "percent_with_scout": f"{counted:.2f}",
            })  # fmt: skip
    return rows


def main() -> None:
    """Measure both cohorts and write the table."""
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--csv", type=Path)
    given = words.parse_args()
    noise = DoseExperiment(**{**PRESETS["fbp"], "curve_photons": LEVELS})
    small = DoseExperiment(**DEMO)
    held = str(open_model(DOSE_OF_PACKAGE).config["held"]["target"])
    rows = measure("60 patients, 128 pixels", noise, "noise_sd_hu[liver]<=46.63", None)
    rows += measure("40 patients, 64 pixels", small, held, load_strategy(DOSE_OF_PACKAGE))
    out = given.csv.open("w", newline="", encoding="utf-8") if given.csv else sys.stdout
    with out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
