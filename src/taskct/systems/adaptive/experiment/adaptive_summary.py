"""The step that gathers: the tables of all methods that are done, verdicts, summary.csv and report.html."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from taskct.core.csv_cells import safe_cells
from taskct.core.errors import InputError
from taskct.core.files import make_folder, write_texts
from taskct.core.runs import load_run
from taskct.core.units import to_hu
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.reading import ArtefactReport, Audit, TaskVerdict, correct_verdicts, needed_dose, task_verdict
from taskct.evaluation.reading.audit import FULL_DOSE, Answer
from taskct.evaluation.reading.task_verdict import AT_EQUAL_ALARMS, BOUND_WORD, LEADING, LOWER_BOUND
from taskct.evaluation.rows import IMAGE, UNSEEN, DoseLevel
from taskct.evaluation.statistics import Interval
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import DrawnPatients, cohort_of
from taskct.experiments.made import Made
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES, MODELS, Arm
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import doses_of
from taskct.systems.adaptive.experiment.scoring import RETRAININGS, Scores
from taskct.systems.adaptive.pages.adaptive_page import write_task_report
from taskct.systems.adaptive.pages.story import LEAD, BaseTraining, TaskExample, TaskStory
from taskct.systems.adaptive.pages.summary_lines import summary_lines
from taskct.training.flatness import PATIENCE, flatness, validation_curve

_METRICS = (
    ("dice", UNSEEN), ("froc@1", UNSEEN), ("dice_pooled", UNSEEN), ("dice_retuned", UNSEEN), ("dice_pooled_retuned", UNSEEN),
    ("ap", UNSEEN), ("dice", "training"), ("dice_pooled", "training"), ("dice", "retrained"), ("dice_pooled", "retrained"),
    ("dice", "own"), ("dice_pooled", "own"), ("dice_slice", UNSEEN), ("sensitivity", UNSEEN), ("false_pixels", UNSEEN),
    ("false_alarms", UNSEEN), ("psnr", IMAGE), ("ssim", IMAGE),
)  # fmt: skip
_OF_ORGAN = ("dice", "dice_slice", "dice_pooled")
_SCORES = {"unseen": "per patient", AT_EQUAL_ALARMS: "lesions at 1 false alarm", "retuned": "per patient, re-tuned"}
"""Names of a verdict's numbers in gains.csv, where they differ."""
_SHOWN_LOSSES = ("plain", "label-0.5", "feature")


class Training(NamedTuple):
    """Handles of an arm's training and of the one that it begins from."""

    base: Made[Reconstructor]
    made: Made[Reconstructor]
    arm: Arm


def gather(
    folder: Path,
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    trained: Sequence[Training],
    scores: Sequence[Made[Scores]],
    bounds: Sequence[Made[Table]],
) -> None:
    """Write report.html, summary.csv, gains.csv, needed_dose.csv and verdicts.md from the scores that are there."""
    story, spectra = gathered(settings=settings, images=images, trained=trained, scores=scores, bounds=bounds)
    write_story(folder, story, spectra, title="Task-adaptive reconstruction")


def write_story(folder: Path, story: TaskStory, spectra: dict[str, Any], *, title: str) -> None:
    """The page and the tables of a story, in a folder."""
    make_folder(folder)
    lines = [f"## {d.used_photons:g} photons\n\n{verdict}\n" for (_, _, d), verdict in story.verdicts.items()]
    texts = {
        "summary.csv": summary_csv(story),
        "gains.csv": gains_csv(story),
        "needed_dose.csv": needed_csv(story),
        "bases.csv": bases_csv(story),
        "base_curves.csv": base_curves_csv(story),
        "verdicts.md": "\n".join(lines),
        "summary.txt": "\n".join(f"{'! ' if c else ''}{t}" for t, c in summary_lines(story)) + "\n",
    }
    write_texts(folder, texts, overwrite=True)
    write_task_report(story, folder / "report.html", title=title, spectra=spectra, overwrite=True)


