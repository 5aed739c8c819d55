"""Sections of a bi-planar page on what was asked beside the main table: blocks, views, tasks, spread, learning curves."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from taskct.core.units import HU_PER_MU
from taskct.evaluation.volumes import FILM_READER
from taskct.report.number_text import number
from taskct.report.style import GREY, figure_style, method_looks, new_figure, plain, svg_uri
from taskct.report.wide_table import wide_table
from taskct.systems.biplanar.pages.biplanar_story import BiPlanarStory
from taskct.systems.biplanar.pages.story_tables import cell

_VIEWS = re.compile(r"(.*), (\d+) views?$")


def block_table(story: BiPlanarStory) -> str:
    """Pairs of rows that differ in one block."""
    if not story.blocks:
        return ""
    metrics = list(story.blocks[0].differences)
    body = [
        f"<tr><th scope='row' class='method'>{escape(one.block)}<small>{escape(one.with_it)} − {escape(one.without)}</small>"
        f"</th>{''.join(cell(one.differences[m], story.table.label(m)['unit']) for m in metrics)}</tr>"
        for one in story.blocks
    ]
    heads = [f"{(about := story.table.label(m))['label']}{' / ' + about['unit'] if about['unit'] else ''}" for m in metrics]
    return wide_table("<b>Differences</b> of two rows, paired over skulls", ["", *heads], body)


def view_table(story: BiPlanarStory) -> str:
    """PSNR3D by number of views, of the rows that were scored with several."""
    found: dict[str, dict[int, str]] = {}
    counts = {story.settings.views}
    for name in story.table.methods:
        match = _VIEWS.match(name)
        if match and (mean := story.mean("psnr3d", name)) is not None:
            counts.add(int(match[2]))
            found.setdefault(match[1], {})[int(match[2])] = cell(mean, "dB")
    if not found:
        return ""
    for name, by in found.items():
        by.setdefault(story.settings.views, cell(story.mean("psnr3d", name), "dB"))
    body = [
        f"<tr><th scope='row' class='method'>{escape(name)}</th>{''.join(by.get(n, cell(None)) for n in sorted(counts))}</tr>"
        for name, by in found.items()
    ]
    return wide_table("<b>PSNR3D / dB</b> by number of views", ["", *map(str, sorted(counts))], body)


def pose_table(story: BiPlanarStory) -> str:
    """PSNR3D with wrong poses and with refined ones, and what is left of the errors of the poses."""
    if not story.refined:
        return ""
    body = []
    for one in story.refined:
        scores = [story.mean("psnr3d", one.method, condition) for condition in ("", one.wrong, one.refined)]
        left = one.left
        body.append(
            f"<tr><th scope='row' class='method'>{escape(one.method)}, off by {one.error:g} deg and mm</th>"
            f"{''.join(cell(score, 'dB') for score in scores)}<td>{left['turn_deg']:.1f} → {left['turn_left_deg']:.1f}</td>"
            f"<td>{left['shift_mm']:.1f} → {left['shift_left_mm']:.1f}</td></tr>"
        )
    heads = ["", "right poses", "wrong poses", "refined", "turns, deg", "shifts, mm"]
    note = (
        "<p class='note'>Poses refined by least squares on the radiographs, in turn with the image. Root mean square errors "
        "of turns and shifts about each axis, before and after.</p>"
    )
    return note + wide_table("<b>PSNR3D / dB</b> with poses that no method was told", heads, body)


def task_table(story: BiPlanarStory) -> str:
    """What linear readers make of the radiographs themselves, of the truth, and of each method's volumes."""
    parts = []
    for start, caption in (
        ("auc: ", "<b>Area under the ROC curve</b>"),
        ("read: ", "<b>Mean absolute error</b> of what is read"),
    ):
        metrics = [m for m in story.table.metrics if m.startswith(start)]
        names = [n for n in (FILM_READER, "truth", *story.methods) if any(story.mean(m, n) for m in metrics)]
        if not names:
            continue
        body = [
            f"<tr><th scope='row' class='method'>{escape(n)}</th>{''.join(cell(story.mean(m, n)) for m in metrics)}</tr>"
            for n in names
        ]
        parts.append(wide_table(caption, ["", *(m.removeprefix(start) for m in metrics)], body))
    if not parts:
        return ""
    note = (
        "<p class='note'>Linear readers learnt on skulls of their own what each method makes. A volume made of two "
        f"radiographs holds no more than they do: read every row beside “{FILM_READER}”.</p>"
    )
    return note + "".join(parts)


def spread_section(story: BiPlanarStory) -> str:
    """Reliability curves of scaled spreads."""
    if not story.spreads:
        return ""
    looks = method_looks(list(story.spreads))
    with figure_style():
        figure, axes = new_figure(4.6, 3.6)
        panel = axes[0, 0]
        top = 0.0
        for name, facts in story.spreads.items():
            x, y = ([HU_PER_MU * v for v in facts[key]] for key in ("spread", "error"))
            top = max(top, *x, *y)
            panel.plot(x, y, label=plain(name, most=40), **looks[name])
        panel.plot([0, top], [0, top], color=GREY, linewidth=0.9)
        panel.set_xlabel("spread / HU")
        panel.set_ylabel("error (root mean square) / HU")
        panel.legend()
        picture = svg_uri(figure)
    body = [
        f"<tr><th scope='row' class='method'>{escape(name)}</th><td>{number(f['ratio'])}</td>"
        + "".join(f"<td>{100 * share:.0f} %</td>" for share in f["within"])
        + "</tr>"
        for name, f in story.spreads.items()
    ]
    note = (
        "<p class='note'>Voxels in ten groups of equal number by their spread, over all test skulls. One factor was set on "
        f"{'skulls that no method learnt from' if story.settings.reading_skulls else 'the validation skulls'}; on the "
        "line the spread is the error.</p>"
    )
    heads = ["", "error over spread", "within one spread (68 %)", "within two (95 %)"]
    return note + f'<img alt="reliability curves" src="{picture}">' + wide_table("<b>Scaled spreads</b>", heads, body)


def curve_section(story: BiPlanarStory) -> str:
    """Validation by steps of every training."""
    if not story.curves:
        return ""
    looks = method_looks(list(story.curves))
    with figure_style():
        figure, axes = new_figure(6.4, 3.8)
        panel: Any = axes[0, 0]
        for name, curve in story.curves.items():
            panel.plot(curve.steps, curve.psnr3d, label=plain(name, most=48), **{**looks[name], "markersize": 3})
        panel.set_xlabel("steps")
        panel.set_ylabel("PSNR3D of the validation skulls / dB")
        figure.legend(loc="outside right upper")
        picture = svg_uri(figure)
    gains = [f"{name} {curve.last_gain_db:+.2f} dB" for name, curve in story.curves.items()]
    note = f"<p class='note'>What the last quarter of each training brought: {escape('; '.join(gains))}.</p>"
    return f'<img alt="learning curves" src="{picture}">' + note
