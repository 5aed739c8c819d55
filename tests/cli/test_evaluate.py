"""`taskct evaluate` and its repeats from a run folder or a config."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taskct.core.config import to_dict, write_config
from taskct.data.case import Case
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.sets.lodopab import write_lodopab
from taskct.evaluation.evaluation_config import DoseSteps, EvaluationPlan, read_plan
from taskct.evaluation.table import Table
from taskct.geometry.presets import lodopab
from taskct.physics.projector import Projector

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two CTs of one name in two folders, a label map, and a small beam."""
    for number, name in enumerate(("a", "b")):
        hu = torch.full((2, 32, 32), -1000.0)
        hu[:, 8:20, 12:26] = 40.0 * number
        case = Case(hu, (5.0, 2.0, 2.0), case_id="ct", labels=(hu > -500).int())
        (tmp_path / name).mkdir()
        write_nifti(case, tmp_path / name / "ct.nii.gz")
        write_nifti_labels(case, tmp_path / name / "seg.nii.gz")
    (tmp_path / "beam.toml").write_text("schema = 1\nkind = 'parallel'\nviews = 30\ncols = 80\npixel_mm = 1.0\n")
    return tmp_path


def test_methods_and_doses_become_a_table_in_a_run_folder(folder: Path, taskct_says: Says) -> None:
    run = folder / "runs" / "first"
    code, out, err = taskct_says(
        "evaluate", folder / "a/ct.nii.gz", folder / "b/ct.nii.gz", "--labels", folder / "a/seg.nii.gz", "--labels",
        folder / "b/seg.nii.gz", "--beam", folder / "beam.toml", "--methods", "fbp,smooth=fbp:window=hann",
        "--label-name", "1=box", "--doses", "1,0.1", "--photons", "1e4", "--slices", "1:", "--refine", "1",
        "--out", run, "--report",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "smooth" in out and "0.1 dose" in out
    assert (run / "report.html").exists()
    table = Table.read(run)
    assert table.methods == ["fbp", "smooth"] and [d.fraction for d in table.doses] == [1.0, 0.1]
    assert len({r.case for r in table.rows}) == 2 and {r.item for r in table.rows} == {1}
    assert table.regions == ["all", "box"]


def test_a_run_is_repeated_from_its_folder_with_what_is_changed(folder: Path, taskct_says: Says) -> None:
    words = ("--beam", folder / "beam.toml", "--doses", "1", "--refine", "1")
    assert taskct_says("evaluate", folder / "a/ct.nii.gz", *words, "--out", folder / "one")[0] == 0
    assert taskct_says("evaluate", folder / "one", "--out", folder / "two")[0] == 0
    assert taskct_says("evaluate", folder / "one", "--seed", "5", "--out", folder / "three")[0] == 0
    values = [[r.value for r in Table.read(folder / name).rows if r.metric != "seconds"] for name in ("one", "two", "three")]
    assert values[0] == values[1] != values[2]
    assert read_plan(folder / "three").seed == 5


def test_a_config_is_a_plan(folder: Path, taskct_says: Says) -> None:
    plan = EvaluationPlan(
        inputs=("phantom:disk",),
        methods={"fbp": {}},
        slices="0",
        beam={"preset": "clinical_fan", "views": 20, "cols": 92, "pixel_mm": 8 * 1.2858},
        dose=DoseSteps(fractions=(0.5,)),
        refine=1,
    )
    write_config(folder / "e.toml", to_dict(plan))
    assert read_plan(folder / "e.toml") == plan
    code, out, _ = taskct_says("evaluate", folder / "e.toml", "--out", folder / "run")
    assert code == 0 and "0.5 dose" in out


def test_a_run_folder_is_kept_without_overwrite_and_a_strange_folder_always(folder: Path, taskct_says: Says) -> None:
    words = ("evaluate", folder / "a/ct.nii.gz", "--beam", folder / "beam.toml", "--doses", "1", "--refine", "1", "--out")
    assert taskct_says(*words, folder / "run")[0] == 0
    code, _, err = taskct_says(*words, folder / "run")
    assert code == 2 and "exists already" in err
    assert taskct_says(*words, folder / "run", "--overwrite")[0] == 0
    code, _, err = taskct_says(*words, folder / "a", "--overwrite")
    assert code == 2 and "is not a run folder, so it is not overwritten" in err
    assert (folder / "a/ct.nii.gz").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--methods", "fpb"), "did you mean 'fbp'"),
        (("--methods", "fbp:windwo=hann"), "did you mean 'window'"),
        (("--doses", "1,1"), "two doses have the same"),
        (("--doses", "none"), "--doses expects"),
        (("--labels", "x.nii", "--labels", "y.nii"), "expected labels for each of 1 inputs"),
        (("--protocol", "lodopap"), "did you mean 'lodopab'"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line_and_leaves_nothing(
    words: tuple[str, ...], reason: str, folder: Path, taskct_says: Says
) -> None:
    given = ("evaluate", folder / "a/ct.nii.gz", "--beam", folder / "beam.toml", "--out", folder / "run", *words)
    code, _, err = taskct_says(*given)
    assert code == 2 and reason in err and err.count("\n") == 1
    assert not (folder / "run").exists()


@pytest.mark.real_data
def test_a_dicom_folder_takes_one_label_file(real_data: Path, folder: Path, taskct_says: Says) -> None:
    code, _, _ = taskct_says(
        "evaluate", real_data / "dicom_totalseg_siemens_j2k", "--labels",
        real_data / "abdomen_totalseg_siemens20/labels_totalsegmentator.nii.gz", "--label-name", "5=liver",
        "--slices", "10", "--views", "20", "--doses", "1", "--refine", "1", "--out", folder / "run",
    )  # fmt: skip
    assert code == 0 and "liver" in Table.read(folder / "run").regions


def test_a_part_of_lodopab_is_scored_beside_what_was_published(tmp_path: Path, taskct_says: Says) -> None:
    axis = torch.linspace(-1, 1, 362)
    mu = 0.02 * (axis[:, None] ** 2 + axis**2 < 0.5).float()[None]
    write_lodopab(tmp_path / "LoDoPaB", "test", [(Projector(*lodopab())(mu[None])[0], mu)] * 2, patient_ids=[1, 2])
    code, out, err = taskct_says("evaluate", tmp_path / "LoDoPaB", "--part", "test", "--most", "2", "--out", tmp_path / "run")
    assert code == 0, err
    assert "Learned Primal-Dual, published*" in out and "other slices" in out and out.split("\n")[1].startswith("fbp")
    assert len(Table.read(tmp_path / "run").rows) == 10
    code, _, err = taskct_says("evaluate", "a", "b", "--part", "test", "--out", tmp_path / "other")
    assert code == 2 and "--part expects the folder of LoDoPaB-CT as the one INPUT" in err
    code, _, err = taskct_says("evaluate", "a", "--part", "test", "--doses", "1", "--seed", "0", "--out", tmp_path / "other")
    assert code == 2 and "leave out --doses, --seed" in err
    code, _, err = taskct_says("evaluate", "a", "--most", "3", "--out", tmp_path / "other")
    assert code == 2 and "--most goes with --part" in err


def test_a_run_is_replaced_only_where_it_holds_no_network_and_no_input(folder: Path, taskct_says: Says) -> None:
    words = ("evaluate", folder / "a/ct.nii.gz", "--beam", folder / "beam.toml", "--doses", "1", "--refine", "1", "--out")
    run = folder / "kept"
    assert taskct_says(*words, run)[0] == 0
    for name in ("weights.safetensors", "ct.nii.gz"):  # a training, and a CT that somebody put there
        shutil.copy(folder / "a/ct.nii.gz", run / name)
        code, _, err = taskct_says(*words, run, "--overwrite")
        assert code == 2 and f"holds {name}, which is not written there" in err and (run / name).exists()
        (run / name).unlink()
    shutil.copy(folder / "a/ct.nii.gz", run / "ct.nii.gz")
    code, _, err = taskct_says("evaluate", run / "ct.nii.gz", *words[2:], run, "--overwrite")
    assert code == 2 and "holds the input" in err and (run / "ct.nii.gz").exists()
    dose = ("dose", "fbp", "--ct", run / "ct.nii.gz", "--keep", "rmse_hu<=5000", "--out", run, "--overwrite")
    code, _, err = taskct_says(*dose)
    assert code == 2 and "holds the input" in err and (run / "ct.nii.gz").exists()
    code, _, err = taskct_says("demo", "--ct", run / "ct.nii.gz", "--out", run, "--overwrite")
    assert code == 2 and "holds the input" in err and (run / "ct.nii.gz").exists()
    code, _, err = taskct_says("reproduce", "dose", "--out", run, "--overwrite")
    assert code == 2 and "is a run of another kind, not of dose" in err and (run / "ct.nii.gz").exists()


def test_one_ct_given_twice_is_refused_and_both_are_named(folder: Path, taskct_says: Says) -> None:
    """It passed as two patients, with an interval over them."""
    shutil.copy(folder / "b/ct.nii.gz", folder / "b/other.nii.gz")
    for first, second in (("b/ct.nii.gz", "b/other.nii.gz"), ("b/ct.nii.gz", "b/ct.nii.gz")):
        how = ("--beam", folder / "beam.toml", "--out", folder / "run")
        code, _, err = taskct_says("evaluate", folder / first, folder / second, *how)
        assert code == 2 and err.count("\n") == 1 and first in err and second in err and "would count as two" in err
        cts = ("--ct", folder / first, "--ct", folder / second)
        code, _, err = taskct_says("dose", "fbp", *cts, "--keep", "rmse_hu<=20", *how)
        assert code == 2 and err.count("\n") == 1 and first in err and second in err and "would count as two" in err


def test_a_label_map_in_the_place_of_a_ct_is_refused(folder: Path, taskct_says: Says) -> None:
    labels = torch.zeros(2, 32, 32, dtype=torch.int32)
    labels[:, 4:9, 4:9], labels[:, 20:, 20:] = 5, 117
    case = Case(torch.full((2, 32, 32), -1000.0), (5.0, 2.0, 2.0), labels=labels)
    write_nifti_labels(case, folder / "map.nii.gz")
    beam = ("--beam", folder / "beam.toml")
    for words in (
        ("evaluate", folder / "b/ct.nii.gz", folder / "map.nii.gz", *beam, "--out", folder / "run"),
        ("dose", "fbp", "--ct", folder / "map.nii.gz", "--keep", "rmse_hu<=20", *beam, "--out", folder / "run"),
        ("simulate", folder / "map.nii.gz", *beam, "--out", folder / "scan.h5"),
        ("chest", folder / "map.nii.gz", "--out", folder / "run"),
    ):
        code, _, err = taskct_says(*words)
        assert code and err.count("\n") == 1 and "map.nii.gz: holds 3 different whole numbers from 0 to 117" in err
        assert "label map" in err and "--labels" in err


def test_slices_beyond_a_ct_are_said_and_none_at_all_is_refused_with_their_number(folder: Path, taskct_says: Says) -> None:
    how = ("--beam", folder / "beam.toml", "--doses", "1", "--refine", "1")
    code, _, err = taskct_says("evaluate", folder / "b/ct.nii.gz", *how, "--slices", "1:12", "--out", folder / "one")
    assert code == 0 and err.count("\n") == 1 and "ct: has 2 slices, --slices 1:12 takes 1 of them, 1 to 1" in err
    code, _, err = taskct_says("simulate", folder / "b/ct.nii.gz", *how[:2], "--slices", "0:3", "--out", folder / "s.h5")
    assert code == 0 and err.count("--slices 0:3 takes 2 of them") == 1
    code, _, err = taskct_says("evaluate", folder / "b/ct.nii.gz", *how, "--slices", "40:50", "--out", folder / "two")
    assert code == 2 and "slices 40:50 takes none of case ct, which has 2 slices, 0 to 1" in err
