"""Header and pose file together: both named where they contradict, one trusted where that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import radiograph_files as files
from small_pair import (
    BODY,
    BOTH,
    DETECTOR,
    GRID,
    ISO,
    PIXEL,
    P,
    dicom_pair,
)

from taskct import Projector
from taskct.core.errors import ConfigError, InputError
from taskct.data.radiographs import PoseFile, ViewPose, check_radiographs, read_radiographs
from taskct.data.radiographs.film_values import read_film
from taskct.data.radiographs.view_facts import view_facts


def test_a_pose_file_that_contradicts_the_header_is_refused_with_both_named_unless_one_is_trusted(tmp_path: Path) -> None:
    pair = dicom_pair(tmp_path)
    wrong = replace(BOTH, frontal=replace(BOTH.frontal, source_detector_mm=1200.0, angle_deg=10.0))
    found = check_radiographs(*pair, poses=wrong)
    assert any("source_detector_mm is 1200 in the pose file and 1000 by DistanceSourceToDetector" in p for p in found.problems)
    assert any("angle_deg is 10 in the pose file and 0 by PositionerPrimaryAngle" in p for p in found.problems)
    by_header = read_radiographs(*pair, poses=wrong, trust="header")
    assert float((Projector(GRID, by_header.beam)(BODY) - P).abs().max()) < 1e-3
    by_file = read_radiographs(*pair, poses=wrong, trust="poses")
    assert by_file.about["frontal"]["source_detector_mm"] == 1200.0
    assert any("pose file was trusted" in note for note in by_file.notes)
    with pytest.raises(ConfigError, match="trust expects"):
        read_radiographs(*pair, poses=wrong, trust="both")


def test_a_view_position_says_only_from_which_side(tmp_path: Path) -> None:
    facts = {"ImagerPixelSpacing": [PIXEL, PIXEL], "DistanceSourceToDetector": DETECTOR}
    pair = [
        files.write_dicom(tmp_path / f"{k}.dcm", files.counts_of(P[0, 0, k]), modality="CR", ViewPosition=v, **facts)
        for k, v in enumerate(("AP", "RL"))
    ]
    near = PoseFile(frontal=replace(BOTH.frontal, angle_deg=8.0), lateral=BOTH.lateral)
    assert read_radiographs(*pair, poses=near).about["frontal"]["angle_deg"] == 8.0
    far = PoseFile(frontal=replace(BOTH.frontal, angle_deg=180.0), lateral=BOTH.lateral)
    with pytest.raises(InputError, match="180 in the pose file and 0 by ViewPosition"):
        read_radiographs(*pair, poses=far)


def test_a_tilt_that_the_header_does_not_state_is_assumed_and_said_and_contradicts_nothing(tmp_path: Path) -> None:
    pair = dicom_pair(tmp_path, PositionerSecondaryAngle=None)
    found = read_radiographs(*pair)
    assert found.about["frontal"]["tilt_deg"] == 0.0 and sum("tilt_deg is not given" in note for note in found.notes) == 2
    tilted = PoseFile(frontal=replace(BOTH.frontal, tilt_deg=10.0), lateral=replace(BOTH.lateral, tilt_deg=10.0))
    found = read_radiographs(*pair, poses=tilted)
    assert found.about["frontal"]["tilt_deg"] == 10.0 and not any("tilt_deg" in note for note in found.notes)


@pytest.mark.parametrize(
    ("header", "name", "value", "words"),
    [
        (
            {"ViewPosition": "PA"},
            "angle_deg",
            1.0,
            "PositionerPrimaryAngle 180 puts the source at angle_deg 0, ViewPosition PA",
        ),
        ({"ViewPosition": "LL"}, "angle_deg", 0.0, "at angle_deg 0, ViewPosition LL at -90"),
        ({"EstimatedRadiographicMagnificationFactor": 1.2}, "source_iso_mm", ISO, "Factor 1.2 makes it 833.333"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused_unless_the_pose_file_decides(
    tmp_path: Path, header: dict[str, object], name: str, value: float, words: str
) -> None:
    pair = dicom_pair(tmp_path)
    facts = {**files.xa(ISO, DETECTOR, PIXEL, 180.0), **header}
    pair[0] = files.write_dicom(tmp_path / "odd.dcm", files.counts_of(P[0, 0, 0]), **facts)
    with pytest.raises(InputError, match=f"frontal: .*{words}.*; state {name} in the pose file"):
        read_radiographs(*pair)
    stated = read_radiographs(*pair, poses=PoseFile(frontal=ViewPose(**{name: value})))
    assert stated.about["frontal"][name] == value and any(f"; {value:g} of the pose file was taken" in n for n in stated.notes)
    assert any("was taken, as asked" in n for n in read_radiographs(*pair, trust="header").notes)


@pytest.mark.parametrize(
    ("header", "name", "second", "neither"),
    [
        ({"ViewPosition": "PA"}, "angle_deg", (180.0, -175.0, -180.0), (90.0, 60.0)),
        ({"EstimatedRadiographicMagnificationFactor": 1.2}, "source_iso_mm", (DETECTOR / 1.2, 840.0), (900.0, 500.0)),
    ],
)
def test_a_pose_file_decides_for_either_of_two_attributes_that_differ_and_for_no_third_number(
    tmp_path: Path, header: dict[str, object], name: str, second: tuple[float, ...], neither: tuple[float, ...]
) -> None:
    facts = {**files.xa(ISO, DETECTOR, PIXEL, 180.0), **header}
    film = read_film(files.write_dicom(tmp_path / "odd.dcm", files.counts_of(P[0, 0, 0]), **facts))
    for value in second:
        found = view_facts("frontal", ViewPose(**{name: value}), film.header, trust=None)
        assert not found.contradictions and found.values[name] == value
        assert any(f"{value:g} of the pose file was taken" in note for note in found.notes)
    for value in neither:
        found = view_facts("frontal", ViewPose(**{name: value}), film.header, trust=None)
        assert any(f"{name} is {value:g} in the pose file and" in said for said in found.contradictions)


@pytest.mark.parametrize("header", [{"ViewPosition": "AP"}, {"EstimatedRadiographicMagnificationFactor": 1.4}])
def test_a_header_that_says_one_thing_twice_and_rounded_is_taken(tmp_path: Path, header: dict[str, object]) -> None:
    pair = dicom_pair(tmp_path)
    pair[0] = files.write_dicom(
        tmp_path / "same.dcm", files.counts_of(P[0, 0, 0]), **{**files.xa(ISO, DETECTOR, PIXEL, 170.0), **header}
    )
    assert read_radiographs(*pair).about["frontal"]["angle_deg"] == -10.0
