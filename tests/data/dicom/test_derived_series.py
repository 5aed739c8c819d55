"""A case written as a derived DICOM series: identity when read again, accepted by dciodvfy, nobody's name in it."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import torch
from dicom_files import FRAME_OF_REFERENCE, SERIES, STUDY, save_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from taskct.core.errors import InputError, OutputExistsError, UnitsError
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.dicom.dicom_info import inspect_series
from taskct.data.dicom.series import read_series

PHI = ("Doe", "Jane", "MRN-4711", "19700101", "20200102", "101112", "ACC-9", "Roe", "General Hospital", "Abdomen 2.0")


def phantom(shape=(3, 16, 20), spacing_mm=(2.5, 0.7, 0.8)) -> Case:
    hu = torch.randint(-1000, 2000, shape, generator=torch.Generator().manual_seed(0)).float()
    return Case(hu=hu, spacing_mm=spacing_mm, case_id="ball")


def dciodvfy_errors(paths) -> list[str]:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    found = []
    for path in paths:
        done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
        found += [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    return found


@pytest.fixture
def series(tmp_path):
    folder = tmp_path / "source"
    save_stack(folder)
    return folder


# --- laws


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 99),
    spacing_mm=st.tuples(st.floats(0.5, 5), st.floats(0.2, 2), st.floats(0.2, 2)),
    origin_mm=st.tuples(*[st.floats(-1500, 1500)] * 3),
)
def test_reading_what_was_written_is_the_identity(tmp_path_factory, seed, spacing_mm, origin_mm):
    hu = torch.randint(-32768, 32768, (3, 8, 9), generator=torch.Generator().manual_seed(seed)).float()
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = origin_mm
    case = Case(hu=hu, spacing_mm=spacing_mm, affine_mm=affine)
    folder = tmp_path_factory.mktemp("written") / "out"
    write_series(case, folder)
    again = read_series(folder)
    assert torch.equal(again.hu, hu)
    assert np.allclose(again.affine_mm, affine, rtol=0, atol=2e-9)  # DICOM holds numbers as texts of 16 characters


def test_a_read_series_written_and_read_again_is_the_same(series, tmp_path):
    case = read_series(series)
    write_series(case, tmp_path / "out", source=series)
    again = read_series(tmp_path / "out")
    assert torch.equal(again.hu, case.hu) and np.array_equal(again.affine_mm, case.affine_mm)
    assert again.spacing_mm == case.spacing_mm


def test_turned_slices_keep_their_orientation(tmp_path):
    save_stack(tmp_path / "source", slices=1, ImageOrientationPatient=[1, 0, 0, 0, 0.9272, -0.3746])
    case = read_series(tmp_path / "source")
    write_series(case, tmp_path / "out")
    assert np.allclose(read_series(tmp_path / "out").affine_mm, case.affine_mm, rtol=0, atol=1e-9)


def test_hu_are_rounded_to_the_nearest_whole_number(tmp_path):
    case = Case(hu=torch.full((1, 8, 8), 40.4), spacing_mm=(1, 1, 1))
    files = write_series(case, tmp_path / "out", method="FBP hann at 10 % dose")
    assert float(read_series(tmp_path / "out").hu[0, 0, 0]) == 40.0
    assert dcmread(files[0]).DerivationDescription == "FBP hann at 10 % dose; HU rounded to whole numbers"


# --- DICOM


@pytest.mark.parametrize("deidentify", [True, False])
def test_dciodvfy_finds_no_error_in_a_series_with_a_source(series, tmp_path, deidentify):
    case = read_series(series)
    assert dciodvfy_errors(write_series(case, tmp_path / "out", source=series, deidentify=deidentify)) == []


@pytest.mark.parametrize("deidentify", [True, False])
def test_dciodvfy_finds_no_error_in_a_phantom(tmp_path, deidentify):
    assert dciodvfy_errors(write_series(phantom(), tmp_path / "out", deidentify=deidentify)) == []


def test_a_derived_series_is_new_and_names_its_slices_of_origin(series, tmp_path):
    case = read_series(series)
    files = write_series(case, tmp_path / "out", source=series, deidentify=False, description="FBP 10 %")
    written = [dcmread(f) for f in files]
    assert [f.name for f in files] == [f"CT_{n:04d}.dcm" for n in range(1, 5)]
    assert list(written[0].ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert {d.StudyInstanceUID for d in written} == {STUDY} and {d.FrameOfReferenceUID for d in written} == {
        FRAME_OF_REFERENCE
    }
    assert len({d.SeriesInstanceUID for d in written}) == 1 and written[0].SeriesInstanceUID != SERIES
    assert len({d.SOPInstanceUID for d in written}) == 4
    for number, d in enumerate(written):  # the fixture numbers its instances with z
        assert [s.ReferencedSOPInstanceUID for s in d.SourceImageSequence] == [f"{SERIES}.{number + 1}"]
        assert d.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES
        assert d.InstanceNumber == number + 1 and d.KVP == 120 and d.PatientID == "MRN-4711"
    assert written[0].SeriesDescription == "FBP 10 %" and "PixelPaddingValue" not in written[0]
    assert [e.Manufacturer for e in written[0].ContributingEquipmentSequence] == ["SIEMENS", "taskct"]


def test_datasets_in_memory_serve_as_source(series, tmp_path):
    case = read_series(series)
    files = write_series(case, tmp_path / "out", source=[dcmread(f) for f in sorted(series.iterdir())], deidentify=False)
    assert dcmread(files[2]).SourceImageSequence[0].ReferencedSOPInstanceUID == f"{SERIES}.3"


# --- de-identification


def test_by_default_nothing_of_the_patient_is_written(series, tmp_path):
    case = read_series(series)
    for path in write_series(case, tmp_path / "out", source=series):
        data = path.read_bytes()
        for word in (*PHI, STUDY, SERIES, FRAME_OF_REFERENCE):
            padded = word.encode() + b"\0" * (len(word) % 2)
            assert (word.encode() if word in PHI else padded) not in data, word
        written = dcmread(path)
        assert written.PatientIdentityRemoved == "YES"
        assert written.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert written.PatientBirthDate == "" and written.StudyDate == ""


def test_uids_are_replaced_by_the_same_ones_each_time(series, tmp_path):
    case = read_series(series)
    one = [dcmread(f) for f in write_series(case, tmp_path / "one", source=series)]
    two = [dcmread(f) for f in write_series(case, tmp_path / "two", source=series)]
    bare = [dcmread(f) for f in write_series(case, tmp_path / "bare")]  # the case remembers its study
    assert one[0].StudyInstanceUID == two[0].StudyInstanceUID == bare[0].StudyInstanceUID != STUDY
    assert one[0].FrameOfReferenceUID == two[0].FrameOfReferenceUID == bare[0].FrameOfReferenceUID != FRAME_OF_REFERENCE
    assert one[0].PatientID == two[0].PatientID == bare[0].PatientID
    assert one[0].SeriesInstanceUID != two[0].SeriesInstanceUID
    references = [[d.SourceImageSequence[0].ReferencedSOPInstanceUID for d in s] for s in (one, two)]
    assert references[0] == references[1] and len(set(references[0])) == 4


# --- refusals


def test_an_existing_series_is_not_overwritten_unasked(tmp_path):
    write_series(phantom(), tmp_path / "out")
    with pytest.raises(OutputExistsError, match="overwrite"):
        write_series(phantom(), tmp_path / "out")
    write_series(phantom((2, 16, 20)), tmp_path / "out", overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_the_source_is_never_overwritten(series):
    case = read_series(series)
    for target in (series, series.parent):
        with pytest.raises(InputError, match="holds the source series"):
            write_series(case, target, overwrite=True)
    assert len(list(series.iterdir())) == 4


@pytest.mark.parametrize("value", [float("nan"), 40000.0, -33000.0])
def test_values_that_int16_cannot_hold_are_refused(tmp_path, value):
    hu = torch.zeros(1, 8, 8)
    hu[0, 0, 0] = value
    with pytest.raises(UnitsError, match=r"(?i)case"):
        write_series(Case(hu=hu, spacing_mm=(1, 1, 1)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_texts_that_dicom_cannot_hold_are_refused(tmp_path):
    for text in ("x" * 65, "a\\b", "a\nb"):
        with pytest.raises(InputError, match="64 printable"):
            write_series(phantom(), tmp_path / "out", description=text)


def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch):
    from taskct.data.dicom import derived_series as write

    calls = iter(range(10))

    def failing(*args, **kwargs):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    real = write._slice
    monkeypatch.setattr(write, "_slice", failing)
    with pytest.raises(KeyboardInterrupt):
        write_series(phantom(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# --- info


def test_info_describes_each_series_and_says_what_is_odd(tmp_path):
    save_stack(tmp_path / "a")
    save_stack(tmp_path / "b", slices=2, SeriesInstanceUID="1.2.9", SeriesDescription="Bad", RescaleSlope=None)
    infos = {info.description: info for info in inspect_series(tmp_path)}
    good, bad = infos["Abdomen 2.0"], infos["Bad"]
    assert good.readable and good.shape == (4, 16, 20) and good.spacing_mm == (2.0, 0.75, 0.5)
    assert good.orientation == "SPL" and good.kernel == "Br38f" and good.kvp == 120 and good.oddities == ()
    assert good.hu_range is not None and -1024 <= good.hu_range[0] < good.hu_range[1] <= 1476
    assert not bad.readable and any("RescaleSlope is missing" in oddity for oddity in bad.oddities)


def test_info_does_not_fail_on_a_gap(tmp_path):
    save_stack(tmp_path, slices=5)
    (tmp_path / "IM002").unlink()
    (info,) = inspect_series(tmp_path)
    assert info.slices == 4 and not info.readable and "missing" in info.oddities[0]
    assert str(tmp_path) not in info.oddities[0]


def test_overwrite_replaces_only_slices_that_were_written_here(tmp_path, series):
    ours = tmp_path / "ours"
    write_series(phantom(), ours)
    (ours / "notes.txt").write_text("kept")
    (tmp_path / "nested" / "below").mkdir(parents=True)
    for folder in (series, ours, tmp_path / "nested"):  # somebody's series, a series with a stray file, a tree
        before = sorted(folder.rglob("*"))
        with pytest.raises(OutputExistsError, match="not a slice that taskct wrote"):
            write_series(phantom(), folder, overwrite=True)
        assert sorted(folder.rglob("*")) == before
