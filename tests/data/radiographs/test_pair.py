"""A user's pair: read as it was taken; two patients, two sizes and views that do not meet are refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import radiograph_files as files
import torch
from small_pair import (
    BODY,
    BOTH,
    COLS,
    DETECTOR,
    GRID,
    ISO,
    PIXEL,
    P,
    dicom_pair,
    pose,
    write_views,
)

from taskct import Projector
from taskct.core.errors import InputError
from taskct.data.radiographs import PoseFile, ViewPose, check_radiographs, read_radiographs
from taskct.geometry.radiographs import radiograph_beam


def test_an_angiography_pair_needs_no_pose_file_and_its_line_integrals_and_beam_come_back(tmp_path: Path) -> None:
    pair = read_radiographs(*dicom_pair(tmp_path))
    assert pair.meaning == "line integral" and pair.patient.startswith("patient-")
    assert float((pair.p - P).abs().max()) < 0.01  # 16 bits, and air taken as the brightest pixels
    again = Projector(GRID, pair.beam)(BODY)
    assert float((again - P).abs().max()) < 1e-4
    assert any("air_value" in note for note in pair.notes)
    assert abs(pair.field_mm - 2 * (COLS * PIXEL / 2) * ISO / DETECTOR) < 40  # a cube's corners lie nearer the source


def test_pictures_are_averaged_as_intensities_and_an_odd_rest_moves_the_detectors_centre(tmp_path: Path) -> None:
    fine = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=4 * 15 + 1, cols=4 * 14 + 3, pixel_mm=PIXEL / 2))
    p = fine(BODY)
    pair = read_radiographs(*write_views(tmp_path, p, PIXEL / 2), pixels=16)
    assert pair.p.shape[-2:] == (15, 14)
    counts = np.exp(-p[0, 0, 0].double().numpy())[0:60, 1:57].reshape(15, 4, 14, 4).mean((1, 3))
    assert np.abs(pair.p[0, 0, 0].double().numpy() + np.log(counts)).max() < 0.01
    centre = np.asarray(pair.beam.detector_mm[0])
    assert np.allclose(centre - np.asarray(fine.beam.detector_mm[0]), [-0.5 * PIXEL / 2, 0, -0.5 * PIXEL / 2], atol=1e-9)


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


def test_views_that_do_not_meet_or_look_the_same_way_are_refused(tmp_path: Path) -> None:
    away = PoseFile(lateral=ViewPose(iso_mm=(900.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="do not overlap"):
        read_radiographs(*dicom_pair(tmp_path), poses=away)
    with pytest.raises(InputError, match="along one direction"):
        read_radiographs(*dicom_pair(tmp_path, primary=(180.0, 10.0)))
    slanted = read_radiographs(*dicom_pair(tmp_path, primary=(180.0, -135.0)))
    assert any("45 degrees apart" in note for note in slanted.notes)


def test_a_resized_pair_has_the_same_detectors_and_averages_intensities(tmp_path: Path) -> None:
    fine = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=60, cols=56, pixel_mm=PIXEL / 2))
    pair = read_radiographs(*write_views(tmp_path, fine(BODY), PIXEL / 2))
    small = pair.resized(20, 14)
    again = Projector(GRID, small.beam)(BODY)
    assert small.p.shape == (1, 1, 2, 20, 14) and float((small.p - again).abs().mean()) < 0.05
    corner = lambda b: (
        np.asarray(b.detector_mm) - b.rows / 2 * np.asarray(b.row_step_mm) - b.cols / 2 * np.asarray(b.col_step_mm)
    )
    assert np.allclose(corner(small.beam), corner(pair.beam))
    assert abs(float(torch.exp(-small.p).mean() - torch.exp(-pair.p).mean())) < 2e-3


@pytest.mark.parametrize("pitch", [(4.0, 5.0), (9.3, 11.1), (30.0, 14.0)])
def test_a_pair_on_other_pixels_is_averaged_over_them_about_the_same_centre(
    tmp_path: Path, pitch: tuple[float, float]
) -> None:
    fine = Projector(GRID, radiograph_beam([pose(0), pose(90)], rows=60, cols=56, pixel_mm=PIXEL / 2))
    pair = read_radiographs(*write_views(tmp_path, fine(BODY), PIXEL / 2))
    made = pair.resized(12, 16, pixel_mm=pitch)
    lengths = [np.linalg.norm(np.asarray(step), axis=-1) for step in (made.beam.row_step_mm, made.beam.col_step_mm)]
    assert np.allclose(lengths[0], pitch[0]) and np.allclose(lengths[1], pitch[1])
    assert np.allclose(made.beam.detector_mm, pair.beam.detector_mm) and made.p.shape == (1, 1, 2, 12, 16)
    again = Projector(GRID, made.beam)(BODY)
    assert float((made.p - again).abs().mean()) < 0.08 * float(again.max())
    through = torch.exp(-pair.p)
    for v in range(2):  # each new pixel by hand, in steps of a hundredth of an old one
        row, col = (np.arange(n * 100) for n in through.shape[-2:])
        middle = lambda n, k, count: (n + 0.5) / 100 - count / 2
        y, x = (np.floor(middle(i, 0, n) * PIXEL / 2 / w + m / 2) for i, n, w, m in zip(
            (row, col), through.shape[-2:], pitch, (12, 16), strict=True))  # fmt: skip
        inside = through[0, 0, v].numpy().repeat(100, 0)[y == 5].repeat(100, 1)[:, x == 7]
        if inside.size:
            assert float(torch.exp(-made.p[0, 0, v, 5, 7])) == pytest.approx(float(inside.mean()), rel=1e-3)


def test_one_picture_for_both_views_is_refused(tmp_path: Path) -> None:
    picture = files.write_png(tmp_path / "a.png", files.counts_of(P[0, 0, 0]))
    copy = tmp_path / "b.png"
    copy.write_bytes(picture.read_bytes())
    for other in (picture, copy):
        with pytest.raises(InputError, match="hold the same picture"):
            read_radiographs(picture, other, poses=BOTH, grey="intensity")


def test_swapped_views_a_film_without_a_patient_and_two_studies_are_said(tmp_path: Path) -> None:
    first, second = dicom_pair(tmp_path, StudyInstanceUID="1.2.3")
    plain, swapped = read_radiographs(first, second), read_radiographs(second, first)
    assert not any("swapped" in n or "no PatientID" in n or "two studies" in n for n in plain.notes)
    assert any("are the two swapped?" in n for n in swapped.notes)
    nameless = files.write_dicom(
        tmp_path / "c.dcm",
        files.counts_of(P[0, 0, 1]),
        PatientID=None,
        PatientName=None,
        **files.xa(ISO, DETECTOR, PIXEL, -90.0),
    )
    notes = read_radiographs(first, nameless).notes
    assert any("lateral: no PatientID" in n for n in notes) and any("of two studies" in n for n in notes)


def test_two_sexes_are_two_patients_and_empty_parts_of_a_name_are_not(tmp_path: Path) -> None:
    facts = (files.xa(ISO, DETECTOR, PIXEL, 180.0), files.xa(ISO, DETECTOR, PIXEL, -90.0))
    write = lambda k, **more: files.write_dicom(tmp_path / f"{k}.dcm", files.counts_of(P[0, 0, k]), **{**facts[k], **more})
    one = read_radiographs(write(0, PatientName="Doe^Jo^^^"), write(1, PatientName="DOE^JO"))
    assert not any("two patients" in note for note in one.notes)
    nameless = {"PatientID": None, "PatientName": None}
    with pytest.raises(InputError, match=r"two patients \(their sex differs: M and F\)"):
        read_radiographs(write(0, PatientSex="M", **nameless), write(1, PatientSex="F", **nameless))
    assert read_radiographs(write(0, PatientSex="M", **nameless), write(1, PatientSex="O", **nameless))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"PatientAge": "007M"}, {"PatientAge": "060Y"}, "7 to 8 months and 720 to 732 months"),
        ({"PatientAge": "007M"}, {"PatientAge": "010M"}, "7 to 8 months and 10 to 11 months"),
        (
            {"PatientBirthDate": "20240101", "StudyDate": "20240201"},
            {"PatientBirthDate": "20240101", "StudyDate": "20250601"},
            "1 months and 17 months",
        ),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_head_at_two_ages_is_refused_unless_the_pair_is_said_to_be_one(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], words: str, named: bool
) -> None:
    facts = (files.xa(ISO, DETECTOR, PIXEL, 180.0), files.xa(ISO, DETECTOR, PIXEL, -90.0))
    who: dict[str, object] = {} if named else {"PatientID": None, "PatientName": None}
    pair = [
        files.write_dicom(tmp_path / f"{k}.dcm", files.counts_of(P[0, 0, k]), **{**facts[k], **more, **who})
        for k, more in enumerate((first, second))
    ]
    with pytest.raises(InputError, match=rf"at two ages, or two patients \(their ages differ: {words}\)"):
        read_radiographs(*pair)
    taken = read_radiographs(*pair, same_patient=True)
    assert any(words in note and "as asked" in note for note in taken.notes)
    assert taken.age_months is not None and taken.age_months[1] > taken.age_months[0] + 2


def test_days_between_two_radiographs_are_said_and_ages_of_one_head_agree(tmp_path: Path) -> None:
    facts = (files.xa(ISO, DETECTOR, PIXEL, 180.0), files.xa(ISO, DETECTOR, PIXEL, -90.0))
    write = lambda k, **more: files.write_dicom(tmp_path / f"{k}.dcm", files.counts_of(P[0, 0, k]), **{**facts[k], **more})
    born = {"PatientBirthDate": "20240101"}
    notes = read_radiographs(write(0, StudyDate="20240701", **born), write(1, StudyDate="20240710", **born)).notes
    assert sum("taken 9 days apart" in note for note in notes) == 1
    alike = read_radiographs(write(0, PatientAge="007M"), write(1, StudyDate="20240816", **born))
    assert alike.age_months == pytest.approx((7, 8)) and not any("apart" in note for note in alike.notes)
    unnamed = write(0, PatientID=None, PatientName=None)
    assert read_radiographs(unnamed, write(1)).patient.startswith("patient-")


@pytest.mark.parametrize(
    "wrong", [{"pixel_mm": PIXEL / 1000}, {"source_iso_mm": ISO / 1000, "source_detector_mm": DETECTOR / 1000}]
)
def test_a_pair_in_another_unit_than_mm_is_refused_by_the_check_too(tmp_path: Path, wrong: dict[str, float]) -> None:
    pair = [files.write_png(tmp_path / f"{k}.png", files.counts_of(P[0, 0, k])) for k in (0, 1)]
    poses = PoseFile(frontal=replace(BOTH.frontal, **wrong), lateral=replace(BOTH.lateral, **wrong))
    found = check_radiographs(*pair, poses=poses, grey="intensity")
    assert found.pair is None and any("too little for a head" in problem for problem in found.problems)
