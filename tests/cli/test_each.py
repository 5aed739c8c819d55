"""A folder of CTs in one command: simulate, reconstruct and evaluate, resumed, with a summary and one exit code."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taskct.core.each_input import FAILED, MADE, THERE, InputJob, do_each
from taskct.core.errors import FileFormatError, InputError, OutputExistsError
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.each_case import named_places
from taskct.data.nifti import read_nifti, write_nifti
from taskct.data.open import open_place
from taskct.data.scan import read_scan
from taskct.data.sets.case_place import CasePlace
from taskct.evaluation.table import Table

Says = Callable[..., tuple[int, str, str]]


def box(value: float) -> Case:
    hu = torch.full((2, 16, 16), -1000.0)
    hu[:, 4:12, 4:12] = value
    return Case(hu, (5.0, 4.0, 4.0), case_id="ct")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good CTs, one of them DICOM under a patient's name, and one that is damaged."""
    for number in (1, 2):
        write_nifti(box(40.0 * number), tmp_path / "cts" / f"case{number}" / "ct.nii.gz")
    write_series(box(10.0), tmp_path / "cts" / "Meier_Hans")
    (tmp_path / "cts" / "bad.nii").write_bytes(b"\x5c\x01\x00\x00" + b"n+1 and nothing else" * 40)
    (tmp_path / "beam.toml").write_text("schema = 1\nkind = 'parallel'\nviews = 20\ncols = 24\npixel_mm = 4.0\n")
    return tmp_path


def states(summary: Path) -> dict[str, str]:
    return {row["name"]: row["state"] for row in csv.DictReader(summary.open())}


def test_each_ct_becomes_a_scan_and_each_scan_a_volume_and_a_bad_one_is_said(folder: Path, taskct_says: Says) -> None:
    words = ("simulate", folder / "cts", "--each", "--beam", folder / "beam.toml", "--out", folder / "scans")
    code, out, err = taskct_says(*words)
    assert code == 3 and "4 inputs: 3 made, 1 failed" in out and "bad.nii" in out
    found = states(folder / "scans" / "summary.csv")
    assert sorted(found.values()) == [FAILED, MADE, MADE, MADE] and "Meier" not in "".join(found)
    scans = sorted((folder / "scans").glob("*.h5"))
    assert len(scans) == 3 and read_scan(scans[0]).p.shape == (2, 1, 20, 24)
    times = [scan.stat().st_mtime_ns for scan in scans]
    scans[1].unlink()
    code, out, _ = taskct_says(*words)
    assert code == 3 and "1 made, 2 there already, 1 failed" in out
    assert [scan.stat().st_mtime_ns for scan in scans[::2]] == times[::2] and scans[1].exists()
    code, _, err = taskct_says(*words, "--seed", "3")
    assert code == 2 and "was begun with other settings (seed: 0 then, 3 now)" in err
    code, out, _ = taskct_says("reconstruct", folder / "scans", "--each", "--window", "hann", "--out", folder / "volumes")
    assert code == 0 and "3 inputs: 3 made" in out
    assert all(read_nifti(path).hu.shape == (2, 16, 16) for path in (folder / "volumes").glob("*.nii.gz"))


def test_each_ct_is_scanned_and_reconstructed_into_dicom(folder: Path, taskct_says: Says) -> None:
    (folder / "cts" / "bad.nii").unlink()
    code, out, _ = taskct_says(
        "reconstruct", folder / "cts", "--each", "--dicom", "--beam", folder / "beam.toml", "--out", folder / "series"
    )
    assert code == 0 and "3 inputs: 3 made" in out
    assert sum(place.is_dir() and len(list(place.iterdir())) == 2 for place in (folder / "series").iterdir()) == 3


def test_each_ct_is_evaluated_and_one_table_holds_all(folder: Path, taskct_says: Says) -> None:
    words = ("evaluate", folder / "cts", "--each", "--beam", folder / "beam.toml", "--doses", "1", "--methods",
             "fbp,smooth=fbp:window=hann", "--out", folder / "runs", "--report")  # fmt: skip
    code, out, _ = taskct_says(*words)
    assert code == 3 and "3 made, 1 failed" in out
    table = Table.read(folder / "runs" / "all-cases")
    assert len({r.case for r in table.rows}) == 3 and table.methods == ["fbp", "smooth"]
    page = folder / "runs" / "all-cases" / "report.html"
    assert "Unfinished: 1 part of this evaluation is not done yet (bad)" in page.read_text(encoding="utf-8")
    (folder / "cts" / "bad.nii").unlink()
    code, out, _ = taskct_says(*words)
    assert code == 0 and "3 inputs: 3 there already" in out
    again = Table.read(folder / "runs" / "all-cases")
    assert [r.value for r in again.rows] == [r.value for r in table.rows]
    assert "Unfinished" not in page.read_text(encoding="utf-8")


def test_one_ct_under_two_names_counts_once_in_the_table_of_all(folder: Path, taskct_says: Says) -> None:
    (folder / "cts" / "bad.nii").unlink()
    write_nifti(box(40.0), folder / "cts" / "case3" / "ct.nii.gz")
    words = ("evaluate", folder / "cts", "--each", "--beam", folder / "beam.toml", "--doses", "1", "--out", folder / "runs")
    for there in ("3 made", "3 there already"):
        code, out, _ = taskct_says(*words)
        assert code == 2 and f"4 inputs: {there}, 1 failed" in out
        assert "one CT would count as two patients in all-cases; leave one of them out" in out
        assert len({r.case for r in Table.read(folder / "runs" / "all-cases").rows}) == 3


