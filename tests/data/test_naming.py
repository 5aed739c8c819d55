from __future__ import annotations

import pytest
from dicom_files import FRAME_OF_REFERENCE, SERIES, STUDY, save_stack
from pydicom import dcmread

from taskct.cli import main
from taskct.data.dicom.derived_series import write_series
from taskct.data.dicom.series import read_series
from taskct.data.naming import is_plain
from taskct.data.nifti import write_nifti
from taskct.data.open import open_case, open_cases
from taskct.evaluation.evaluation_record import describe_case

NAMES = ["Mueller_Hans", "DOE^JANE", "smith-19700101", "4711082", "47110", "Jänicke", "patientMueller", "ct_Rossi", "李雷"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_may_be_a_patients_are_not_plain(name):
    assert not is_plain(name)


@pytest.mark.parametrize("name", ["volume-12", "liver_003", "s0001", "ct", "p1", "Patient 7", "ABD_CT_001"[4:], "chest-axial"])
def test_names_that_say_nothing_of_a_person_are_plain(name):
    assert is_plain(name)


def _told(case) -> str:
    return repr(case) + repr(case.provenance) + case.case_id + case.patient_id + repr(describe_case(case, [0]))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_or_file_named_after_a_patient_names_no_case(tmp_path, name):
    save_stack(tmp_path / name, slices=3)
    series = open_case(tmp_path / name)
    volume = tmp_path / "v" / f"{name}.nii.gz"
    write_nifti(series, volume)
    folder = tmp_path / "w" / name
    write_nifti(series, folder / "ct.nii.gz")
    cases = [series, open_case(volume), open_case(folder), *open_cases(tmp_path / name), *open_cases(tmp_path / "v")]
    for case in cases:
        assert name not in _told(case) and case.case_id.startswith("case-")
        assert case.source_path is not None
    assert cases[0].case_id == open_case(tmp_path / name).case_id == cases[3].case_id  # the same every time
    assert open_case(volume, case_id="pilot-7").case_id == "pilot-7"


def test_two_patients_have_two_names(tmp_path):
    for number, name in enumerate(NAMES[:2]):
        save_stack(tmp_path / name, slices=2, SeriesInstanceUID=f"1.2.{number}", RescaleIntercept=-1024 - number)
    assert len({open_case(tmp_path / name).case_id for name in NAMES[:2]}) == 2


def test_nothing_of_the_source_is_left_in_what_a_chain_writes(tmp_path):
    source = tmp_path / "Mueller_Hans"
    save_stack(source, slices=2, PatientName="Mueller^Hans", SeriesDescription="Mueller abdomen")
    for words in (
        ["simulate", source, "--out", tmp_path / "scan.h5", "--views", "20", "--dose", "0.5"],
        ["reconstruct", tmp_path / "scan.h5", "--out", tmp_path / "low"],
        ["reconstruct", source, "--views", "20", "--out", tmp_path / "low2"],
    ):
        try:
            main([str(word) for word in words])
        except SystemExit as done:
            assert not done.code
    files = [tmp_path / "scan.h5", *(tmp_path / "low").iterdir(), *(tmp_path / "low2").iterdir()]
    assert len(files) == 5
    for file in files:
        content = file.read_bytes()
        for secret in (b"Mueller", b"MRN-4711", b"Doe", SERIES.encode(), STUDY.encode(), FRAME_OF_REFERENCE.encode()):
            assert secret not in content, (file.name, secret)
    one, two = (dcmread(next((tmp_path / name).iterdir())) for name in ("low", "low2"))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):  # with and without the source: one study
        assert one[keyword].value == two[keyword].value


@pytest.mark.parametrize("with_source", [True, False])
def test_burned_in_text_is_never_called_removed_identity(tmp_path, with_source):
    save_stack(tmp_path / "ct", slices=2, BurnedInAnnotation="YES")
    case = read_series(tmp_path / "ct")
    with pytest.warns(UserWarning, match="BurnedInAnnotation"):
        files = write_series(case, tmp_path / "out", source=tmp_path / "ct" if with_source else None)
    for made in map(dcmread, files):
        assert made.BurnedInAnnotation == "YES" and made.PatientIdentityRemoved == "NO"
        assert "DeidentificationMethodCodeSequence" not in made and "Doe" not in str(made)
    assert read_series(tmp_path / "out").provenance["burned_in_annotation"] is True  # and it is carried on


def test_one_slice_with_burned_in_text_is_enough(tmp_path):
    save_stack(
        tmp_path / "ct", slices=3, change=lambda k, made: setattr(made, "BurnedInAnnotation", "YES" if k == 2 else "NO")
    )
    with pytest.warns(UserWarning, match="BurnedInAnnotation"):
        (first, *_) = write_series(read_series(tmp_path / "ct"), tmp_path / "out", source=tmp_path / "ct")
    assert dcmread(first).PatientIdentityRemoved == "NO"
