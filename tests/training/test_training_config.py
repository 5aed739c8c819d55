"""Trainings from TOML: the built-in patients, folders of CT, readers and reconstructions one after another."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT
from typer.testing import CliRunner

from taskct.cli.verbs import app
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import load_run
from taskct.data.case import Case
from taskct.data.common_grid import onto_common_grid
from taskct.data.nifti import write_nifti
from taskct.data.open import open_cases
from taskct.geometry import Grid
from taskct.phantoms.sites import site_named
from taskct.recon.learned import load_reconstructor
from taskct.task.readers import load_reader
from taskct.training import Balanced, Constrained, JointPenalty, MeanOf, Objective, TurnsOf
from taskct.training.sources import DataPlan, grid_of, read_parts
from taskct.training.training_config import ObjectivePlan, make_objective, read_plan, run_plan

CONFIGS = ROOT / "configs"
SMALL = [
    "data.patients={train=2,validation=1,test=1}", "data.slices=2", "data.shape=[32,32]", "training.steps=2",
    "training.batch=2", "training.validate_every=1",
]  # fmt: skip


def taskct(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output if done.exception is None or done.exit_code == 0 else str(done.exception)


def small(*more: str) -> list[str]:
    return [w for change in (*SMALL, *more) for w in ("--set", change)]


OF_TRAINING = [p for p in sorted(CONFIGS.glob("*.toml")) if not p.name.startswith("dose_")]  # those are read by taskct dose


@pytest.mark.parametrize("path", OF_TRAINING, ids=lambda p: p.stem)
def test_every_config_that_comes_along_is_understood(path: Path) -> None:
    plan = read_plan(path)
    assert (plan.reader is None) == (plan.model is not None and plan.beam is not None)


def test_reader_plain_and_task_are_trained_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    coarse = ["--set", "beam.pixel_mm=16.9", "--set", "beam.cols=33", "--set", "beam.views=20"]
    assert taskct("train", str(CONFIGS / "cohort_reader.toml"), "-o", "runs/reader", *small())[0] == 0
    assert taskct("train", str(CONFIGS / "cohort_plain.toml"), "-o", "runs/plain", *small(), *coarse)[0] == 0
    code, text = taskct("train", str(CONFIGS / "cohort_task.toml"), "-o", "runs/task", *small(), *coarse)
    assert code == 0 and "best of 2 validations" in text and "2 steps (all steps done)" in text
    assert load_reader("runs/reader").name == "reader"
    assert not load_reconstructor("runs/task").training
    last = load_run("runs/task").metrics()[-1]
    assert {"image", "task", "total", "rmse_hu"} <= set(last)
    again, text = taskct("train", str(CONFIGS / "cohort_task.toml"), "-o", "runs/task", *small(), *coarse)
    assert again == 0 and load_run("runs/task").metrics()[-1] == last


def test_ones_own_model_comes_from_the_command_line_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import torch\nfrom taskct.recon import fbp\n"
        "class Mine(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.scale = torch.nn.Parameter(torch.ones(()))\n"
        "    def forward(self, p, A):\n        return self.scale * fbp(p, A)\n"
        "def plain(p, A):\n    return fbp(p, A)\n"
    )
    text = (CONFIGS / "cohort_plain.toml").read_text()
    start, end = text.index("[model]"), text.index("[objective]")
    Path("own.toml").write_text(text[:start] + text[end:])
    words = ["train", "own.toml", "-o", "run", *small(), "--set", "beam.pixel_mm=16.9", "--set", "beam.cols=33"]
    assert "--model FILE.py:NAME" in taskct(*words)[1]
    assert "is function, expected a torch.nn.Module" in taskct(*words, "--model", "mine.py:plain")[1]
    assert taskct(*words, "--model", "mine.py:Mine")[0] == 0
    assert "scale" in load_run("run").load_tensors("weights.safetensors")[0]


def test_a_misspelt_key_is_recognised_and_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("schema = 1\n[trainig]\nsteps = 3\n")
    with pytest.raises(ConfigError, match=r"bad.toml: unknown setting 'trainig'; did you mean 'training'"):
        read_plan(path)
    with pytest.raises(ConfigError, match=r"cohort_plain.toml: .*'lr_rate'"):
        read_plan(CONFIGS / "cohort_plain.toml", {"training": {"lr_rate": 1.0}})
    with pytest.raises(ConfigError, match="unknown kind of model 'fbp_unets'; did you mean 'fbp_unet'"):
        from taskct.recon.learned import make_model

        make_model({"kind": "fbp_unets"})


def test_objectives_of_a_plan_take_the_form_they_ask_for(reader_run: Path) -> None:
    reader = str(reader_run)
    plan = lambda **more: make_objective(ObjectivePlan(**{"task": "label", "readers": (reader,), **more}))  # type: ignore[arg-type]
    assert isinstance(plan(form="balanced"), Balanced)
    assert isinstance(plan(form="constrained", bound=0.4), Constrained)
    assert isinstance(plan(readers=(reader, reader)).terms["task"], MeanOf)
    assert isinstance(plan(readers=(reader, reader), several="turns", task="feature").terms["task"], TurnsOf)
    assert isinstance(plan(task="joint").terms["task"], JointPenalty)
    assert list(make_objective(ObjectivePlan()).terms) == ["image"]
    assert isinstance(plan(task="teacher", warm_up=10), Objective)
    for more, words in (
        ({"task": "label"}, "expects readers"),
        ({"readers": ("x",)}, "but task is 'none'"),
        ({"task": "label", "readers": ("x",), "form": "constrained"}, "bound goes with"),
        ({"task": "feature", "readers": ("x",), "class_weights": (1.0, 2.0)}, "class_weights goes with task"),
        ({"task": "label", "readers": ("x",), "class_weights": (1.0, -2.0)}, "objective.class_weights expects finite"),
        ({"task": "label", "readers": ("x",), "form": "balanced", "warm_up": 5}, "warm_up goes with"),
    ):
        with pytest.raises(ConfigError, match=words):
            ObjectivePlan(**more)  # type: ignore[arg-type]


def write_lits(folder: Path, patients: int) -> None:
    for k in range(patients):
        hu = torch.full((5, 24, 24), -1000.0)
        hu[:, 4:20, 4:20] = 50.0
        labels = torch.zeros(5, 24, 24, dtype=torch.int16)
        labels[1:4, 6:12, 6:12] = 1
        labels[2, 8:10, 8:10] = 2
        case = Case(hu, (5.0, 10.0 + k % 2, 10.0 + k % 2), case_id=f"volume-{k}")
        write_nifti(case, folder / f"volume-{k}.nii.gz")
        write_nifti(case.with_hu(labels.float()), folder / f"segmentation-{k}.nii.gz")


def test_a_folder_in_the_layout_of_lits_is_split_by_volume_onto_one_grid(tmp_path: Path) -> None:
    write_lits(tmp_path, 6)
    plan = DataPlan(
        folder=str(tmp_path), fractions=(0.5, 0.2, 0.3), shape=(24, 24), pixel_mm=10.0, slices=2, labels=((1,), (2,))
    )
    parts = read_parts(plan)
    patients = [set(parts.train.patient_ids), set(parts.validation.patient_ids), set(parts.test_patients)]  # type: ignore[union-attr]
    assert sum(len(p) for p in patients) == 6 == len(set.union(*patients))
    assert len(parts.train) == 2 * len(patients[0]) and parts.spacing_mm == (10.0, 10.0)
    assert parts.train.labels is not None and set(parts.train.labels.unique().tolist()) <= {0, 1, 2}
    tissue = parts.train.mu[:, 0][parts.train.labels == 1]
    assert float(tissue.median()) == pytest.approx(0.01929 * 1.05, rel=0.01)
    with pytest.raises(ConfigError, match="pixel_mm is needed with a folder"):
        DataPlan(folder="x")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none: holds no CT"):
        read_parts(DataPlan(folder=str(tmp_path / "none"), pixel_mm=1.0))


def test_built_in_patients_need_a_number_of_slices():
    for use in (read_parts, grid_of):
        with pytest.raises(
            ConfigError, match="slices = 0 takes all slices of a folder's CT; built-in patients expect how many"
        ):
            use(DataPlan(slices=0, shape=(32, 32), patients={"train": 1}))


@pytest.mark.parametrize("bad", [{"shape": (7, 8)}, {"slices": -1}, {"pixel_mm": 0.0}])
def test_the_least_shape_and_number_of_slices_are_taken_and_less_is_refused(bad):
    least = {"shape": (8, 8), "slices": 0, "pixel_mm": 1e-3}
    DataPlan(**least)
    with pytest.raises(ConfigError, match="expects shape of at least 8 x 8, slices >= 0 and pixel_mm > 0"):
        DataPlan(**{**least, **bad})


def test_masks_of_organs_are_classes_by_name(tmp_path: Path) -> None:
    write_lits(tmp_path / "lits", 3)
    for k, case in enumerate(open_cases(tmp_path / "lits")):
        subject = tmp_path / "ts" / f"s{k:04d}"
        write_nifti(case, subject / "ct.nii.gz")
        names = ["aorta", "liver", "liver_tumor"] if k else ["liver", "liver_tumor"]  # so the numbers differ
        for name in names:
            value = {"liver": 1, "liver_tumor": 2}.get(name, 9)
            write_nifti(case.with_hu((case.labels == value).float()), subject / "segmentations" / f"{name}.nii.gz")  # type: ignore[operator]
    classes = {"liver": ("liver",), "tumour": ("liver tumor",)}
    size = {"shape": (24, 24), "pixel_mm": 10.0, "slices": 2, "fractions": (1.0, 0.0, 0.0)}
    by_name = read_parts(DataPlan(folder=str(tmp_path / "ts"), classes=classes, **size)).train  # type: ignore[arg-type]
    by_number = read_parts(DataPlan(folder=str(tmp_path / "lits"), labels=((1,), (2,)), **size)).train  # type: ignore[arg-type]
    assert by_name.labels is not None and by_number.labels is not None
    assert sorted(x.sum().item() for x in by_name.labels) == sorted(x.sum().item() for x in by_number.labels)
    with pytest.raises(ConfigError, match=r"labels .by number. or classes .by name., got both"):
        DataPlan(folder="x", pixel_mm=1.0, labels=((1,),), classes=classes)


def test_a_case_keeps_its_size_in_mm_on_the_common_grid() -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    disk = torch.from_numpy(np.where(x**2 + y**2 < 20**2, 0.0, -1000.0)).float()[None]
    case = Case(disk, (5.0, 2.0, 2.0), labels=(disk > -500).to(torch.int16))
    for grid in (Grid((40, 40), 4.0), Grid((128, 128), 1.0)):
        mu, labels = onto_common_grid(case, grid, [0])
        area = float((mu > 0.5 * 0.01929).sum()) * grid.spacing_mm[0] ** 2
        assert area == pytest.approx(math.pi * 40**2, rel=0.03)  # a disk of radius 40 mm, on 4 mm pixels
        assert labels is not None and float(labels.sum()) * grid.spacing_mm[0] ** 2 == pytest.approx(math.pi * 40**2, rel=0.03)
        middle = mu[0, 0].sum(0)
        assert float((middle * torch.from_numpy(grid.axes_mm()[1])).sum() / middle.sum()) == pytest.approx(0, abs=0.1)


def test_the_built_in_patients_of_any_site_are_trained_on() -> None:
    plan = DataPlan(site="skull", patients={"train": 1}, shape=(24, 24), slices=2)
    images = read_parts(plan, progress=False).train
    assert len(images) == 2 and images.shape == grid_of(plan).shape == (24, 24)
    assert images.label_names == site_named("skull").label_names != site_named("abdomen").label_names
    with pytest.raises(InputError, match="unknown site 'skul'; did you mean 'skull'"):
        DataPlan(site="skul")
    with pytest.raises(ConfigError, match=r"a data\.folder has its own; leave out 'chest'"):
        DataPlan(site="chest", folder="ct", pixel_mm=1.0)


def test_a_network_of_neighbouring_slices_is_warned_of_slices_that_lie_apart(tmp_path: Path) -> None:
    plan = read_plan(CONFIGS / "cohort_plain.toml", {"data": {"slices": 2, "shape": [32, 32]}, "training": {"steps": 1}})
    plan = replace(plan, model={"kind": "fbp_unet", "widths": [4, 8], "neighbours": 1}, data=replace(plan.data, folder=""))
    plan = replace(plan, data=replace(plan.data, patients={"train": 1, "validation": 0, "test": 0}))
    with pytest.warns(UserWarning, match=r"1 slices? on each side, and data.slices = 2 takes slices that lie apart"):
        run_plan(plan, tmp_path / "run", progress=False)


def test_another_setting_in_the_folder_of_a_training_is_refused_before_any_image_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"data": {"slices": 2, "shape": [32, 32], "patients": {"train": 2, "validation": 1, "test": 1}}}
    beam = {"views": 12, "cols": 44, "pixel_mm": 12.0}
    plan = lambda name, **training: read_plan(
        CONFIGS / name, small | {"training": {"steps": 1, "batch": 2} | training} | ({"beam": beam} if "plain" in name else {})
    )
    for name in ("cohort_plain.toml", "cohort_reader.toml"):
        run_plan(plan(name), tmp_path / name, progress=False)
        run_plan(plan(name), tmp_path / name, progress=False)  # the same again is handed back

    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("images were made")

    monkeypatch.setattr("taskct.training.training_config.read_parts", too_late)
    for name in ("cohort_plain.toml", "cohort_reader.toml"):
        with pytest.raises(ConfigError, match=r"began with lr = .* now it is 0\.5; resume it unchanged"):
            run_plan(plan(name, lr=0.5), tmp_path / name, progress=False)
