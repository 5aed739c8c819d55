"""Sections of a bi-planar page beside the main table."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.table import Table
from taskct.evaluation.volumes import FILM_READER
from taskct.evaluation.volumes.volume_metrics import about_metric
from taskct.systems.biplanar.pages.biplanar_story import BiPlanarStory, BlockGain, Curve, RefinedPoses
from taskct.systems.biplanar.pages.story_sections import (
    block_table,
    curve_section,
    pose_table,
    spread_section,
    task_table,
    view_table,
)

DOSE = DoseLevel(1.0, 1e5)


def story(scores: dict[tuple[str, str], float], **more: Any) -> BiPlanarStory:
    """(method, metric) -> its mean over eight skulls."""
    rows = [
        Row(method, f"skull-{k}", f"skull-{k}", None, *DOSE, metric, "all", value + 0.001 * k)
        for (method, metric), value in scores.items()
        for k in range(8)
    ]
    table = Table(rows, {"metrics": {metric: about_metric(metric) for _, metric in scores}})
    methods = list(dict.fromkeys(m for m, metric in scores if metric == "psnr3d"))
    return BiPlanarStory(
        table, DOSE, methods, None, (), (), {}, (), SimpleNamespace(views=2, train_skulls=40, reading_skulls=0), **more
    )


def test_nothing_asked_is_nothing_shown() -> None:
    bare = story({("net", "psnr3d"): 25.0})
    assert [make(bare) for make in (block_table, pose_table, view_table, task_table, spread_section, curve_section)] == [
        ""
    ] * 6


def test_other_numbers_of_views_stand_beside_the_usual_one_in_order() -> None:
    shown = view_table(
        story(
            {
                ("SIRT", "psnr3d"): 23.0,
                ("SIRT, 10 views", "psnr3d"): 31.0,
                ("SIRT, 1 view", "psnr3d"): 19.0,
                ("net", "psnr3d"): 29.0,
            }
        )
    )
    places = [shown.index(text) for text in (">1</th>", ">2</th>", ">10</th>", "19.0", "23.0", "31.0")]
    assert places == sorted(places) and "net" not in shown


def test_what_is_read_stands_below_the_reader_of_the_radiographs() -> None:
    shown = task_table(
        story({
            ("net", "psnr3d"): 25.0, ("net", "auc: metopic suture open"): 0.7, (FILM_READER, "auc: metopic suture open"): 0.8,
            (FILM_READER, "read: age months"): 3.0,
        })
    )  # fmt: skip
    assert shown.index(f">{FILM_READER}</th>") < shown.index(">net</th>")
    assert "metopic suture open" in shown and "age months" in shown and "–" not in shown.split("age months")[0]


def test_blocks_spreads_and_curves_are_named_with_their_numbers() -> None:
    plain = story({("a", "psnr3d"): 25.0, ("b", "psnr3d"): 24.0})
    pair = BlockGain("rays", "a", "b", {"psnr3d": plain.table.paired("psnr3d", "a", "b", dose=DOSE)})
    spread = {"factor": 1.4, "ratio": 1.25, "within": [0.6, 0.9], "spread": [0.001, 0.002], "error": [0.001, 0.003]}
    full = replace(
        plain, blocks=[pair], spreads={"a": spread}, curves={"a, seed 0": Curve((1, 2, 3, 4), (20.0, 21.0, 22.0, 22.5))}
    )
    assert "rays" in block_table(full) and "1.00" in block_table(full) and "a − b" in block_table(full)
    assert "1.25" in spread_section(full) and "60 %" in spread_section(full) and "svg" in spread_section(full)
    assert "a, seed 0 +0.50 dB" in curve_section(full)


def test_refined_poses_stand_beside_wrong_and_right_ones() -> None:
    left = {"turn_deg": 3.1, "turn_left_deg": 1.2, "shift_mm": 2.9, "shift_left_mm": 4.0}
    scores = {("a", "psnr3d"): 30.0, ("a, wrong", "psnr3d"): 25.0, ("a, mended", "psnr3d"): 27.0}
    shown = pose_table(story(scores, refined=[RefinedPoses("a", 3.0, "wrong", "mended", left)]))
    assert shown.index("30.0") < shown.index("25.0") < shown.index("27.0") and "3.1 → 1.2" in shown and "2.9 → 4.0" in shown
