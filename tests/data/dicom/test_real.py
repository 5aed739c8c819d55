"""Real and odd CT files: what is read equals another reader's numbers, what is refused says why, and the docs say so."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT
from pydicom import dcmread

from taskct.core.errors import TaskctError
from taskct.data.dicom.derived_series import write_series
from taskct.data.dicom.dicom_info import inspect_series
from taskct.data.dicom.dicom_padding import fill_outside
from taskct.data.dicom.parse import looks_like_dicom
from taskct.data.dicom.series import read_series

pytestmark = pytest.mark.real_data
DOCS = ROOT / "docs"
REFERENCE = "cornerstonejs+cornerstoneWADOImageLoader/CTImage.dcm"


def odd_files(real_data: Path) -> list[Path]:
    return sorted(p for p in (real_data / "dicom_odd_open").rglob("*") if p.is_file() and looks_like_dicom(p))


def test_every_odd_file_that_is_read_has_the_numbers_another_reader_gives(real_data):
    simpleitk = pytest.importorskip("SimpleITK")
    simpleitk.ProcessObject.SetGlobalWarningDisplay(False)
    compared = 0
    for path in odd_files(real_data):
        try:
            case = read_series(path)
        except TaskctError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            continue
        theirs = simpleitk.GetArrayFromImage(simpleitk.ReadImage(str(path))).astype(np.float32)
        theirs = fill_outside(theirs.reshape(case.hu.shape))[0]
        if "VR-UN" in path.name:
            theirs = theirs[:, ::-1]  # its rows run from back to front
        assert np.array_equal(case.hu.numpy(), theirs), path.name
        compared += 1
    assert compared == 27


@pytest.mark.parametrize(
    ("part", "most_hu"),
    [
        ("BigEndian", 0),
        ("Deflated", 0),
        ("LittleEndianExplicit", 0),
        ("RLELossless", 0),
        ("JPEG2000Lossless", 0),
        ("JPEGLSLossless", 0),
        ("JPEGLSLossy", 1),  # near-lossless by 1
        ("JPEG2000Transfer", 5),  # as measured, and noted as lossy
        ("JPEGProcess1T", 65),  # 8 bits of 32 HU
    ],
)
def test_one_slice_in_every_form_is_the_same_slice(real_data, part, most_hu):
    folder = real_data / "dicom_odd_open"
    case = read_series(folder / REFERENCE)
    (path,) = [p for p in odd_files(real_data) if part in p.name]
    other = read_series(path)
    assert float((case.hu - other.hu).abs().max()) <= most_hu
    assert other.provenance["lossy"] is (most_hu > 0)


def test_the_page_of_odd_files_is_what_its_script_writes(real_data):
    if importlib.util.find_spec("libjpeg") or importlib.util.find_spec("gdcm"):
        pytest.skip("a decoder for JPEG lossless is installed: more files are read than the page says")
    script = DOCS / "make_dicom_table.py"
    done = subprocess.run(
        [sys.executable, str(script), str(real_data / "dicom_odd_open")], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout == (DOCS / "dicom_odd_files.md").read_text(encoding="utf-8")


def test_a_real_series_is_described(real_data):
    (info,) = inspect_series(real_data / "dicom_totalseg_siemens_j2k")
    assert info.readable and info.shape == (20, 512, 512) and info.spacing_mm == (2.0, 0.9765625, 0.9765625)
    assert info.hu_range == (-1024.0, 1839.0) and info.kernel == "Br38f / 3"
    assert info.oddities == (
        "beside the slices, not read since not DICOM: SOURCE.md",
        "SeriesInstanceUID is missing or empty",
    )


@pytest.mark.parametrize("deidentify", [True, False])
@pytest.mark.parametrize("name", ["dicom_totalseg_siemens_j2k", "dicom_seg_liver_3slice"])
def test_a_series_derived_from_a_real_one_has_no_dciodvfy_error(real_data, tmp_path, name, deidentify):
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    case = read_series(real_data / name)
    files = write_series(case, tmp_path / "out", source=real_data / name, description="FBP", deidentify=deidentify)
    assert torch.equal(read_series(tmp_path / "out").hu, case.hu)
    for path in files:
        done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
        assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
        written = dcmread(path)
        assert "InstitutionAddress" not in written and "RequestingPhysician" not in written  # both stand in a source
