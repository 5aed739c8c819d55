"""The table of volumes: every row measured, the floor beside it, the reader of the radiographs as the control."""

from __future__ import annotations

import math

import pytest
import torch

from taskct import Dose, Grid, Projector
from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.evaluation.table import Table
from taskct.evaluation.volumes import (
    FILM_READER,
    TRUTH,
    VOLUME_METRICS,
    VolumeCases,
    evaluate_volumes,
    film_rows,
    fit_task_readers,
    score_volumes,
    skull_targets,
    task_rows,
    vault_features,
    volume_table,
)
from taskct.geometry import bi_planar
from taskct.recon.learned import TrainedFor
from taskct.recon.learned.trained_for import watch
from taskct.recon.population import GaussianPopulation, MeanImage

N = 16
GRID = Grid((N, N, N), 12.0)
A = Projector(GRID, bi_planar(cols=N, rows=N, pixel_mm=19.0, source_iso_mm=1000, source_detector_mm=1500))
DOSE = Dose(1e5)


def heads(count: int, seed: int = 0) -> torch.Tensor:
    """Shells of bone about water, of random width, length and density, in 1/mm; half of them have a gap in the crown."""
    g = torch.Generator().manual_seed(seed)
    line = (torch.arange(N) - (N - 1) / 2) * 12.0
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    made = []
    for k in range(count):
        half = 62 + 16 * torch.rand(2, generator=g)
        form = ((z / 66) ** 2 + (y / half[1]) ** 2 + (x / half[0]) ** 2).sqrt()
        mu = torch.where(form < 1, 0.0195, 0.0)
        shell = (form < 1) & (form > 0.78)
        if k % 2:
            shell &= ~((z > 30) & (x.abs() < 20))
        made.append(torch.where(shell, 0.030 + 0.01 * float(torch.rand(1, generator=g)), mu))
    return torch.stack(made)[:, None]


TRAIN, TEST = heads(40), heads(12, seed=5)
CASES = VolumeCases(TEST, A(TEST), A, [f"head-{i}" for i in range(12)], DOSE)
GAP = {"gap": torch.arange(40) % 2 == 1}
GAP_TEST = {"gap": torch.arange(12) % 2 == 1}


@pytest.fixture(scope="module")
def table() -> Table:
    methods = {"mean atlas": MeanImage(TRAIN), "Gaussian model": GaussianPopulation(TRAIN, sigma=0.02)}
    return evaluate_volumes(methods, CASES)


def test_every_metric_is_measured_of_every_case_and_defined_in_the_table(table: Table) -> None:
    assert table.methods == [TRUTH, "mean atlas", "Gaussian model"]
    own = {m for m in VOLUME_METRICS if m != "spread_ratio"}
    assert {r.metric for r in table.rows} == own
    for metric in own:
        assert len(table.select(metric, "Gaussian model", 1.0)) == 12
        assert table.label(metric)["definition"] != "not stated"


def test_a_better_method_has_the_better_rows_and_the_truth_has_the_floor(table: Table) -> None:
    for metric, sign in (("psnr3d", 1), ("bone_dice", 1), ("mae_hu", -1), ("bone_surface_mm", -1), ("reprojection_rms", -1)):
        gain = table.paired(metric, "Gaussian model", "mean atlas", dose=1.0)
        assert sign * gain.mean > 0 and gain.separated, metric
    assert table.mean("reprojection_rms", TRUTH, dose=1.0).mean < 1e-6
    assert table.mean("cranial_index_error", TRUTH, dose=1.0).mean == 0.0
    for method in ("mean atlas", "Gaussian model"):
        assert 0 < table.mean("seen_share", method, dose=1.0).mean < 1
    assert not any(r.metric == "psnr3d" for r in table.rows if r.method == TRUTH)


def test_the_signed_and_the_absolute_error_of_a_shape_belong_together(table: Table) -> None:
    signed = [r.value for r in table.select("cranial_index", "mean atlas", 1.0)]
    size = [r.value for r in table.select("cranial_index_error", "mean atlas", 1.0)]
    assert [abs(v) for v in signed] == size and max(size) > 1


