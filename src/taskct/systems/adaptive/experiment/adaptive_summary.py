"""The step that gathers: the tables of all methods that are done, verdicts, summary.csv and report.html."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.files import make_folder, write_texts
from taskct.core.runs import load_run
from taskct.core.units import to_hu
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.reading import ArtefactReport, Audit, TaskVerdict, correct_verdicts, task_verdict
from taskct.evaluation.reading.audit import FULL_DOSE, Answer
from taskct.evaluation.reading.task_verdict import BOUND_WORD, LOWER_BOUND
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.table import Table
from taskct.experiments.cohort_images import DrawnPatients, pixel_of
from taskct.experiments.example_images import read_examples
from taskct.experiments.made import Made
from taskct.recon.reconstructor import Reconstructor
from taskct.systems.adaptive.experiment.adaptive_arms import LOSSES, MODELS, Arm
from taskct.systems.adaptive.experiment.adaptive_settings import TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import doses_of, words_of_volumes
from taskct.systems.adaptive.experiment.scoring import RETRAININGS, Scores, retrained_name
from taskct.systems.adaptive.experiment.summary_tables import story_csvs
from taskct.systems.adaptive.pages.adaptive_page import write_task_report
from taskct.systems.adaptive.pages.headline import headline
from taskct.systems.adaptive.pages.story import BaseTraining, TaskExample, TaskStory
from taskct.systems.adaptive.pages.summary_lines import summary_lines
from taskct.training.flatness import PATIENCE, flatness, validation_curve

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
    write_story(folder, story, spectra, title="Task-adaptive reconstruction: are tumours outlined better?")


def write_story(folder: Path, story: TaskStory, spectra: dict[str, Any], *, title: str) -> None:
    """The page and the tables of a story, in a folder."""
    make_folder(folder)
    first = headline(story)
    said = [(first.sentence, False), *((text, True) for text in first.against), ("", False), *summary_lines(story)]
    lines = [f"## {d.used_photons:g} photons\n\n{verdict}\n" for (_, _, d), verdict in story.verdicts.items()]
    texts = {
        **story_csvs(story),
        "verdicts.md": "\n".join(lines),
        "summary.txt": "\n".join(f"{'! ' if c else ''}{t}" for t, c in said) + "\n",
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
    own = _own_reader(settings)
    retrained = {r.method for t in tables for r in t.rows if r.reader == own}
    models = [m for m in settings.models if _plain(m) in retrained]
    tables += [_sequential(t, m, own) for m in models for t in tables if _plain(m) in t.methods]
    table = merge_tables(tables)
    table.notes.setdefault("lesion_class", "tumour")
    table.notes[BOUND_WORD] = bound_word(table, settings)
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
        notes=_notes(settings) | words_of_volumes(images.folder),
        full_dose=FULL_DOSE,
        shown=shown,
        task_adaptive=[a.method for a in settings.arms if a.method in baselines and LOSSES[a.loss].task],
        controls=[a.method for a in settings.arms if a.method in baselines and LOSSES[a.loss].control],
        has_task_losses=any(LOSSES[a.loss].task for a in settings.arms),
        missing=[one.name for one in (*scores, *bounds) if not one.done],
    )
    return story, {m: s for m, s in spectra.items() if m in shown}


def _plain(model: str) -> str:
    return Arm(model, "plain").method


def _own_reader(settings: TaskAdaptive) -> str:
    """The reader of sequential training: that of the losses, or the first retrained one where that one is not retrained."""
    net = settings.reader if settings.reader in settings.retrained else settings.retrained[0]
    return retrained_name(settings, net)


def _sequential(table: Table, model: str, own: str) -> Table:
    """Sequential training is the plain images with a reader that was retrained on them: nothing new has to be trained."""
    return table.renamed(_plain(model), f"{MODELS[model].label}, sequential", readers={own: "own"})


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


def bound_word(table: Table, settings: TaskAdaptive) -> str:
    """ "bound" where retrained readers earn the name by their settings, none of them is missing, and all are at a plateau.

    In an unfinished experiment a method may have been read by one of its retrained readers only, which bounds nothing.
    """
    made = table.notes.get(RETRAININGS, [])
    readers: dict[tuple[Any, ...], set[str]] = {}
    for one in made:
        readers.setdefault((one["method"], one["seed"], one["photons"]), set()).add(one["reader"])
    whole = all(found >= set(settings.retrained) for found in readers.values())
    earned = settings.earns_a_bound and made and whole and all(one["plateau"] for one in made)
    return "bound" if earned else LOWER_BOUND


def _bases(trained: Sequence[Training], settings: TaskAdaptive) -> list[BaseTraining]:
    """The bases that are done, by model and seed."""
    found: dict[str, BaseTraining] = {}
    for one in trained:
        if not one.base.done:
            continue
        run, label = load_run(one.base.folder), MODELS[one.arm.model].label
        flat = flatness(run, patience=settings.base_patience or PATIENCE, least_gain=settings.flat_gain)
        found.setdefault(one.arm.base, BaseTraining(label, validation_curve(run), flat, one.arm.seed))
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
        kept = read_examples(load_run(one.folder), [DoseLevel(d.fraction, d.photons) for d in doses_of(settings)])
        assert kept is not None
        for i, number in enumerate(kept.numbers):
            for level, hu in kept.hu.items():
                pictures.setdefault(number, {})[method, level] = hu[i]
            for (level, reader), marked in kept.marks.items():
                marks.setdefault(number, {})[method, level, reader] = marked[i]
    spacing = pixel_of(settings)
    return [
        TaskExample(images.ids[n], spacing, to_hu(images.mu[n, 0]), images.labels[n], found, marks.get(n, {}))
        for n, found in pictures.items()
    ]


def _notes(settings: TaskAdaptive) -> dict[str, str]:
    s = settings
    readers = ", ".join(s.readers[1:])
    return {
        "patients": _patient_words(s),
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


def _patient_words(s: TaskAdaptive) -> str:
    pixels = f"{s.size} x {s.size} pixels of {pixel_of(s)[0]:.2f} mm"
    if s.data:
        shares = ", ".join(f"{share:.0%}" for share in s.data_split)
        return (
            f"volumes of {s.data}, drawn into readers, reconstructions, validation and test ({shares}); "
            f"{s.slices or 'all'} slices of each that show liver or tumour, of test volumes all of these and no "
            f"others; {pixels}"
        )
    return (
        f"built-in abdominal cohort: readers learn from {s.reader_patients}, reconstructions from {s.train_patients} others; "
        f"{s.validation_patients} validation, {s.test_patients} test; {s.slices} slices each of {pixels}"
    )


def _base_words(s: TaskAdaptive) -> str:
    if not s.base_patience:
        return f"{s.base_steps} steps"
    return f"at most {s.base_steps} steps, until {s.base_patience} validations bring less than {s.flat_gain:.1%},"


def _bound_patients(s: TaskAdaptive) -> str:
    if s.bound_patients:
        return f"{s.bound_patients} patients whom neither it nor the reconstruction has seen"
    return "the patients of the reconstructions, so that it gives a lower bound"
