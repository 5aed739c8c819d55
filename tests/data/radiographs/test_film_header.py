"""Terms of DICOM that are easily mistaken: whose angle it is, and to where a distance runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import radiograph_files as files
from small_pair import (
    BODY,
    DETECTOR,
    GRID,
    ISO,
    PIXEL,
    P,
    dicom_pair,
    pose,
    views,
)

from taskct import Projector
from taskct.data.radiographs import check_radiographs, read_radiographs


@pytest.mark.parametrize(
    ("angle", "tilt", "primary", "secondary"), [(30.0, 0.0, -150.0, 0.0), (-60.0, 15.0, 120.0, -15.0), (180.0, 0.0, 0.0, 0.0)]
)
def test_positioner_angles_are_those_of_the_detector_so_the_source_is_opposite(
    tmp_path: Path, angle: float, tilt: float, primary: float, secondary: float
) -> None:
    taken = views(pose(angle, tilt), pose(angle + 90))
    p = taken(BODY)
    first = files.write_dicom(
        tmp_path / "a.dcm", files.counts_of(p[0, 0, 0]), **files.xa(ISO, DETECTOR, PIXEL, primary, secondary)
    )
    second = files.write_dicom(tmp_path / "b.dcm", files.counts_of(p[0, 0, 1]), **files.xa(ISO, DETECTOR, PIXEL, primary + 90))
    pair = read_radiographs(first, second)
    assert float((Projector(GRID, pair.beam)(BODY) - p).abs().max()) < 1e-3
    assert float((pair.p - p).abs().max()) < 0.01


def test_the_distance_to_the_bucky_is_not_taken_for_the_isocentre(tmp_path: Path) -> None:
    facts = {"ImagerPixelSpacing": [PIXEL, PIXEL], "DistanceSourceToDetector": DETECTOR, "DistanceSourceToPatient": 950.0}
    pair = [
        files.write_dicom(tmp_path / f"{k}.dcm", files.counts_of(P[0, 0, k]), modality="DX", ViewPosition=v, **facts)
        for k, v in enumerate(("AP", "RL"))
    ]
    found = check_radiographs(*pair)
    assert all("source_iso_mm" in p for p in found.problems) and any("table or bucky" in n for n in found.notes)
    gain = [
        files.write_dicom(
            tmp_path / f"g{k}.dcm",
            files.counts_of(P[0, 0, k]),
            modality="DX",
            ViewPosition=v,
            EstimatedRadiographicMagnificationFactor=DETECTOR / ISO,
            **facts,
        )
        for k, v in enumerate(("AP", "RL"))
    ]
    assert abs(read_radiographs(*gain).about["frontal"]["source_iso_mm"] - ISO) < 0.1


@pytest.mark.parametrize(
    ("header", "lacks"),
    [
        ({"ImagerPixelSpacing": [0, 0]}, "pixel_mm"),
        ({"ImagerPixelSpacing": [-PIXEL, PIXEL]}, "pixel_mm"),
        ({"DistanceSourceToDetector": -DETECTOR}, "source_detector_mm"),
        ({"DistanceSourceToPatient": -ISO}, "source_iso_mm"),
        ({"PositionerPrimaryAngle": 65535}, "angle_deg"),
    ],
)
def test_lengths_that_are_none_are_missing_and_said(tmp_path: Path, header: dict[str, object], lacks: str) -> None:
    found = check_radiographs(*dicom_pair(tmp_path, **header))
    assert all(f"do not say {lacks}" in problem for problem in found.problems) and len(found.problems) == 2
    assert sum("is not used: expected" in note for note in found.notes) == 2
    assert f"# {lacks} = ?" in found.filled


@pytest.mark.parametrize("header", [{"FieldOfViewRotation": 45}, {"PatientOrientation": ["X", "Y"]}])
def test_turns_and_directions_that_are_none_are_said(tmp_path: Path, header: dict[str, object]) -> None:
    found = check_radiographs(*dicom_pair(tmp_path, **header))
    assert found.pair is not None and sum("is not used: expected" in note for note in found.notes) == 2


@pytest.mark.parametrize(
    ("header", "months"),
    [
        ({"PatientAge": "007M"}, (7, 8)),
        ({"PatientAge": "002Y"}, (24, 36)),
        ({"PatientAge": "young"}, None),
        ({"PatientBirthDate": "20200101", "StudyDate": "20210101"}, (12.02, 12.02)),
        ({"PatientBirthDate": "20220101", "StudyDate": "20210101"}, None),
        ({"PatientBirthDate": "2020", "StudyDate": "20210101"}, None),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_an_age_is_that_of_the_header_or_of_its_dates(
    tmp_path: Path, header: dict[str, object], months: tuple[float, float] | None
) -> None:
    found = read_radiographs(*dicom_pair(tmp_path, **header)).age_months
    assert found == (None if months is None else pytest.approx(months, abs=0.01))
