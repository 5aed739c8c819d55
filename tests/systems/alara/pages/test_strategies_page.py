"""The page of dose strategies: one sentence that its interval allows, a figure, a small table, the rest folded."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np

from taskct.evaluation.dose import parse_target
from taskct.systems.alara.pages.strategies_page import (
    DoseSection,
    deployed_misses,
    family_of,
    first_sentences,
    statements,
    write_dose_page,
)
from taskct.systems.alara.rivals.outcomes import SCOUT, Comparison, Outcome

PATIENTS = 8


def _section(levels: dict[str, float], *, patients: int = PATIENTS, not_held: str = "") -> DoseSection:
    """Photons of each strategy: its level and a tenth more or less, the same share for all in each patient."""
    own = 1 + 0.1 * np.cos(np.arange(patients))
    noise = 9 + 0.1 * np.sin(np.arange(patients))
    outcomes = tuple(Outcome(name, 1.0, photons * own, noise) for name, photons in levels.items())
    found = Comparison(parse_target("rmse_hu<=10"), "mean", tuple(f"p{k}" for k in range(patients)), outcomes)
    return DoseSection("Learned dose", [found], "learned", not_held=not_held)


def test_the_first_sentence_states_what_is_saved_and_the_second_what_is_not() -> None:
    answer, against = first_sentences(_section({"fixed": 1000.0, "modulated": 790.0, "oracle": 500.0, "learned": 800.0}))
    assert answer.startswith("At equal mean quality (an RMSE of at most 10 HU) the learned dose needs 20.0 % fewer photons (")
    assert answer.endswith(") than the fixed dose.")
    assert against.startswith("But it needs 1.3 % more photons (") and "than modulated, the best of the others." in against


def test_a_saving_without_an_interval_is_not_claimed_and_a_bound_that_is_not_held_is_said() -> None:
    answer, against = first_sentences(_section({"fixed": 1000.0, "learned": 800.0}, patients=1))
    assert (
        answer.endswith("is not shown to need fewer photons than the fixed dose: \u221220.0 % (no interval).")
        and against == ""
    )
    assert first_sentences(_section({"fixed": 1000.0, "learned": 800.0}, not_held="it misses by 3 HU"))[1] == (
        "But it misses by 3 HU."
    )
    assert "does not reach an RMSE of at most 10 HU on average." in first_sentences(_section({"fixed": 1000.0}))[0]


def test_a_learned_dose_that_misses_the_bound_as_deployed_says_so_first(tmp_path: Path) -> None:
    one = _section({"fixed": 1000.0, "learned, as deployed": 700.0, "learned": 800.0})
    c = one.comparisons[0]
    worse = replace(c.outcomes[1], values=c.outcomes[1].values + 3.0)
    missed = replace(one, comparisons=[replace(c, outcomes=(c.outcomes[0], worse, c.outcomes[2]))])
    answer = first_sentences(missed)[0]
    assert answer.startswith("As deployed, the learned dose fails to keep an RMSE of at most 10 HU, by 2.0 HU on average.")
    assert "Raised until it holds that, it needs 20.0 % fewer photons (" in answer
    assert statements(missed)[0][1] and "as deployed" in statements(missed)[0][0]
    assert "deployed" not in first_sentences(one)[0] and not any(caution for _, caution in statements(one))
    write_dose_page([missed], tmp_path / "page.html", others={"search.html": "a search"})
    html = (tmp_path / "page.html").read_text()
    first = html[: html.index("<details")]
    assert "12.0<small>misses</small>" in first and "9.0<small>" not in first
    assert "<a href='search.html'>a search</a>" in first
    assert "<dt>As deployed</dt>" in first or "<dt>as deployed</dt>" in first


def test_the_page_shows_sentence_figure_and_table_before_what_is_folded(tmp_path: Path) -> None:
    write_dose_page([_section({"fixed": 1000.0, "learned": 800.0})], tmp_path / "page.html", missing=["compared-b"])
    html = (tmp_path / "page.html").read_text()
    places = [
        html.index(part) for part in ("Unfinished: 1 step", "class='answer'", "<figure", "numbers first-table", "<details")
    ]
    assert places == sorted(places)
    assert "100 %" in html[places[3] : places[4]]
    assert html.count("<figure") == 1  # not a second time in its fold


def test_a_single_patient_reaches_the_bound_or_not_and_makes_no_share(tmp_path: Path) -> None:
    write_dose_page([_section({"fixed": 1000.0, "learned": 800.0}, patients=1)], tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "100 %" not in html and "<td>yes</td>" in html


def _noisy(saved: float, *, patients: int = 12, seed: int = 0, rivals: int = 1) -> DoseSection:
    """A learned dose that saves so many per cent of each rival's photons, give or take 10 per patient."""
    draws = np.random.default_rng(seed)
    noise = 9 + 0.1 * np.sin(np.arange(patients))
    names = ["learned", *(f"rival {k}" for k in range(rivals))]
    photons = {n: 1000.0 * (1 + 0.1 * draws.normal(size=patients)) for n in names}
    photons["learned"] = 1000.0 * (1 - saved / 100) + 0 * noise
    outcomes = tuple(Outcome(n, 1.0, photons[n], noise) for n in (*names[1:], "learned"))
    found = Comparison(parse_target("rmse_hu<=10"), "mean", tuple(f"p{k}" for k in range(patients)), outcomes)
    return DoseSection(f"Arm {seed}", [found], "learned")


