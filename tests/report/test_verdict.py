from __future__ import annotations

import math

from taskct.report.number_text import number, power_of_ten, span
from taskct.report.verdict import verdict


def text_of(table, **arguments) -> str:
    return "\n".join(s.text for s in verdict(table, **arguments))


def test_a_clear_difference_is_stated_with_its_interval(table_of):
    text = text_of(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}))
    first = text.split("\n")[0]
    assert first.startswith("At 10\u202f% dose TV has the lowest mean RMSE, ")
    assert "below FBP (95 % interval of the difference −18." in first
    assert "not separated" not in text


def test_a_difference_whose_interval_includes_zero_is_called_not_separated(table_of):
    text = text_of(table_of({"FBP": (20.0, 40.0), "TV": (20.0, 39.9)}, jitter=3.0))
    assert "is not separated from" in text and "which includes zero" in text
    assert "That is" not in text


def test_few_patients_give_no_general_statement(table_of):
    for patients, words in ((1, "One patient: this describes this patient"), (3, "3 patients: this describes these patients")):
        statements = verdict(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}, patients=patients))
        text = "\n".join(s.text for s in statements)
        assert words in text and any(s.caution for s in statements)
        assert "interval of the difference" not in text and "confirmed" not in text
        assert f"(better in {2 * patients} of {2 * patients} images)" in text


def test_the_dose_that_may_be_saved_is_confirmed_only_by_an_interval(table_of):
    saved = text_of(table_of({"FBP": (20.0, 40.0), "TV": (12.0, 15.0)}))
    assert "TV at 10\u202f% dose is on average no worse than FBP at full dose" in saved and "; confirmed." in saved
    perhaps = text_of(table_of({"FBP": (20.0, 40.0), "TV": (12.0, 19.9)}, jitter=6.0, patients=5))
    assert "not confirmed, as it includes zero" in perhaps or "No method at" in perhaps
    never = text_of(table_of({"FBP": (20.0, 40.0), "TV": (12.0, 30.0)}))
    assert "No method at 10\u202f% dose or less reaches the mean RMSE of FBP at full dose." in never


def test_metrics_and_regions_that_disagree_are_named(table_of):
    table = table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)})
    flipped = [r._replace(value=1 - r.value) if r.metric == "ssim" else r for r in table.rows]
    regions = []
    for r in table.rows:
        if r.metric == "rmse_hu":
            regions.append(r._replace(region="liver", value=100 - r.value))
    text = text_of(type(table)([*flipped, *regions], table.settings))
    assert "Other metrics choose otherwise at 10\u202f% dose: FBP by SSIM." in text
    assert "In 1 of 1 labelled region another method than TV has the lowest mean RMSE at 10\u202f% dose: FBP in liver." in text


def test_cautions_name_the_inverse_crime_tuning_bias_and_warnings(table_of):
    tuning = {"strength": {"method": "tv(x=1)", "best": 1.0, "at_edge": "largest", "cases": ["case-1"], "slices": "all"}}
    table = table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}, notes={"tuning": tuning, "warnings": {"TV": "2 of 4 runs"}})
    table.settings["simulation"] = "an inverse crime"
    table.rows[:] = [r._replace(value=-12.0) if r.metric == "bias_hu" and r.method == "FBP" else r for r in table.rows]
    text = text_of(type(table)(table.rows, table.settings, table.cases, table.notes))
    for words in (
        "(inverse crime): scores are optimistic",
        "The strength of tv was tuned on the slices evaluated here (case-1).",
        "The tuned strength of tv is the largest value tried",
        "FBP is off by −12.0 HU on average",
        "The method TV warned in 2 of 4 runs.",
    ):
        assert words in text


def test_undefined_values_are_counted(table_of):
    table = table_of({"FBP": (20.0, 40.0)})
    table.rows[0] = table.rows[0]._replace(value=math.nan)
    assert "1 value of 96 could not be computed" in text_of(type(table)(table.rows, table.settings))


def test_a_single_method_at_a_single_dose_has_a_verdict_too(table_of):
    table = table_of({"FBP": (20.0, 40.0)})
    rows = [r for r in table.rows if r.dose_fraction == 1.0]
    assert text_of(type(table)(rows, table.settings)).startswith("At full dose FBP has the lowest mean RMSE, ")


def test_numbers_have_sensible_digits():
    assert [number(v, "HU") for v in (0.04, -0.04, 123.4, math.nan, -math.inf)] == ["0.0", "0.0", "123", "–", "−∞"]
    assert power_of_ten(1e6) == "1×10⁶"
    from taskct.evaluation import Interval

    assert span(Interval(1.0, math.nan, math.nan, 1, 1)) == ""


def test_a_baseline_whose_error_is_not_noise_proves_no_saved_dose(table_of):
    errors = {"FBP": (37.0, 60.0), "TV": (25.0, 30.0)}
    floors = table_of(errors, noise_free={"FBP": 34.2, "TV": 24.0}, jitter=0.01)
    statements = verdict(floors)
    text = "\n".join(s.text for s in statements)
    assert "no worse than FBP at full dose" not in text and "confirmed" not in text
    said = next(s for s in statements if s.text.startswith("RMSE does not show here how much dose can be saved"))
    assert said.caution and "only 15\u202f% of the squared error of FBP at full dose is noise" in said.text
    assert "without any noise (blur, discretisation, streaks and bias)" in said.text
    noisy = text_of(table_of(errors, noise_free={"FBP": 10.0, "TV": 24.0}, jitter=0.01))
    assert "TV at 10\u202f% dose is on average no worse than FBP at full dose" in noisy and "does not show here" not in noisy


def test_the_verdict_says_which_part_of_each_error_is_noise(table_of):
    text = text_of(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}, noise_free={"FBP": 12.0, "TV": 15.5}, jitter=0.01))
    (line,) = (line for line in text.split("\n") if line.startswith("RMSE without any noise"))
    without, at_low, at_full = line.replace("Share of noise", ";").split(";")
    assert (
        "FBP" in without and "at 10\u202f% dose FBP" in at_low and "at full dose FBP 64\u202f%" in at_full
    )  # 1 - (12 / 20)^2
    assert "TV none" in at_full  # TV has not less error without noise
    assert "without any noise" not in text_of(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}))


def test_few_patients_have_no_interval_in_the_headline(table_of):
    few = text_of(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}, patients=3)).split("\n")[0]
    assert "95 %" not in few and "95 % interval" in text_of(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}))


def test_half_of_the_squared_error_must_be_noise_for_a_statement_about_dose(table_of):
    errors = {"FBP": (37.0, 60.0), "TV": (25.0, 30.0)}
    of_noise = lambda share: text_of(table_of(errors, noise_free={"FBP": 37 * (1 - share) ** 0.5, "TV": 24.0}, jitter=0.01))
    assert "does not show here how much dose" in of_noise(0.45) and "does not show here" not in of_noise(0.55)


def test_a_bias_is_worth_saying_from_5_hu(table_of):
    def biased(value):
        table = table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)})
        rows = [r._replace(value=value) if r.metric == "bias_hu" and r.method == "FBP" else r for r in table.rows]
        return text_of(type(table)(rows, table.settings))

    assert "off by −6.0 HU" in biased(-6.0) and "off by" not in biased(-4.0)
