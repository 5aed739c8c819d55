"""Restate the committed rows of the task-adaptive experiment by today's rules, as far as rows without patients allow.

    python docs/restate_task_adaptive.py     benchmarks/results/task_adaptive_{gains,summary}.csv -> ..._restated.csv

The experiment of those rows kept means and intervals, not patients, so they do not give the Dice of a patient. What they give:

mean of the readers     the mean of the two unseen readers' own gains, in place of a gain of counts pooled over both
p, corrected            of each interval, by Student's t with 39 degrees of freedom (40 patients) and the half of the interval
                        that lies towards 0; Holm over all gains in pooled Dice and in lesions at one false alarm together.
                        With several training seeds there are fewer degrees of freedom: these p are then too small
p, least freedom        the same with one degree of freedom less than there are seeds, the fewest that an interval over seeds
                        and patients can have; the truth lies between the two, and only what survives both is confirmed
share, one reader       gain of the reader of the losses over what the same reader gains by retraining; points, since the
                        intervals of a ratio need patients. The reader of the losses flatters a loss that was made for it
"""

from __future__ import annotations

import csv
from pathlib import Path

from scipy.stats import t

from taskct.evaluation.statistics import holm

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
UNSEEN = ("unet_thin", "residual_fast")
LESIONS = "sensitivity at 1 false alarm"
FREEDOM = 39
LEVEL = 0.05
COLUMNS = (
    "method", "baseline", "photons", "pooled", "pooled_low", "pooled_high", "mean_of_readers", "pooled_p", "pooled_p_holm",
    "lesions", "lesions_low", "lesions_high", "lesions_p", "lesions_p_holm", "comparisons", "old_share", "share_one_reader",
    "old_verdict", "restated", "seeds", "pooled_p_least_freedom", "pooled_p_least_freedom_holm",
)  # fmt: skip
Key = tuple[str, str, str]


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a committed CSV."""
    with open(RESULTS / f"task_adaptive_{name}.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def p_of(mean: float, low: float, high: float, freedom: int = FREEDOM) -> float:
    """Two-sided p of 0 from an interval of 95 %, by the half of it that lies towards 0."""
    reach = mean - low if mean > 0 else high - mean
    error = reach / float(t.ppf(0.975, freedom))
    return 1.0 if error <= 0 else float(2 * t.sf(abs(mean) / error, freedom))


def restated() -> list[dict[str, object]]:
    """A row for every comparison."""
    gains: dict[Key, dict[str, dict[str, str]]] = {}
    for row in rows_of("gains"):
        gains.setdefault((row["method"], row["baseline"], row["photons"]), {})[row["score"]] = row
    summary = {
        (r["method"], r["photons"], r["metric"], r["reader"]): float(r["mean"]) for r in rows_of("summary") if r["mean"]
    }
    trained = {
        (r["method"], r["photons"]): int(r["seeds"])
        for r in rows_of("summary") if (r["metric"], r["reader"]) == ("dice_pooled", "unseen")
    }  # fmt: skip
    seeds = {key: min(trained[key[0], key[2]], trained[key[1], key[2]]) for key in gains}
    if not any("unseen" in own for own in gains.values()):
        raise SystemExit("the committed gains are by today's rules already: there is nothing to restate")
    asked = [(key, score) for key, own in gains.items() for score in ("unseen", LESIONS) if score in own]
    ends = lambda row: tuple(float(row[name]) for name in ("mean", "low", "high"))
    values = [p_of(*ends(gains[key][score])) for key, score in asked]
    corrected = dict(zip(asked, zip(values, holm(values), strict=True), strict=True))
    fewest = lambda key: seeds[key] - 1 if seeds[key] > 1 else FREEDOM
    strict = [p_of(*ends(gains[key][score]), freedom=fewest(key)) for key, score in asked]
    least = dict(zip(asked, zip(strict, holm(strict), strict=True), strict=True))
    found = []
    for key, own in gains.items():
        if "unseen" not in own:
            continue
        _, baseline, photons = key
        pooled, lesions = ends(own["unseen"]), ends(own[LESIONS]) if LESIONS in own else ("", "", "")
        p, p_holm = corrected[key, "unseen"]
        start = summary.get((baseline, photons, "dice_pooled", "training"))
        bound = summary.get((baseline, photons, "dice_pooled", "retrained"))
        gap = None if start is None or bound is None else bound - start
        old_share = own.get("share recovered", {})
        old = own["unseen"]["verdict"]
        more = (*lesions, *corrected[key, LESIONS]) if LESIONS in own else ("",) * 5
        found.append(dict(zip(COLUMNS, (
            *key, *pooled, sum(float(own[r]["mean"]) for r in UNSEEN) / len(UNSEEN), p, p_holm, *more, len(asked),
            old_share.get("mean", "") if old_share.get("low") else "",
            float(own["training"]["mean"]) / gap if gap and gap > 0.02 else "",
            old, _word(old, p_holm, least[key, "unseen"][1], corrected.get((key, LESIONS)), lesions),
            seeds[key], *least[key, "unseen"],
        ), strict=True)))  # fmt: skip
    return found


def _word(old: str, p: float, least: float, lesions: tuple[float, float] | None, ends: tuple[object, ...]) -> str:
    fewer = lesions is not None and isinstance(ends[2], float) and ends[2] < 0
    if old == "harm" or fewer:
        sure = (old == "harm" and p < LEVEL) or (fewer and lesions is not None and lesions[1] < LEVEL)
        unsure = ", if its seeds leave enough degrees of freedom" if old == "harm" and p < LEVEL <= least else ""
        return f"harm{unsure}" if sure else "harm, not after correction"
    if old == "confirmed":
        unsure = ", if its seeds leave enough degrees of freedom" if least >= LEVEL else ""
        return f"confirmed in pooled Dice{unsure}" if p < LEVEL else "does not survive the correction"
    return old


def main() -> None:
    """Write the table, and say what survives."""
    rows = restated()
    with open(RESULTS / "task_adaptive_restated.csv", "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    for row in rows:
        if row["old_verdict"] in ("confirmed", "harm") or row["restated"] != row["old_verdict"]:
            print(row["photons"], row["method"], row["old_verdict"], "->", row["restated"], f"p {row['pooled_p_holm']:.2g}")


if __name__ == "__main__":
    main()
