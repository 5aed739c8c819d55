"""The page of a task experiment: words that follow from intervals, tables, outlines."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.errors import InputError, OutputExistsError
from taskct.evaluation.reading import correct_verdicts, task_verdict
from taskct.evaluation.reading.ratios import described_metrics
from taskct.evaluation.reading.recovery import RETRAINED_OF
from taskct.evaluation.reading.task_verdict import Remark
from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.table import Table
from taskct.report.outlines import outline
from taskct.systems.adaptive.pages.adaptive_page import write_task_report
from taskct.systems.adaptive.pages.headline import headline, verdict_words
from taskct.systems.adaptive.pages.story import BaseTraining, TaskExample, TaskStory
from taskct.systems.adaptive.pages.summary_lines import summary_lines
from taskct.training.flatness import Flatness

DOSES = [DoseLevel(1.0, 6e4), DoseLevel(0.25, 6e4)]
READERS = {"S0": "training", "S1": "unseen", "S2": "unseen", "retrained": "retrained"}


def _table(gains: dict[str, float], *, patients: int = 12) -> Table:
    """Pooled counts of 100 lesion pixels a patient: `gains` is what each method finds more than 'plain', under all readers."""
    draws = np.random.default_rng(0)
    rows = []
    for dose, found in zip(DOSES, (60, 40), strict=True):
        for patient in range(patients):
            own = draws.normal(0, 6)
            for method, gain in {"plain": 0.0, **gains}.items():
                for reader in READERS:
                    tp = found + own + gain + (10 if reader == "retrained" else 0) + draws.normal(0, 0.5)
                    dice = 2 * tp / (2 * tp + 20 + 100 - tp)
                    counts = {"tp_px": tp, "fp_px": 20.0, "fn_px": 100 - tp, "ap": tp / 100, "dice": dice}
                    counts |= {"lesions_found@1": tp / 25, "lesions": 4.0}
                    for metric, value in counts.items():
                        name = f"p{patient}"
                        place = (method, name, name, None, *dose, metric, "tumour")
                        rows.append(Row(*place, value, reader))
                        if ("px" in metric or metric == "dice") and reader != "retrained":
                            rows.append(Row(*place[:6], f"{metric}_retuned", "tumour", value, reader))
    for reader in READERS:
        for patient in range(patients):
            for metric, value in {"tp_px": 90.0, "fp_px": 5.0, "fn_px": 10.0, "dice": 180 / 195}.items():
                place = ("full dose", f"p{patient}", f"p{patient}", None, 1.0, 6e4, metric, "tumour")
                rows.append(Row(*place, value, reader))
    about = {"metrics": described_metrics(dict.fromkeys(r.metric for r in rows))}
    notes = {"lesion_class": "tumour", RETRAINED_OF: {"retrained": "S0"}}
    return Table(rows, about, notes=notes, readers=READERS)


def _story(gains: dict[str, float], **more: object) -> TaskStory:
    table = _table(gains)
    baselines = dict.fromkeys(gains, "plain")
    verdicts = correct_verdicts({(m, b, d): task_verdict(table, m, b, dose=d) for m, b in baselines.items() for d in DOSES})
    return TaskStory(table=table, baselines=baselines, verdicts=verdicts, **more)  # type: ignore[arg-type]


def test_a_method_without_a_task_loss_that_is_read_better_is_named_among_the_first_lines() -> None:
    story = _story({"task": 5.0, "FBP": 9.0})
    told = replace(story, baselines={"task": "plain"}, verdicts={k: v for k, v in story.verdicts.items() if k[0] == "task"})
    lines = summary_lines(told)
    ahead = [text for text, caution in lines[:4] if caution and "FBP is read better than all of these: task" in text]
    assert len(ahead) == 2 and all("the best of them, minus FBP is \u22120.0" in text for text in ahead)
    behind = replace(told, baselines={"task": "plain", "FBP": "plain"}, task_adaptive=["task", "FBP"], verdicts=story.verdicts)
    assert not any("read better" in text for text, _ in summary_lines(behind))


def test_the_first_lines_say_what_the_intervals_allow() -> None:
    words = [text for text, _ in summary_lines(_story({"task": 5.0, "nothing": 0.0, "noise": 0.1}, controls=["nothing"]))]
    first = words[0].replace("\u202f", " ")
    assert first.startswith("At 60 000 photons per pixel task is confirmed to gain, and gains most: +0.0")
    assert (
        "in Dice of the tumour of a patient under unseen readers over plain" in first
        and "Beside it: lesions found at one false alarm per image +0.0" in first
        and "Dice of all pixels together +0.0" in first
        and "Corrected for 18 comparisons (Holm)." in first
        and "Not confirmed: noise (no gain shown)" in first
        and "nothing" not in first
    )
    share = re.search(r"(\d+)% \[\d+%, \d+%\] of what S0 gains when it is retrained", words[0])
    assert share and 40 < int(share[1]) < 65  # 5 pixels of the 10 that retraining finds; Dice is nearly linear here
    assert words[1].startswith("Negative controls at this dose, where nothing should be gained: nothing")


def test_whatever_limits_a_verdict_is_said_at_the_top() -> None:
    story = _story({"task": 5.0})
    caution = Remark("compute", "trained 80 % longer than the baseline", caution=True)
    limited = {key: replace(verdict, findings=(*verdict.findings, caution)) for key, verdict in story.verdicts.items()}
    warned = [text for text, is_caution in summary_lines(replace(story, verdicts=limited)) if is_caution]
    assert any("trained 80 % longer" in text for text in warned)


def test_without_a_sure_gain_none_is_claimed() -> None:
    words = [text for text, _ in summary_lines(_story({"noise": 0.0}))]
    assert (
        "no gain in Dice of the tumour of a patient under unseen readers is confirmed" in words[0]
        and "no gain shown" in words[0]
    )


def test_the_line_below_the_title_says_over_how_many_patients_the_gains_are(tmp_path: Path) -> None:
    story = _story({"FBP + U-Net": 5.0})
    write_task_report(story, tmp_path / "all.html")
    without = [r._replace(patient=f"{r.patient} bare", value=float("nan")) for r in story.table.rows if r.patient == "p0"]
    table = replace(story.table, rows=[*story.table.rows, *(r for r in without if r.metric == "dice")])
    write_task_report(replace(story, table=table), tmp_path / "some.html")
    lead = lambda name: (tmp_path / name).read_text().split("class='lead'>")[1].split("</p>")[0]
    assert "Images of 12 patients" in lead("all.html") and "Gains and intervals" not in lead("all.html")
    assert "Images of 13 patients" in lead("some.html") and "over the 12 patients who have a tumour" in lead("some.html")
    assert "filtered back-projection with a Hann window" in (tmp_path / "all.html").read_text()


def test_a_page_holds_its_parts_and_escapes_names(tmp_path) -> None:  # type: ignore[no-untyped-def]
    name = "task <b>"
    truth = torch.zeros(16, 16)
    labels = torch.zeros(16, 16, dtype=torch.int64)
    labels[4:8, 5:9] = 2
    images = {(m, d): truth for m in ("plain", name) for d in DOSES}
    marks = {(m, d, r): labels for m, d in images for r in ("S0", "S1")}
    example = TaskExample("p0-s00", (1.0, 1.0), truth, labels, images, marks)
    story = _story({name: 5.0}, examples=[example], notes={"scan": "160 views"}, compute={"plain": 60.0})
    write_task_report(story, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "task &lt;b&gt;" in html and "task <b>" not in html and "<script" not in html
    for part in (
        "Dose and task",
        "Verdicts",
        "How it was made",
        "160 views",
        "gain confirmed under unseen readers",
        "<path d=",
    ):
        assert part in html
    with pytest.raises(OutputExistsError):
        write_task_report(story, tmp_path / "page.html")
    with pytest.raises(InputError, match="got an empty one"):
        write_task_report(TaskStory(table=Table([]), baselines={}, verdicts={}), tmp_path / "other.html")


def test_an_outline_goes_round_every_pixel_of_the_border_and_round_holes() -> None:
    mask = np.ones((3, 3), dtype=bool)
    assert outline(mask) == "M0 0h3M0 3h3M0 0v3M3 0v3"
    mask[1, 1] = False
    assert outline(mask) == "M0 0h3M1 1h1M1 2h1M0 3h3M0 0v3M1 1v1M2 1v1M3 0v3"
    assert outline(np.zeros((2, 2), dtype=bool)) == ""


def test_harm_is_said_among_the_first_lines_with_its_numbers() -> None:
    words = summary_lines(_story({"task": 5.0, "spoils": -6.0}))
    harm = [text for text, caution in words if caution and "harm is shown: spoils \u22120.0" in text]
    assert len(harm) == 2 and all("lesions found at one false alarm per image \u2212" in text for text in harm)
    assert not any("spoils" in text for text, _ in words[:1])  # harm is no "not confirmed"


def test_the_bases_stand_on_the_page_with_what_the_rule_says_of_them(tmp_path) -> None:  # type: ignore[no-untyped-def]
    flat = Flatness(3000, 15, 2800, 1000, 0.002, True, 5, 0.005, True)
    falling = replace(flat, steps=1500, reached=False, gain=0.03)
    curve = ((200, 2.0), (400, 1.8), (600, 1.7))
    bases = [BaseTraining("task", curve, falling), BaseTraining("plain", curve, flat)]
    story = _story({"task, feature loss": 5.0, "plain, label loss": 1.0}, bases=bases)
    write_task_report(story, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (
        "1500 steps; still falling: no plateau by the rule" in html and "plateau: 0.20% gained in the last 1000 steps" in html
    )
    assert "validation errors of the bases" in html
    assert "task, feature loss<small>base without a plateau" in html and "plain, label loss<small>base" not in html


def test_the_headline_states_one_confirmed_gain_with_its_interval_and_the_rival_that_is_not_beaten() -> None:
    story = _story({"net, label loss": 5.0, "net, image loss": 0.0, "FBP": 5.1})
    pair = {"net, label loss": "net, image loss"}
    verdicts = {(m, b, d): task_verdict(story.table, m, b, dose=d) for m, b in pair.items() for d in DOSES}
    told = replace(story, baselines=pair, verdicts=correct_verdicts(verdicts))
    assert not any("task loss" in text for text in headline(replace(told, has_task_losses=False)).against)
    found = headline(told)
    sentence = found.sentence.replace("\u202f", " ")
    assert (
        "unseen readers outline the tumour better when net was trained with the label loss instead of the image loss"
        in sentence
    )
    assert re.search(
        r": Dice of a patient \+0\.0\d\d \[\+0\.0\d\d, \+0\.0\d\d\]; the largest of 2 confirmed gains\.$", sentence
    )
    assert found.against[0].startswith(
        "But no task loss is shown to beat FBP, which has none: net, label loss minus FBP is \u22120.0"
    )


def test_without_a_confirmed_gain_the_headline_says_so_and_why() -> None:
    assert re.match(
        r"No gain of unseen readers is confirmed: the largest difference .* noise against plain, which is not separated from",
        headline(_story({"noise": 0.0})).sentence,
    )
    few = _table({"task": 5.0}, patients=1)
    verdicts = {("task", "plain", DOSES[0]): task_verdict(few, "task", "plain", dose=DOSES[0])}
    alone = TaskStory(table=few, baselines={"task": "plain"}, verdicts=verdicts)
    assert headline(alone).sentence.endswith("task against plain, and 1 patient cannot confirm it.")
    assert headline(replace(alone, verdicts={})).sentence == "No task loss has been compared with its baseline yet."


def test_the_headline_states_harm_and_never_calls_what_the_correction_took_harm() -> None:
    story = _story({"spoils": -6.0})
    found = headline(story)
    assert found.sentence.startswith("No gain is confirmed, but harm is: at ") and "outline the tumour worse" in found.sentence
    taken = {k: replace(v, outcome="worse", adjusted={"unseen": 0.5, "equal alarms": 0.5}) for k, v in story.verdicts.items()}
    assert "harm" not in headline(replace(story, verdicts=taken)).sentence
    assert {verdict_words(v) for v in taken.values()} == {"worse, not confirmed"}


def test_the_page_begins_with_sentence_pictures_and_table_and_folds_the_rest(tmp_path) -> None:  # type: ignore[no-untyped-def]
    truth = torch.zeros(16, 16)
    labels = torch.zeros(16, 16, dtype=torch.int64)
    labels[4:8, 5:9] = 2
    images = {(m, d): truth for m in ("plain", "task", "full dose") for d in DOSES}
    example = TaskExample("p0-s00", (1.0, 1.0), truth, labels, images, {(m, d, "S1"): labels for m, d in images})
    story = _story({"task": 5.0}, examples=[example])
    write_task_report(story, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    first = html[html.index("<body>") : html.index("<details")]
    places = [first.index(part) for part in ("class='answer'", "class='row'", "first-table", "<nav>")]
    assert places == sorted(places) and first.count("class='answer'") == 1
    row = first[places[1] : places[2]]
    assert row.count("<img") == 5 and 'alt=""' not in row and 'alt="full dose: p0-s00' in row
    assert row.count("<div class='minus'>") == 2 and row.count('minus full dose"') == 2  # full dose has no difference
    assert "Differences from full dose: grey 0 HU, black \u221220 HU or less, white +20 HU or more." in row
    assert first.count("<input type='checkbox' id='differences' accesskey='d'>") == 1
    assert "unfinished" not in first
    assert all(f'id="{anchor}"' in html for anchor in re.findall(r'<a href="#([a-z]+)"', first))

    bare = replace(example, images_hu={k: v for k, v in images.items() if k[0] != "full dose"})
    write_task_report(replace(story, examples=[bare]), tmp_path / "bare.html")
    assert "checkbox" not in (tmp_path / "bare.html").read_text(encoding="utf-8")

    write_task_report(replace(story, missing=["scores-lpd"]), tmp_path / "part.html")
    part = (tmp_path / "part.html").read_text(encoding="utf-8")
    warned = part.index("Unfinished: 1 step of this experiment is not done yet (scores-lpd)")
    assert warned < part.index("class='answer'")


def test_with_many_pairs_the_small_table_keeps_to_the_best_and_says_so(tmp_path) -> None:  # type: ignore[no-untyped-def]
    story = _story({f"task {k}": 1.0 * k for k in range(6)})
    write_task_report(story, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    first = html[html.index("<body>") : html.index("<details")]
    assert first.count("against plain") == 8 and "8 of 12 comparisons; all stand below." in first and "task 5" in first
