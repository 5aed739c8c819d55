"""What the numbers say, in plain words. Every sentence is computed from the means, the intervals and the patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskct.core.names import plural
from taskct.evaluation.rows import ALL, DoseLevel
from taskct.evaluation.statistics import FEW_PATIENTS, Interval
from taskct.evaluation.table import Table
from taskct.report.noise_section import baseline_is_not_noise, noise_sentence
from taskct.report.number_text import dose_phrase, number, span, with_unit

_BIAS_WORTH_SAYING_HU = 5.0


@dataclass(frozen=True)
class Statement:
    """One sentence; `caution` marks what limits the others."""

    text: str
    caution: bool = False


def verdict(table: Table, *, metric: str | None = None) -> list[Statement]:
    """The headline: best method per dose and by how much, dose that may be saved, and what forbids to say more.

    Two methods are called separated only when the paired interval excludes zero and FEW_PATIENTS patients stand behind it.
    The baseline is the table's first method. `metric` defaults to the first that has a better and a worse side.
    """
    metric = metric or primary_metric(table)
    if metric is None:
        return [Statement("No metric with a better and a worse side was measured.", caution=True)]
    doses = table.doses
    shown = [doses[-1]] if len(doses) == 1 else [doses[-1], doses[0]]
    found = [_best_at(table, metric, dose) for dose in shown]
    about_noise = noise_sentence(table, metric, shown)
    found += [Statement(about_noise)] if about_noise else []
    if len(doses) > 1 and len(table.methods) > 1:
        found += _dose_saved(table, metric)
    found += _other_metrics(table, metric, doses[-1])
    found += _regions(table, doses[-1])
    found += _bias(table, doses[-1])
    return [*found, *_cautions(table)]


def limits(table: Table, metric: str) -> list[str]:
    """What limits the best method at the lowest dose, besides the number of patients, the gravest first."""
    dose = table.doses[-1]
    found = [*_scoring_flaws(table), *(s.text for s in _other_metrics(table, metric, dose))]
    found += [s.text for part in (_regions(table, dose), _bias(table, dose)) for s in part]
    return found


def primary_metric(table: Table) -> str | None:
    """The first metric of the protocol that has a better and a worse side."""
    return next((m for m in table.metrics if table.label(m)["better"] != "zero"), None)


def ranking(table: Table, metric: str, dose: DoseLevel) -> list[tuple[str, Interval]]:
    """Methods with their means at one dose, the best first; undefined means are left out."""
    order = {"higher": lambda mean: -mean, "lower": lambda mean: mean, "zero": abs}[table.label(metric)["better"]]
    means = [(s.method, s.interval) for s in table.summary(metric, dose=dose) if not math.isnan(s.interval.mean)]
    return sorted(means, key=lambda m: order(m[1].mean))


def kept_and_leading(table: Table, metric: str | None, dose: DoseLevel, among: Sequence[str], most: int) -> list[str]:
    """At most so many of the methods `among`, in their order: the first one, and those that lead at a dose."""
    best = [] if metric is None or len(among) <= most else [name for name, _ in ranking(table, metric, dose) if name in among]
    kept = list(dict.fromkeys([*among[:1], *best, *among]))[:most]
    return [name for name in among if name in kept]


def _best_at(table: Table, metric: str, dose: DoseLevel) -> Statement:
    about = table.label(metric)
    ranked = ranking(table, metric, dose)
    where = f"At {dose_phrase(dose, table.doses)}"
    if not ranked:
        return Statement(f"{where} no value of {about['label']} is defined.", caution=True)
    (best, mean), rest = ranked[0], ranked[1:]
    extreme = {"higher": "highest mean {}", "lower": "lowest mean {}", "zero": "mean {} nearest to 0"}[about["better"]]
    text = f"{where} {best} has the {extreme.format(about['label'])}, {with_unit(mean.mean, about['unit'])}"
    text += f" (95 % interval {span(mean, about['unit'])})." if span(mean) and mean.n_patients >= FEW_PATIENTS else "."
    if not rest or about["better"] == "zero":  # a difference of two means says nothing about which is nearer to 0
        return Statement(text)
    others = list(dict.fromkeys([rest[0][0], table.methods[0]]))  # the second, and the baseline
    others = [name for name in others if any(name == r for r, _ in rest)]
    return Statement(text + _comparisons(table, metric, best, others, dose))


def _comparisons(table: Table, metric: str, method: str, others: Sequence[str], dose: DoseLevel) -> str:
    """' That is 14.2 HU below FBP (...).' and ' It is not separated from SIRT (...).', as the paired intervals allow."""
    about = table.label(metric)
    unit = about["unit"]
    apart: list[str] = []
    together: list[str] = []
    for other in others:
        difference = table.paired(metric, method, other, dose=dose)
        side = "above" if difference.mean > 0 else "below"
        size = with_unit(abs(difference.mean), unit)
        if difference.n_patients < FEW_PATIENTS:
            better, total = wins(table, metric, method, other, dose)
            apart.append(f"{size} {side} {other} (better in {better} of {plural(total, 'image')})")
            continue
        first = not apart and not together
        ends = f"{'95 % interval of the difference ' if first else ''}{span(difference, unit)}"
        if difference.separated:
            apart.append(f"{size} {side} {other} ({ends})")
        else:
            together.append(f"{other} ({ends}, which includes zero)")
    text = f" That is {' and '.join(apart)}." if apart else ""
    return text + (f" It is not separated from {' or from '.join(together)}." if together else "")


def wins(table: Table, metric: str, method: str, other: str, dose: DoseLevel) -> tuple[int, int]:
    """Images in which a method is better than another one, of how many that both have."""
    sign = -1 if table.label(metric)["better"] == "higher" else 1
    theirs = {(r.case, r.item): r.value for r in table.select(metric, other, dose)}
    pairs = [(r.value, theirs[r.case, r.item]) for r in table.select(metric, method, dose) if (r.case, r.item) in theirs]
    return sum(sign * a < sign * b for a, b in pairs), len(pairs)


def _dose_saved(table: Table, metric: str) -> list[Statement]:
    """The lowest dose at which the best method is as good as the baseline at the highest dose, if that is limited by noise."""
    mended = baseline_is_not_noise(table, metric)
    if mended:
        return [Statement(mended, caution=True)]
    about, baseline, top = table.label(metric), table.methods[0], table.doses[0]
    sign = -1 if about["better"] == "higher" else 1
    candidates = [name for name, _ in ranking(table, metric, table.doses[-1]) if name != baseline]
    enough: tuple[str, DoseLevel, Interval] | None = None
    for dose in reversed(table.doses[1:]):
        for name in candidates:
            difference = table.paired(metric, name, baseline, dose=dose, baseline_dose=top)
            if sign * difference.mean <= 0:
                enough = (name, dose, difference)
                break
        if enough:
            break
    full = dose_phrase(top, table.doses)
    if enough is None:
        lowest = dose_phrase(table.doses[1], table.doses)
        return [Statement(f"No method at {lowest} or less reaches the mean {about['label']} of {baseline} at {full}.")]
    name, dose, difference = enough
    start = f"By {about['label']}, {name} at {dose_phrase(dose, table.doses)} is on average no worse than {baseline} at {full}"
    ends = span(difference, about["unit"])
    if difference.n_patients < FEW_PATIENTS:
        return [Statement(f"{start} (difference {with_unit(difference.mean, about['unit'])}).")]
    words = "confirmed" if difference.separated and sign * difference.mean < 0 else "not confirmed, as it includes zero"
    return [Statement(f"{start}: difference {with_unit(difference.mean, about['unit'])}, 95 % interval {ends}; {words}.")]


def _other_metrics(table: Table, metric: str, dose: DoseLevel) -> list[Statement]:
    """Metrics whose best method is another one: a reader must not see one metric only."""
    best = ranking(table, metric, dose)
    if len(best) < 2:
        return []
    differing = []
    for name in table.metrics:
        if name != metric and table.label(name)["better"] != "zero":
            ranked = ranking(table, name, dose)
            if ranked and ranked[0][0] != best[0][0]:
                differing.append(f"{ranked[0][0]} by {table.label(name)['label']}")
    if not differing:
        return []
    return [Statement(f"Other metrics choose otherwise at {dose_phrase(dose, table.doses)}: {', '.join(differing)}.")]


def _regions(table: Table, dose: DoseLevel) -> list[Statement]:
    """Regions in which another method has the least RMSE than in the whole mask, where edges and bone weigh most."""
    regions = [r for r in table.regions if r != ALL]
    if "rmse_hu" not in table.metrics or not regions:
        return []
    best: dict[str, str] = {}
    means = [s for s in table.summary("rmse_hu", dose=dose, region=None) if not math.isnan(s.interval.mean)]
    for region in [ALL, *regions]:
        here = [s for s in means if s.region == region]
        if here:
            best[region] = min(here, key=lambda s: s.interval.mean).method
    whole = best.pop(ALL, None)
    other = {region: method for region, method in best.items() if method != whole}
    if not other or whole is None:
        return []
    named = [f"{method} in {region}" for region, method in other.items() if not region.startswith("label ")] or [
        f"{method} in {region}" for region, method in other.items()
    ]
    more = f" and {len(named) - 4} more" if len(named) > 4 else ""
    return [
        Statement(
            f"In {len(other)} of {plural(len(best), 'labelled region')} another method than {whole} has the lowest mean "
            f"RMSE at {dose_phrase(dose, table.doses)}: {', '.join(named[:4])}{more}."
        )
    ]


def _bias(table: Table, dose: DoseLevel) -> list[Statement]:
    if "bias_hu" not in table.metrics:
        return []
    means = [(s.method, s.interval.mean) for s in table.summary("bias_hu", dose=dose)]
    if not means:
        return []
    name, worst = max(means, key=lambda m: abs(m[1]))
    if not abs(worst) >= _BIAS_WORTH_SAYING_HU:
        return []
    return [
        Statement(
            f"Mind the CT numbers: at {dose_phrase(dose, table.doses)} {name} is off by {number(worst, 'HU')} HU on average."
        )
    ]


def _cautions(table: Table) -> list[Statement]:
    found = []
    n = len(table.patients)
    if n < FEW_PATIENTS:
        who = "One patient" if n == 1 else f"{n} patients"
        found.append(
            f"{who}: this describes {'this patient' if n == 1 else 'these patients'} and allows no statement about others; "
            "slices of one patient are not independent."
        )
    found += _scoring_flaws(table)
    warned = table.notes.get("warnings")
    if isinstance(warned, dict):
        found += [f"The method {name} warned in {text}." for name, text in warned.items()]
    failed = table.notes.get("noise-free")
    if isinstance(failed, dict):
        found += [
            f"The method {name} has no image without noise, so its noise cannot be separated from its other errors."
            for name in failed
        ]
    undefined = sum(1 for r in table.rows if math.isnan(r.value))
    if undefined:
        found.append(f"{plural(undefined, 'value')} of {len(table.rows)} could not be computed and took no part.")
    return [Statement(text, caution=True) for text in found]


def _scoring_flaws(table: Table) -> list[str]:
    """What makes the scores themselves better than they would be elsewhere."""
    found = _tuning_overlap(table)
    if "inverse crime" in str(table.settings.get("simulation", "")):
        found.insert(0, "The truth was projected on the grid of the reconstruction (inverse crime): scores are optimistic.")
    return found


def _tuning_overlap(table: Table) -> list[str]:
    """Tuned on what is reported: say so."""
    found = []
    evaluated = {str(c.get("case_id")): c.get("slices") for c in table.cases}
    for name, note in _tunings(table.notes.get("tuning")):
        of = f" of {str(note['method']).split('(')[0]}" if note.get("method") else ""
        shared = [c for c in note.get("cases", []) if c in evaluated]
        if shared:
            same = str(note.get("slices")) == str(table.settings.get("slices"))
            which = "the slices evaluated here" if same else "other slices of cases evaluated here"
            found.append(f"The {name}{of} was tuned on {which} ({', '.join(shared[:3])}{', …' if len(shared) > 3 else ''}).")
        if note.get("at_edge", "no") != "no":
            found.append(f"The tuned {name}{of} is the {note['at_edge']} value tried; a better one may lie beyond.")
    return found


def _tunings(notes: Any, name: str = "") -> Sequence[tuple[str, dict[str, Any]]]:
    """Every record that `tune` wrote, however deep the caller nested it."""
    if not isinstance(notes, dict):
        return []
    if "best" in notes and "cases" in notes:
        return [(name or "parameter", notes)]
    return [found for key, value in notes.items() for found in _tunings(value, f"{name} {key}".strip())]
