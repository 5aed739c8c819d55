"""Write the tables of docs/task-adaptive.md, its figures and CSV files from the folder of an experiment.

python docs/make_task_adaptive.py runs/task-adaptive      of `taskct reproduce task-adaptive --out runs/task-adaptive`
"""

from __future__ import annotations

import csv
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from taskct.core.config import from_dict
from taskct.core.names import photon_count
from taskct.core.runs import load_run
from taskct.evaluation.reading import dose_curve
from taskct.evaluation.reading.task_verdict import LEADING
from taskct.evaluation.windows import WINDOWS
from taskct.experiments.engine import do_last
from taskct.report.style import GREY, figure_style, method_looks, new_figure
from taskct.systems.adaptive.experiment import LOSSES, MODELS, Arm, TaskAdaptive, task_adaptive_steps
from taskct.systems.adaptive.experiment.adaptive_summary import gathered
from taskct.systems.adaptive.pages.base_curves import draw_bases
from taskct.systems.adaptive.pages.story import LEAD, TaskStory

PAGE = Path(__file__).with_name("task-adaptive.md")
FIGURES = Path(__file__).with_name("figures")
RESULTS = PAGE.parent.parent / "benchmarks" / "results"
MOST_SEEDS = 9  # whatever is there up to this is shown
CURVES = {  # the classical ones, every model's image loss and the task losses that gained most
    *("FBP", "TV, tuned", "FBP + U-Net, feature loss", "Learned Primal-Dual, label loss .9"),
    *(Arm(model, "plain").method for model in MODELS),
}
SCORES = (
    ("per patient", "dice", "unseen"),
    ("lesions at 1 FP", "froc@1", "unseen"),
    ("pooled", "dice_pooled", "unseen"),
    ("re-tuned", "dice_retuned", "unseen"),
    ("AP", "ap", "unseen"),
    ("in the loss", "dice", "training"),
    ("retrained", "dice", "retrained"),
    ("own", "dice", "own"),
    ("found", "sensitivity", "unseen"),
    ("false px", "false_pixels", "unseen"),
    ("PSNR", "psnr", "image"),
)


def main(folder: Path) -> None:
    """Write them all."""
    values = {k: v for k, v in load_run(folder).config["experiment"].items() if k != "name"}
    everything = {"models": list(MODELS), "losses": list(LOSSES), "other_losses": [], "bounds": list(LOSSES)}
    settings = from_dict(TaskAdaptive, {**values, **everything, "main_losses": list(LOSSES), "seeds": MOST_SEEDS})
    steps = task_adaptive_steps(settings)
    do_last(steps, folder)
    story, _ = gathered(**steps[-1].work.options_at(folder))
    for name in ("summary", "gains", "needed_dose", "bases", "base_curves"):
        shutil.copyfile(folder / "report" / f"{name}.csv", RESULTS / f"task_adaptive_{name}.csv")
    with open(folder / "report" / "summary.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    tables = [score_table(rows, photons) for photons in dict.fromkeys(f"{d.used_photons:g}" for d in story.doses)]
    tables += [gain_table(story), base_table(story)]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split("<!-- tables -->", 1)
    after = rest.split("<!-- end of tables -->", 1)[1]
    PAGE.write_text(f"{before}<!-- tables -->\n" + "\n".join(tables) + f"<!-- end of tables -->{after}", encoding="utf-8")
    curves(story, FIGURES / "task_curves.png")
    if any(len(base.curve) > 1 for base in story.bases):
        base_curves(story, FIGURES / "task_bases.png")
    images(story, FIGURES / "task_images.png")


def score_table(rows: list[dict[str, str]], photons: str) -> str:
    """Methods x scores at one dose, means; intervals are in the CSV."""
    lines = [
        f"**{photon_count(float(photons))} photons**, Dice of a patient, lesions at equal alarms, pooled Dice beside\n",
        "| method | " + " | ".join(name for name, *_ in SCORES) + " |",
        "|---|" + "---|" * len(SCORES),
    ]
    for method in dict.fromkeys(r["method"] for r in rows):
        here = [r for r in rows if r["method"] == method and (r["photons"] == photons or method == "full dose")]
        if not here:
            continue
        cells = []
        for _, metric, reader in SCORES:
            found = next((r for r in here if r["metric"] == metric and r["reader"] == reader), None)
            digits = 1 if metric == "false_pixels" else 2 if metric == "psnr" else 3
            cells.append("" if found is None else f"{float(found['mean']):.{digits}f}".removeprefix("0"))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def gain_table(story: TaskStory) -> str:
    """What each method gains over its baseline under unseen readers, with intervals, share and verdict."""
    one = ("per patient", "lesions at 1 FP", "pooled", "p, corrected", "share", "verdict")
    heads = [f"{photon_count(d.used_photons)}: {' | '.join(one)}" for d in story.doses]
    lines = [
        f"Gains under unseen readers; p is that of the Dice of a patient, corrected by Holm for {story.comparisons} "
        f"comparisons; the share is that of a {story.bound_word}, one reader in gain and gap.\n",
        "| method, against | " + " | ".join(heads) + " |",
        "|---|" + "---|" * (len(one) * len(story.doses)),
    ]
    for method, baseline in story.baselines.items():
        cells = []
        for dose in story.doses:
            verdict = story.verdicts.get((method, baseline, dose))
            if verdict is None or "unseen" not in verdict.numbers:
                cells.append(" | " * (len(one) - 1))
                continue
            numbers = [verdict.numbers.get(name) for name in LEADING]
            gains = ["" if n is None else f"{n.mean:+.3f} [{n.low:+.3f}, {n.high:+.3f}]" for n in numbers]
            p = verdict.adjusted.get("unseen", math.nan)
            share = _share(story, method, baseline, dose)
            cells.append(" | ".join([*gains, "" if math.isnan(p) else f"{p:.2g}", share, verdict.headline]))
        lines.append(f"| {method}, *{baseline}* | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def base_table(story: TaskStory) -> str:
    """The trainings that all arms begin from, and whether each is at its plateau by the stated rule."""
    if not story.bases:
        return ""
    lines = [f"Plateau: {story.bases[0].flatness.rule}.\n", "| base | validation |", "|---|---|"]
    return "\n".join([*lines, *(f"| {base.name} | {base.flatness} |" for base in story.bases)]) + "\n"


def _share(story: TaskStory, method: str, baseline: str, dose: Any) -> str:
    try:
        share = story.share(method, baseline, dose)
    except ValueError:
        return ""
    return "no gap" if share.low != share.low else f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}]"


