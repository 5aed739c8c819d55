"""The sentences that the page of an evaluation begins with, and the small table below them."""

from __future__ import annotations

import re

from taskct.report.leading_table import leading_table
from taskct.report.main_finding import main_finding, missing_parts

CLEAR = {"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}


def cells_of(html: str) -> dict[str, list[str]]:
    """Text of each method's cells; tags become spaces."""
    rows = re.findall(r"<tr><th scope='row'>(.*?)</th>(.*?)</tr>", html)
    return {name: [re.sub(r"<.*?>", " ", c) for c in re.findall(r"<td>(.*?)</td>", cells)] for name, cells in rows}


def test_a_separated_lead_is_stated_with_its_interval_turned_the_way_it_is_said(table_of):
    answer, limits = main_finding(table_of(CLEAR), "rmse_hu")
    found = re.match(
        r"At 10\u202f% dose TV has the lowest mean RMSE, \S+\u00a0HU: (\S+)\u00a0HU below FBP, the next one "
        r"\(95 % interval (\S+) to (\S+)\)\.$",
        answer,
    )
    assert found is not None
    mean, low, high = map(float, found.groups())
    assert 0 < low < mean < high and limits == []
    higher, _ = main_finding(table_of(CLEAR), "ssim")
    assert "TV has the highest mean SSIM" in higher and "above FBP" in higher


def test_a_lead_that_is_not_separated_names_no_best_method(table_of):
    answer, _ = main_finding(table_of({"FBP": (20.0, 40.0), "TV": (20.0, 39.9)}, jitter=3.0), "rmse_hu")
    assert answer.startswith("At 10\u202f% dose no method is shown to be the best: ") and "is not separated from" in answer
    assert "95 % interval \u2212" in answer


def test_few_patients_are_described_without_any_interval_or_share_of_patients(table_of):
    for patients, words in ((1, "in this patient"), (3, "in these 3 patients")):
        table = table_of(CLEAR, patients=patients)
        answer, _ = main_finding(table, "rmse_hu")
        small = leading_table(table, "rmse_hu")
        assert words in answer and f"better in {2 * patients} of {2 * patients} images" in answer
        assert "95 %" not in answer + small and "100" not in answer and ", separated" not in small
        assert "no methods are called separated below 5 patients" in small


def test_all_that_limits_the_lead_follows_it_the_gravest_first(table_of):
    table = table_of(CLEAR)
    flipped = [r._replace(value=1 - r.value) if r.metric == "ssim" else r for r in table.rows]
    _, (limit,) = main_finding(type(table)(flipped, table.settings), "rmse_hu")
    assert limit == "Other metrics choose otherwise at 10\u202f% dose: FBP by SSIM."
    _, (graver, *rest) = main_finding(type(table)(flipped, table.settings | {"simulation": "an inverse crime"}), "rmse_hu")
    assert "inverse crime" in graver and rest[-1] == limit


def test_a_metric_that_is_best_at_zero_is_ranked_by_its_distance_from_zero(table_of):
    table = table_of(CLEAR)
    rows = [r._replace(value={"FBP": -8.0, "TV": 2.0}[r.method]) if r.metric == "bias_hu" else r for r in table.rows]
    table = type(table)(rows, table.settings)
    answer, _ = main_finding(table, "bias_hu")
    assert answer.startswith("At 10\u202f% dose the mean Bias of TV is 2.0\u00a0HU") and answer.endswith(", the nearest to 0.")
    assert "separated" not in leading_table(table, "bias_hu")


def test_each_method_and_dose_states_whether_its_difference_to_the_best_is_separated(table_of):
    table = table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0), "net": (15.02, 22.02)}, jitter=2.0)
    cells = cells_of(leading_table(table, "rmse_hu"))
    assert list(cells) == ["FBP", "TV", "net"] and all(len(row) == 2 for row in cells.values())
    assert all(re.search(r"^\S+ +\S+ to \S+ +\+\d+\.\d, separated", c) for c in cells["FBP"])
    rest = cells["TV"] + cells["net"]
    assert sum("ahead" in c for c in rest) == 2 and sum("not separated" in c for c in rest) == 2
    sure = leading_table(table_of(CLEAR), "rmse_hu")
    assert all("the best" in c for c in cells_of(sure)["TV"]) and sure.count("<b>") == 2


def test_odd_metrics_and_empty_doses_have_words(table_of):
    table = table_of(CLEAR)
    assert main_finding(table, None)[0] == "No metric with a better and a worse side was measured."
    undefined = type(table)([r._replace(value=float("nan")) for r in table.rows], table.settings)
    assert main_finding(undefined, "rmse_hu")[0] == "At 10\u202f% dose no value of RMSE is defined."
    alone = type(table)([r for r in table.rows if r.method == "FBP"], table.settings)
    assert "the mean RMSE of FBP is" in main_finding(alone, "rmse_hu")[0]


def test_a_whole_table_lacks_nothing(table_of):
    assert missing_parts(table_of(CLEAR)) == []
    assert missing_parts(type(table_of(CLEAR))(table_of(CLEAR).rows)) == []
    assert missing_parts(type(table_of(CLEAR))(table_of(CLEAR).rows, {}, [{"patient_id": "a case without a name"}])) == []
