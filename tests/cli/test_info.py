"""`taskct info` says what is in a path, and `--system` what runs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti, write_nifti_labels

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def box() -> Case:
    hu = torch.full((3, 24, 20), -1000.0)
    hu[:, 6:18, 5:15] = 40.0
    return Case(hu, (5.0, 1.5, 2.0), case_id="box", labels=(hu > 0).int())


def test_a_volume_is_described_with_its_labels(box: Case, tmp_path: Path, taskct_says: Says) -> None:
    write_nifti(box, tmp_path / "ct.nii.gz")
    write_nifti_labels(box, tmp_path / "seg.nii.gz")
    code, out, err = taskct_says("info", tmp_path / "ct.nii.gz", "--labels", tmp_path / "seg.nii.gz")
    assert (code, err) == (0, "")
    assert "3 x 24 x 20" in out and "5 x 1.5 x 2" in out and "-1000 to 40" in out
    assert "label 1" in out and "360 voxels, mean 40 HU" in out


def test_a_folder_of_volumes_is_listed_case_by_case(box: Case, tmp_path: Path, taskct_says: Says) -> None:
    for number in range(22):
        write_nifti(box, tmp_path / f"volume-{number}.nii.gz")
    write_nifti_labels(box, tmp_path / "segmentation-0.nii.gz")
    code, out, err = taskct_says("info", tmp_path)
    without = "volume-1.nii.gz, volume-10.nii.gz, volume-11.nii.gz, volume-12.nii.gz, volume-13.nii.gz and 16 more"
    assert (code, err) == (0, f"taskct: note: {tmp_path}: has volume-N without segmentation-N: {without}\n")
    lines = out.splitlines()
    assert lines[0].startswith("22 cases, 1 with labels")
    assert "volume-0.nii.gz, labels segmentation-0.nii.gz" in lines[1] and lines[-1] == "  and 2 more"


def test_a_scan_file_is_described_with_its_dose(box: Case, tmp_path: Path, taskct_says: Says) -> None:
    write_nifti(box, tmp_path / "ct.nii.gz")
    beam = tmp_path / "beam.toml"
    beam.write_text("schema = 1\nkind = 'parallel'\nviews = 6\ncols = 40\npixel_mm = 1.5\n")
    assert taskct_says("info", beam)[:2] == (0, "config with kind, views, cols, pixel_mm\n")
    args = ("--beam", beam, "--dose", "0.5", "--out", tmp_path / "scan.h5", "--slices", "1:3")
    assert taskct_says("simulate", tmp_path / "ct.nii.gz", *args)[0] == 0
    code, out, _ = taskct_says("info", tmp_path / "scan.h5")
    assert code == 0
    assert (
        "ParallelBeam over 180 deg" in out and "50000 photons per pixel in air (50% of 100000)" in out and "slices 1, 2" in out
    )


def test_the_system_is_described_with_the_reason_for_its_kernels(taskct_says: Says) -> None:
    code, out, _ = taskct_says("info", "--system")
    assert code == 0 and f"torch {torch.__version__}" in out and "projector" in out and "threads" in out


def test_a_damaged_file_is_exit_code_3_and_a_missing_one_2(tmp_path: Path, taskct_says: Says) -> None:
    (tmp_path / "cut.nii").write_bytes(b"\0" * 100)
    code, _, err = taskct_says("info", tmp_path / "cut.nii")
    assert code == 3 and str(tmp_path / "cut.nii") in err and err.count("\n") == 1
    code, _, err = taskct_says("info", tmp_path / "none.nii")
    assert code == 2 and "no such file" in err
    code, _, err = taskct_says("info", tmp_path / "cut.nii", "--system")
    assert code == 2 and "either a PATH" in err


@pytest.mark.real_data
def test_a_real_series_is_described(real_data: Path, taskct_says: Says) -> None:
    code, out, _ = taskct_says("info", real_data / "dicom_totalseg_siemens_j2k")
    assert code == 0
    assert "20 x 512 x 512" in out and "JPEG 2000" in out and "SIEMENS, 120 kVp, Br38f" in out and "readable     yes" in out


def test_a_truncated_series_is_described_and_exit_code_3(box: Case, tmp_path: Path, taskct_says: Says) -> None:
    write_series(box, tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        file.write_bytes(file.read_bytes()[:-1000])
    for path in (tmp_path / "ct", next((tmp_path / "ct").iterdir())):
        code, out, err = taskct_says("info", path)
        assert code == 3 and ("damaged files" in out or "truncated" in out) and str(path) in err and err.count("\n") == 1


def test_an_empty_folder_is_exit_code_2_for_info_and_simulate(tmp_path: Path, taskct_says: Says) -> None:
    (tmp_path / "empty").mkdir()
    assert taskct_says("info", tmp_path / "empty")[0] == 2
    assert taskct_says("simulate", tmp_path / "empty", "--out", tmp_path / "scan.h5")[0] == 2


def test_what_is_left_of_a_scan_file_is_said_to_be_damaged(tmp_path: Path, taskct_says: Says) -> None:
    import h5py

    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["p"] = [1.0]
    code, _, err = taskct_says("info", tmp_path / "scan.h5")
    assert code == 3 and "this scan file is damaged, it has no 'header'" in err


def test_odd_values_are_said_when_a_ct_is_opened_and_impossible_ones_refused(tmp_path: Path, taskct_says: Says) -> None:
    import nibabel
    import numpy as np

    beam = tmp_path / "beam.toml"
    beam.write_text("schema = 1\nkind = 'parallel'\nviews = 6\ncols = 40\npixel_mm = 1.5\n")
    values = np.linspace(0, 3000, 16 * 16 * 2, dtype=np.float32).reshape(16, 16, 2)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "odd.nii")
    nibabel.save(nibabel.Nifti1Image(values / 3000, np.eye(4)), tmp_path / "unit.nii")
    for verb, out in (("simulate", "scan.h5"), ("evaluate", "run")):
        more = ("--doses", "1") if verb == "evaluate" else ()
        words = ("--beam", beam, "--refine", "1", *more, "--out", tmp_path / out)
        code, _, err = taskct_says(verb, tmp_path / "odd.nii", *words)
        assert (
            code == 0
            and "taskct: note: odd: values from 0 to 3000 hold no air (nothing below -300): these may not be HU\n" in err
        )
        code, _, err = taskct_says(verb, tmp_path / "unit.nii", *words, "--overwrite")
        assert code == 3 and "normalised or attenuation, not HU" in err


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_large_volume_is_described_by_its_header_and_first_slices(tmp_path, taskct_says, monkeypatch, name) -> None:
    from taskct.data.volume import StoredVolume
    from taskct.report import file_description as describe

    hu = torch.arange(16).float()[:, None, None].expand(16, 32, 32) * 10 - 1000
    write_nifti(Case(hu=hu.clone(), spacing_mm=(2.0, 1.0, 0.5)), tmp_path / name)
    monkeypatch.setattr(describe, "_LOOK_BYTES", 16 * 1024)  # of 32 KiB of values
    monkeypatch.setattr(StoredVolume, "read", lambda *_, **__: pytest.fail("all values were read"))
    code, out, err = taskct_says("info", tmp_path / name)
    assert (code, err) == (0, "")
    assert "shape z y x     16 x 32 x 32" in out and "spacing mm      2 x 1 x 0.5" in out
    assert "-1000 to -990 (of the first 2 of 16 slices in the file)" in out
    if name == "ct.nii":
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-3000])
        code, _, err = taskct_says("info", tmp_path / name)
        assert code == 3 and "truncated or damaged" in err


def test_a_volume_that_does_not_fit_into_memory_is_refused_by_name_before_it_is_read(
    tmp_path, taskct_says, monkeypatch
) -> None:
    from taskct.core import memory

    write_nifti(Case(hu=torch.zeros(8, 64, 64), spacing_mm=(2.0, 1.0, 1.0)), tmp_path / "ct.nii.gz")
    monkeypatch.setattr(memory, "free_bytes", lambda: 100_000)
    code, _, err = taskct_says("simulate", tmp_path / "ct.nii.gz", "--out", tmp_path / "scan.h5")
    assert code == 4 and "ct.nii.gz: reading it takes about" in err and err.count("\n") == 1


@pytest.mark.parametrize("shape", [(32767, 32767, 32767), (64, 64, 64), (4096, 4096, 32)])
def test_a_volume_file_that_is_shorter_than_its_header_says_is_called_truncated(tmp_path, taskct_says, shape) -> None:
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_dtype("float64")
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(4) + bytes(4096))
    code, _, error = taskct_says("info", tmp_path / "a.nii")
    assert code == 3 and "a.nii" in error and "truncated" in error


def test_a_run_folder_is_described_in_lines_for_people(tmp_path: Path, taskct_says: Says) -> None:
    beam = tmp_path / "beam.toml"
    beam.write_text("schema = 1\nkind = 'parallel'\nviews = 6\ncols = 40\npixel_mm = 12.0\n")
    words = ("--slices", "3", "--doses", "1", "--beam", beam, "--refine", "1", "--methods", "fbp,smooth=fbp:window=hann")
    assert taskct_says("evaluate", "phantom:abdomen:1", *words, "--out", tmp_path / "run")[0] == 0
    code, out, err = taskct_says("info", tmp_path / "run")
    assert (code, err) == (0, "") and not any(mark in out for mark in "{}[]")
    assert "values of fbp, smooth on 1 patient at dose 1; taskct report" in out
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()[1:]}
    assert lines["methods.smooth"] == "method fbp, window hann" and lines["inputs"] == "phantom:abdomen:1"
    assert lines["beam"].startswith("kind parallel, views 6, cols 40, pixel_mm 12")
    (tmp_path / "run" / "provenance.json").unlink()
    assert "not recorded (no provenance.json)" in taskct_says("info", tmp_path / "run")[1]
    code, _, err = taskct_says("info", tmp_path / "run" / "table.csv")
    assert code == 2 and f"is a file of the run {tmp_path / 'run'}; taskct info" in err
    out = taskct_says("info", tmp_path)[1]
    assert out.startswith("1 run; `taskct info") and "  run: the command is not recorded" in out and "1 other file or" in out


def test_scans_in_a_folder_are_listed(box: Case, tmp_path: Path, taskct_says: Says) -> None:
    write_nifti(box, tmp_path / "ct.nii.gz")
    beam = tmp_path / "beam.toml"
    beam.write_text("schema = 1\nkind = 'parallel'\nviews = 6\ncols = 40\npixel_mm = 1.5\n")
    for name in ("a.h5", "b.h5"):
        assert taskct_says("simulate", tmp_path / "ct.nii.gz", "--beam", beam, "--out", tmp_path / "scans" / name)[0] == 0
    code, out, err = taskct_says("info", tmp_path / "scans")
    assert (code, err) == (0, "") and out.splitlines()[1:] == ["  a.h5", "  b.h5"] and out.startswith("2 scans")
