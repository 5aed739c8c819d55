"""The page around all reports: colours that are read in light and dark, parts that open when a link asks for them."""

from __future__ import annotations

import re

import pytest

from taskct.report.first_screen import folded, opening
from taskct.report.page import page

WCAG_AA = 4.5  # of text below 18 pt


def _schemes() -> dict[str, dict[str, str]]:
    """The variables of the light scheme, and those of the dark one over them."""
    style = page("", "")
    light, dark = re.findall(r":root \{(.*?)\}", style, flags=re.S)
    colours = lambda text: {
        name: value if len(value) == 7 else "#" + "".join(2 * c for c in value[1:])
        for name, value in re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", text)
    }
    return {"light": colours(light), "dark": {**colours(light), **colours(dark)}}


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_black_on_white_has_the_contrast_that_the_standard_states() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa_on_every_ground(scheme: str) -> None:
    colours = _schemes()[scheme]
    for text in ("ink", "soft", "accent", "warn"):
        for ground in ("paper", "pale"):
            assert contrast(colours[text], colours[ground]) >= WCAG_AA, (text, ground)


def test_the_dark_scheme_differs_and_is_for_screens_alone_so_that_print_stays_light() -> None:
    light, dark = _schemes().values()
    assert all(light[name] != dark[name] for name in light)
    assert re.findall(r"@media[^{]*prefers-color-scheme[^{]*", page("", "")) == [
        "@media screen and (prefers-color-scheme: dark) "
    ]


def test_outside_of_the_schemes_no_rule_fixes_a_dark_text_or_a_light_ground() -> None:
    rules = re.sub(r":root \{.*?\}", "", page("", ""), flags=re.S)
    fixed = re.findall(r"[^{}]*\{[^{}]*(?<![-a-z])color: #[^{}]*\}", rules)
    assert fixed == []


def test_a_folded_part_holds_its_anchor_inside_so_that_a_link_to_it_opens_it() -> None:
    html = folded("made", "How <it> was made", "<p>so</p>", about="notes")
    assert html.startswith("<details class='fold'><summary><h2>How &lt;it&gt; was made</h2><small>notes</small></summary>")
    assert html.index("</summary>") < html.index('id="made"')
    assert folded("made", "Nothing", "") == ""


def test_an_opening_says_first_what_is_not_done_then_the_answer_then_what_speaks_against_it() -> None:
    html = opening("A is <better>.", "But B.", missing=["a", "b", "c", "d", "e"])
    places = [html.index(part) for part in ("Unfinished: 5 steps of this experiment are not done yet (a, b, c, d, ...)",
                                            "A is &lt;better&gt;.", "But B.")]  # fmt: skip
    assert places == sorted(places)
    assert opening("A.") == "<p class='answer'>A.</p>"