def curves(story: TaskStory, path: Path) -> None:
    """Tumour Dice over dose under unseen readers and under readers retrained on each method's images."""
    methods = [m for m in story.table.methods if m in CURVES]
    looks = method_looks(methods)
    with figure_style():
        figure, axes = new_figure(9.0, 3.9, cols=2, sharey=True)
        for panel, (reader, title) in zip(
            axes.flat, (("unseen", "unseen readers"), ("retrained", "reader retrained on them")), strict=False
        ):
            for i, method in enumerate(methods):
                try:
                    curve = dose_curve(story.table, method, metric=LEAD, region=story.lesion, reader=reader)
                except ValueError:
                    continue
                x = [d.used_photons * 1.02 ** (i - len(methods) / 2) for d in curve.doses]
                y = [p.mean for p in curve.points]
                ends = [[p.mean - p.low for p in curve.points], [p.high - p.mean for p in curve.points]]
                panel.errorbar(x, y, yerr=ends, label=method, capsize=2, elinewidth=0.8, **looks[method])
                if reader == "unseen" and i == 0:
                    panel.axhline(curve.full.mean, color=GREY, linestyle="--", linewidth=1, label="full dose")
            panel.set_xscale("log")
            panel.set_xticks([d.used_photons for d in story.doses], [f"{d.used_photons:,.0f}" for d in story.doses])
            panel.minorticks_off()
            panel.set(title=f"Dice of the tumour of a patient, {title}", xlabel="photons per detector pixel")
        handles, labels = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.savefig(path, dpi=110)


def base_curves(story: TaskStory, path: Path) -> None:
    """Validation errors of the bases over steps."""
    with figure_style():
        figure, axes = new_figure(6.4, 3.4)
        draw_bases(axes.flat[0], [base for base in story.bases if len(base.curve) > 1])
        figure.savefig(path, dpi=110)


def images(story: TaskStory, path: Path) -> None:
    """One slice at the lowest dose: every shown method, the lesion's outline and what two readers saw."""
    example, dose = story.examples[0], story.doses[-1]
    low, high = WINDOWS["liver"].bounds_hu
    names = [*story.table.of_role("training"), *story.table.of_role("unseen")][:2]
    readers = dict(zip(names, ("#4db8ff", "#ff5fa2"), strict=False))
    shown = [(m, d) for m in story.drawn for mm, d in example.images_hu if mm == m and (d == dose or m == story.full_dose)]
    cols = 4
    with figure_style():
        figure, axes = new_figure(10.0, 2.2 * -(-len(shown) // cols) + 0.3, rows=-(-len(shown) // cols), cols=cols)
        for panel in axes.flat:
            panel.axis("off")
        for panel, (method, at) in zip(axes.flat, shown, strict=False):
            panel.imshow(example.images_hu[method, at], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
            panel.contour(example.labels == 2, levels=[0.5], colors="#ffd000", linewidths=1.0)
            for reader, colour in readers.items():
                mask = example.marks[method, at, reader] == 2
                if bool(mask.any()):
                    panel.contour(mask, levels=[0.5], colors=colour, linewidths=0.8)
            where = (example.labels > 0).nonzero()
            (top, left), (bottom, right) = where.min(0).values.tolist(), where.max(0).values.tolist()
            panel.set_xlim(left - 5, right + 5)
            panel.set_ylim(bottom + 5, top - 5)
            panel.set_title(method, fontsize=8)
        figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
