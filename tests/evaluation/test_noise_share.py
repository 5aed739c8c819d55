"""What part of an error is noise: shares by hand, and on images whose noise is known."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.evaluation import Row, Table, evaluate
from taskct.evaluation.noise_share import has_noise_share, noise_free_mean, noise_share
from taskct.evaluation.rows import NOISE_FREE, DoseLevel
from taskct.physics.dose import Dose

FULL = DoseLevel(1.0, 1e5)


def table_of(metric: str, free: list[float], noisy: list[float], unit: str = "HU") -> Table:
    rows = [
        Row("fbp", f"c{n}", f"p{n}", 0, *dose, metric, "all", value)
        for dose, values in ((NOISE_FREE, free), (FULL, noisy))
        for n, value in enumerate(values)
    ]
    return Table(rows, {"metrics": {metric: {"label": metric, "unit": unit, "better": "lower", "definition": ""}}})


def test_shares_of_noise_are_those_of_squared_errors():
    table = table_of("rmse_hu", [3.0, 12.0], [5.0, 13.0])
    assert noise_share(table, "rmse_hu", "fbp", FULL).mean == pytest.approx((16 / 25 + 25 / 169) / 2)
    assert noise_free_mean(table, "rmse_hu", "fbp").mean == 7.5
    in_db = table_of("psnr", [40.0], [30.0], unit="dB")  # ten times the squared error
    assert noise_share(in_db, "psnr", "fbp", FULL).mean == pytest.approx(0.9)


def test_metrics_without_squares_and_tables_without_noise_free_rows_have_no_share():
    assert noise_share(table_of("ssim", [0.9], [0.8], unit=""), "ssim", "fbp", FULL) is None
    table = table_of("rmse_hu", [3.0], [5.0])
    plain = Table([r for r in table.rows if r.dose != NOISE_FREE], table.settings)
    assert not has_noise_share(plain, "rmse_hu") and noise_share(plain, "rmse_hu", "fbp", FULL) is None
    assert noise_free_mean(plain, "rmse_hu", "fbp") is None


def test_the_noise_free_dose_is_no_dose_of_the_table():
    table = table_of("rmse_hu", [3.0], [5.0])
    assert table.doses == [FULL] and table.noise_free and table.dose_level(1.0) == FULL
    assert [s.dose for s in table.summary("rmse_hu")] == [FULL]


def test_an_evaluation_tells_noise_from_what_no_dose_mends(patient, A, methods):
    doses = [Dose(1e4), Dose(1e4, 0.01)]
    table = evaluate({"landweber": methods["landweber"]}, [patient(1)], A, doses, slices=[0, 1], keep=0)
    free = table.select("rmse_hu", "landweber", NOISE_FREE)
    assert len(free) == 2 and not table.select("seconds", "landweber", NOISE_FREE)
    bright = evaluate({"landweber": methods["landweber"]}, [patient(1)], A, Dose(1e12), slices=[0, 1], keep=0)
    for one, other in zip(free, bright.select("rmse_hu", "landweber", 1.0), strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-4)  # 1e12 photons are as good as no noise
    shares = [noise_share(table, "rmse_hu", "landweber", d).mean for d in (1.0, 0.01)]
    assert shares[0] < shares[1] and 0.1 < shares[1] < 1


def test_noise_free_images_can_be_left_out_and_cost_one_reconstruction_each(patient, A, methods):
    calls = []

    def counted(p, A):
        calls.append(len(p))
        return methods["landweber"](p, A)

    doses = [Dose(1e4), Dose(1e4, 0.1)]
    assert evaluate({"m": counted}, [patient(1)], A, doses, keep=0, noise_free=True).noise_free and sum(calls) == 9
    calls.clear()
    assert not evaluate({"m": counted}, [patient(1)], A, doses, keep=0, noise_free=False).noise_free and sum(calls) == 6


def test_a_method_that_needs_noise_is_noted_once_and_still_scored(patient, A, methods):
    def needs_noise(p, A):
        if not needs_noise.calls:
            needs_noise.calls += 1
            raise ValueError("no noise to estimate")
        return methods["landweber"](p, A)

    needs_noise.calls = 0
    table = evaluate({"m": needs_noise, "landweber": methods["landweber"]}, [patient(1)], A, Dose(1e4), batch=1, keep=0)
    assert "no noise to estimate" in table.notes["noise-free"]["m"] and list(table.notes["noise-free"]) == ["m"]
    assert not table.select("rmse_hu", "m", NOISE_FREE) and len(table.select("rmse_hu", "m", 1.0)) == 3
    assert len(table.select("rmse_hu", "landweber", NOISE_FREE)) == 3


def test_noise_free_rows_survive_a_file(tmp_path):
    table = table_of("rmse_hu", [3.0], [5.0])
    table.save(tmp_path / "run")
    back = Table.read(tmp_path / "run")
    assert back.rows == table.rows and math.isinf(back.rows[0].photons)


def test_the_truth_is_projected_on_a_finer_grid_unless_asked_otherwise(patient, A, methods):
    run = lambda **more: evaluate({"m": methods["landweber"]}, [patient(1)], A, Dose(1e9), slices=[1], keep=0, **more)
    plain, finer, crime = (t.select("rmse_hu", "m", 1.0)[0].value for t in (run(), run(refine=2), run(refine=1)))
    assert plain == finer != crime and "2 times finer" in run().settings["simulation"]
    assert torch.isfinite(torch.tensor([plain, crime])).all()


def test_the_share_of_a_region_is_that_of_its_own_rows():
    table = table_of("rmse_hu", [3.0, 3.0], [5.0, 5.0])
    liver = [r._replace(region="liver", value=4.0 if r.dose == NOISE_FREE else 8.0) for r in table.rows]
    both = Table([*table.rows, *liver], table.settings)
    assert noise_share(both, "rmse_hu", "fbp", FULL).mean == pytest.approx(16 / 25)
    assert noise_share(both, "rmse_hu", "fbp", FULL, region="liver").mean == pytest.approx(0.75)
