"""Judge the networks of the package by a reader, noise and statistics of the audit's own; see README.md beside this file.

python benchmarks/audit/audit_task_adaptive.py --csv benchmarks/results/audit_task_adaptive.csv
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from own_reader import OwnReader, train_reader
from own_statistics import (
    dice_of_patients,
    holm_adjusted,
    lesions_at_one_alarm,
    paired_mean,
    paired_ratio,
    pooled_counts,
)

import taskct
from taskct.data.images import ImageSet
from taskct.evaluation.reading import UNTRAINED, MethodImages, ReaderPanel
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import cohort_of, projector_of
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.simulate.clean_scans import CleanScans
from taskct.simulate.noisy_scan import add_noise
from taskct.systems.adaptive.experiment import TaskAdaptive
from taskct.systems.adaptive.experiment.adaptive_presets import NETWORKS
from taskct.task.readers import load_reader

SEED = 20261130  # of patients, noise and reader: fixed before the first run
PHOTONS = (65536.0, 16384.0)
PAIRS = (("abdomen-unet-feature", "abdomen-unet"), ("abdomen-lpd-label", "abdomen-lpd"), ("abdomen-lpd", "abdomen-unet"))
SCORES = (("per patient", "dice"), ("lesions at 1 false alarm", "froc@1"), ("pooled", "dice_pooled"))
COLUMNS = (
    "method", "baseline", "photons", "score", "audit", "audit_low", "audit_high", "audit_p", "audit_p_holm", "comparisons",
    "package", "package_low", "package_high", "agrees", "same_side",
)  # fmt: skip


def numpy_scan(p: torch.Tensor, photons: float, seed: int) -> torch.Tensor:
    """Noise-free p (N, 1, V, C) -> noisy p: Poisson counts of photons * exp(-p), at least a tenth, by numpy."""
    draws = np.random.default_rng(seed)
    counts = draws.poisson(photons * np.exp(-p.double().numpy()))
    return torch.from_numpy(-np.log(np.maximum(counts, 0.1) / photons)).float()


def reconstructed(name: str, scan: Callable[[float], torch.Tensor], A: Projector) -> dict[float, torch.Tensor]:
    """Images of one network of the package at each dose."""
    net = taskct.load_reconstructor(name)
    found = {}
    for photons in PHOTONS:
        p = scan(photons)
        with torch.no_grad():
            found[photons] = torch.cat([net(part, A) for part in p.split(16)]).float()
    return found


def read(net: OwnReader, mu: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that the own reader calls tumour, and its log-odds of tumour."""
    with torch.no_grad():
        logits = torch.cat([net(part) for part in mu.split(32)])
    odds = logits[:, 2] - torch.logsumexp(logits[:, :2], 1)
    return (logits.argmax(1) == 2).numpy(), odds.numpy()


def panel_table(images: dict[str, dict[float, torch.Tensor]], test: ImageSet) -> Table:
    """What the package's own panel measures on the same patients, from the package's own noise."""
    readers = {name: load_reader(name) for name in ("abdomen-reader", "abdomen-reader-thin", "abdomen-reader-residual")}
    for name, reader in readers.items():
        reader.name = name
    first, *others = readers.values()
    panel = ReaderPanel(training=first, unseen=others, controls=False)
    sets = [
        MethodImages(
            ImageSet(mu, test.patient_ids, test.labels, test.ids, spacing_mm=test.spacing_mm), method,
            dose_fraction=photons / PHOTONS[0], photons=PHOTONS[0], seed=UNTRAINED, truth_mu=test.mu,
        )
        for method, at in images.items() for photons, mu in at.items()
    ]  # fmt: skip
    return panel.evaluate(sets, progress=False)


