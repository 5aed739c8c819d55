"""The trainings that all arms begin from: their validation errors, and whether these are flat by the stated rule."""

from __future__ import annotations

from html import escape
from typing import Any

from taskct.report.style import figure_style, new_figure, plain, svg_uri
from taskct.systems.adaptive.pages.story import BaseTraining, TaskStory


def base_section(story: TaskStory) -> str:
    """A table of the bases and their curves, as HTML; '' without any."""
    if not story.bases:
        return ""
    rows = "".join(
        f"<tr><th scope='row' class='method'>{escape(base.name)}</th><td class='text'>{escape(str(base.flatness))}</td></tr>"
        for base in story.bases
    )
    caption = f"<b>The image loss that all arms begin from.</b> Plateau: {escape(story.bases[0].flatness.rule)}"
    table = f"<table class='numbers dense'><caption>{caption}</caption><tbody>{rows}</tbody></table>"
    drawn = [base for base in story.bases if len(base.curve) > 1]
    if not drawn:
        return table
    uri = base_figure(drawn)
    return table + (
        f"<figure class='plot'><img alt='validation errors of the bases' style='max-width:640px' src=\"{uri}\">"
        "<figcaption>Validation error (the image loss) over steps.</figcaption></figure>"
    )


def base_figure(bases: list[BaseTraining]) -> str:
    """The curves as an SVG data URI."""
    with figure_style():
        figure, axes = new_figure(6.4, 3.2)
        draw_bases(axes.flat[0], bases)
        return svg_uri(figure)


def draw_bases(panel: Any, bases: list[BaseTraining]) -> None:
    """The curves into a panel: solid where the plateau is reached by the rule, dashed where it is not."""
    for base in bases:
        steps, errors = zip(*base.curve, strict=True)
        style = "-" if base.flatness.reached else "--"
        panel.plot(steps, errors, style, marker="o", markersize=3, label=plain(base.name, most=40))
    panel.set_xlabel("steps")
    panel.set_title("validation error; dashed: no plateau by the rule")
    panel.legend(fontsize=7)


def words_of_base(story: TaskStory, method: str) -> str:
    """ "base without a plateau" for a method whose base did not reach its plateau; '' where it did, or none is known."""
    own = [base for base in story.bases if method.startswith(f"{base.model}, ")]
    return "" if not own or all(base.flatness.reached for base in own) else "base without a plateau"