def gathered(
    *,
    settings: TaskAdaptive,
    images: Made[DrawnPatients],
    trained: Sequence[Training],
    scores: Sequence[Made[Scores]],
    bounds: Sequence[Made[Table]],
) -> tuple[TaskStory, dict[str, Any]]:
    """Everything that was scored, as its report tells it, and the spectra of the shown methods at the lowest dose."""
    scored = [one.load() for one in scores if one.done]
    tables = [*(one.table for one in scored), *(one.load() for one in bounds if one.done)]
    tables += [_sequential(t, m) for m in settings.models for t in tables if _plain(m) in t.methods]
    table = merge_tables(tables)
    table.notes.setdefault("lesion_class", "tumour")
    table.notes[BOUND_WORD] = _bound_word(table, settings)
    audit = _audit(one.about for one in scored)
    artefacts, spectra = _spectra(scored, settings)
    compute = {t.arm.method: t.made.cpu_s + t.base.cpu_s for t in trained if t.arm.seed == 0 and t.made.done}
    baselines = _baselines(table, settings)
    verdicts: dict[tuple[str, str, DoseLevel], TaskVerdict] = {}
    for method, baseline in baselines.items():
        for dose in [DoseLevel(d.fraction, d.photons) for d in doses_of(settings)]:
            found = {m: report for (m, d), report in artefacts.items() if d == dose}
            try:
                verdicts[method, baseline, dose] = task_verdict(
                    table, method, baseline, dose=dose, artefacts=found, audit=audit, compute=compute
                )
            except InputError:
                continue
    shown = [FULL_DOSE, "FBP", "TV, tuned", *(Arm(m, loss).method for m in settings.models for loss in _SHOWN_LOSSES)]
    story = TaskStory(
        table=table,
        baselines=baselines,
        verdicts=correct_verdicts(verdicts),
        bases=_bases(trained, settings),
        examples=_examples(images.load(), scored, settings),
        audit=audit,
        artefacts=artefacts,
        compute=compute,
        notes=_notes(settings),
        full_dose=FULL_DOSE,
        shown=shown,
        task_adaptive=[a.method for a in settings.arms if a.method in baselines and LOSSES[a.loss].task],
        controls=[a.method for a in settings.arms if a.method in baselines and LOSSES[a.loss].control],
    )
    return story, {m: s for m, s in spectra.items() if m in shown}


def summary_csv(story: TaskStory) -> str:
    """Every method, dose and score with its interval."""
    lines: list[list[Any]] = [["method", "photons", "metric", "reader", "mean", "low", "high", "patients", "seeds"]]
    for method in story.table.methods:
        doses = {r.dose for r in story.table.rows if r.method == method}
        for dose in sorted(doses, key=lambda d: -d.used_photons):
            for metric, reader in _METRICS:
                regions = ("all",) if reader == IMAGE else (story.lesion, "liver") if metric in _OF_ORGAN else (story.lesion,)
                for region in regions:
                    found = _mean(story, metric, method=method, dose=dose, region=region, reader=reader)
                    if found is not None:
                        name = metric if region in ("all", story.lesion) else f"{metric} of the {region}"
                        ends = [_text(v) for v in (found.mean, found.low, found.high)]
                        lines.append(
                            [method, f"{dose.used_photons:g}", name, reader, *ends, found.n_patients, found.n_seeds or 0]
                        )
    return _csv(lines)


def gains_csv(story: TaskStory) -> str:
    """Every method minus its baseline, paired: what a clinician counts first, then the rest, share and verdict.

    `p` is two-sided; `p_corrected` is Holm's over all comparisons of the leading scores together, `comparisons` of them.
    """
    heads = ["method", "baseline", "photons", "score", "mean", "low", "high", "p", "p_corrected", "comparisons", "verdict"]
    lines: list[list[Any]] = [heads]
    for (method, baseline, dose), verdict in story.verdicts.items():
        start = [method, baseline, f"{dose.used_photons:g}"]
        where = {"dose": dose, "region": story.lesion}
        leading = [name for name in LEADING if name in verdict.numbers]
        for name in (*leading, *(n for n in verdict.numbers if n not in leading)):
            corrected, count = verdict.adjusted.get(name, math.nan), verdict.comparisons if name in leading else ""
            found = verdict.numbers[name]
            ends = [_text(v) for v in (found.mean, found.low, found.high, found.p, corrected)]
            lines.append([*start, _SCORES.get(name, name), *ends, count, verdict.outcome])
        retrained = story.table.of_role("retrained")
        more = {
            story.bound_word: (LEAD, retrained),
            "sensitivity": ("sensitivity", UNSEEN),
            "false pixels": ("false_pixels", UNSEEN),
        }
        for name, (metric, reader) in more.items():
            try:
                found = story.table.paired(metric, method, baseline, reader=reader, **where)  # type: ignore[arg-type]
            except InputError:
                continue
            lines.append([*start, name, *(_text(v) for v in (found.mean, found.low, found.high, found.p)), "", "", ""])
        try:
            share = story.share(method, baseline, dose)
        except InputError:
            continue
        lines.append([*start, "share recovered", *(_text(v) for v in (share.mean, share.low, share.high)), "", "", "", ""])
    return _csv(lines)


