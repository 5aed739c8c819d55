"""The bi-planar experiment, done in small: rows, conditions, tables, page, and what is added later."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_biplanar import settings

from taskct.core.errors import ConfigError, InputError
from taskct.evaluation.table import Table
from taskct.experiments import run_steps
from taskct.models import Card, pack_model
from taskct.systems.biplanar.experiment import biplanar_steps
from taskct.systems.biplanar.experiment.conditions import LOST, OWN, PRIOR, SECOND, SHUFFLED, cases_of, conditions, poses_name
from taskct.systems.biplanar.experiment.row_scores import RowScores
from taskct.systems.biplanar.experiment.shared_skulls import Skulls, geometries_of


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment that is done."""
    folder = tmp_path_factory.mktemp("biplanar")
    run_steps(biplanar_steps, settings(), folder, say=lambda text: None)
    return folder


def test_every_row_is_scored_under_every_condition(done: Path) -> None:
    names = {OWN, SHUFFLED, LOST, PRIOR, SECOND, poses_name(3.0)}
    for step, label in (("row-atlas", "mean atlas"), ("row-gaussian", "Gaussian model"), ("row-net-smear-s0", "smear")):
        table = RowScores.read(done / step).table
        for row in (label, label + " + agreement"):
            methods = {f"{row}, {name}" if name else row for name in names}
            assert methods <= set(table.methods), row
            doses = {r.dose.used_photons for r in table.rows if r.method == row and r.metric == "psnr3d"}
            assert doses == {1e5, 1e3}
    assert RowScores.read(done / "row-truth").table.methods == ["truth"]


def test_the_page_and_the_tables_hold_what_was_measured(done: Path) -> None:
    page = (done / "report" / "report.html").read_text()
    assert "smear: prior only" in page and "Gaussian model" in page and page.count("data:image") > 20
    first = page[page.index("<body>") : page.index("<details")]
    assert first.count("class='answer'") == 1 and first.count("<img") >= 3 and "PSNR3D / dB" in first
    assert "prior only" not in first and "Unfinished" not in first and 'alt=""' not in page
    summary = (done / "report" / "summary.csv").read_text().splitlines()
    own = RowScores.read(done / "row-net-smear-s0").table
    mean = own.mean("psnr3d", "smear", dose=own.doses[0]).mean
    line = next(one.split(",") for one in summary if one.startswith("smear,100") and ",psnr3d,all," in one)
    assert float(line[1]) == own.doses[0].used_photons and float(line[4]) == pytest.approx(mean, rel=1e-4)
    leads = (done / "report" / "leads.csv").read_text()
    assert leads.startswith("network,minus,metric") and "\nsmear," in leads
    assert "children" in (done / "report" / "summary.txt").read_text()


def test_conditions_are_what_their_names_say(done: Path) -> None:
    by_name = {c.name: c.cases for c in conditions(done / "skulls", settings()) if c.cases.dose.fraction == 1}
    own = by_name[OWN]
    assert torch.equal(by_name[SHUFFLED].p, own.p[[3, 0, 1, 2]])
    assert torch.equal(by_name[LOST].p[:, :, 0], own.p[:, :, 0])
    assert torch.equal(by_name[LOST].p[:, :, 1], by_name[PRIOR].p[:, :, 1])
    assert float((by_name[PRIOR].p - by_name[PRIOR].p[:1]).abs().max()) < 1e-5
    assert all(name.startswith("second-") for name in by_name[SECOND].case_ids)
    moved = by_name[poses_name(3.0)]
    assert moved.A is own.A and not torch.allclose(moved.p, own.p, atol=0.05)
    assert float((moved.p.mean() / own.p.mean() - 1).abs()) < 0.1  # the same skulls, a little aside


def test_radiographs_are_taken_from_the_finer_grid(done: Path) -> None:
    cases = cases_of(done / "skulls", settings(), "test", 2)
    again = cases.A(cases.truth)
    misfit = float((again - cases.p).square().mean().sqrt())
    assert 0.01 < misfit < 0.2  # the answer's own grid does not explain them; noise alone would be 0.005


def test_a_geometry_per_skull_is_one_that_no_training_saw(done: Path) -> None:
    many = settings(geometries=3)
    train, test = geometries_of(many, "train", 2), geometries_of(many, "test", 2)
    assert len(train) == 3 and len(test) == 4
    sources = [A.poses.source_mm[0].tolist() for A in (*train, *test)]
    assert len({tuple(s) for s in sources}) == 7
    cases = cases_of(done / "skulls", many, "test", 2)
    assert len(cases.A) == 4


def test_more_rows_add_to_a_folder_and_other_skulls_are_refused(done: Path) -> None:
    said: list[str] = []
    run_steps(biplanar_steps, settings(plain=("atlas", "gaussian", "nearest")), done, say=said.append)
    begun = [one.split(":")[0] for one in said if "done in" not in one]
    assert begun == ["row-nearest", "report"]
    assert "nearest skull" in Table.read(done / "row-nearest").methods
    with pytest.raises(ConfigError, match="train_skulls"):
        run_steps(biplanar_steps, settings(train_skulls=4), done, say=said.append)


def test_settings_that_cannot_be_done_are_refused_by_name() -> None:
    for wrong, words in (
        ({"nets": ("unroled",)}, "did you mean 'unrolled'"),
        ({"plain": ("atlass",)}, "did you mean 'atlas'"),
        ({"size": 20}, "divides by 8"),
        ({"factor": 1}, "answer's grid"),
        ({"doses": (1.5,)}, "fractions"),
        ({"view_counts": (11,)}, "1 to 10 views"),
        ({"test_skulls": 0}, "at least one skull"),
        ({"reading_skulls": 2}, "10 skulls or more"),
        ({"refined": ("gausian",)}, "did you mean 'gaussian'"),
        ({"few_view_plain": ("unrolled",)}, "few_view_plain"),
    ):
        with pytest.raises(ConfigError, match=words):
            settings(**wrong)


def test_skulls_know_what_they_are_labelled_with(done: Path) -> None:
    skulls = Skulls(done / "skulls")
    assert [len(skulls.facts(part)) for part in ("train", "validation", "test", "second")] == [3, 1, 4, 1]
    assert all(0 <= one["age_months"] <= 24 for one in skulls.facts("test"))


def test_a_network_of_the_package_is_scored_as_it_is(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(kind="reconstruction", title="small")
    packed = pack_model(done / "net-smear-s0", tmp_path / "skull-small", card=card, half=True)
    monkeypatch.setattr("taskct.systems.biplanar.experiment.row_scores.shipped_models", lambda: {"skull-small": packed})
    run_steps(biplanar_steps, settings(nets=(), package=("skull-small",)), done, say=lambda text: None)
    ours, theirs = (RowScores.read(done / step).table for step in ("row-package-skull-small", "row-net-smear-s0"))
    means = [t.mean("psnr3d", name, dose=t.doses[0]).mean for t, name in ((ours, "skull-small"), (theirs, "smear"))]
    assert means[0] == pytest.approx(means[1], abs=0.02)  # in half precision
    assert "skull-small: prior only" in (done / "report" / "report.html").read_text()
    with pytest.raises(InputError, match="did you mean 'skull-small'"):
        run_steps(biplanar_steps, settings(nets=(), package=("skull-smal",)), done, say=lambda text: None)
