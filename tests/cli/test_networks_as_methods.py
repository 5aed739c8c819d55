"""Trained networks wherever a method goes on the command line: reconstruct, evaluate, dose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.data.nifti import read_nifti, write_nifti
from taskct.evaluation.table import Table
from taskct.geometry import ParallelBeam
from taskct.geometry.beam_config import beam_to_config
from taskct.models import Card, pack_model
from taskct.recon.learned import make_model

Says = Callable[..., tuple[int, str, str]]
BEAM = ParallelBeam(views=24, cols=24, pixel_mm=4.0)
MODEL = {"kind": "fbp_unet", "widths": [4, 8]}


def network(
    folder: Path, *, beam: ParallelBeam = BEAM, pixel_mm: float = 4.0, model: bool = True, read_out: float = 0
) -> Path:
    config = {
        **({"model": MODEL} if model else {}),
        "training": {"steps": 2},
        "beam": beam_to_config(beam),
        "grid": {"shape": [16, 16], "spacing_mm": [pixel_mm, pixel_mm]},
        "dose": {"photons": 5e4, "lowest": 0.25, "highest": 1.0, "electronic_std": read_out},
    }
    run = Run.create(folder, config)
    torch.manual_seed(0)
    run.save_tensors("weights.safetensors", make_model(MODEL).state_dict())
    return run.folder


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A body of 32 x 32 pixels of 2 mm whose place in the patient is not the usual one."""
    hu = torch.full((2, 32, 32), -1000.0)
    hu[:, 8:24, 8:24] = 40.0
    affine = np.diag([5.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (7.0, -100.0, 31.0)
    write_nifti(Case(hu, (5.0, 2.0, 2.0), case_id="ct", affine_mm=affine), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def test_a_ct_is_scanned_as_the_network_was_trained_and_lies_in_its_place(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run, out = network(tmp_path / "net"), tmp_path / "out.nii.gz"
    code, _, err = taskct_says("reconstruct", ct, "--method", run, "--out", out)
    assert code == 0 and "trained for a parallel beam of 24 views, 16 x 16 pixels of 4 mm" in err
    got, original = read_nifti(out), read_nifti(ct)
    assert got.hu.shape == (2, 16, 16) and got.spacing_mm == (5.0, 4.0, 4.0)
    centre = lambda case: case.affine_mm @ np.array([0, *((n - 1) / 2 for n in case.hu.shape[1:]), 1])
    assert np.allclose(centre(got), centre(original), atol=1e-4)
    assert got.hu[:, 5:11, 5:11].mean() == pytest.approx(40, abs=80)  # few views, coarse pixels, a smooth window


def test_the_read_out_noise_of_the_training_is_in_the_scan(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run = network(tmp_path / "net", read_out=200.0)
    hu = {}
    for name, more in (("trained", ()), ("same", ("--electronic-std", "200")), ("none", ("--electronic-std", "0"))):
        code, _, err = taskct_says("reconstruct", ct, "--method", run, *more, "--out", tmp_path / f"{name}.nii.gz")
        assert code == 0 and "read-out noise of 200 photons" in err
        hu[name] = read_nifti(tmp_path / f"{name}.nii.gz").hu
    assert torch.equal(hu["trained"], hu["same"]) and not torch.equal(hu["trained"], hu["none"])
    assert taskct_says("evaluate", ct, "--methods", f"net={run}", "--out", tmp_path / "table")[0] == 0
    assert {d["electronic_std"] for d in Table.read(tmp_path / "table").settings["doses"]} == {200.0}


def test_a_scan_of_another_geometry_is_refused_and_taken_when_asked(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run, scan = network(tmp_path / "net"), tmp_path / "scan.h5"
    (tmp_path / "beam.toml").write_text("schema = 1\nkind = 'parallel'\nviews = 30\ncols = 48\npixel_mm = 2.0\n")
    assert taskct_says("simulate", ct, "--beam", tmp_path / "beam.toml", "--out", scan)[0] == 0
    code, _, err = taskct_says("reconstruct", scan, "--method", run, "--out", tmp_path / "a.nii.gz")
    assert code == 2 and "views 24 in training, now 30" in err and "otherwise=warn" in err
    code, _, err = taskct_says("reconstruct", scan, "-m", run, "--set", "otherwise=warn", "--out", tmp_path / "a.nii.gz")
    assert code == 0 and "was trained for another scan" in err
    assert "expected one of" not in err and read_nifti(tmp_path / "a.nii.gz").hu.shape == (2, 32, 32)


def test_networks_and_functions_are_evaluated_side_by_side_and_repeated(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run = network(tmp_path / "net")
    words = ("--methods", f"fbp:window=hann,net={run}", "--doses", "1,0.5")
    code, _, err = taskct_says("evaluate", ct, *words, "--out", tmp_path / "one")
    assert code == 0 and "trained for a parallel beam" in err
    table = Table.read(tmp_path / "one")
    assert table.methods == ["fbp window=hann", "net"] and {d.photons for d in table.doses} == {5e4}
    rmse = {r.method: r.value for r in table.rows if r.metric == "rmse_hu" and r.dose.fraction == 1 and r.item == 0}
    assert rmse["net"] == pytest.approx(rmse["fbp window=hann"], rel=1e-4)  # untrained, it changes nothing
    assert str(run) in table.settings["methods"]["net"]
    assert taskct_says("evaluate", tmp_path / "one", "--out", tmp_path / "two")[0] == 0
    again = Table.read(tmp_path / "two")
    assert [r.value for r in again.rows if r.metric == "rmse_hu"] == [r.value for r in table.rows if r.metric == "rmse_hu"]


def test_networks_for_different_scans_are_not_compared_on_one(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    one, other = network(tmp_path / "a"), network(tmp_path / "b", beam=ParallelBeam(views=40, cols=24, pixel_mm=4.0))
    code, _, err = taskct_says("evaluate", ct, "--methods", f"a={one},b={other}", "--out", tmp_path / "run")
    assert code == 2 and "were trained for different scans" in err and "40 views" in err


def test_a_network_of_the_package_is_named_like_a_method(
    tmp_path: Path, ct: Path, taskct_says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = pack_model(
        network(tmp_path / "net"), tmp_path / "shipped" / "net-a", card=Card(kind="reconstruction", title="a")
    )
    monkeypatch.setattr("taskct.models.package_models.SHIPPED", shipped.parent)
    assert taskct_says("evaluate", ct, "--methods", "fbp,net-a", "--doses", "1", "--out", tmp_path / "run")[0] == 0
    assert Table.read(tmp_path / "run").methods == ["fbp", "net-a"]
    code, out, _ = taskct_says(
        "dose", "net-a", "--ct", ct, "--keep", "rmse_hu<=5000", "--lowest", "0.25", "--out", tmp_path / "dose"
    )
    assert code == 0 and "photons" in out
    code, _, err = taskct_says("reconstruct", ct, "--method", "net-b", "--out", tmp_path / "x.nii.gz")
    assert code == 2 and "did you mean 'net-a'" in err


def test_a_network_of_ones_own_gets_its_module_from_the_line(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run = network(tmp_path / "net", model=False)
    (tmp_path / "mine.py").write_text(
        "from taskct.recon.learned import fbp_unet\ndef make():\n    return fbp_unet(widths=(4, 8))\n"
    )
    words = ("evaluate", ct, "--methods", f"net={run}", "--doses", "1", "--out", tmp_path / "run")
    code, _, err = taskct_says(*words)
    assert code == 2 and "--model FILE.py:NAME" in err
    assert taskct_says(*words, "--model", f"{tmp_path / 'mine.py'}:make")[0] == 0
    code, _, err = taskct_says(*words, "--overwrite", "--model", f"{tmp_path / 'mine.py'}:fbp_unet")
    assert code in (0, 2)


def test_settings_that_a_network_does_not_have_are_refused(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run = network(tmp_path / "net")
    code, _, err = taskct_says("reconstruct", ct, "-m", run, "--set", "window=hann", "--out", tmp_path / "x.nii.gz")
    assert code == 2 and "'window'; one of otherwise" in err and "otherwise" in err
    code, _, err = taskct_says("reconstruct", ct, "-m", run, "--set", "otherwise=perhaps", "--out", tmp_path / "x.nii.gz")
    assert code == 2 and "refuse, warn, allow" in err


def test_a_dose_outside_of_the_training_is_said_and_no_photons_are_none(tmp_path: Path, ct: Path, taskct_says: Says) -> None:
    run = network(tmp_path / "net")
    code, _, err = taskct_says("reconstruct", ct, "-m", run, "--dose", "0.01", "--out", tmp_path / "low.nii.gz")
    assert code == 0 and "12500 to 50000 photons per detector pixel in training, now 500" in err
    assert "not trained for" not in taskct_says("reconstruct", ct, "-m", run, "--out", tmp_path / "full.nii.gz")[2]
    for words in (("reconstruct", ct, "-m", run), ("dose", run, "--ct", ct, "--keep", "rmse_hu<=50")):
        code, _, err = taskct_says(*words, "--photons", "0", "--out", tmp_path / "none.nii.gz")
        assert code == 2 and "photons > 0" in err, words


@pytest.mark.parametrize(
    ("name", "said"),
    [("abdomen-reader", "reads images"), ("abdomen-dose", "chooses a dose"), ("chest-four-heads", "answers for images")],
)
def test_a_network_that_does_not_reconstruct_is_refused_in_plain_words(
    name: str, said: str, ct: Path, tmp_path: Path, taskct_says: Says
) -> None:
    code, _, err = taskct_says("evaluate", ct, "--methods", name, "--out", tmp_path / "a")
    assert code == 2 and f"{name}: {said} and does not reconstruct; taskct models says which do" in err and "load_" not in err


def test_the_list_of_methods_holds_what_can_stand_there(ct: Path, tmp_path: Path, taskct_says: Says) -> None:
    for words in (("evaluate", ct, "--methods", "nothing"), ("reconstruct", ct, "--method", "nothing"), ("dose", "nothing")):
        code, _, err = taskct_says(*words, *(("--keep", "rmse_hu<=20") if words[0] == "dose" else ()), "--out", tmp_path / "a")
        listed = err.partition("one of ")[2].strip().split(", ")
        assert (
            code == 2 and "unknown method 'nothing'" in err and {"fbp", "tv_min", "abdomen-unet", "real-ct-task"} <= {*listed}
        )
        assert not {"abdomen-reader", "chest-four-heads", "skull-unrolled", "head-unrolled"} & {*listed}
        assert ("abdomen-dose" in listed) == (words[0] == "dose")
