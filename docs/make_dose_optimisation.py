"""Write the tables and the figures of docs/dose-optimisation.md.

    python docs/make_dose_optimisation.py NOISE TASK     folders of `taskct reproduce dose --preset fbp` and `--preset task`

The gradient table is computed here: sums over the Poisson distribution against autograd through the twin's expectation.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from page_tables import correction_words, filled

from taskct.core.config import read_toml
from taskct.evaluation.statistics import Interval, bootstrap_mean
from taskct.report.style import GREY, figure_style, method_looks, new_figure
from taskct.simulate.differentiable import twin_counts
from taskct.systems.alara.experiment.comparing import LEARNED, read_comparisons
from taskct.systems.alara.pages.savings_family import SavingsFamily, rivals_of
from taskct.systems.alara.rivals.calibration import calibration
from taskct.systems.alara.rivals.oracle import ORACLE_MEAN, ORACLE_VIEWS
from taskct.systems.alara.rivals.outcomes import Comparison, Outcome, over_seeds, saved_over_seeds, spread_over_seeds

PAGE = Path(__file__).with_name("dose-optimisation.md")
FIGURE = Path(__file__).parent / "figures" / "dose_strategies.png"
DEPLOYED = f"{LEARNED}, as deployed"
RIVALS = ("fixed", "modulation a=0.5", "modulation a=1", "constant noise", ORACLE_MEAN, ORACLE_VIEWS)


def gradients() -> str:
    """d/dd of E (noisy p - p)^2: finite differences of exact expectations, the twin's gradient, noise after the log."""
    lines = [
        "| photons a ray sees | exact, finite differences | twin, autograd | ratio | noise after the log | ratio |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = torch.exp(-z * z / 2) / torch.exp(-z * z / 2).sum()
    for seen in (0.3, 1, 3, 5, 10, 30, 100, 1000):
        d, p, step = 16 * math.log(2), 16 * math.log(2) - math.log(seen), 1e-3

        def exact(level: float, p: float = p) -> float:
            expected = math.exp(level - p)
            n = torch.arange(0, int(expected + 12 * math.sqrt(expected) + 40), dtype=torch.float64)
            chance = torch.exp(n * math.log(expected) - expected - torch.lgamma(n + 1))
            return float((chance * (level - torch.log(n.clamp_min(0.1)) - p) ** 2).sum())

        finite = (exact(d + step) - exact(d - step)) / (2 * step)
        level = torch.tensor(d, dtype=torch.float64, requires_grad=True)
        counts = twin_counts(level - p + 0 * z, z, electronic_std=0.0, floor_photons=0.1)
        (found,) = torch.autograd.grad((weight * (level - torch.log(counts) - p) ** 2).sum(), level)
        after = -1 / seen
        ratios = float(found) / finite, after / finite
        lines.append(f"| {seen:g} | {finite:.4g} | {float(found):.4g} | {ratios[0]:.3f} | {after:.4g} | {ratios[1]:.3f} |")
    return "\n".join(lines)


def found_in(*folders: Path) -> list[tuple[str, dict[str, Any], Comparison]]:
    """Name, about and comparison of all that is done."""
    return [
        (path.name.removeprefix("compared-"), one.values["about"], c)
        for folder in folders
        for path in sorted(folder.glob("compared-*"))
        if (path / "comparison.json").is_file()
        for one in [read_comparisons(path)]
        for c in one.comparisons
    ]


def summary(*folders: Path) -> str:
    """One line for each comparison that is done: the learned dose against its rivals, in per cent."""
    lines = [
        "| arm, seed | held for | against fixed | a = 0.5 | a = 1 | constant noise | oracle of the mean | oracle by view | "
        "SD minus fixed's | SD minus a = 0.5's | "
        "reach it (learned, fixed, a = 0.5) | as deployed: photons, mean, reach it |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, _, c in found_in(*folders):
        names = [o.strategy for o in c.outcomes]
        by = "mean" if c.held_by == "mean" else f"{100 * float(c.held_by):g} %"
        used = c.outcome(DEPLOYED)
        deployed = f"{used.photons.mean():.0f}, {np.nanmean(used.values):.4g}, {100 * c.share(used):.0f} %"
        if LEARNED in names:
            cells = [_interval(c.saved(LEARNED, r), 1) if r in names else "" for r in RIVALS]
            digits = 4 if c.target.of_full else 2
            spread = [_interval(c.spread_difference(LEARNED, r), digits) if r in names else "" for r in RIVALS[:2]]
            three = (LEARNED, "fixed", "modulation a=0.5")
            shares = ", ".join(f"{100 * c.share(c.outcome(n)):.0f} %" if n in names else "-" for n in three)
        else:
            cells, spread, shares = ["not reached", *[""] * (len(RIVALS) - 1)], ["", ""], ""
        cells += [*spread, shares, deployed]
        lines.append(f"| {name} | {by}: {c.target} | {' | '.join(cells)} |")
    return "\n".join(lines)


def seeds(*folders: Path) -> str:
    """Arms of several seeds together: patients and seeds are drawn again."""
    found: dict[tuple[str, str, str], list[Comparison]] = {}
    for _, about, c in found_in(*folders):
        if LEARNED in [o.strategy for o in c.outcomes]:
            found.setdefault((about["arm"], str(c.held_by), about["reader"]), []).append(c)
    heads = "fixed | a = 0.5 | a = 1 | constant noise | oracle: least dose for the mean | oracle: by view and slice"
    lines = [
        f"| arm, held for | seeds | against {heads} | SD minus fixed's | SD minus a = 0.5's |",
        f"|---|---:|{'---:|' * (len(RIVALS) + 2)}",
    ]
    for (arm, by, reader), several in found.items():
        names = [o.strategy for o in several[0].outcomes]
        if len(several) > 1:
            cells = [_interval(saved_over_seeds(several, LEARNED, r), 1) if r in names else "" for r in RIVALS]
            digits = 4 if several[0].target.of_full else 2
            cells += [_interval(spread_over_seeds(several, LEARNED, r), digits) if r in names else "" for r in RIVALS[:2]]
            who = f", read by {reader}" if reader else ""
            lines.append(f"| {arm}, {by}{who} | {len(several)} | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else "One seed of each arm."


def comparisons(*folders: Path) -> str:
    """How many savings over strategies that do not learn there are, corrected together, and which do not survive."""
    found: dict[tuple[str, str, str], list[Comparison]] = {}
    for _, about, c in found_in(*folders):
        found.setdefault((about["arm"], str(c.held_by), about["reader"]), []).append(c)
    arms = {key: over_seeds(several) for key, several in found.items()}
    family = SavingsFamily.of((c, LEARNED) for c in arms.values())
    words = {key: f"{key[0]}{f'-{key[2]}' if key[2] else ''}, {key[1]}," for key in arms}
    each = [(words[key], rival, family.p(c, rival)) for key, c in arms.items() for rival in rivals_of(c, LEARNED)]
    return correction_words(each)


def task(folder: Path) -> str:
    """The task arm over its seeds: by the reader of the training and by one that no training saw; then as deployed."""
    lines: list[str] = []
    full_photons = full_photons_of(folder)
    several: dict[str, list[Comparison]] = {}
    for _, about, c in found_in(folder):
        if c.target.of_full:
            several.setdefault(about["reader"], []).append(c)
    for reader, found in several.items():
        who = f"{reader}, which no training saw" if reader else "the reader of the training"
        c = found[0]
        lines += [
            "",
            f"**Read by {who}: {c.target}, equal mean, {len(found)} seed{'s' if len(found) > 1 else ''}**",
            "",
            "| strategy | photons | % of full dose | Dice | SD of the gap | learned: dose against it, % | SD minus its |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for one in c.outcomes:
            if one.strategy.startswith(LEARNED):
                continue
            known = [x for x in found if LEARNED in [o.strategy for o in x.outcomes]]
            cells = [
                _interval(saved_over_seeds(known, LEARNED, one.strategy), 1) if known else "",
                _interval(spread_over_seeds(known, LEARNED, one.strategy), 4) if known else "",
            ]
            lines.append(_task_row(one.strategy, [one], [c], cells, full_photons))
        for name in (LEARNED, DEPLOYED):
            known = [x for x in found if name in [o.strategy for o in x.outcomes]]
            if known:
                lines.append(_task_row(name, [x.outcome(name) for x in known], known, ["", ""], full_photons))
        lines += [f"| {name} | not reached | | | | | |" for name in c.unreached]
        assert c.full is not None
        lines += ["", f"Full dose: Dice {np.nanmean(c.full):.3f}, {int(np.isfinite(c.full).sum())} patients with the class."]
        for k, x in enumerate(found):
            used = x.outcome(DEPLOYED)
            gap = bootstrap_mean(x.gaps(used), x.patients)
            lines.append(
                f"- seed {k}, as deployed, {used.photons.mean():.0f} photons, fresh noise: Dice minus "
                f"{x.target.bound:g} of full dose's {_interval(gap, 4)}"
            )
    return "\n".join(lines[1:]) if lines else "Not run."


def full_photons_of(folder: Path) -> float:
    """Full dose, photons per pixel: the highest of those that the experiment in this folder was run with."""
    return float(read_toml(folder / "config.toml")["experiment"]["photons"][2])


def _task_row(name: str, outcomes: list[Outcome], comparisons: list[Comparison], cells: list[str], full_photons: float) -> str:
    photons = float(np.mean([o.photons.mean() for o in outcomes]))
    dice = float(np.mean([np.nanmean(o.values) for o in outcomes]))
    spread = float(np.mean([c.spread(o) for c, o in zip(comparisons, outcomes, strict=True)]))
    share = 100 * photons / full_photons
    return f"| {name} | {photons:.0f} | {share:.1f} | {dice:.3f} | {spread:.4f} | {' | '.join(cells)} |"


def table(folder: Path) -> str:
    """The first comparison in full."""
    lines = []
    for path in [folder / "compared-fbp-noise-views-0"]:
        if not (path / "comparison.json").is_file():
            continue
        found = read_comparisons(path)
        about = found.values["about"]
        for c in found.comparisons:
            by = "equal mean" if c.held_by == "mean" else f"{100 * float(c.held_by):g} % of patients"
            reader = f"; read by {about['reader']}" if about["reader"] else ""
            lines += [
                "",
                f"**{about['about']}; seed {about['seed']}{reader}. {c.target}, {by}**",
                "",
                "| strategy | photons | mean | SD | reach it | learned: dose against it, % | learned: SD minus its |",
                "|---|---:|---:|---:|---:|---:|---:|",
            ]
            names = [o.strategy for o in c.outcomes]
            for row, one in zip(c.rows(), c.outcomes, strict=True):
                rival = LEARNED in names and one.strategy != LEARNED
                saved = _interval(c.saved(LEARNED, one.strategy), 1) if rival else ""
                spread = _interval(c.spread_difference(LEARNED, one.strategy), 2) if rival else ""
                lines.append(
                    f"| {one.strategy} | {row['photons']:.0f} | {row['quality']:.4g} | {row['spread']:.3g} | "
                    f"{100 * row['share']:.0f} % | {saved} | {spread} |"
                )
            lines += [f"| {name} | not reached | | | | | |" for name in c.unreached]
    return "\n".join(lines[1:])


def forecasts(*folders: Path) -> str:
    """Forecast against achieved quality of the learned doses as deployed."""
    lines = []
    for name, about, c in found_in(*folders):
        one = c.outcome(DEPLOYED)
        achieved = c.gaps(one) if c.target.of_full else one.values
        if c.held_by == "mean" and not about["reader"] and one.forecast is not None and np.isfinite(one.forecast).sum() > 1:
            lines.append(f"- {name} ({c.target}): {calibration(one.forecast, achieved)}")
    return "\n".join(lines)


def draw(folder: Path) -> None:
    """One point per patient and strategy for the first comparison, by mean and by share."""
    comparisons = read_comparisons(folder / "compared-fbp-noise-views-0").comparisons
    with figure_style():
        figure, axes = new_figure(10.5, 4.2, cols=2, sharey=True)
        for axis, c in zip(axes[0], comparisons, strict=True):
            _scatter(axis, c)
        axes[0, 0].legend(fontsize=7.5)
        FIGURE.parent.mkdir(exist_ok=True)
        figure.savefig(FIGURE, dpi=110)


def tables(noise: Path, of_task: Path) -> dict[str, str]:
    """The tables of the page by the names of their markers."""
    return {
        "gradients": gradients(),
        "strategies": table(noise),
        "task": task(of_task),
        "summary": summary(noise, of_task),
        "seeds": seeds(noise, of_task),
        "comparisons": comparisons(noise, of_task),
        "forecasts": forecasts(noise, of_task),
    }


def _scatter(axis: object, c: Comparison) -> None:
    looks = method_looks([o.strategy for o in c.outcomes])
    for one in c.outcomes:
        if one.strategy.startswith("oracle") or one.strategy == DEPLOYED:
            continue
        look = looks[one.strategy]
        axis.scatter(  # type: ignore[attr-defined]
            one.photons, one.values, s=14, alpha=0.65, color=look["color"], marker=look["marker"], label=one.strategy
        )
    axis.axhline(c.target.bound, color=GREY, linestyle=":")  # type: ignore[attr-defined]
    by = "equal mean quality" if c.held_by == "mean" else f"{100 * float(c.held_by):g} % of patients reach the bound"
    axis.set(xscale="log", ylim=(25, 90), title=by, xlabel="photons per pixel", ylabel=f"{c.target.key} / HU")  # type: ignore[attr-defined]


def _interval(interval: Interval, digits: int) -> str:
    low, high = ("open" if math.isnan(end) else f"{end:+.{digits}f}" for end in (interval.low, interval.high))
    return f"{interval.mean:+.{digits}f} [{low}, {high}]"


if __name__ == "__main__":
    of_noise, of_task = Path(sys.argv[1]), Path(sys.argv[2])
    PAGE.write_text(filled(PAGE, tables(of_noise, of_task)), encoding="utf-8")
    draw(of_noise)