def test_a_task_is_read_from_volumes_and_from_the_radiographs_themselves() -> None:
    readers = fit_task_readers(vault_features(TRAIN, CASES), GAP)
    rows = task_rows(TRUTH, vault_features(TEST, CASES), GAP_TEST, readers, CASES)
    rows += task_rows(
        "mean atlas", vault_features(TRAIN.mean(0, keepdim=True).expand_as(TEST), CASES), GAP_TEST, readers, CASES
    )
    rows += film_rows(A(TRAIN), GAP, GAP_TEST, CASES)
    found = volume_table(rows, CASES)
    assert found.mean("auc: gap", TRUTH, dose=1.0).mean > 0.95
    assert found.mean("auc: gap", FILM_READER, dose=1.0).mean > 0.9
    assert math.isclose(found.mean("auc: gap", "mean atlas", dose=1.0).mean, 0.5)  # one answer for all: ties
    assert "AUC" in found.label("auc: gap")["label"]


def test_a_class_that_hardly_occurs_has_no_reader_and_sizes_are_read_as_errors() -> None:
    rare = {"rare": torch.arange(40) == 3, "size": TRAIN.flatten(1).sum(1), "same": torch.ones(40)}
    readers = fit_task_readers(A(TRAIN).flatten(1), rare)
    assert list(readers) == ["size"]
    rows = task_rows("films", CASES.p.flatten(1), {"size": TEST.flatten(1).sum(1)}, readers, CASES)
    worst = max(r.value for r in rows)
    assert rows[0].metric == "read: size" and worst < 0.1 * float(TEST.flatten(1).sum(1).mean())


def test_a_spread_and_a_seed_are_kept_in_the_rows() -> None:
    model = GaussianPopulation(TRAIN, sigma=0.02)
    mu, spread = model.estimate(CASES.p, A)
    rows = score_volumes("Gaussian model", mu, CASES, seed=3, spread=spread, views=False)
    assert {r.seed for r in rows} == {3} and not any(r.metric == "seen_share" for r in rows)
    ratios = [r.value for r in rows if r.metric == "spread_ratio"]
    assert len(ratios) == 12 and all(0 < v < 20 for v in ratios)


def test_facts_of_skulls_become_targets() -> None:
    one = {"kind": "sagittal", "sutures_mm": {"metopic": 1.0}, "age_months": 3.0}
    two = {"kind": "positional", "sutures_mm": {"sagittal": 2.0}, "age_months": 9.0}
    one |= {"cranial_index": 0.7, "asymmetry": 0.01, "fontanelle_mm2": 0.0}
    two |= {"cranial_index": 0.9, "asymmetry": -0.1, "fontanelle_mm2": 40.0}
    facts = [one, two]
    targets = skull_targets(facts)
    assert targets["sagittal suture open"].tolist() == [False, True] and targets["metopic suture open"].tolist() == [
        True,
        False,
    ]
    assert targets["craniosynostosis"].tolist() == [True, False] and targets["fontanelle open"].tolist() == [False, True]
    assert torch.allclose(targets["cranial index"], torch.tensor([70.0, 90.0]))


def test_volumes_of_another_shape_are_refused_by_name() -> None:
    with pytest.raises(GeometryError, match="method 'short': expected volumes"):
        score_volumes("short", TEST[:3], CASES)
    with pytest.raises(InputError, match="method 'none' returned NoneType"):
        evaluate_volumes({"none": lambda p, A: None}, CASES)
    with pytest.raises(InputError, match="a name of its own"):
        VolumeCases(TEST, A(TEST), A, ["same"] * 12, DOSE)
    with pytest.raises(GeometryError, match="radiographs"):
        VolumeCases(TEST, A(TEST)[:, :, :1], A, [f"head-{i}" for i in range(12)], DOSE)


def test_a_network_of_other_units_is_refused() -> None:
    net = torch.nn.Identity()
    watch(net, TrainedFor("runs/net", mu_water_per_mm=0.02), otherwise="refuse")
    with pytest.raises(UnitsError, match="runs/net: was trained in other units than those of method 'net': the cases"):
        evaluate_volumes({"net": net}, CASES)
