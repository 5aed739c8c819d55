"""A bi-planar experiment -> one HTML page: one sentence, a skull, a small table; then all numbers, controls and skulls."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from html import escape

from taskct.core.files import refuse_existing, write_text
from taskct.core.names import plural
from taskct.evaluation.rows import DoseLevel
from taskct.report.first_screen import opening, page_body, small_table
from taskct.report.number_text import number, power_of_ten
from taskct.report.page import page
from taskct.report.pictures import Encoder
from taskct.report.wide_table import wide_table
from taskct.systems.biplanar.pages.biplanar_pictures import example_row, example_section
from taskct.systems.biplanar.pages.biplanar_story import ATLAS, BiPlanarStory
from taskct.systems.biplanar.pages.story_sections import (
    block_table,
    curve_section,
    pose_table,
    spread_section,
    task_table,
    view_table,
)
from taskct.systems.biplanar.pages.story_tables import cell

_CAUTION = "Careful"
_WORDS = {
    "mean atlas": "the mean of the skulls that were learnt from, whatever the radiographs show",
    "nearest skull": "of the skulls that were learnt from, the one whose radiographs come nearest",
    "Gaussian model": "the mean of the skulls that were learnt from and how they vary, fitted to the radiographs",
    "back-projection": "each radiograph smeared back along its rays",
    "\\+ agreement": "the result after 20 iterative steps (SIRT) that make it agree with the radiographs",
    "PSNR3D": "peak signal-to-noise ratio of the whole volume; higher is nearer to the truth",
    "truth": "the skull that the radiographs were computed from",
}
"""What the words of this page mean; `word_key` shows those that its first screen uses."""
_IMAGE_BYTES = 6 * 2**20
_FIRST_METRICS = ("psnr3d", "bone_dice", "mae_hu")
_FIRST_ROWS = 6
_CONDITIONS_ACROSS = 6
_METRICS = ("psnr3d", "bone_dice", "bone_surface_mm", "bone_surface_p95_mm", "mae_hu", "reprojection_rms", "seen_share")


def write_biplanar_report(
    story: BiPlanarStory, path: str | os.PathLike[str], *, title: str = "A skull from few radiographs", overwrite: bool = False
) -> None:
    """Write one self-contained page: no script, no network. OutputExistsError unless `overwrite`."""
    refuse_existing(path, overwrite=overwrite)
    encoder = Encoder(_IMAGE_BYTES)
    answer, *rest = story.lines
    against = [text for text in rest if text.startswith(f"{_CAUTION}:")]
    parts = [
        ("words", "What else was found, and what limits it", "", _words([text for text in rest if text not in against])),
        ("numbers", "All methods", "", _key(story) + _main_table(story)),
        ("controls", "What could fool us", "", _condition_table(story)),
        ("dose", "Dose", "", _dose_table(story)),
        ("poses", "Poses refined", "", pose_table(story)),
        ("blocks", "What each block is worth", "", block_table(story)),
        ("views", "Number of views", "", view_table(story)),
        ("tasks", "What readers make of it", "", task_table(story)),
        ("spread", "Spread: where a result may be wrong", "", spread_section(story)),
        ("curves", "Learning curves", "", curve_section(story)),
        ("skulls", "Skulls", "", _examples(story, encoder)),
        ("made", "How it was made", "", _notes(story)),
    ]
    pictures = example_row(story.examples[0], encoder) if story.examples else ""
    first = f"{opening(answer, against, missing=story.missing)}{pictures}{_first_table(story)}"
    body = page_body(title, first, parts, lead=_lead(story), words=_meanings(story))
    write_text(path, page(title, encoder.replace(body)), overwrite=overwrite)


def _words(lines: Sequence[str]) -> str:
    return "".join(f"<p{' class=caution' if text.startswith(_CAUTION) else ''}>{escape(text)}</p>" for text in lines)


def _meanings(story: BiPlanarStory) -> dict[str, str]:
    """The words of this page, the names of its networks among them."""
    names = sorted({lead.method for lead in story.leads if " + " not in lead.method}, key=len, reverse=True)
    networks = "|".join(map(re.escape, names))
    own = {networks: "a network that makes the volume of the radiographs"} if networks else {}
    return _WORDS | own


def _first_table(story: BiPlanarStory) -> str:
    """The mean atlas, the best row without a network, and the networks by their lead: few columns, so that all is read."""
    ahead = sorted(story.leads, key=lambda lead: -lead.differences["psnr3d"].mean)
    wanted = [ATLAS, *([story.best_plain] if story.best_plain else []), *(lead.method for lead in ahead)]
    metrics = [m for m in _FIRST_METRICS if m in story.table.metrics]
    names = [m for m in dict.fromkeys(wanted) if story.mean("psnr3d", m) is not None][:_FIRST_ROWS]
    body = ""
    for name in names:
        cells = "".join(cell(story.mean(m, name), story.table.label(m)["unit"]) for m in metrics)
        body += f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>"
    heads = ["<th></th>", *(f"<th scope='col'>{escape(_heading(story, m))}</th>" for m in metrics)]
    return small_table(heads, [body], "Small: 95 % intervals over skulls. All methods and scores stand below.")


def _heading(story: BiPlanarStory, metric: str) -> str:
    about = story.table.label(metric)
    return f"{about['label']}{' / ' + about['unit'] if about['unit'] else ''}"


def _lead(story: BiPlanarStory) -> str:
    s = story.settings
    return (
        f"{plural(s.test_skulls, 'built-in skull')} that no method learnt from, {plural(s.views, 'radiograph')} each of "
        f"{power_of_ten(s.photons)} photons per pixel, {s.size} voxels along each axis; {s.train_skulls} skulls to learn from."
    )


def _key(story: BiPlanarStory) -> str:
    floor = story.mean("reprojection_rms", "truth")
    words = (
        "" if floor is None else f" The truth's own re-projection on this grid is {number(floor.mean)}: less is over-fitting."
    )
    return (
        "<p class='key'>Small: 95 % intervals over skulls (and training seeds). PSNR3D: whole volume, range 2500 HU. "
        f"“+ agreement”: 20 SIRT steps on the finished answer.{words}</p>"
    )


def _main_table(story: BiPlanarStory) -> str:
    names = [m for m in _METRICS if m in story.table.metrics]
    body = []
    for method in story.methods:
        cells = "".join(cell(story.mean(m, method), story.table.label(m)["unit"]) for m in names)
        body.append(f"<tr><th scope='row' class='method'>{escape(method)}</th>{cells}</tr>")
    tops = [_heading(story, m) for m in names]
    return wide_table("<b>All methods</b>, best settings chosen on validation skulls", ["", *tops], body)


def _condition_table(story: BiPlanarStory) -> str:
    conditions = ["", *[c for c in story.conditions if any(story.mean("psnr3d", m, c) for m in story.methods)]]
    if len(conditions) == 1:
        return ""
    atlas = story.mean("psnr3d", ATLAS)
    bar = (
        ""
        if atlas is None
        else f"; the mean atlas scores {number(atlas.mean, 'dB')} dB, which a wrong radiograph must not beat"
    )
    tables = []
    for start in range(0, len(conditions), _CONDITIONS_ACROSS):
        shown = conditions[start : start + _CONDITIONS_ACROSS]
        body = []
        for method in story.methods:
            cells = "".join(cell(story.mean("psnr3d", method, c), "dB") for c in shown)
            body.append(f"<tr><th scope='row' class='method'>{escape(method)}</th>{cells}</tr>")
        heads = ["", *[c or "own radiographs" for c in shown]]
        tables.append(wide_table(f"<b>PSNR3D / dB</b> under other conditions{bar}", heads, body))
    return "".join(tables)


def _dose_table(story: BiPlanarStory) -> str:
    doses = sorted({r.dose for r in story.table.rows if r.metric == "psnr3d"}, key=lambda d: -d.fraction)
    if len(doses) < 2:
        return ""
    body = []
    for method in story.methods:
        cells = "".join(cell(story.mean("psnr3d", method, dose=DoseLevel(*d)), "dB") for d in doses)
        body.append(f"<tr><th scope='row' class='method'>{escape(method)}</th>{cells}</tr>")
    return wide_table("<b>PSNR3D / dB</b> by photons per pixel", ["", *[power_of_ten(d.used_photons) for d in doses]], body)


def _examples(story: BiPlanarStory, encoder: Encoder) -> str:
    if not story.examples:
        return ""
    note = (
        "<p class='note'>First rows: the radiographs that were taken (truth) beside those of each result. Slices: "
        "−400 to 1200 HU. “Prior only” is what the same method makes of the mean skull's radiographs: what it shows whoever "
        "is looked at. “Spread”: 0 to 600 HU, from the Gaussian model of the training skulls, scaled to each method's errors "
        "on other skulls; a dash where none was made.</p>"
    )
    return note + "".join(example_section(one, encoder) for one in story.examples)


def _notes(story: BiPlanarStory) -> str:
    rows = []
    for name, about in story.facts.items():
        words = []
        for setting in ("sigma", "strength"):
            if setting in about:
                words.append(f"{setting} {about[setting]:g}, chosen on validation skulls")
        if "spread" in about:
            words.append(f"error over its calibrated spread {about['spread']['ratio']:.2f}")
        if "atlas" in about:
            words.append(str(about["atlas"]))
        if words:
            rows.append(f"<dt>{escape(name)}</dt><dd>{escape('; '.join(words))}</dd>")
    return f"<dl>{''.join(rows)}</dl>" if rows else ""
