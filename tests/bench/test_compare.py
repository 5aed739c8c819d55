"""A benchmark of one tiny case: what is measured, compared and written; who is refused before the work."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskct.bench import BenchPlan, full_plan, limits, quick_plan, read_bench, run_bench, write_bench
from taskct.bench.bench_files import table
from taskct.bench.bench_geometries import WORKS, cone, fan, operations, parallel, updates
from taskct.bench.compare import Side
from taskct.bench.thread_gain import middle
from taskct.core.errors import InputError, OutputExistsError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def short_measurement_of_the_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "_COPY_MIB", 8)
        patch.setattr(limits, "_ROUNDS", 100_000)
        yield


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    plan = BenchPlan({"parallel 40": parallel(40, 30, 61)}, rounds=1, threads=(1, 2), works=("forward", "fbp"))
    return run_bench(plan, peers_python=sys.executable)


def test_every_work_is_timed_at_every_thread_count_and_agrees_with_float64(result: dict[str, Any]) -> None:
    rows = result["rows"]
    assert {(row["work"], row["threads"]) for row in rows} == {(w, n) for w in ("forward", "fbp") for n in (1, 2)}
    for row in rows:
        assert row["cpu_s"] >= 0 and row["wall_s"] > 0 and row["speed_up"] > 0
        if row["threads"] == 1 and row is next(r for r in rows if r["work"] == row["work"]):
            assert row["float64_difference"] < 5e-6  # float32 rounding; the ramp amplifies that of the projections
    assert result["machine"]["copy_bytes_per_s"] > 1e6


def test_more_threads_are_timed_in_turn_with_the_first_number(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        if row["threads"] == 1:
            assert row["speed_up"] == 1 and "alone_wall_s" not in row
        else:
            assert row["alone_wall_s"] > 0 and 0.1 < row["speed_up"] / (row["alone_wall_s"] / row["wall_s"]) < 10
            assert row["speed_up_low"] <= row["speed_up"] <= row["speed_up_high"]
            assert ("machine_speed_up" in row) == (result["machine"]["vector_operations_per_s"] is not None)
            assert 0.2 < row.get("machine_speed_up", 1) < 5
    text = table(result, command="taskct bench", figure="b.png")
    assert "| work | 2 threads, s | 1, s | speed-up | 95 % | machine |" in text


def test_the_interval_of_a_median_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for n in (6, 9, 24, 25):
        ends = np.array([middle(rng.normal(size=n).tolist())[1:] for _ in range(2000)])
        assert 0.94 < np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) < 0.99
    assert middle([3.0, 1.0, 2.0]) == (2.0, None, None)


def test_a_peer_that_is_installed_is_compared_with(result: dict[str, Any]) -> None:
    pytest.importorskip("skimage")
    rows = [row for row in result["rows"] if row.get("peer") == "skimage"]
    assert {row["work"] for row in rows} == {"forward", "fbp"}
    assert all(row["threads"] == 1 and row["ratio"] > 0 for row in rows)
    turned = [row for row in result["rows"] if row.get("peer") == "grid_sample"]  # 30 views cannot be turned by a quarter
    assert turned and all("peer_difference" not in row for row in turned)
    assert "skimage" in result["versions"]


def test_json_table_rows_and_figure_are_written_once(result: dict[str, Any], tmp_path: Path) -> None:
    formula = {"case": "=1+1", "work": "forward"}
    paths = write_bench(
        {**result, "rows": [*result["rows"], {**result["rows"][0], **formula}]}, tmp_path / "odd.json", figure=False
    )
    assert list(csv.DictReader(paths[1].open()))[-1]["case"] == "'=1+1"  # no spreadsheet runs it
    paths = write_bench(result, tmp_path / "b.json")
    assert [path.name for path in paths] == ["b.json", "b.csv", "b.md", "b.png"]
    assert len(json.loads(paths[0].read_text())["rows"]) == len(list(csv.DictReader(paths[1].open()))) == len(result["rows"])
    assert "parallel 40 / forward" in paths[2].read_text()
    assert paths[3].read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputExistsError, match=r"b\.json: exists already"):
        write_bench(result, tmp_path / "b.json")
    write_bench(result, tmp_path / "b.json", overwrite=True)


def test_the_peers_do_a_heavy_case_once_and_results_are_not_compared() -> None:
    case = parallel(40, 32, 61)
    works = {"plain": case, "heavy": case | {"heavy": True}}
    plan = BenchPlan(works, rounds=3, threads=(1,), works=("forward",))
    result = run_bench(plan, peers_python=sys.executable)
    rows = {row["case"]: row for row in result["rows"] if row.get("peer") == "grid_sample"}
    assert rows["heavy"]["ratio"] > 0 and (rows["plain"]["peer_runs"], rows["heavy"]["peer_runs"]) == (3, 1)
    text = table(result, command="taskct bench", figure="b.png")
    assert "Of heavy a peer's time is that of one run without a warm-up." in text
    assert "peer_difference" in rows["plain"] and "peer_difference" not in rows["heavy"]
    assert [name for name, case in full_plan().cases.items() if "heavy" in case] == ["cone 256"]


def test_a_run_that_is_stopped_keeps_its_rows_and_goes_on_from_them(tmp_path: Path) -> None:
    plan = BenchPlan({"parallel 8": parallel(8, 4, 12)}, rounds=1, threads=(1,), works=("forward", "adjoint"))
    out = tmp_path / "b.json"

    def stop(result: dict[str, Any]) -> None:
        write_bench(result, out, figure=False)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bench(plan, keep=stop)
    earlier = read_bench(out)
    assert earlier is not None and [row["work"] for row in earlier["rows"]] == ["forward"]
    earlier["rows"][0]["cpu_s"] = 123.0  # taken over, not measured again
    rows = run_bench(plan, earlier=earlier)["rows"]
    assert [row["work"] for row in rows] == ["forward", "adjoint"]
    rest = run_bench(plan, earlier=earlier, only="adjoint")["rows"]  # what was not asked for this time is not lost
    assert sorted(row["work"] for row in rest) == ["adjoint", "forward"]
    assert rows[0]["cpu_s"] == 123.0 != rows[1]["cpu_s"]
    with pytest.raises(InputError, match=r"measured with rounds 1 \(now 2\); start anew"):
        run_bench(BenchPlan(plan.cases, rounds=2, threads=(1,)), earlier=earlier)
    with pytest.raises(InputError, match="measured with cases"):
        run_bench(BenchPlan({"parallel 8": parallel(9, 4, 12)}, rounds=1, threads=(1,)), earlier=earlier)
    assert read_bench(tmp_path / "none.json") is None
    out.write_text("[1]")
    with pytest.raises(InputError, match=r"b\.json: expected what `taskct bench` writes"):
        read_bench(out)


def test_updates_count_rays_times_planes_and_samples_times_views() -> None:
    assert updates(parallel(40, 30, 61), "forward") == 30 * 61 * 40
    assert updates(parallel(40, 30, 61, batch=3), "adjoint") == 3 * 30 * 40**2
    assert updates(cone(8, 5, 12), "forward") == 5 * 12**2 * 8
    assert updates(cone(8, 5, 12), "fbp") == 5 * 8**3


def test_each_kind_of_case_has_counted_operations_and_the_quick_plan_has_each_kind() -> None:
    assert operations(fan(8, 4, 12), "adjoint", 8) is not None and operations(fan(8, 4, 12, curved=True), "fbp", 8) is None
    kinds = {case["kind"] for case in full_plan().cases.values()}
    assert kinds == {case["kind"] for case in quick_plan().cases.values()} == {"parallel", "fan", "fan curved", "cone"}
    assert full_plan().works == WORKS


def test_a_python_that_is_none_and_a_name_that_matches_nothing_are_refused(tmp_path: Path) -> None:
    plan = BenchPlan({"parallel 8": parallel(8, 4, 12)}, rounds=1, threads=(1,))
    with pytest.raises(InputError, match="cannot be run"):
        run_bench(plan, peers_python=tmp_path / "no-python")
    with pytest.raises(InputError, match="no case/work contains 'helix'; cases: parallel 8"):
        run_bench(plan, only="helix")


_COUNTS = """
import numpy as np, time
from taskct.bench.peers import serve
runs = []
def work():
    runs.append(1)
    time.sleep(0.002)
    return np.array(len(runs))
serve(lambda work_, case: work, {})
"""


@pytest.mark.parametrize(("turn_s", "at_least", "at_most"), [(0.0, 1, 1), (0.5, 2, 250)])
def test_a_turn_is_one_run_or_as_many_as_fit(turn_s: float, at_least: int, at_most: int, tmp_path: Path) -> None:
    with Side([sys.executable, "-c", _COUNTS], 1) as side:
        said = side.ask("count", {}, turn_s=turn_s)
        side.ask("count", {}, save=str(tmp_path / "runs.npy"))
    runs = int(np.load(tmp_path / "runs.npy")) - 1
    assert at_least <= runs <= at_most
    assert said["wall_s"] >= 0.002  # of one run, not of the turn
    assert said["wall_s"] * runs >= 0.999 * turn_s
