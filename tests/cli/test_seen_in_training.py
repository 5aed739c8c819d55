"""A network is not judged unawares on images that it learnt from: from a training on files to an evaluation of such a file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from liver_sets import liver_case, write_lits

from taskct.cli import main
from taskct.core.runs import load_run
from taskct.evaluation.table import Table
from taskct.recon.learned import load_reconstructor, trained_for

Says = Callable[..., tuple[int, str, str]]
CONFIG = """schema = 1
[data]
folder = "LiTS"
fractions = [0.5, 0.25, 0.25]
shape = [40, 40]
pixel_mm = 8.0
labels = [[1], [2]]
[beam]
kind = "parallel"
views = 20
cols = 60
pixel_mm = 8.0
[dose]
photons = 65536.0
[model]
kind = "fbp_unet"
widths = [4, 8]
[objective]
task = "none"
[training]
steps = 2
batch = 2
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The run of a training, a volume that it learnt from, and one that was held out for the test."""
    tmp_path = tmp_path_factory.mktemp("seen")
    folder = write_lits(tmp_path / "LiTS", {n: liver_case(n) for n in range(4)})
    (tmp_path / "c.toml").write_text(CONFIG.replace('"LiTS"', f'"{folder}"'))
    with pytest.raises(SystemExit) as stop:
        main(["train", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run")])
    assert not stop.value.code
    about = trained_for(load_reconstructor(tmp_path / "run"))
    assert about is not None and len(about.seen.patients) == 2
    places = {number: folder / "Training Batch 1" / f"volume-{number}.nii" for number in range(4)}
    known = [place for n, place in places.items() if any(name.endswith(str(n)) for name in about.seen.patients)]
    other = [place for place in places.values() if place not in known]
    return tmp_path / "run", known[0], other[0]


def evaluate(taskct_says: Says, ct: Path, run: Path, out: Path, *more: str) -> tuple[int, str, str]:
    return taskct_says("evaluate", ct, "--methods", f"fbp,net={run}{':'.join(('', *more))}", "--doses", "1", "--out", out)


def test_a_volume_of_the_training_is_refused_under_any_name_and_another_is_judged(
    files: tuple[Path, Path, Path], tmp_path: Path, taskct_says: Says
) -> None:
    run, known, other = files
    code, _, err = evaluate(taskct_says, known, run, tmp_path / "a")
    assert code == 2 and f"{run} is judged on images of its own training: it learnt from" in err
    assert err.rstrip().endswith(f"or type {run}:otherwise=warn") and "load_reconstructor" not in err
    assert not (tmp_path / "a" / "table.json").exists()
    copy = tmp_path / "somebody_else.nii"
    shutil.copy(known, copy)
    code, _, err = evaluate(taskct_says, copy, run, tmp_path / "b")
    assert code == 2 and "under another name" in err
    code, _, err = evaluate(taskct_says, other, run, tmp_path / "c")
    assert code == 0, err
    code, _, err = evaluate(taskct_says, known, run, tmp_path / "d", "otherwise=warn")
    assert code == 0 and "is judged on images of its own training" in err
    assert Table.read(tmp_path / "d").methods[0] == "fbp"


def test_the_least_dose_is_not_sought_on_a_volume_of_the_training(
    files: tuple[Path, Path, Path], tmp_path: Path, taskct_says: Says
) -> None:
    run, known, _ = files
    code, _, err = taskct_says(
        "dose", run, "--ct", known, "--keep", "rmse_hu<=5000", "--lowest", "0.25", "--out", tmp_path / "d"
    )
    assert code == 2 and "is judged on images of its own training" in err and "otherwise" not in err


def test_a_network_of_the_package_is_called_by_its_name() -> None:
    about = trained_for(load_reconstructor("real-ct-task"))
    assert about is not None and about.run == "real-ct-task"


def test_a_damaged_record_is_named(files: tuple[Path, Path, Path], tmp_path: Path, taskct_says: Says) -> None:
    run, _, other = shutil.copytree(files[0], tmp_path / "run"), *files[1:]
    load_run(run).save_tensors(
        "seen_images.safetensors", {"traces": torch.zeros(2, 3)}, metadata={"patients": "[]"}, overwrite=True
    )
    code, _, err = evaluate(taskct_says, other, run, tmp_path / "a")
    assert code == 3 and "seen_images.safetensors: expected a list of patients and traces (N, 16)" in err
