"""Figures that people wrote into the pages by hand are those of the committed rows."""

from __future__ import annotations

import csv

import pytest
from places import ROOT

RESULTS = ROOT / "benchmarks" / "results"
TERM, WITHOUT = "network, task term", "network, image error"
UNSEEN_CT = ("abdomen_crlm1004", "chest_lidc0314_nodule", "head_invesalius_cranium")


def rows(name: str) -> list[dict[str, str]]:
    """One table of results."""
    with open(RESULTS / name, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def page(name: str) -> str:
    """Its words, with single blanks between them."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def real_ct():
    """Value by CT, method, dose, metric and region."""
    found = {}
    for row in rows("real_ct_network.csv"):
        found[row["ct"], row["method"], row["dose"], row["metric"], row["region"]] = float(row["value"])
    return lambda ct, method, dose, metric, region="body": found[ct, method, dose, metric, region]


def per_cent(a: float, b: float) -> float:
    """How much more a is than b."""
    return 100 * (a / b - 1)


def test_what_the_task_term_costs_in_error_is_what_the_rows_say(real_ct):
    costs = [per_cent(*(real_ct(ct, method, "0.25", "rmse_hu") for method in (TERM, WITHOUT))) for ct in UNSEEN_CT]
    assert [round(cost, 1) for cost in costs] == [3.6, 0.7, 0.4]
    assert "+3.6, +.7, +.4 %" in page("README.md")
    assert "at 3.6, .7 and .4 per cent more error" in page("docs/real-ct-network.md")


def test_where_the_real_ct_networks_fail_is_what_the_rows_say(real_ct):
    text = page("docs/real-ct-network.md")
    kept = {m: [round(real_ct(ct, m, "0.25", "contrast_share", "4 mm"), 2) for ct in UNSEEN_CT] for m in (TERM, WITHOUT)}
    assert kept == {TERM: [0.49, 0.64, 0.67], WITHOUT: [0.35, 0.43, 0.5]}
    assert "keep .49, .64 and .67 of their contrast" in text and ".35, .43 and .50 without the term" in text
    off = lambda dose, region: [
        round(real_ct("abdomen_totalseg_siemens20", m, dose, "bias_hu", region)) for m in (TERM, WITHOUT)
    ]
    assert (off("0.1", "bone"), off("0.1", "soft tissue")) == ([14, 5], [4, 4])
    assert (off("0.05", "bone"), off("0.05", "soft tissue")) == ([20, 8], [13, 13])
    assert "its bone is 14 HU too bright with the task term and 5 without, its soft tissue 4 with either" in text
    assert "at a twentieth its bone 20 and 8, and its soft tissue 13 with either" in text
    head = [real_ct("head_invesalius_cranium", m, "1", "rmse_hu") for m in ("TV", TERM)]
    assert round(-per_cent(*head)) == 14 and "at full dose that of TV is 14 per cent lower" in text


def test_task_losses_of_the_measured_page_have_the_figures_of_their_rows():
    table = {(row["method"], row["photons"]): row for row in rows("task_adaptive_restated.csv")}
    lines = (ROOT / "docs/measured.md").read_text(encoding="utf-8").splitlines()
    found = table["Learned Primal-Dual, label loss .9", "16384"]
    assert float(found["lesions_p_holm"]) == 1
    assert "| 16,384 | the same: lesions detected at one false alarm per image | +.033 [.004, .067] | 1 |" in lines
    wide = [table[f"FBP + wide U-Net, {loss}", "16384"] for loss in ("label loss .5", "feature loss")]
    assert all(float(row["pooled_p_holm"]) == 1 and row["seeds"] == "1" for row in wide)
    shown = [[round(float(row[key]), 3) for key in ("pooled", "pooled_low", "pooled_high")] for row in wide]
    assert shown == [[-0.007, -0.032, 0.017], [0.025, -0.018, 0.069]]
    assert any("-.007 [-.032, .017] / +.025 [-.018, .069] | 1 |" in line for line in lines)


def test_gains_after_shorter_and_longer_trainings_are_counted_in_every_score():
    gains: dict[str, list[float]] = {}
    of = {
        (r["base_steps"], r["method"], r["photons"], r["score"]): float(r["mean"]) for r in rows("task_adaptive_80_gains.csv")
    }
    for (steps, method, photons, score), short in of.items():
        longer = of.get(("2000", method, photons, score))
        if steps == "1000" and "image loss" not in method and longer is not None:
            gains.setdefault(score, []).append(longer - short)
    counts = {name: (len(gains[name]), sum(v < 0 for v in gains[name])) for name in ("per patient", "pooled")}
    assert counts == {"per patient": (4, 4), "pooled": (4, 3)}
    lesions = gains["lesions at 1 false alarm"]
    assert (len(lesions), sum(v > 0 for v in lesions)) == (4, 3)
    assert "three are higher and one is lower" in page("docs/task-adaptive.md")


def test_with_a_view_lost_no_network_is_further_ahead_than_the_page_says():
    of = {r["method"]: float(r["mean"]) for r in rows("biplanar_32_summary.csv")
          if r["metric"] == "psnr3d" and r["photons"] == "100000"}  # fmt: skip
    ahead = max(v - of["Gaussian model, last view lost"] for name, v in of.items() if name.endswith(", last view lost"))
    assert 0.06 < ahead < 0.07 and "no network at 32 voxels is more than 0.07 dB better" in page("docs/biplanar.md")
