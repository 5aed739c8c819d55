"""The step that gathers: tables of scores, comparisons and the bridge, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taskct.core.csv_cells import csv_lines
from taskct.core.files import make_folder, write_texts
from taskct.experiments.made import Made
from taskct.report.first_screen import figure_row
from taskct.systems.chest.chest_arms import Arm
from taskct.systems.chest.chest_comparing import (
    Comparison,
    Group,
    Trainings,
    bridge_gains,
    comparisons,
    groups_of,
    judged_by_seed,
    summary_lines,
)
from taskct.systems.chest.chest_net import ChestReader
from taskct.systems.chest.chest_page import write_chest_page
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.lung_crops import LungCrops
from taskct.systems.chest.lung_pictures import lungs_figures, picture_words, telling_crops
from taskct.systems.chest.reading_crops import Readings
from taskct.systems.chest.shortcut import OriginReadings, shortcut_rows
from taskct.systems.chest.shortcut_page import shortcut_csv


def gather(
    folder: Path,
    *,
    settings: ChestExperiment,
    readings: Mapping[str, Made[Readings]],
    arms: Mapping[str, Arm],
    bridge: Mapping[tuple[str, str, int], Made[Readings]],
    shortcuts: Mapping[tuple[str, int], Made[OriginReadings]] | None = None,
    images: Made[LungCrops] | None = None,
    first: Made[ChestReader] | None = None,
) -> None:
    """Write scores.csv, comparisons.csv, bridge.csv, shortcut.csv, summary.txt and report.html of what is done."""
    groups = groups_of(readings, arms)
    pairs = comparisons(groups)
    judged = judged_by_seed(bridge)
    tests = shortcut_rows({key: made.load() for key, made in (shortcuts or {}).items() if made.done})
    texts = {
        "scores.csv": scores_csv(groups),
        "comparisons.csv": comparisons_csv(pairs),
        "bridge.csv": bridge_csv(judged),
        "shortcut.csv": shortcut_csv(tests),
        "summary.txt": "\n".join(summary_lines(settings, groups, pairs, judged, tests)) + "\n",
    }
    make_folder(folder)
    write_texts(folder, texts, overwrite=True)
    shown = ""
    if images is not None and first is not None and first.done:
        crops = images.load().images("test")
        shown = figure_row(lungs_figures(first.load(), crops, telling_crops(crops)), picture_words())
    path = folder / "report.html"
    missing = [made.name for made in (*readings.values(), *bridge.values(), *(shortcuts or {}).values()) if not made.done]
    write_chest_page(
        path, settings=settings, groups=groups, pairs=pairs, judged=judged, tests=tests, pictures=shown, missing=missing
    )


def scores_csv(groups: Mapping[str, Group]) -> str:
    """Every score of every group with its interval over seeds and patients."""
    lines: list[list[Any]] = [["group", "tasks", "steps", "score", "mean", "low", "high", "patients", "seeds"]]
    for group in groups.values():
        for score in group.scores:
            mean = group.interval(score)
            ends = [_text(v) for v in (mean.mean, mean.low, mean.high)]
            arm = group.arm
            lines.append([group.name, "+".join(arm.tasks), arm.steps, score, *ends, mean.n_patients, len(group.seeds)])
    return csv_lines(lines)


def comparisons_csv(pairs: Sequence[Comparison]) -> str:
    """Every comparison: before, after, the difference with its interval."""
    lines: list[list[Any]] = [
        [
            "comparison",
            "group",
            "baseline",
            "score",
            "baseline mean",
            "group mean",
            "gain",
            "low",
            "high",
            "seeds",
            "separated",
        ]
    ]
    for p in pairs:
        numbers = [_text(v) for v in (p.before, p.after, p.gain.mean, p.gain.low, p.gain.high)]
        lines.append([p.kind, p.group, p.baseline, p.score, *numbers, p.seeds, "yes" if p.gain.separated else "no"])
    return csv_lines(lines)


def bridge_csv(judged: Mapping[tuple[str, str], Trainings]) -> str:
    """What the unseen reader says of every image at every dose."""
    heads = ["image", "dose", "score", "value", "value low", "value high", "gain over the image error", "low", "high"]
    lines: list[list[Any]] = [[*heads, "gain over the random network", "random low", "random high", "seeds"]]
    for row in bridge_gains(judged):
        three = (row.value, row.gain, row.control)
        ends = [text for one in three for text in ([_text(v) for v in (one.mean, one.low, one.high)] if one else [""] * 3)]
        lines.append([row.image, row.dose or "1", row.score, *ends, row.seeds])
    return csv_lines(lines)


def _text(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else ""
