"""What is wrong in a plan is said before any image is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from places import ROOT
from small_training import how, make_images, make_model, make_projector
from torch import nn

from taskct.core.errors import ConfigError, InputError, ResourceError, TaskctError
from taskct.core.runs import Run
from taskct.physics.dose import Dose
from taskct.systems.alara.learned import dose_training_config as dose_config
from taskct.training import ImageError, train
from taskct.training import training_config as train_config
from taskct.training.plans import check_warm_start, merged

PLAIN, READER = ROOT / "configs" / "cohort_plain.toml", ROOT / "configs" / "cohort_reader.toml"
DOSE = ROOT / "configs" / "dose_cohort.toml"


@pytest.fixture(autouse=True)
def no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_parts(*args: Any, **more: Any) -> None:
        raise AssertionError("images were made although the plan is wrong")

    monkeypatch.setattr(train_config, "read_parts", read_parts)
    monkeypatch.setattr(dose_config, "read_parts", read_parts)


WRONG: list[tuple[dict[str, Any], type[TaskctError], str]] = [
    ({"model": {"kind": "fbp_unets"}}, ConfigError, "did you mean 'fbp_unet'"),
    ({"model": {"kind": ["fbp_unet"]}}, ConfigError, "unknown kind of model"),
    ({"model": {"widths": [10**6, 10**6]}}, ResourceError, r"\[model\]: training its .* weights takes about"),
    ({"model": {"widths": [8, -3]}}, ConfigError, "positive widths"),
    ({"model": {"widths": [8]}}, ConfigError, "at least two"),
    ({"model": {"widths": [8] * 200}}, ConfigError, "at most 17 widths, each of half the size before, got 200"),
    ({"model": {"norm": "bach"}}, ConfigError, "did you mean 'batch'"),
    ({"model": {"dims": 5, "unshuffle": 1}}, ConfigError, "dims 2 or 3"),
    ({"model": {"dims": 3, "unshuffle": 1}}, ConfigError, r"the model cannot answer for images of \(128, 128\)"),
    ({"model": {"unshuffle": 3}}, ConfigError, "divides by it"),
    ({"warm_start": "nowhere"}, InputError, "warm_start: nowhere"),
    ({"training": {"lr": float("inf")}}, ConfigError, "finite lr, got inf"),
    ({"training": {"lr": float("nan")}}, ConfigError, "finite lr, got nan"),
    ({"beam": {"kind": ["fan"]}}, ConfigError, r"unknown kind in \[beam\] \['fan'\]"),
    ({"beam": {"views": 0}}, InputError, "views"),
    ({"beam": {"views": 10**6, "cols": 20000}}, ResourceError, r"\[beam\]: a batch of \d+ scans takes about"),
    ({"dose": {"photons": -1.0}}, InputError, "photons"),
    ({"dose": {"lowest": 0.5, "highest": 0.1}}, InputError, "lowest <= highest"),
    ({"objective": {"task": "label", "readers": ["nowhere"]}}, InputError, "nowhere"),
]


@pytest.mark.parametrize(("changes", "error", "words"), WRONG, ids=lambda v: str(v)[:50] if isinstance(v, dict) else "")
def test_a_training_that_cannot_be_is_refused_before_its_images(
    changes: dict[str, Any], error: type[TaskctError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        train_config.run_plan(train_config.read_plan(PLAIN, changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"shape": [65, 65]}, "reader": {"net": "unet_fast"}}, "the reader cannot answer for images of"),
        ({"warm_start": "nowhere"}, "warm_start: nowhere"),
        ({"reader": {"net": "unets"}}, "did you mean 'unet'"),
        ({"reader": {"class_weights": [1.0]}}, "a weight for each of"),
    ],
)
def test_so_is_a_reader(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        train_config.run_plan(train_config.read_plan(READER, changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"kind": "fbp_unets"}}, "did you mean 'fbp_unet'"),
        ({"warm_start": "nowhere"}, "warm_start: nowhere"),
        ({"beam": {"kind": ["fan"]}}, "unknown kind"),
        ({"training": {"lr": float("inf")}}, "finite lr"),
        ({"held": {"settings": {"rhoo": 1.0}}}, "did you mean 'rho'"),
        ({"held": {"reader": "nowhere"}}, "nowhere"),
    ],
)
def test_so_is_a_dose(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        dose_config.run_dose_plan(dose_config.read_dose_plan(DOSE, changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_the_files_of_other_users_are_answered_in_one_line(tmp_path: Path) -> None:
    for text, words in (
        ('[beam]\nkind = ["fan"]\n', "unknown kind in"),
        ('[beam]\npreset = ["clinical_fan"]\n', "unknown preset"),
        ("[training]\nsteps = 2\nlr = inf\n", "finite lr, got inf"),
    ):
        own = PLAIN.read_text(encoding="utf-8")
        start = own.index(text.split("\n")[0])
        end = own.find("\n[", start)
        (tmp_path / "own.toml").write_text(own[:start] + text + own[end:] if end > 0 else own[:start] + text)
        with pytest.raises(ConfigError, match=words) as caught:
            train_config.read_plan(tmp_path / "own.toml")
        assert "\n" not in str(caught.value) and "own.toml" in str(caught.value)


def test_weights_to_start_from_fit_the_network_before_its_images(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "unfinished", {})
    with pytest.raises(ConfigError, match=r"warm_start: .*unfinished holds no weights yet"):
        check_warm_start(str(tmp_path / "unfinished"))
    run.save_tensors("weights.safetensors", nn.Linear(2, 2).state_dict())
    with pytest.raises(ConfigError, match=r"warm_start: .*unfinished: these weights are of another network"):
        check_warm_start(str(tmp_path / "unfinished"), make_model())
    words = {"objective": {"image": (1.0, ImageError())}, "A": make_projector(), "dose": Dose(1e4), "refine": 1}
    done = train(make_model(), make_images(4, seed=0), **how(**words, run=tmp_path / "done", steps=1, batch=2))
    check_warm_start(str(done.run.folder), make_model())
    check_warm_start("", make_model())


def test_a_try_leaves_the_model_as_it_was() -> None:
    from taskct.training.plans import check_reconstruction

    model = make_model().train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_reconstruction(model, make_projector())
    assert torch.equal(torch.rand(1), expected) and model.training
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_changes_reach_into_tables() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": {"d": 3}}, "e": 4}) == {"a": {"b": 1, "c": {"d": 3}}, "e": 4}


def test_a_config_of_another_command_names_that_command() -> None:
    with pytest.raises(ConfigError, match=r"\[held\] makes it a config of `taskct dose`; say taskct dose .*dose_cohort.toml"):
        train_config.read_plan(DOSE)
    for path in (PLAIN, READER):
        with pytest.raises(ConfigError, match="makes it a config of `taskct train`; say taskct train"):
            dose_config.read_dose_plan(path)
