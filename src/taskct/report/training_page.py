"""The run folder of a training -> one HTML page: how it learnt, what is known of it, what it makes of built-in patients."""

from __future__ import annotations

import os
from html import escape
from typing import Any

from taskct.core.errors import InputError, TaskctError
from taskct.core.files import refuse_existing, write_text
from taskct.core.names import photon_count, plural
from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.evaluation import evaluate
from taskct.evaluation.table import Table
from taskct.geometry import Grid
from taskct.geometry.beam_config import beam_from_config
from taskct.models import SavedModel, open_model
from taskct.models.model_words import describe_model
from taskct.phantoms.cohort import Cohort
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import TrainedFor, load_reconstructor
from taskct.recon.reconstructor import Reconstructor
from taskct.report.first_pictures import first_pictures
from taskct.report.first_screen import opening, page_body
from taskct.report.leading_table import leading_table
from taskct.report.number_tables import metric_table
from taskct.report.page import page
from taskct.report.pictures import Encoder, picture_section
from taskct.report.style import svg_uri
from taskct.report.training_curves import training_figure

_IMAGE_BYTES = 4 * 2**20
_METRIC = "rmse_hu"
_WORDS = {
    "validations?": "a test in between on patients that the training does not learn from",
    "loss": "what the training makes small; its parts stand in the curves",
    "built-in patients": "patients that taskct computes",
}
"""What the words of this page mean; `word_key` shows those that its first screen uses."""
_PATIENTS, _SLICES = 3, 2
_SEED = 2  # of patients that neither the trainings of the package nor its demos use


def write_training_page(run: Run, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write the page of a finished training.

    A reconstruction with a known beam and grid of slices is also shown on built-in abdomens that it cannot have seen, beside
    FBP, at the highest and the lowest dose of its training. Raises OutputExistsError unless `overwrite`, and what `open_model`
    raises.
    """
    refuse_existing(path, overwrite=overwrite)
    saved = open_model(run)
    saved.tensors()  # refuses a training without an end
    encoder = Encoder(_IMAGE_BYTES)
    heading = f"Training: {saved.name}"
    table, why_not = _on_patients(saved)
    (answer, _), *rest = _lines(run, table)
    against = [text for text, caution in rest if caution]
    more = [line for line in rest if line[0] not in against]
    words = "".join(f"<p{' class=caution' if caution else ''}>{escape(text)}</p>" for text, caution in more)
    curves = _curves(run)
    first = curves if table is None else first_pictures(table, _METRIC, encoder) + leading_table(table, _METRIC)
    parts = [
        ("words", "In words", "", words),
        ("curves", "How it learnt", "loss and scores over its steps", "" if table is None else curves),
        ("patients", "On built-in patients", "", f"<p>{escape(why_not)}</p>" if table is None else _shown(table, encoder)),
        ("known", "What is known of it", "training, data, limits", f"<pre>{escape(describe_model(saved))}</pre>"),
    ]
    body = encoder.replace(page_body(heading, opening(answer, against) + first, parts, words=_WORDS))
    write_text(path, page(heading, body), overwrite=overwrite)


def _lines(run: Run, table: Table | None) -> list[tuple[str, bool]]:
    """What the page says first; True marks what speaks against the network."""
    found = [line for line in run.metrics() if line.get("kind") == "validation" and line.get("total") is not None]
    if not found:
        lines = [("No validation was made, so nothing says how well it does on other images.", True)]
    else:
        best = min(found, key=lambda line: float(line["total"]))
        late = " The loss was still falling at the end: more steps may help." if best is found[-1] and len(found) > 2 else ""
        words = (
            f"The best of {plural(len(found), 'validation')} was at step {best['step']}, with a loss of {best['total']:.4g}"
        )
        lines = [(f"{words}.{late}", False)]
    if table is None:
        return lines
    for dose in table.doses:
        pair = [table.mean(_METRIC, name, dose=dose) for name in table.methods]
        worse = pair[1].mean > pair[0].mean
        words = (
            f"On built-in patients at {photon_count(dose.used_photons)} photons per pixel its RMSE is {pair[1].mean:.1f} HU"
        )
        lines.append((f"{words}, {'more' if worse else 'less'} than the {pair[0].mean:.1f} HU of {table.methods[0]}.", worse))
    return lines


def _on_patients(saved: SavedModel) -> tuple[Table | None, str]:
    """The network and FBP on built-in patients; or why there is nothing to show."""
    about = TrainedFor.of_config(str(saved.where), saved.config)
    if saved.kind != "reconstruction":
        return None, f"This network is for {saved.kind or 'something else'}: it makes no images of scans."
    grid = about.grid
    if grid is None or grid.ndim != 2 or about.photons is None:
        return None, "It was not trained for slices of a stated grid and dose, so no built-in patient is scanned for it."
    if "model" not in saved.config:
        return None, "Its code is not taskct's, so it cannot be built here: taskct evaluate ... --model FILE.py:NAME shows it."
    try:
        return _evaluated(load_reconstructor(saved.where), about, grid, saved.name), ""
    except TaskctError as error:
        return None, f"Built-in patients could not be scanned for it: {error}"


def _evaluated(model: Reconstructor, about: TrainedFor, grid: Grid, name: str) -> Table:
    cohort = Cohort(
        "abdomen", {"test": _PATIENTS}, seed=_SEED, shape=grid.shape, spacing_mm=grid.spacing_mm, slices_per_patient=_SLICES
    )
    cases: list[Case] = [cohort.patient(number).case for number in cohort.numbers("test")]
    beam = beam_from_config(about.beam)
    assert about.photons is not None
    low, high = about.photons
    doses = [Dose(high, fraction=share) for share in dict.fromkeys((1.0, low / high))]
    smooth: Any = lambda p, A: fbp(p, A, window="hann")
    return evaluate(
        {"FBP, Hann": smooth, name: model},
        cases,
        lambda case: Projector(case.slice_grid, beam),
        doses,
        noise_free=False,
        progress=False,
    )


def _shown(table: Table, encoder: Encoder) -> str:
    pictures = "".join(picture_section(table, example, encoder) for example in table.images[:2])
    numbers = metric_table(table, _METRIC) + metric_table(table, "psnr")
    words = (
        f"{_PATIENTS} built-in abdomens of {_SLICES} slices, drawn for this page; they need not resemble those of the "
        "training, and say nothing about real patients or about what a reader sees."
    )
    return f"<p class='key'>{escape(words)}</p><div class='pair'>{numbers}</div>{pictures}"


def _curves(run: Run) -> str:
    figure = training_figure(run)
    if figure is None:
        return ""
    return (
        f"<figure class='plot'><img alt='loss and scores over the steps of the training' src=\"{svg_uri(figure)}\"></figure>"
    )


def refuse_other_run(run: Run) -> None:
    """InputError for a run that has a page of its own: it says where."""
    if "experiment" in run.config:
        name = run.config["experiment"].get("name", "NAME")
        raise InputError(
            f"{run.folder}: is an experiment; its page is report.html in it, and taskct reproduce {name} --out {run.folder} "
            "--only-report makes it of what is done; for one of its trainings, name that folder in it"
        )
    if "dose_search" in run.config:
        raise InputError(f"{run.folder}: is a dose search, whose page is report.html in it already")