def bases_csv(story: TaskStory) -> str:
    """Every base: steps, how flat its validation error is at the end, and the rule by which that is judged."""
    heads = ["base", "steps", "validations", "best_step", "window", "gain", "plateau", "rule"]
    lines: list[list[Any]] = [heads]
    for base in story.bases:
        f = base.flatness
        lines.append([base.name, f.steps, f.validations, f.best_step, f.window, _text(f.gain), f.reached, f.rule])
    return _csv(lines)


def base_curves_csv(story: TaskStory) -> str:
    """The validation errors of every base: base, step, error."""
    rows = [[base.name, step, f"{error:.6g}"] for base in story.bases for step, error in base.curve]
    return _csv([["base", "step", "validation_error"], *rows])


def needed_csv(story: TaskStory) -> str:
    """The dose at which each method comes within the margin of full dose."""
    lines: list[list[Any]] = [["method", "margin", "photons", "low", "high", "confirmed", "words"]]
    for method in story.table.methods:
        if method == story.full_dose:
            continue
        try:
            found = needed_dose(
                story.table, method, margin=story.margin, metric=LEAD, region=story.lesion, full=story.full_dose
            )
        except InputError:
            continue
        numbers = [_text(v) for v in (found.estimate, found.low, found.high, found.confirmed)]
        lines.append([method, story.margin, *numbers, found.text])
    return _csv(lines)


def _plain(model: str) -> str:
    return Arm(model, "plain").method


def _sequential(table: Table, model: str) -> Table:
    """Sequential training is the plain images with the reader that was retrained on them: nothing new has to be trained."""
    return table.renamed(_plain(model), f"{MODELS[model].label}, sequential", readers={"retrained": "own"})


def _baselines(table: Table, settings: TaskAdaptive) -> dict[str, str]:
    """Method -> what it is compared with: its model's image loss; among models, that of the first."""
    found = {
        arm.method: _plain(arm.model)
        for arm in settings.arms
        if arm.loss != "plain" and arm.method in table.methods and _plain(arm.model) in table.methods
    }
    first = _plain(settings.models[0])
    for model in settings.models[1:]:
        if _plain(model) in table.methods and first in table.methods:
            found[_plain(model)] = first
    return found


def _bound_word(table: Table, settings: TaskAdaptive) -> str:
    """ "bound" where retrained readers earn the name by their settings, and each of them came to its plateau."""
    made = table.notes.get(RETRAININGS, [])
    earned = settings.earns_a_bound and made and all(one["plateau"] for one in made)
    return "bound" if earned else LOWER_BOUND


def _bases(trained: Sequence[Training], settings: TaskAdaptive) -> list[BaseTraining]:
    """The bases that are done, by model and seed."""
    found: dict[str, BaseTraining] = {}
    for one in trained:
        if not one.base.done:
            continue
        run, label = load_run(one.base.folder), MODELS[one.arm.model].label
        flat = flatness(run, patience=settings.base_patience or PATIENCE, least_gain=settings.flat_gain)
        name = f"{label}, seed {one.arm.seed}" if one.arm.seed else label
        found.setdefault(one.arm.base, BaseTraining(name, validation_curve(run), flat))
    return list(found.values())


def _audit(about: Iterable[Mapping[str, Any]]) -> Audit | None:
    """All answers; those to the full-dose images, which every method's audit holds, once."""
    answers = [Answer(**a) for one in about for a in one.get("audit", [])]
    unique = dict.fromkeys(a for a in answers if a.method == FULL_DOSE)
    rest = [a for a in answers if a.method != FULL_DOSE]
    return Audit([*unique, *rest]) if answers else None


