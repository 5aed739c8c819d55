"""Evaluations from a config: what is refused before any work, and what a run folder keeps for repeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskct.core.config import to_dict, write_config
from taskct.core.errors import ConfigError, InputError
from taskct.core.runs import load_run
from taskct.data.case import Case
from taskct.evaluation.evaluation_config import DoseSteps, EvaluationPlan, read_plan, run_plan

BEAM = {"preset": "clinical_fan", "views": 20, "cols": 92, "pixel_mm": 8 * 1.2858}


def plan(**changes: object) -> EvaluationPlan:
    values = {"inputs": ("phantom:disk",), "methods": {"fbp": {}}, "slices": "0", "beam": BEAM, "refine": 1}
    return EvaluationPlan(**{**values, "dose": DoseSteps(fractions=(0.5,)), **changes})  # type: ignore[arg-type]


def test_a_run_folder_holds_the_plan_that_made_it(tmp_path: Path) -> None:
    heard: list[Case] = []
    table = run_plan(plan(), tmp_path / "run", heard=heard.append, progress=False)
    assert read_plan(tmp_path / "run") == plan() and len(heard) == 1
    assert [d.fraction for d in table.doses] == [0.5] and {r.item for r in table.rows} == {0}
    with pytest.raises(InputError, match="exists already"):
        run_plan(plan(), tmp_path / "run", progress=False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": ()}, "an evaluation needs inputs"),
        ({"labels": ("a", "b")}, "expected labels for each of 1 inputs"),
        ({"label_names": {"liver": "5"}}, "label_names expects label numbers as keys, got liver"),
        ({"protocol": "lodopap"}, "did you mean 'lodopab'"),
        ({"slices": "a"}, "slices expects one number or FIRST:END"),
        ({"methods": {"fpb": {}}}, "did you mean 'fbp'"),
        ({"dose": DoseSteps(photons=-1)}, "photons"),
        ({"inputs": ("phantom:disk:x",)}, "expected phantom:NAME or phantom:NAME:SEED"),
    ],
)
def test_a_wrong_plan_is_refused_and_leaves_nothing(changes: dict[str, object], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        run_plan(plan(**changes), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_doses_are_fractions_of_the_photons_at_full_dose() -> None:
    doses = DoseSteps(photons=2e4, fractions=(1.0, 0.1), electronic_std=3.0).doses()
    assert [(d.photons, d.fraction, d.electronic_std) for d in doses] == [(2e4, 1.0, 3.0), (2e4, 0.1, 3.0)]


def test_a_run_of_something_else_cannot_be_repeated(tmp_path: Path) -> None:
    from taskct.core.runs import Run

    Run.create(tmp_path / "run", {"model": "unet"})
    assert load_run(tmp_path / "run").config["model"] == "unet"
    with pytest.raises(InputError, match="this run does not say how to repeat it"):
        read_plan(tmp_path / "run")


def test_a_plan_survives_a_file(tmp_path: Path) -> None:
    write_config(tmp_path / "e.toml", to_dict(plan()))
    assert read_plan(tmp_path / "e.toml") == plan()


def test_a_config_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    for text, reason in (
        ("inputs = []\n[methods.fbp]\n", "needs inputs"),
        ("inputs = ['a']\n", "lack methods"),
        ("inputs = ['a']\nslice = 3\n[methods.fbp]\n", "did you mean 'slices'"),
        ("inputs = ['a']\n[methods.fbp]\n[dose]\nfraction = [1]\n", r"\[dose\] 'fraction'; did you mean 'fractions'"),
    ):
        path.write_text(f"schema = 1\n{text}")
        with pytest.raises(ConfigError, match=reason) as caught:
            read_plan(path)
        assert str(caught.value).startswith(str(path))
