"""The words of a first screen, explained where they are used."""

from __future__ import annotations

import re

from taskct.report.first_screen import opening, page_body
from taskct.report.plain_words import WORDS, word_key


def _named(html: str) -> list[str]:
    return re.findall(r"<dt>([^<]*)</dt>", html)


def test_words_are_explained_in_the_order_in_which_they_occur_and_once() -> None:
    found = word_key("<p>Dice of <b>unseen readers</b>: TV beats FBP; TV-like and FBPs are other words, and Dice again</p>")
    assert _named(found) == ["Dice", "unseen readers", "TV", "FBP"]
    assert word_key("<p>nothing to explain</p>") == ""


def test_a_page_adds_words_of_its_own_says_what_a_word_means_there_and_leaves_others_out() -> None:
    found = word_key("<p>FBP, fixed, Dice</p>", {"fixed": "the same <photons>", "FBP": "ours", "Dice": ""})
    assert _named(found) == ["FBP", "fixed"]
    assert "<dd>the same &lt;photons&gt;</dd>" in found and "<dd>ours</dd>" in found


def test_the_key_stands_above_the_folds_and_knows_nothing_of_what_is_folded() -> None:
    first = opening("The label loss .9 wins.", ["But FBP is as good.", "", "But FBP is as good.", "Trained once."])
    html = page_body("t", first, [("a", "Part", "", "<p>SIRT</p>")], lead="At 5 photons per pixel.", others={"b.html": "more"})
    above = html[: html.index("<details")]
    assert _named(above) == ["photons per pixel", "label loss", "FBP"]
    assert above.index("id='key'") > above.index("href='#key'") and "<a href='b.html'>more</a>" in above
    assert above.count("class='but'") == 2  # each once, however often it is said
    assert "#key" not in page_body("t", opening("Nothing."), [])


def test_every_meaning_is_short_and_a_pattern_never_swallows_a_line() -> None:
    assert all(len(meaning) < 140 and ".*" not in pattern for pattern, meaning in WORDS.items())
