"""Restate the savings in docs/dose-optimisation.md by today's rules, as far as their printed intervals allow.

    python docs/restate_dose_optimisation.py     its tables and dose_smoothed_scout.csv -> benchmarks/results/dose_restated.csv

The tables keep means and intervals, not patients. What they give, in logarithms of the ratio of photons:

of one training         its standard error, from the half of the interval that lies towards 0, and Student's t over patients
of three trainings      the mean of the three; the errors of seeds and patients add up, with Satterthwaite's degrees of
                        freedom: the printed intervals drew three seeds again, which is a third too little of their variance
p, corrected            Holm over all comparisons with strategies that do not learn: those of the page, and apart from them
                        those of the training with a smoothed scout
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from page_tables import correction_words, filled
from scipy.stats import t

from taskct.evaluation.statistics import holm

PAGE = Path(__file__).with_name("dose-optimisation.md")
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
RIVALS = ("fixed", "modulation a=0.5", "modulation a=1", "constant noise")
PATIENTS = {"noise": 60, "tumour": 108, "smoothed": 40}
COLUMNS = ("family", "arm", "held_for", "rival", "trainings", "percent", "low", "high", "p", "p_holm", "comparisons")
_INTERVAL = re.compile(r"([+-]?[\d.]+) \[([+-]?[\d.]+), ([+-]?[\d.]+)\]")
Ends = tuple[float, float, float]


@dataclass(frozen=True)
class Saving:
    """One comparison: per cent and interval of each training, over so many patients."""

    family: str
    arm: str
    held_for: str
    rival: str
    each: tuple[Ends, ...]
    patients: int

    def restated(self) -> tuple[float, float, float, float]:
        """Mean in per cent, its interval, and p."""
        points = np.array([math.log1p(one[0] / 100) for one in self.each])
        reach = [_log(m) - _log(low) if m > 0 else _log(high) - _log(m) for m, low, high in self.each]
        over = self.patients - 1
        of_patients = float(np.mean([(r / t.ppf(0.975, over)) ** 2 for r in reach]))
        seeds = len(points)
        of_seeds = float(points.var(ddof=1)) / seeds if seeds > 1 else 0.0
        error = math.sqrt(of_patients + of_seeds)
        freedom = error**4 / (of_patients**2 / over + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0))
        mean, half = float(points.mean()), float(t.ppf(0.975, freedom)) * error
        percent = [100 * math.expm1(v) for v in (mean, mean - half, mean + half)]
        return percent[0], percent[1], percent[2], float(2 * t.sf(abs(mean) / error, freedom))


def of_page() -> Iterator[Saving]:
    """Every arm of the page against every rival: trainings of one arm together, of a task also along the learned course."""
    text = PAGE.read_text(encoding="utf-8")
    block = lambda name: text.split(f"<!-- begin {name} -->")[1].split(f"<!-- end {name} -->")[0]
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for cells in _cells(block("summary")):
        match = re.fullmatch(r"(fbp-.+?)-\d(-\w+)?", cells[0])
        if match:
            rows.setdefault((match[1] + (match[2] or ""), cells[1].partition(":")[0]), []).append(cells)
    for (arm, held_for), several in rows.items():
        for k, rival in enumerate(RIVALS):
            patients = PATIENTS["tumour" if "tumour" in arm else "noise"]
            yield Saving("page", arm, held_for, rival, tuple(_ends(cells[2 + k]) for cells in several), patients)
    for part in block("task").split("**Read by ")[1:]:
        reader = "-residual_fast" if part.startswith("residual_fast") else ""
        for cells in _cells(part):
            if cells[0].endswith("learned course"):  # of three trainings, whose own intervals are not printed
                yield Saving("page", f"fbp-tumour-views{reader}", "mean", cells[0], (_ends(cells[5]),), PATIENTS["tumour"])


def of_smoothed() -> Iterator[Saving]:
    """The training with a smoothed scout, three seeds."""
    found: dict[tuple[str, str], list[Ends]] = {}
    with open(RESULTS / "dose_smoothed_scout.csv", newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            if row["strategy"] in RIVALS:
                name = "learned_minus_it_percent"
                ends = (float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
                found.setdefault((row["held_by"], row["strategy"]), []).append(ends)
    for (held_by, rival), each in found.items():
        yield Saving("smoothed scout", "fbp-noise-views", held_by, rival, tuple(each), PATIENTS["smoothed"])


def table(savings: Sequence[Saving]) -> list[dict[str, object]]:
    """A row for each, corrected together."""
    numbers = [one.restated() for one in savings]
    corrected = holm([p for *_, p in numbers])
    return [
        dict(zip(COLUMNS, (one.family, one.arm, one.held_for, one.rival, len(one.each), *found, float(p), len(savings)),
                 strict=True))
        for one, found, p in zip(savings, numbers, corrected, strict=True)
    ]  # fmt: skip


def main() -> None:
    """Write the table and the sentence of the page, and print each."""
    rows = [*table(list(of_page())), *table(list(of_smoothed()))]
    with open(RESULTS / "dose_restated.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    page = [(f"{r['arm']}, {r['held_for']},", str(r["rival"]), float(str(r["p_holm"]))) for r in rows if r["family"] == "page"]
    PAGE.write_text(filled(PAGE, {"comparisons": correction_words(page)}), encoding="utf-8")
    for row in rows:
        ends = f"{row['percent']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"
        print(f"{row['arm']}, {row['held_for']}, {row['rival']}: {ends} % p {row['p_holm']:.2g} of {row['comparisons']}")


def _cells(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _ends(cell: str) -> Ends:
    match = _INTERVAL.fullmatch(cell)
    assert match is not None, cell
    return float(match[1]), float(match[2]), float(match[3])


def _log(percent: float) -> float:
    return math.log1p(percent / 100)


if __name__ == "__main__":
    main()
