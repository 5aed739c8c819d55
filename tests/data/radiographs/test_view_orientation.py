"""Pictures that lie on their side, mirrored or upside down are brought the right way up, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import radiograph_files as files
from small_pair import (
    BODY,
    DETECTOR,
    GRID,
    ISO,
    PIXEL,
    ROWS,
    dicom_pair,
    pose,
)

from taskct import Projector
from taskct.core.errors import InputError
from taskct.data.radiographs import PoseFile, ViewPose, check_radiographs, read_radiographs
from taskct.geometry.radiographs import radiograph_beam


@pytest.mark.parametrize(
    ("turn", "letters"),
    [
        (lambda v: v, ["L", "F"]),
        (lambda v: v[:, ::-1], ["R", "F"]),
        (lambda v: v[::-1], ["L", "H"]),
        (lambda v: np.rot90(v, 1), ["F", "R"]),
        (lambda v: np.rot90(v, -1), ["H", "L"]),
        (lambda v: np.rot90(v[:, ::-1], -1), ["H", "R"]),
    ],
)
def test_patient_orientation_brings_a_picture_the_right_way_up(tmp_path: Path, turn: Any, letters: list[str]) -> None:
    taken = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=ROWS, cols=ROWS, pixel_mm=PIXEL))
    p = taken(BODY)
    first = files.write_dicom(
        tmp_path / "a.dcm",
        np.ascontiguousarray(turn(files.counts_of(p[0, 0, 0]))),
        PatientOrientation=letters,
        **files.xa(ISO, DETECTOR, PIXEL, 180.0),
    )
    second = files.write_dicom(
        tmp_path / "b.dcm",
        files.counts_of(p[0, 0, 1]),
        PatientOrientation=["P", "F"],
        **files.xa(ISO, DETECTOR, PIXEL, -90.0),
    )
    pair = read_radiographs(first, second)
    assert float((pair.p - p).abs().max()) < 0.01
    assert any("PatientOrientation" in note for note in pair.notes)


def test_the_fields_own_flip_and_turn_are_undone_and_the_pose_file_has_its_say(tmp_path: Path) -> None:
    taken = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=ROWS, cols=ROWS, pixel_mm=PIXEL))
    p = taken(BODY)
    upright = [files.counts_of(p[0, 0, k]) for k in range(2)]
    lying = np.rot90(upright[0], -1)[:, ::-1]  # turned clockwise, then mirrored
    facts = {"FieldOfViewRotation": 90, "FieldOfViewHorizontalFlip": "YES"}
    first = files.write_dicom(
        tmp_path / "a.dcm", np.ascontiguousarray(lying), **facts, **files.xa(ISO, DETECTOR, PIXEL, 180.0)
    )
    second = files.write_dicom(tmp_path / "b.dcm", upright[1][:, ::-1].copy(), **files.xa(ISO, DETECTOR, PIXEL, -90.0))
    told = PoseFile(lateral=ViewPose(flip_columns=True))
    assert float((read_radiographs(first, second, poses=told).p - p).abs().max()) < 0.01


def test_an_orientation_that_does_not_fit_the_angle_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"PatientOrientation L.F does not fit a source at angle_deg 90"):
        read_radiographs(*dicom_pair(tmp_path, PatientOrientation=["L", "F"]))
    told = PoseFile(frontal=ViewPose(flip_columns=True))
    first, second = dicom_pair(tmp_path, PatientOrientation=["L", "F"])
    found = check_radiographs(first, second, poses=told)
    assert any("mirrored columns by the pose file, but as it lies by PatientOrientation" in p for p in found.problems)