def test_words_that_do_not_fit_are_refused(folder: Path, taskct_says: Says) -> None:
    file = folder / "cts" / "case1" / "ct.nii.gz"
    for words, said in (
        (("simulate", file, "--each", "--out", folder / "x"), "expects a folder"),
        (("simulate", folder / "cts", "--each", "--out", folder / "x.h5"), "one output for each input"),
        (("simulate", folder / "cts", "--each", "--out", folder / "cts"), "is the input"),
        (("reconstruct", folder / "cts", "--dicom", "--out", folder / "x"), "goes with --each"),
        (("evaluate", file, file, "--each", "--out", folder / "x"), "one folder"),
    ):
        code, _, err = taskct_says(*words)
        assert code == 2 and said in err and err.count("\n") == 1
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine")
    code, _, err = taskct_says("simulate", folder / "cts", "--each", "--out", folder / "mine")
    assert code == 2 and "was not made by --each" in err


def test_an_input_that_fails_does_not_stop_the_others_and_the_worst_is_known(tmp_path: Path) -> None:
    def fails(error: Exception) -> Callable[[], str]:
        def work() -> str:
            raise error

        return work

    def writes() -> str:
        (tmp_path / "out" / "good").touch()
        return "well"

    errors = (FileFormatError("a: torn"), KeyError("oops"))
    jobs = [InputJob(f"bad{k}", "somewhere", tmp_path / "out" / f"bad{k}", fails(error)) for k, error in enumerate(errors)]
    jobs.append(InputJob("good", "here", tmp_path / "out" / "good", writes))
    found = do_each(jobs, tmp_path / "out", settings={"a": 1}, progress=False)
    assert [row[2] for row in found.rows] == [FAILED, FAILED, MADE] and found.errors == list(errors)
    assert "KeyError" in str(found) and "a: torn" in str(found)
    assert do_each(jobs[2:], tmp_path / "out", settings={"a": 1}, progress=False).count(THERE) == 1
    with pytest.raises(OutputExistsError, match="a: 1 then, 2 now"):
        do_each(jobs, tmp_path / "out", settings={"a": 2}, progress=False)
    with pytest.raises(InputError, match="'good' twice"):
        do_each([jobs[2], jobs[2]], tmp_path / "out", settings={"a": 1}, progress=False)


def test_names_of_outputs_are_plain_and_differ(folder: Path) -> None:
    names = list(named_places(folder / "cts"))
    assert len(names) == 4 and len(set(names)) == 4 and not any("Meier" in name or "Hans" in name for name in names)
    assert names == list(named_places(folder / "cts"))


def test_an_output_in_the_input_and_one_of_another_folder_are_refused(folder: Path, taskct_says: Says) -> None:
    beam = ("--beam", folder / "beam.toml")
    for verb, more in (("simulate", beam), ("reconstruct", beam), ("evaluate", ("--methods", "fbp", *beam))):
        code, _, err = taskct_says(verb, folder / "cts", "--each", *more, "--out", folder / "cts" / "made")
        assert code == 2 and "lies in the input" in err and not (folder / "cts" / "made").exists(), verb
    write_nifti(box(-500.0), folder / "others" / "case1" / "ct.nii.gz")
    for verb, more in (("simulate", beam), ("evaluate", ("--methods", "fbp", "--doses", "1", *beam))):
        taskct_says(verb, folder / "cts", "--each", *more, "--out", folder / verb)
        code, _, err = taskct_says(verb, folder / "others", "--each", *more, "--out", folder / verb)
        assert code == 2 and "was begun with other settings" in err and "others" in err, verb


def test_what_holds_for_every_ct_is_refused_before_any_work(folder: Path, taskct_says: Says) -> None:
    out = ("--out", folder / "made")
    beam = ("--beam", folder / "beam.toml")
    for words in (
        ("simulate", folder / "cts", "--each", "--beam", "nobeam"),
        ("simulate", folder / "cts", "--each", *beam, "--slices", "x"),
        ("reconstruct", folder / "cts", "--each", "--beam", "nobeam"),
        ("reconstruct", folder / "cts", "--each", *beam, "--slices", "x"),
        ("evaluate", folder / "cts", "--each", *beam, "--methods", "fbpp"),
        ("evaluate", folder / "cts", "--each", *beam, "--slices", "x"),
    ):
        code, printed, _ = taskct_says(*words, *out)
        assert code == 2 and not printed and not (folder / "made").exists(), words


def test_a_ct_that_changed_after_its_output_was_made_is_said(folder: Path, taskct_says: Says) -> None:
    words = ("simulate", folder / "cts", "--each", "--beam", folder / "beam.toml", "--out", folder / "scans")
    taskct_says(*words)
    assert "was changed" not in taskct_says(*words)[1]
    ct = folder / "cts" / "case1" / "ct.nii.gz"
    later = max(scan.stat().st_mtime for scan in (folder / "scans").glob("*.h5")) + 10
    os.utime(ct, (later, later))
    out = taskct_says(*words)[1]
    assert out.count("was changed") == 1 and f"made before {ct} was changed" in out and "3 there already" in out


def test_a_tilted_gantry_is_untilted_in_an_evaluation_of_each(
    folder: Path, taskct_says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def opened(place: CasePlace, **how: object) -> Case:
        asked.append(how["untilt"])
        return open_place(place, **how)  # type: ignore[arg-type]

    monkeypatch.setattr("taskct.evaluation.each_evaluation.open_place", opened)
    words = ("evaluate", folder / "cts", "--each", "--beam", folder / "beam.toml", "--doses", "1", "--untilt")
    taskct_says(*words, "--out", folder / "made")
    assert asked == [True] * 4
