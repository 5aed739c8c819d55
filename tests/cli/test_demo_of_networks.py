"""`taskct demo` with the networks of the package: unseen patients, a page that says what came out, what to do next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from taskct.cli.demo import show_system
from taskct.core import workers
from taskct.core.errors import InputError
from taskct.core.open_files import read_json
from taskct.core.runs import is_run
from taskct.experiments.cohort_images import cohort_of
from taskct.models import open_model, shipped_models
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import load_reconstructor, trained_for
from taskct.systems.adaptive import network_demo
from taskct.systems.adaptive.experiment import PRESETS, TaskAdaptive
from taskct.systems.adaptive.network_demo import DEMO, NETWORKS_OF_PACKAGE, READERS_OF_PACKAGE, network_demo_steps
from taskct.systems.alara import dose_demo
from taskct.systems.alara.dose_subject import chain_of
from taskct.systems.alara.experiment import DoseExperiment

pytestmark = pytest.mark.slow

Says = Callable[..., tuple[int, str, str]]


def test_the_demo_judges_every_network_of_the_package_and_its_patients_were_never_seen() -> None:
    settings = TaskAdaptive(**DEMO)
    trained = TaskAdaptive(**PRESETS["networks"])
    assert set(settings.readers) == set(READERS_OF_PACKAGE) and settings.reader == "unet_small"
    assert {arm.method for arm in trained.arms} == {arm.method for arm in NETWORKS_OF_PACKAGE}
    assert settings.seed != trained.seed  # another seed is other people
    for name in NETWORKS_OF_PACKAGE.values():
        about = trained_for(load_reconstructor(name))
        assert about is not None and about.shape == (settings.size, settings.size)
        assert about.spacing_mm == pytest.approx(cohort_of(settings).pixel_mm, rel=1e-3)
        assert about.beam["views"] == settings.views and about.photons == (min(settings.photons), max(settings.photons))
    names = {*READERS_OF_PACKAGE.values(), *NETWORKS_OF_PACKAGE.values(), dose_demo.DOSE_OF_PACKAGE}
    assert names <= set(shipped_models())
    assert [step.name for step in network_demo_steps(settings)][-1] == "report"


def test_the_page_says_what_came_out_and_the_lines_say_what_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**DEMO, "test_patients": 2, "validation_patients": 1, "slices": 2}
    monkeypatch.setattr("taskct.systems.adaptive.network_demo.DEMO", small)
    arms = list(NETWORKS_OF_PACKAGE.items())
    monkeypatch.setattr(network_demo, "NETWORKS_OF_PACKAGE", dict([arms[0], arms[2]]))
    monkeypatch.setattr(workers, "cores", lambda: 1)
    lines: list[str] = []
    show_system("adaptive", tmp_path / "demo", say=lines.append)
    said = "\n".join(lines)
    assert is_run(tmp_path / "demo") and f"The page: {tmp_path / 'demo' / 'report.html'}" in said
    assert "under unseen readers" in said and "Next:\n  taskct models" in said
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "abdomen-reader-thin" in page and "built-in abdomens of seed 1" in page
    noted = read_json(tmp_path / "demo" / "networks" / "networks.json")
    card = open_model("abdomen-unet").card
    assert card is not None and noted["abdomen-unet"]["weights_sha256"] == card.weights_sha256
    changed = {**noted, "abdomen-unet": {"commit": "another", "weights_sha256": "0"}}
    (tmp_path / "demo" / "networks" / "networks.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match=r"begun with other networks than this taskct has \(abdomen-unet\)"):
        show_system("adaptive", tmp_path / "demo", say=lines.append)


def test_the_demo_of_the_dose_searches_and_compares_the_learned_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small: dict[str, Any] = {**dose_demo.DEMO, "test_patients": 4, "curve_photons": (2.0**12, 2.0**15, 2.0**18)}
    monkeypatch.setattr(dose_demo, "DEMO", small)
    monkeypatch.setattr(dose_demo, "SEARCH_PATIENTS", 2)
    monkeypatch.setattr(workers, "cores", lambda: 1)
    lines: list[str] = []
    show_system("dose", tmp_path / "dose", say=lines.append)
    said = "\n".join(lines)
    assert "Search through abdomen-lpd-label: " in said
    assert "A Dice of the tumour of at least 90 % of that at full dose" in said
    assert "the learned dose is not shown to need fewer photons than the fixed dose" in said, "four patients give no interval"
    assert "search.html" in said
    for folder in (tmp_path / "dose", tmp_path / "dose" / "report"):  # the pages of a run lead to each other from either place
        for page, other in (("report.html", "search.html"), ("search.html", "report.html")):
            assert f"<a href='{other}'>" in (folder / page).read_text()
    assert DoseExperiment(**small).seed == 1


def test_the_dose_of_the_package_reconstructs_as_it_was_trained() -> None:
    chain = chain_of(dose_demo.DOSE_OF_PACKAGE)
    assert chain.grid is not None
    A = Projector(chain.grid, chain.beam)
    p = torch.rand(1, 1, *A.p_shape)
    assert torch.equal(chain.model(p, A), fbp(p, A, window="hann"))
    assert not torch.equal(chain.model(p, A), fbp(p, A))


def test_words_that_do_not_go_together_are_refused(taskct_says: Says, tmp_path: Path) -> None:
    for words, said in (
        (("demo", "adaptif"), "did you mean 'adaptive'"),
        (("demo", "dose", "--classical"), "leave out --train and the name of a system"),
        (("demo", "--classical", "--train"), "leave out --train"),
        (("demo", "--series", "1.2"), "go with --ct"),
        (("demo", "--sirt"), "--sirt goes with --ct or --classical"),
    ):
        code, _, err = taskct_says(*words, "--out", tmp_path / "x")
        assert code == 2 and said in err and not (tmp_path / "x").exists()