def test_savings_are_corrected_for_their_number_which_is_printed(tmp_path: Path) -> None:
    alone = _noisy(10.0)
    assert "needs" in first_sentences(alone)[0] and "correction" not in first_sentences(alone)[0]
    many = [alone, *(_noisy(0.0, seed=k, rivals=5) for k in range(1, 13))]  # 61 comparisons
    family = family_of(many)
    assert family.count == 61 and family.p(alone.comparisons[0], "rival 0") > 0.05
    answer, _ = first_sentences(alone, family)
    assert answer.endswith("than rival 0, which does not survive the correction for 61 comparisons.")
    write_dose_page(many, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "p after Holm&#x27;s correction for 61 comparisons with strategies that do not learn" in html
    (words, against), *_ = statements(alone, family)
    assert against and "Corrected for 61 comparisons (Holm)." in words


def test_the_words_below_the_table_are_words_and_not_its_rows(tmp_path: Path) -> None:
    levels = {"fixed": 1000.0, "learned": 800.0, "oracle: each reaches it": 700.0, "oracle: by view and slice": 600.0}
    write_dose_page([_section(levels)], tmp_path / "page.html")
    words = [unescape(word) for word in re.findall(r"<dt>(.*?)</dt>", (tmp_path / "page.html").read_text())]
    assert {"oracle", "p after Holm's correction"} <= set(words) and not any(re.search(r"\d\d", word) for word in words)


def test_four_patients_show_no_saving() -> None:
    answer, _ = first_sentences(_section({"fixed": 1000.0, "learned": 800.0}, patients=4))
    assert answer.endswith("than the fixed dose, of 4 patients, who are too few to show it.")
    assert statements(_section({"fixed": 1000.0, "learned": 800.0}, patients=4))[0][1]


def test_a_deployed_dose_misses_where_its_interval_says_so_and_not_by_a_hair_of_noise() -> None:
    one = _section({"fixed": 1000.0, "learned, as deployed": 700.0, "learned": 800.0}, patients=12)
    c = one.comparisons[0]
    about = 10.1 + np.cos(np.arange(12))  # 0.1 HU too much on average, by an SD of 0.7 HU over patients
    close = replace(c, outcomes=(c.outcomes[0], replace(c.outcomes[1], values=about), c.outcomes[2]))
    assert about.mean() > 10 and deployed_misses(close, "learned") == ""
    far = replace(c, outcomes=(c.outcomes[0], replace(c.outcomes[1], values=about + 1), c.outcomes[2]))
    assert deployed_misses(far, "learned").endswith("by 1.1 HU on average")


def test_without_a_rival_that_reaches_the_bound_no_correction_is_named(tmp_path: Path) -> None:
    write_dose_page([_section({"fixed": 1000.0})], tmp_path / "page.html")
    assert "Holm" not in (tmp_path / "page.html").read_text()


def test_the_first_screen_states_the_saving_against_a_fixed_dose_without_a_scout(tmp_path: Path) -> None:
    one = _section({"fixed": 1000.0, "learned": 800.0})
    counted = replace(one, comparisons=[replace(one.comparisons[0], notes={SCOUT: 50.0})])
    c = counted.comparisons[0]
    assert c.saved("learned", "fixed").mean == one.comparisons[0].saved("learned", "fixed").mean
    fixed, learned = (c.outcome(name).photons for name in ("fixed", "learned"))
    expected = 100 * (learned.mean() - (fixed.mean() - 50)) / (fixed.mean() - 50)
    assert math.isclose(c.saved_without_scout("learned", "fixed").mean, expected, rel_tol=1e-6)
    write_dose_page([counted], tmp_path / "a.html")
    first = unescape((tmp_path / "a.html").read_text()).split("</header>")[0]
    assert f"without them in the fixed dose, the learned dose needs {-expected:.1f} % fewer photons (" in first
    write_dose_page([one], tmp_path / "b.html")
    assert "scout's" not in (tmp_path / "b.html").read_text()