def _spectra(
    scored: Sequence[Scores], settings: TaskAdaptive
) -> tuple[dict[tuple[str, DoseLevel], ArtefactReport], dict[str, Any]]:
    reports: dict[tuple[str, DoseLevel], ArtefactReport] = {}
    spectra: dict[str, Any] = {}
    for one in (scores.about for scores in scored):
        for dose in doses_of(settings):
            found = one.get(f"artefacts@{dose.used_photons:g}")
            if found is None or one["seed"] > 0:
                continue
            facts = [found[k] for k in ("peaks", "threshold", "false_alarm_rate", "images")]
            reports[one["method"], DoseLevel(dose.fraction, dose.photons)] = ArtefactReport(*facts)
            spectra[one["method"]] = (found["frequency_per_mm"], found["power_over_full_dose"])
    return reports, spectra


def _examples(drawn: DrawnPatients, scored: Sequence[Scores], settings: TaskAdaptive) -> list[TaskExample]:
    images = drawn.images("test")
    assert images.labels is not None
    pictures: dict[int, dict[tuple[str, DoseLevel], Tensor]] = {}
    marks: dict[int, dict[tuple[str, DoseLevel, str], Tensor]] = {}
    for one in scored:
        if one.about["seed"] > 0:
            continue
        method = one.about["method"]
        tensors, facts = load_run(one.folder).load_tensors("examples.safetensors")
        for key, values in tensors.items():
            what, photons = key.split("@")
            dose = next(d for d in doses_of(settings) if f"{d.used_photons:g}" == photons)
            level = DoseLevel(dose.fraction, dose.photons)
            for i, number in enumerate(json.loads(facts["slices"])):
                if what == "hu":
                    pictures.setdefault(number, {})[method, level] = values[i, 0].float()
                else:
                    marks.setdefault(number, {})[method, level, what] = values[i]
    spacing = cohort_of(settings).pixel_mm
    return [
        TaskExample(images.ids[n], spacing, to_hu(images.mu[n, 0]), images.labels[n], found, marks.get(n, {}))
        for n, found in pictures.items()
    ]


def _notes(settings: TaskAdaptive) -> dict[str, str]:
    s = settings
    readers = ", ".join(s.readers[1:])
    return {
        "patients": f"built-in abdominal cohort: readers learn from {s.reader_patients}, reconstructions from "
        f"{s.train_patients} others; {s.validation_patients} validation, {s.test_patients} test; {s.slices} slices each of "
        f"{s.size} x {s.size} pixels of {cohort_of(s).pixel_mm[0]:.2f} mm",
        "scan": f"parallel beam, {s.views} views; exact Poisson noise at {', '.join(f'{n:g}' for n in s.photons)} photons per "
        "detector pixel; the truth projected on a grid twice as fine",
        "training": f"every reconstruction: {_base_words(s)} of image error, then {s.task_steps} steps of its own "
        f"objective, {s.batch} images a step, doses drawn between the highest and the lowest",
        "readers": f"{s.reader} in the losses; never seen by a training: {readers}; {s.reader_steps} steps on full dose each; "
        f"{', '.join(s.retrained)} retrained for {'at most ' if s.retrain_patience else ''}{s.retrain_steps} steps on a "
        f"method's own low-dose images of {_bound_patients(s)}{', at each dose alone' if s.bound_each_dose else ''}",
        "joint, sequential": "joint: reconstruction and reader descend together; sequential: the images of the image loss, "
        "with the reader that was retrained on them as its own",
        "controls": "a frozen network of random weights in the loss; the labels of other patients in the loss; in the panel a "
        "random reader and shuffled labels",
    }


def _base_words(s: TaskAdaptive) -> str:
    if not s.base_patience:
        return f"{s.base_steps} steps"
    return f"at most {s.base_steps} steps, until {s.base_patience} validations bring less than {s.flat_gain:.1%},"


def _bound_patients(s: TaskAdaptive) -> str:
    if s.bound_patients:
        return f"{s.bound_patients} patients whom neither it nor the reconstruction has seen"
    return f"the {s.train_patients} patients of the reconstructions, so that it gives a lower bound"


def _mean(story: TaskStory, metric: str, *, method: str, dose: DoseLevel, region: str, reader: str) -> Interval | None:
    names = story.table.of_role(reader) if reader in ("training", "retrained") else reader
    if not names:
        return None
    try:
        found = story.table.mean(metric, method, dose=dose, region=region, reader=names)
    except InputError:
        return None
    return found if math.isfinite(found.mean) else None


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _csv(lines: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(safe_cells(line) for line in lines)
    return text.getvalue()