def compare(own: dict[tuple[str, float], dict[str, Any]], table: Table) -> list[dict[str, Any]]:
    """Rows of the audit beside those of the package."""
    rows: list[dict[str, Any]] = []
    for method, baseline in PAIRS:
        for photons in PHOTONS:
            ours, theirs = own[method, photons], own[baseline, photons]
            for score, metric in SCORES:
                if metric == "dice":
                    audit = paired_mean(ours[metric], theirs[metric])
                else:
                    audit = paired_ratio(ours[metric], theirs[metric], seed=SEED)
                level = DoseLevel(photons / PHOTONS[0], PHOTONS[0])
                package = table.paired(metric, method, baseline, dose=level, region="tumour")
                allowed = math.hypot((audit[2] - audit[1]) / 2, (package.high - package.low) / 2)
                side = lambda low, high: 1 if low > 0 else -1 if high < 0 else 0
                rows.append(dict(zip(COLUMNS, (
                    method, baseline, f"{photons:g}", score, *audit, math.nan, 0, package.mean, package.low, package.high,
                    abs(audit[0] - package.mean) <= allowed,
                    side(audit[1], audit[2]) == side(package.low, package.high),
                ), strict=True)))  # fmt: skip
    for row, p in zip(rows, holm_adjusted([r["audit_p"] for r in rows]), strict=True):
        row |= {"audit_p_holm": p, "comparisons": len(rows)}
    return rows


def main() -> None:
    """Draw the patients, train the reader, scan, reconstruct, read, compare, write."""
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--csv", type=Path)
    words.add_argument("--patients", type=int, default=40)
    words.add_argument("--reader-patients", type=int, default=160)
    words.add_argument("--reader-steps", type=int, default=900)
    given = words.parse_args()
    say = lambda text: print(f"{time.process_time():6.0f} s  {text}", file=sys.stderr)
    sizes = {"reader_patients": given.reader_patients, "train_patients": 0, "test_patients": given.patients, "seed": SEED}
    settings = TaskAdaptive(**{**NETWORKS, **sizes})
    learnt, test = (cohort_of(settings).images(part, progress=False) for part in ("train", "test"))
    assert learnt.labels is not None and test.labels is not None and not set(learnt.patient_ids) & set(test.patient_ids)
    say(f"{given.reader_patients} patients for the reader, {given.patients} for the test")
    reader = train_reader(learnt.mu, learnt.labels, steps=given.reader_steps, seed=SEED)
    owner, true = np.array(test.patient_ids), (test.labels == 2).numpy()
    marked, _ = read(reader, test.mu)
    full = dice_of_patients(marked, true, owner)
    say(f"own reader, full dose: Dice of a patient {np.mean(list(full.values())):.3f} over {len(full)} with a lesion")
    A = projector_of(settings)
    scans = CleanScans(test, A, progress=False)
    clean = scans.take(torch.arange(len(test)), torch.device("cpu"))
    names = list(dict.fromkeys(name for pair in PAIRS for name in pair))
    own: dict[tuple[str, float], dict[str, Any]] = {}
    packaged: dict[str, dict[float, torch.Tensor]] = {}
    for name in names:
        for photons, mu in reconstructed(name, lambda n: numpy_scan(clean, n, SEED), A).items():
            marked, odds = read(reader, mu)
            own[name, photons] = {
                "dice": dice_of_patients(marked, true, owner),
                "froc@1": lesions_at_one_alarm(odds, true, owner),
                "dice_pooled": pooled_counts(marked, true, owner),
            }
        noisy = lambda n: add_noise(clean, Dose(n), seed=SEED, items=list(test.ids))
        packaged[name] = reconstructed(name, noisy, A)
        say(f"{name}: reconstructed and read")
    rows = compare(own, panel_table(packaged, test))
    out = given.csv.open("w", newline="", encoding="utf-8") if given.csv else sys.stdout
    with out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    agree, same = sum(r["agrees"] for r in rows), sum(r["same_side"] for r in rows)
    say(
        f"{agree} of {len(rows)} gains agree within their intervals, {same} are on the same side of 0 or not separated in both"
    )


if __name__ == "__main__":
    main()
