"""A user's pair: read as it was taken, whatever file and way it lies; refused by name where it is not sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import radiograph_files as files
import torch

from taskct import Grid, Projector
from taskct.core.errors import ConfigError, FileFormatError, InputError, UnsupportedDataError
from taskct.data.radiographs import PoseFile, ViewPose, check_radiographs, read_radiographs
from taskct.geometry.radiographs import RadiographPose, radiograph_beam

ISO, DETECTOR, PIXEL = 700.0, 1000.0, 9.0
ROWS, COLS = 30, 28
GRID = Grid((16, 16, 16), 10.0)


def views(*poses: RadiographPose) -> Projector:
    return Projector(GRID, radiograph_beam(poses, rows=ROWS, cols=COLS, pixel_mm=PIXEL))


def pose(angle: float, tilt: float = 0.0) -> RadiographPose:
    return RadiographPose(source_iso_mm=ISO, source_detector_mm=DETECTOR, angle_deg=angle, tilt_deg=tilt)


def body() -> torch.Tensor:
    """An ellipsoid with a dense lump at the front, the left and the top, so that no flip goes unseen: (1, 1, Z, Y, X)."""
    line = (torch.arange(16) - 7.5) * 10.0
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    mu = 0.02 * (((z / 60) ** 2 + (y / 66) ** 2 + (x / 52) ** 2) < 1)
    lump = ((z - 25) ** 2 + (y + 25) ** 2 + (x - 18) ** 2) < 18**2
    return (mu + 0.03 * lump)[None, None].float()


BODY = body()
A = views(pose(0), pose(90))
P = A(BODY)
BOTH = PoseFile(
    frontal=ViewPose(source_iso_mm=ISO, source_detector_mm=DETECTOR, pixel_mm=PIXEL, angle_deg=0.0, air_value=files.AIR),
    lateral=ViewPose(source_iso_mm=ISO, source_detector_mm=DETECTOR, pixel_mm=PIXEL, angle_deg=90.0, air_value=files.AIR),
)


def dicom_pair(folder: Path, p: torch.Tensor = P, primary: tuple[float, float] = (180.0, -90.0), **more: Any) -> list[Path]:
    """Both views as XA."""
    return [
        files.write_dicom(
            folder / f"{k}.dcm", files.counts_of(p[0, 0, k]), **{**files.xa(ISO, DETECTOR, PIXEL, angle), **more}
        )
        for k, angle in enumerate(primary)
    ]


def test_an_angiography_pair_needs_no_pose_file_and_its_line_integrals_and_beam_come_back(tmp_path: Path) -> None:
    pair = read_radiographs(*dicom_pair(tmp_path))
    assert pair.meaning == "line integral" and pair.patient.startswith("patient-")
    assert float((pair.p - P).abs().max()) < 0.01  # 16 bits, and air taken as the brightest pixels
    again = Projector(GRID, pair.beam)(BODY)
    assert float((again - P).abs().max()) < 1e-4
    assert any("air_value" in note for note in pair.notes)
    assert abs(pair.field_mm - 2 * (COLS * PIXEL / 2) * ISO / DETECTOR) < 40  # a cube's corners lie nearer the source


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


@pytest.mark.parametrize("kind", ["png", "nifti"])
def test_pictures_without_a_header_are_read_with_a_pose_file(tmp_path: Path, kind: str) -> None:
    names = []
    for k in range(2):
        if kind == "png":
            names.append(files.write_png(tmp_path / f"{k}.png", files.counts_of(P[0, 0, k])))
        else:
            names.append(files.write_nifti_picture(tmp_path / f"{k}.nii.gz", files.picture_of(P[0, 0, k])))
    pair = read_radiographs(*names, poses=BOTH, grey="intensity" if kind == "png" else "line integral")
    assert float((pair.p - P).abs().max()) < 0.01 and pair.patient == ""
    assert float((Projector(GRID, pair.beam)(BODY) - P).abs().max()) < 1e-4
    assert any("of one patient was assumed" in note for note in pair.notes)


def test_eight_bit_films_are_taken_with_unknown_gain_and_say_so(tmp_path: Path) -> None:
    names = []
    for k in range(2):
        film = files.picture_of(P[0, 0, k])
        names.append(files.write_png(tmp_path / f"{k}.png", np.round(255 * film / film.max()).astype(np.uint8)))
    pair = read_radiographs(*names, poses=BOTH, grey="bright absorbs")
    assert pair.meaning == "film" and any("gain and offset" in note for note in pair.notes)
    flat = torch.stack([pair.p.flatten(2)[0, 0], P.flatten(2)[0, 0]])
    assert float(torch.corrcoef(flat)[0, 1]) > 0.98
    dark = [files.write_png(tmp_path / f"d{k}.png", 255 - np.asarray(_read(names[k]))) for k in range(2)]
    assert torch.allclose(read_radiographs(*dark, poses=BOTH, grey="dark absorbs").p, pair.p, atol=1e-6)


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


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


def test_pictures_are_averaged_as_intensities_and_an_odd_rest_moves_the_detectors_centre(tmp_path: Path) -> None:
    fine = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=4 * 15 + 1, cols=4 * 14 + 3, pixel_mm=PIXEL / 2))
    p = fine(BODY)
    pair = read_radiographs(*_write(tmp_path, p, PIXEL / 2), pixels=16)
    assert pair.p.shape[-2:] == (15, 14)
    counts = np.exp(-p[0, 0, 0].double().numpy())[0:60, 1:57].reshape(15, 4, 14, 4).mean((1, 3))
    assert np.abs(pair.p[0, 0, 0].double().numpy() + np.log(counts)).max() < 0.01
    centre = np.asarray(pair.beam.detector_mm[0])
    assert np.allclose(centre - np.asarray(fine.beam.detector_mm[0]), [-0.5 * PIXEL / 2, 0, -0.5 * PIXEL / 2], atol=1e-9)


def _write(folder: Path, p: torch.Tensor, pixel: float, **more: Any) -> list[Path]:
    return [
        files.write_dicom(folder / f"{k}.dcm", files.counts_of(p[0, 0, k]), **{**files.xa(ISO, DETECTOR, pixel, a), **more})
        for k, a in enumerate((180.0, -90.0))
    ]


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


def test_two_patients_are_refused_without_naming_them_unless_they_are_said_to_be_one(tmp_path: Path) -> None:
    first, _ = dicom_pair(tmp_path)
    second = files.write_dicom(
        tmp_path / "c.dcm", files.counts_of(P[0, 0, 1]), PatientID="MRN-2", **files.xa(ISO, DETECTOR, PIXEL, -90.0)
    )
    with pytest.raises(InputError, match="two patients") as refused:
        read_radiographs(first, second)
    assert "MRN" not in str(refused.value) and "Doe" not in str(refused.value)
    pair = read_radiographs(first, second, same_patient=True)
    assert any("taken as one, as asked" in note for note in pair.notes)


def test_radiographs_of_different_sizes_are_refused(tmp_path: Path) -> None:
    first, second = dicom_pair(tmp_path)
    small = files.write_dicom(tmp_path / "s.dcm", files.counts_of(P[0, 0, 1])[2:-2], **files.xa(ISO, DETECTOR, PIXEL, -90.0))
    with pytest.raises(InputError, match=r"different sizes: .* 30 x 28 and .* 26 x 28"):
        read_radiographs(first, small)
    assert read_radiographs(first, second)


def test_inverted_grey_levels_are_refused(tmp_path: Path) -> None:
    pair = dicom_pair(tmp_path)
    inverted = [
        files.write_dicom(tmp_path / f"i{k}.dcm", files.AIR - files.counts_of(P[0, 0, k]), **files.xa(ISO, DETECTOR, PIXEL, a))
        for k, a in enumerate((180.0, -90.0))
    ]
    with pytest.raises(InputError, match="look inverted"):
        read_radiographs(*inverted)
    as_said = [
        files.write_dicom(
            tmp_path / f"n{k}.dcm",
            2**16 - 1 - files.counts_of(P[0, 0, k]),
            PixelIntensityRelationshipSign=-1,
            PhotometricInterpretation="MONOCHROME1",
            **files.xa(ISO, DETECTOR, PIXEL, a),
        )
        for k, a in enumerate((180.0, -90.0))
    ]
    assert torch.allclose(read_radiographs(*as_said).p, read_radiographs(*pair).p, atol=1e-3)


def test_images_for_presentation_are_no_line_integrals_unless_they_are_asked_for(tmp_path: Path) -> None:
    shown = {"PresentationIntentType": "FOR PRESENTATION", "PixelIntensityRelationship": None}
    shown |= {"PixelIntensityRelationshipSign": None, "PhotometricInterpretation": "MONOCHROME1"}
    pair = dicom_pair(tmp_path, **shown)
    with pytest.raises(InputError, match="FOR PRESENTATION"):
        read_radiographs(*pair)
    with pytest.raises(InputError, match="FOR PRESENTATION"):
        read_radiographs(*pair, grey="intensity")
    taken = read_radiographs(*pair, grey="presentation")
    assert taken.meaning == "film" and any("FOR PRESENTATION image was taken" in note for note in taken.notes)
    with pytest.raises(InputError, match="is for DICOM whose PresentationIntentType"):
        read_radiographs(*dicom_pair(tmp_path), grey="presentation")


def test_logarithmic_values_are_films_whose_sign_is_followed(tmp_path: Path) -> None:
    made = []
    for sign, name in ((-1, "up"), (1, "down")):
        for k, a in enumerate((180.0, -90.0)):
            levels = 4000 * files.picture_of(P[0, 0, k])
            stored = np.round(levels if sign < 0 else 30000 - levels).astype(np.uint16)
            facts = {"PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": sign}
            made.append(files.write_dicom(tmp_path / f"{name}{k}.dcm", stored, **facts, **files.xa(ISO, DETECTOR, PIXEL, a)))
    up, down = read_radiographs(*made[:2]), read_radiographs(*made[2:])
    assert up.meaning == "film" and torch.allclose(up.p, down.p, atol=1e-3)
    with pytest.raises(InputError, match="PixelIntensityRelationship is LOG with sign 1"):
        read_radiographs(*made[2:], grey="bright absorbs")


def test_views_that_do_not_meet_or_look_the_same_way_are_refused(tmp_path: Path) -> None:
    away = PoseFile(lateral=ViewPose(iso_mm=(900.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="do not overlap"):
        read_radiographs(*dicom_pair(tmp_path), poses=away)
    with pytest.raises(InputError, match="along one direction"):
        read_radiographs(*dicom_pair(tmp_path, primary=(180.0, 10.0)))
    slanted = read_radiographs(*dicom_pair(tmp_path, primary=(180.0, -135.0)))
    assert any("45 degrees apart" in note for note in slanted.notes)


def test_an_orientation_that_does_not_fit_the_angle_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"PatientOrientation L.F does not fit a source at angle_deg 90"):
        read_radiographs(*dicom_pair(tmp_path, PatientOrientation=["L", "F"]))
    told = PoseFile(frontal=ViewPose(flip_columns=True))
    first, second = dicom_pair(tmp_path, PatientOrientation=["L", "F"])
    found = check_radiographs(first, second, poses=told)
    assert any("mirrored columns by the pose file, but as it lies by PatientOrientation" in p for p in found.problems)


def test_an_unknown_key_of_the_pose_file_says_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "poses.toml").write_text("schema = 1\n[frontal]\nsource_iso = 700.0\n")
    with pytest.raises(
        ConfigError, match=r"poses.toml: unknown setting in \[frontal\] 'source_iso'; did you mean 'source_iso_mm'"
    ):
        read_radiographs(*dicom_pair(tmp_path), poses=tmp_path / "poses.toml")
    (tmp_path / "poses.toml").write_text("schema = 1\n[lateral]\npixel_mm = -0.2\n")
    with pytest.raises(ConfigError, match="pixel_mm: expected a length in mm above 0"):
        read_radiographs(*dicom_pair(tmp_path), poses=tmp_path / "poses.toml")


def test_ct_slices_runs_of_frames_colour_and_damage_are_refused_by_file(tmp_path: Path) -> None:
    first, second = dicom_pair(tmp_path)
    ct = files.write_dicom(tmp_path / "ct.dcm", files.counts_of(P[0, 0, 0]), Modality="CT")
    with pytest.raises(UnsupportedDataError, match=r"ct.dcm: modality CT; expected a projection radiograph"):
        read_radiographs(ct, second)
    run = files.write_dicom(tmp_path / "run.dcm", files.counts_of(P[0, 0, 0]), NumberOfFrames=12)
    with pytest.raises(UnsupportedDataError, match="run of 12 frames"):
        read_radiographs(run, second)
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "colour.png")
    with pytest.raises(UnsupportedDataError, match="mode RGB"):
        read_radiographs(tmp_path / "colour.png", second)
    (tmp_path / "cut.png").write_bytes(files.write_png(tmp_path / "x.png", files.counts_of(P[0, 0, 0])).read_bytes()[:60])
    with pytest.raises(FileFormatError, match=r"cut.png"):
        read_radiographs(tmp_path / "cut.png", second)
    with pytest.raises(InputError, match="no such file"):
        read_radiographs(tmp_path / "none.dcm", second)
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(UnsupportedDataError, match="expected a radiograph"):
        read_radiographs(tmp_path / "text.dcm", second)
    assert read_radiographs(first, second)


def test_a_resized_pair_has_the_same_detectors_and_averages_intensities(tmp_path: Path) -> None:
    fine = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=60, cols=56, pixel_mm=PIXEL / 2))
    pair = read_radiographs(*_write(tmp_path, fine(BODY), PIXEL / 2))
    small = pair.resized(20, 14)
    again = Projector(GRID, small.beam)(BODY)
    assert small.p.shape == (1, 1, 2, 20, 14) and float((small.p - again).abs().mean()) < 0.05
    corner = lambda b: (
        np.asarray(b.detector_mm) - b.rows / 2 * np.asarray(b.row_step_mm) - b.cols / 2 * np.asarray(b.col_step_mm)
    )
    assert np.allclose(corner(small.beam), corner(pair.beam))
    assert abs(float(torch.exp(-small.p).mean() - torch.exp(-pair.p).mean())) < 2e-3
