"""CT -> scan file -> volume on the command line, and the ways it can be refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import read_nifti, write_nifti
from taskct.data.scan import read_scan

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def box() -> Case:
    hu = torch.full((4, 32, 32), -1000.0)
    for z in range(4):
        hu[z, 8:20, 12:26] = 10.0 * z
    affine = np.diag([5.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-100.0, -30.0, 17.0)
    return Case(hu, (5.0, 2.0, 2.0), case_id="ct", affine_mm=affine)


@pytest.fixture
def ct(box: Case, tmp_path: Path) -> Path:
    write_nifti(box, tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


@pytest.fixture
def beam(tmp_path: Path) -> Path:
    (tmp_path / "beam.toml").write_text("schema = 1\n[beam]\nkind = 'parallel'\nviews = 90\ncols = 80\npixel_mm = 1.0\n")
    return tmp_path / "beam.toml"


def test_a_noise_free_scan_reconstructs_to_the_original_in_its_place(
    box: Case, ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    scan, volume = tmp_path / "scan.h5", tmp_path / "volume.nii.gz"
    assert taskct_says("simulate", ct, "--beam", beam, "--noise-free", "--slices", "1:4", "--out", scan)[0] == 0
    code, out, err = taskct_says("reconstruct", scan, "--out", volume)
    assert (code, err) == (0, "") and "3 x 32 x 32 voxels" in out
    got = read_nifti(volume)
    wanted = box.take(slice(1, 4))
    assert np.allclose(got.affine_mm, wanted.affine_mm)
    inside = got.hu[:, 10:18, 14:24].mean((1, 2))
    assert torch.allclose(inside, torch.tensor([10.0, 20.0, 30.0]), atol=5.0)  # 5 HU: a disk's 1 % is 10 HU


def test_the_same_seed_gives_the_same_scan_whichever_slices_are_taken(
    ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    one, all_ = tmp_path / "one.h5", tmp_path / "all.h5"
    for path, words in ((one, ("--slices", "2")), (all_, ())):
        taskct_says("simulate", ct, "--beam", beam, "--dose", "0.1", "--electronic-std", "5", *words, "--out", path)
    assert torch.equal(read_scan(one).p[0], read_scan(all_).p[2])
    dose = read_scan(one).dose
    assert dose is not None and (dose.used_photons, dose.electronic_std) == (1e4, 5.0)


def test_a_ct_is_scanned_and_reconstructed_in_one_go_into_a_dicom_series(
    box: Case, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    import pydicom

    write_series(box, tmp_path / "original", deidentify=False)
    code, out, err = taskct_says(
        "reconstruct", tmp_path / "original", "--beam", beam, "--dose", "0.5", "--window", "hann", "--out", tmp_path / "low"
    )
    assert (code, err) == (0, "") and "by fbp window=hann" in out
    files = sorted((tmp_path / "low").iterdir())
    assert len(files) == 4
    first = pydicom.dcmread(files[0])
    assert first.ImageType[0] == "DERIVED" and first.SeriesDescription == "taskct fbp window=hann at 50% dose"
    assert list(first.ImagePositionPatient) == [17, -30, -100]
    originals = {pydicom.dcmread(f).SOPInstanceUID for f in (tmp_path / "original").iterdir()}
    assert first.SOPInstanceUID not in originals and first.SourceImageSequence


def test_existing_output_is_kept_without_overwrite(ct: Path, beam: Path, tmp_path: Path, taskct_says: Says) -> None:
    scan = tmp_path / "scan.h5"
    assert taskct_says("simulate", ct, "--beam", beam, "--out", scan)[0] == 0
    before = scan.read_bytes()
    code, _, err = taskct_says("simulate", ct, "--beam", beam, "--seed", "1", "--out", scan)
    assert code == 2 and "exists already" in err and "--overwrite" in err and scan.read_bytes() == before
    assert taskct_says("simulate", ct, "--beam", beam, "--seed", "1", "--out", scan, "--overwrite")[0] == 0
    assert scan.read_bytes() != before


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("--out", "scan.nii"), 2, "a scan file ends in .h5; name it scan.h5"),
        (("--slices", "9:12"), 2, "case ct has slices 0 to 3; 9:12 is none of them"),
        (("--slices", "9999"), 2, "has slices 0 to 3; 9999 is none of them"),
        (("--slices", "x"), 2, "--slices expects"),
        (("--dose", "0"), 2, "fraction > 0"),
        (("--photons", "-1"), 2, "photons > 0"),
        (("--beam", "lodopab", "--electronic-std", "3"), 2, "the lodopab recipe is fixed"),
        (("--beam", "lodopab"), 2, "512 x 512"),
        (("--beam", "fan"), 2, "unknown beam 'fan'"),
    ],
)
def test_a_scan_that_cannot_be_is_refused_in_one_line_and_leaves_nothing(  # noqa: PLR0917
    words: tuple[str, ...], code: int, reason: str, ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    target = tmp_path / "out" / "scan.h5"
    given = ["--beam", beam, "--out", target]
    for name, value in zip(words[::2], words[1::2], strict=True):
        given += [name, tmp_path / value if name == "--out" else value]
    got, _, err = taskct_says("simulate", ct, *given)
    assert got == code and reason in err and err.startswith("taskct: ") and err.count("\n") == 1
    assert not target.parent.exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--set", "windwo=hann"), "did you mean 'window'"),
        (("--method", "fpb"), "did you mean 'fbp'"),
        (("--set", "window"), "expected name=value"),
        (("--slices", "1:2"), "a scan file is reconstructed as it is, or at"),
        (("--out", "volume.png"), "expected a name that ends in .nii.gz"),
    ],
)
def test_a_reconstruction_that_cannot_be_is_refused_in_one_line(  # noqa: PLR0917
    words: tuple[str, ...], reason: str, ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    scan = tmp_path / "scan.h5"
    taskct_says("simulate", ct, "--beam", beam, "--out", scan)
    given = ["--out", tmp_path / "v.nii"] if "--out" not in words else []
    given += [tmp_path / w if w.endswith(".png") else w for w in words]
    code, _, err = taskct_says("reconstruct", scan, *given)
    assert code == 2 and reason in err and err.count("\n") == 1
    assert not (tmp_path / "v.nii").exists()


def test_a_damaged_scan_file_is_exit_code_3(ct: Path, beam: Path, tmp_path: Path, taskct_says: Says) -> None:
    scan = tmp_path / "scan.h5"
    taskct_says("simulate", ct, "--beam", beam, "--out", scan)
    scan.write_bytes(scan.read_bytes()[:-1000])
    code, _, err = taskct_says("reconstruct", scan, "--out", tmp_path / "v.nii")
    assert code == 3 and err.startswith(f"taskct: {scan}: ") and err.count("\n") == 1


def test_overwrite_never_deletes_a_folder_that_taskct_did_not_write(
    ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    scan, home = tmp_path / "scan.h5", tmp_path / "home"
    taskct_says("simulate", ct, "--beam", beam, "--out", scan)
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    code, _, err = taskct_says("reconstruct", scan, "--out", home, "--overwrite")
    assert code == 2 and "holds thesis.txt, which is not a slice that taskct wrote" in err and err.count("\n") == 1
    assert (home / "thesis.txt").read_text() == "years of work"


def test_the_input_is_never_the_output(ct: Path, beam: Path, tmp_path: Path, taskct_says: Says) -> None:
    before = ct.read_bytes()
    code, _, err = taskct_says("reconstruct", ct, "--beam", beam, "--out", ct, "--overwrite")
    assert code == 2 and "is the input" in err and ct.read_bytes() == before
    lodopab = tmp_path / "slices.h5"
    lodopab.write_bytes(b"x")
    code, _, err = taskct_says("simulate", lodopab, "--out", lodopab, "--overwrite")
    assert code == 2 and "is the input" in err and lodopab.read_bytes() == b"x"


def test_a_scan_file_is_lowered_to_a_dose_below_its_own(ct: Path, beam: Path, tmp_path: Path, taskct_says: Says) -> None:
    from taskct.simulate import lower_dose

    scan, volume = tmp_path / "scan.h5", tmp_path / "low.nii"
    taskct_says("simulate", ct, "--beam", beam, "--dose", "0.5", "--slices", "2:4", "--out", scan)
    code, _, err = taskct_says("reconstruct", scan, "--dose", "0.1", "--seed", "3", "--out", volume)
    assert (code, err) == (0, "")
    full = read_scan(scan)
    assert full.dose is not None
    p = lower_dose(full.p, full.dose, 0.1, seed=3, case_id="ct", items=[2, 3])
    from taskct.recon import fbp

    wanted = full.to_case(fbp(p, full.projector()))
    assert torch.allclose(read_nifti(volume).hu, wanted.hu, atol=0.01)  # float32 on the way to the file
    code, _, err = taskct_says("reconstruct", scan, "--dose", "0.9", "--out", tmp_path / "high.nii")
    assert code == 2 and "was taken at 0.5 of full dose" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--photons", "1e4"),
        ("--electronic-std", "0"),
        ("--noise-free",),
        ("--beam", "lodopab"),
        ("--views", "9"),
        ("--seed", "1"),
        ("--refine", "1"),
        ("--series", "1.2"),
    ],
    ids=lambda words: words[0],
)
def test_options_of_a_ct_are_refused_for_a_scan_file(
    words: tuple[str, ...], ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    scan = tmp_path / "scan.h5"
    taskct_says("simulate", ct, "--beam", beam, "--slices", "0", "--out", scan)
    code, _, err = taskct_says("reconstruct", scan, *words, "--out", tmp_path / "v.nii")
    assert code == 2 and f"leave out {words[0]}\n" in err and err.count("\n") == 1


def test_more_than_full_dose_and_a_scan_of_a_scan_are_refused_with_advice(
    ct: Path, beam: Path, tmp_path: Path, taskct_says: Says
) -> None:
    scan = tmp_path / "scan.h5"
    taskct_says("simulate", ct, "--beam", beam, "--slices", "0", "--out", scan)
    for words in (
        ("simulate", ct, "--dose", "1.5", "--out", tmp_path / "a.h5"),
        ("reconstruct", ct, "--dose", "1.5", "--out", tmp_path / "a.nii"),
        ("evaluate", ct, "--methods", "fbp", "--doses", "2", "--out", tmp_path / "a"),
    ):
        code, _, err = taskct_says(*words)
        assert code == 2 and "expected a fraction of full dose up to 1; raise --photons for more" in err
    code, _, err = taskct_says("simulate", scan, "--out", tmp_path / "a.h5")
    assert code == 2 and "taskct reconstruct" in err
    assert not (tmp_path / "a.h5").exists()


def test_views_beyond_use_are_refused_and_many_are_said_to_cost(tmp_path: Path, taskct_says: Says) -> None:
    beam = tmp_path / "beam.toml"
    beam.write_text("schema = 1\nkind = 'parallel'\nviews = 6\ncols = 16\npixel_mm = 25\n")
    for words in (
        ("simulate", "phantom:abdomen:1", "--out", tmp_path / "s.h5"),
        ("evaluate", "phantom:abdomen:1", "--out", tmp_path / "run"),
        ("dose", "fbp", "--ct", "phantom:abdomen:1", "--keep", "rmse_hu<=20", "--out", tmp_path / "dose"),
    ):
        code, _, err = taskct_says(*words, "--views", "100000")
        assert code == 2 and "asked for 100000 views" in err and "give fewer views" in err
    words = ("--slices", "3", "--refine", "1", "--beam", beam, "--out", tmp_path / "s.h5")
    code, out, err = taskct_says("simulate", "phantom:abdomen:1", *words, "--views", "500")
    assert code == 0 and "500 views are more than" in err and "1 slice of abdomen-1" in out
