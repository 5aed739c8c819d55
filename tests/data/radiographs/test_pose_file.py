"""What is missing is named and can be filled in; unknown keys say what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import radiograph_files as files
from small_pair import (
    BOTH,
    DETECTOR,
    ISO,
    PIXEL,
    P,
    dicom_pair,
)

from taskct.core.errors import ConfigError, InputError
from taskct.data.radiographs import check_radiographs, read_radiographs


def test_a_missing_pose_is_named_and_the_filled_in_file_holds_what_the_header_knows(tmp_path: Path) -> None:
    facts = {"ImagerPixelSpacing": [PIXEL, PIXEL], "DistanceSourceToDetector": DETECTOR, "ViewPosition": "AP"}
    first = files.write_dicom(tmp_path / "a.dcm", files.counts_of(P[0, 0, 0]), modality="DX", **facts)
    second = files.write_png(tmp_path / "b.png", files.counts_of(P[0, 0, 1]))
    found = check_radiographs(first, second, grey="auto")
    assert found.pair is None and "cannot be reconstructed" in found.text
    assert any("frontal" in p and "no pose" in p and p.count("source_iso_mm") == 1 for p in found.problems)
    assert any("lateral" in p and "angle_deg" in p for p in found.problems)
    assert "source_detector_mm = 1000.0  # DistanceSourceToDetector" in found.filled
    assert "# source_iso_mm = ?  # TO FILL IN" in found.filled and "angle_deg = 0.0  # ViewPosition" in found.filled
    filled = found.filled.replace("# source_iso_mm = ?", "source_iso_mm = 700.0").replace(
        "# angle_deg = ?", "angle_deg = 90.0"
    )
    filled = filled.replace("# source_detector_mm = ?", "source_detector_mm = 1000.0").replace(
        "# pixel_mm = ?", "pixel_mm = 9.0"
    )
    (tmp_path / "poses.toml").write_text(filled)
    with pytest.raises(InputError, match="what its grey levels mean"):
        read_radiographs(first, second, poses=tmp_path / "poses.toml")
    assert read_radiographs(first, second, poses=tmp_path / "poses.toml", grey="intensity").beam.views == 2
    with pytest.raises(InputError, match=r"no pose.*and 2 more"):
        read_radiographs(first, second)


def test_what_was_assumed_is_no_statement_in_a_filled_in_file_and_is_said_again(tmp_path: Path) -> None:
    facts = {"ImagerPixelSpacing": [PIXEL, PIXEL], "DistanceSourceToDetector": DETECTOR}
    facts |= {"EstimatedRadiographicMagnificationFactor": DETECTOR / ISO}
    pair = [
        files.write_dicom(tmp_path / f"{k}.dcm", files.counts_of(P[0, 0, k]), modality="DX", ViewPosition=side, **facts)
        for k, side in enumerate(("AP", "RL"))
    ]
    found = check_radiographs(*pair)
    poses = tmp_path / "poses.toml"
    poses.write_text(found.filled)
    assert {note for note in found.notes if "ViewPosition" in note or "tilt_deg" in note} <= set(
        read_radiographs(*pair, poses=poses).notes
    )
    guesses = lambda filled: [line for line in filled.splitlines() if line.startswith("# ")]
    assert len(guesses(found.filled)) == 4  # an angle and a tilt of each view
    assert guesses(check_radiographs(*pair, poses=poses).filled) == guesses(found.filled)


def test_a_pixel_that_is_corrected_in_a_filled_in_file_stays_square(tmp_path: Path) -> None:
    pair = [files.write_png(tmp_path / f"{k}.png", files.counts_of(P[0, 0, k])) for k in (0, 1)]
    poses = tmp_path / "poses.toml"
    poses.write_text(
        check_radiographs(*pair, poses=BOTH, grey="intensity").filled.replace(f"pixel_mm = {PIXEL}", "pixel_mm = 8.0")
    )
    about = read_radiographs(*pair, poses=poses, grey="intensity").about
    assert about["frontal"]["pixel_mm"] == about["frontal"]["row_mm"] == 8.0


def test_an_unknown_key_of_the_pose_file_says_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "poses.toml").write_text("schema = 1\n[frontal]\nsource_iso = 700.0\n")
    with pytest.raises(
        ConfigError, match=r"poses.toml: unknown setting in \[frontal\] 'source_iso'; did you mean 'source_iso_mm'"
    ):
        read_radiographs(*dicom_pair(tmp_path), poses=tmp_path / "poses.toml")
    (tmp_path / "poses.toml").write_text("schema = 1\n[lateral]\npixel_mm = -0.2\n")
    with pytest.raises(ConfigError, match="pixel_mm: expected a length in mm above 0"):
        read_radiographs(*dicom_pair(tmp_path), poses=tmp_path / "poses.toml")
