"""From a CT in a folder to scores, tables and a page: by classical methods and by a network."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from judged_trunk import trunk

from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import Run
from taskct.experiments.made import Made
from taskct.geometry import FanBeam
from taskct.recon.learned import make_model
from taskct.systems.real_ct import judged_ct, judging
from taskct.systems.real_ct.judge_ct import (
    METHOD_OF,
    judge_classical,
    judge_network,
    judge_weighted,
    observe,
    read_images,
    read_rows,
)
from taskct.systems.real_ct.judged_ct import JudgedCT
from taskct.systems.real_ct.judged_summary import Scores, better_observed, goals, table_of, tables, write_summary
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment

CT = "small_trunk"
MODEL = {"kind": "real_ct", "widths": [4, 8]}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealCTExperiment:
    hu = trunk(2.0)
    (tmp_path / "data" / CT).mkdir(parents=True)
    volume = np.stack([hu, hu], -1)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([2.0, 2.0, 5.0, 1.0])), tmp_path / "data" / CT / "ct.nii.gz")
    about = JudgedCT(path=f"{CT}/ct.nii.gz", about="a trunk", licence="none", seen=False, slices=(0,), tuned_on=(1,))
    monkeypatch.setitem(judged_ct.JUDGED, CT, about)  # type: ignore[arg-type]
    beam = FanBeam(views=60, cols=160, pixel_mm=3.0, source_iso_mm=595.0, source_detector_mm=1085.6, curved=True)
    monkeypatch.setattr(judging, "clinical_fan", lambda: beam)
    monkeypatch.setattr(judging, "TV_ITERATIONS", 15)
    return RealCTExperiment(data=str(tmp_path / "data"), judged=(CT,), fractions=(1.0, 0.1), strengths=(0.3, 1.0), draws=3)


def trained(folder: Path) -> Path:
    run = Run.create(folder, {"model": MODEL, "training": {"steps": 1}})
    torch.manual_seed(0)
    run.save_tensors("weights.safetensors", make_model(MODEL).state_dict())
    return folder


def test_every_method_and_dose_is_scored_and_the_page_holds_tables_pictures_and_goals(
    settings: RealCTExperiment, tmp_path: Path
) -> None:
    root = tmp_path / "exp"
    judge_classical(root / f"judge-classical-{CT}", settings=settings, ct=CT)
    judge_weighted(root / f"judge-weighted-{CT}", settings=settings, ct=CT)
    net = Made("task", Path, root)
    trained(net.folder)
    judge_network(root / f"judge-task-{CT}", settings=settings, ct=CT, arm="task", trained=net)
    rows = [row for kind in ("classical", "weighted", "task") for row in read_rows(root / f"judge-{kind}-{CT}")]
    scores = Scores(rows)
    assert scores.doses == ["1", "0.1"] and scores.methods(CT, "1") == [
        "FBP",
        "FBP, Hann",
        "TV",
        "TV, count weights",
        METHOD_OF["task"],
    ]
    assert (root / f"judge-weighted-{CT}" / "strength.csv").read_text() in (
        "slice,strength\n1,0.3\n",
        "slice,strength\n1,1.0\n",
    )
    rmse = {m: scores.mean(CT, "0.1", m, "rmse_hu", "body") for m in scores.methods(CT, "0.1")}
    assert rmse["TV"] is not None and rmse["FBP"] is not None and rmse["TV"] < rmse["FBP"]
    classical = Made(f"judge-classical-{CT}", Path, root)
    observe(root / f"observe-{CT}", settings=settings, ct=CT, classical=classical, trained={"task": net})
    observed = read_rows(root / f"observe-{CT}")
    assert {row["method"] for row in observed} == {"FBP, Hann", "TV", METHOD_OF["task"]} and {
        row["dose"] for row in observed
    } == {"0.1"}
    both = Scores(better_observed(rows, observed))
    snr = lambda s, m: s.mean(CT, "0.1", m, "snr", "12 mm")
    assert snr(both, "FBP, Hann") != snr(scores, "FBP, Hann") and snr(both, "FBP") == snr(scores, "FBP")
    head, *body = table_of(scores, CT)
    assert len(body) == 10 and all(len(line) == len(head) for line in body)
    assert "network, task term" in "\n".join(tables(scores))
    assert len(goals(scores)) == 1 and "% beside TV with count weights" in goals(scores)[0]
    assert set(read_images(root / f"judge-task-{CT}")) == {METHOD_OF["task"], "full dose"}

    done = [Made(f"judge-{kind}-{CT}", Path, root) for kind in ("classical", "weighted", "task")]
    (root / ".steps").mkdir()
    for made in done:
        (root / ".steps" / f"{made.name}.json").write_text('{"done": true}')
    write_summary(root / "report", settings=settings, judged=done)
    page = (root / "report" / "report.html").read_text()
    assert page.count("<img") == 6 and "a trunk" in page and (root / "report" / "scores.csv").read_text().count("\n") > 50


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder of CT; give it by --set data=FOLDER"):
        judge_classical(tmp_path / "x", settings=RealCTExperiment(data="nowhere"), ct="abdomen_crlm1004")


def test_an_experiment_at_full_dose_alone_has_no_goal_to_state() -> None:
    row = {
        "ct": "abdomen_crlm1004",
        "dose": "1",
        "method": METHOD_OF["task"],
        "metric": "rmse_hu",
        "region": "body",
        "value": "3",
    }
    assert goals(Scores([row])) == []


@pytest.mark.parametrize(
    ("wrong", "words"), [({"draws": 1}, "draws of 2 or more"), ({"fractions": ()}, "fractions of the dose")]
)
def test_settings_that_could_not_be_judged_are_refused_before_anything_is_trained(
    wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        RealCTExperiment(**wrong)  # type: ignore[arg-type]
