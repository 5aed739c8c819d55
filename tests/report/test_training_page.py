"""The page of a training: how it learnt, what is known, and what it makes of built-in patients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskct.cli import main
from taskct.core.errors import InputError
from taskct.core.names import THIN
from taskct.core.runs import Run
from taskct.geometry import ParallelBeam
from taskct.geometry.beam_config import beam_to_config
from taskct.recon.learned import make_model
from taskct.report.training_page import refuse_other_run, write_training_page
from taskct.task.readers import ReaderSpec, make_reader

MODEL = {"kind": "fbp_unet", "widths": [4, 8]}


def training(folder: Path, *, bias: float = 0.0, **more: object) -> Run:
    config = {
        "model": MODEL,
        "training": {"steps": 30},
        "beam": beam_to_config(ParallelBeam(views=24, cols=36, pixel_mm=12.0)),
        "grid": {"shape": [32, 32], "spacing_mm": [12.0, 12.0]},
        "dose": {"photons": 6e4, "lowest": 0.25, "highest": 1.0},
        **more,
    }
    run = Run.create(folder, config)
    torch.manual_seed(0)
    net = make_model(MODEL)
    torch.nn.init.constant_(net.net.out.bias, bias)
    run.save_tensors("weights.safetensors", net.state_dict())
    for step, loss in ((10, 3.0), (20, 2.0), (30, 1.5)):
        run.append(kind="train", step=step, total=loss + 0.1)
        run.append(kind="validation", step=step, total=loss, rmse_hu=40 * loss)
    return run


def test_a_training_has_a_page_with_curves_pictures_and_what_is_known(tmp_path: Path) -> None:
    run = training(tmp_path / "net")
    write_training_page(run, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    first = html[html.index("<body>") : html.index("<details")]
    places = [first.index(part) for part in ("class='answer'", "class='row zoomed'", "first-table", "<nav>")]
    assert places == sorted(places)
    assert "The best of 3 validations was at step 30, with a loss of 1.5. The loss was still falling at the end" in first
    assert f"at 60{THIN}000 photons" in html and f"at 15{THIN}000 photons" in html
    assert html.count("<img") > 3 and "commit" in html and "<script" not in html


def test_a_network_that_is_worse_than_fbp_says_so_first(tmp_path: Path) -> None:
    write_training_page(training(tmp_path / "net", bias=2.0), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "class='but'>On built-in patients" in html and "more than the" in html[: html.index("<details")]
    assert html[: html.index("<details")].count("class='but'>On built-in patients") == 2  # at both doses, none is folded


def test_a_reader_has_a_page_without_scans(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "reader", {"reader": {"net": "unet_thin"}, "training": {"steps": 3}})
    run.save_tensors("weights.safetensors", make_reader(ReaderSpec(net="unet_thin")).state_dict())
    write_training_page(run, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "it makes no images of scans" in html and "No validation was made" in html


def test_a_training_without_an_end_and_runs_with_pages_of_their_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no weights yet"):
        write_training_page(Run.create(tmp_path / "young", {"model": MODEL}), tmp_path / "page.html")
    with pytest.raises(InputError, match=r"taskct reproduce dose --out .* --only-report"):
        refuse_other_run(Run.create(tmp_path / "experiment", {"experiment": {"name": "dose"}}))
    with pytest.raises(InputError, match="is a dose search"):
        refuse_other_run(Run.create(tmp_path / "search", {"dose_search": {}}))
    assert not (tmp_path / "page.html").exists()


def test_the_command_line_writes_it_into_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = training(tmp_path / "net")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(run.folder)])
    assert not stop.value.code and (run.folder / "report.html").exists()
    assert "report.html" in capsys.readouterr().out
