"""`taskct dose` from the command line: an answer, a page, and refusals before the work."""

from pathlib import Path

import pytest
import torch

from taskct.cli import main
from taskct.core.runs import load_run
from taskct.data.case import Case
from taskct.data.nifti import write_nifti

BEAM = "[beam]\nkind = 'parallel'\nviews = 40\ncols = 48\npixel_mm = 8.0\n"


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(w) for w in words])
    return int(stop.value.code or 0)


@pytest.fixture
def ct(tmp_path: Path) -> list[object]:
    axis = torch.linspace(-1, 1, 32)
    body = (axis[:, None] ** 2 + axis**2 < 0.6).float()
    write_nifti(Case((1000 * body - 1000).expand(3, 32, 32).contiguous(), (5.0, 8.0, 8.0)), tmp_path / "ct.nii.gz")
    (tmp_path / "beam.toml").write_text("schema = 1\n" + BEAM)
    return ["--ct", tmp_path / "ct.nii.gz", "--beam", tmp_path / "beam.toml", "--photons", "1e6", "--lowest", "0.05"]


def test_one_command_answers_with_photons_share_and_a_page(
    ct: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "dose",
        "fbp",
        "--set",
        "window=hann",
        *ct,
        "--keep",
        "rmse_hu<=400",
        "--ctdi-mgy",
        "8",
        "--out",
        tmp_path / "run",
    ]
    assert call(*words) == 0
    said = capsys.readouterr().out
    assert (
        "% of full dose, CTDIvol" in said and "Checked with fresh noise, an RMSE of" in said and "1 patient is too few" in said
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert "rmse_hu&lt;=400" in page and "<script" not in page
    first = page[page.index("<body>") : page.index("<details")]
    answer = "class='answer'>The least dose that keeps an RMSE of at most 400 HU in this patient is "
    places = [
        first.index(part)
        for part in (answer, "class='but'>Checked with fresh noise, an RMSE of", "alt='quality over dose'", "<nav>")
    ]
    assert places == sorted(places)
    assert load_run(tmp_path / "run").config["dose_search"]["keep"] == ["rmse_hu<=400"]
    assert call(*words) == 2  # exists


@pytest.mark.parametrize(
    ("keep", "said"),
    [("psnr>=30", "psnr[fixed range]"), ("rmse_hu>=20", "better when it is lower"), ("liver.dice>=0.9", "--reader")],
)
def test_wrong_targets_end_with_code_2_and_advice(
    ct: list[object], tmp_path: Path, keep: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("dose", "fbp", *ct, "--keep", keep, "--out", tmp_path / "run") == 2
    assert said in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_an_unreachable_target_is_an_answer(ct: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("dose", "fbp", *ct, "--keep", "rmse_hu<=0.1", "--out", tmp_path / "run") == 0
    assert "is not reached" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--reader", "--certify"])
def test_two_readers_of_one_name_are_refused(
    ct: list[object], tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "dose",
        "fbp",
        *ct,
        "--keep",
        "liver.dice>=0.9",
        option,
        tmp_path / "a" / "reader",
        option,
        tmp_path / "b" / "reader",
    ]
    assert call(*words, "--out", tmp_path / "run") == 2
    assert "has the same last name 'reader'" in " ".join(capsys.readouterr().err.split())


def test_nothing_to_keep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("dose", "fbp", "--out", tmp_path / "run") == 2
    assert "what has to be kept?" in capsys.readouterr().err
