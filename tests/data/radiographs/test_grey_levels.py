"""What grey levels mean: intensities, logarithms, films; inverted ones and those for the eye are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import radiograph_files as files
import torch
from small_pair import (
    BOTH,
    DETECTOR,
    ISO,
    PIXEL,
    P,
    dicom_pair,
)

from taskct.core.errors import ConfigError, FileFormatError, InputError, UnsupportedDataError
from taskct.data.radiographs import PoseFile, read_radiographs
from taskct.data.radiographs.film_values import Film
from taskct.data.radiographs.grey_levels import grey_of

DX_SHOWN = "1.2.840.10008.5.1.4.1.1.1.1"  # Digital X-Ray Image Storage - For Presentation


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
    with pytest.raises(InputError, match="'presentation' is for DICOM whose PresentationIntentType"):
        read_radiographs(*dicom_pair(tmp_path), grey="presentation")


@pytest.mark.parametrize(
    ("modality", "header", "words"),
    [
        ("XA", {"PixelIntensityRelationship": "DISP"}, "PixelIntensityRelationship is DISP"),
        ("XA", {"PixelIntensityRelationship": "DISP", "PixelIntensityRelationshipSign": None}, "Relationship is DISP"),
        ("DX", {"SOPClassUID": DX_SHOWN, "PresentationIntentType": None}, "its SOP class is that of digital X-ray images FOR"),
        ("DX", {"SOPClassUID": DX_SHOWN}, "FOR PRESENTATION, although PresentationIntentType is FOR PROCESSING"),
        ("DX", {"PresentationIntentType": "FOR PRESENTATION"}, "PresentationIntentType is FOR PRESENTATION"),
    ],
)
def test_whatever_says_that_an_image_is_for_the_eye_keeps_it_from_being_line_integrals(
    tmp_path: Path, modality: str, header: dict[str, object], words: str
) -> None:
    more = {"PositionerType": "CARM", "EstimatedRadiographicMagnificationFactor": DETECTOR / ISO} if modality == "DX" else {}
    pair = dicom_pair(tmp_path, modality=modality, **header, **more)
    for grey in ("auto", "intensity", "line integral", "dark absorbs"):
        with pytest.raises(InputError, match=words):
            read_radiographs(*pair, grey=grey)
    taken = read_radiographs(*pair, grey="presentation")
    assert taken.meaning == "film" and sum(words in note for note in taken.notes) == 2


@pytest.mark.parametrize(("modality", "photometric"), [("XA", "MONOCHROME2"), ("DX", "MONOCHROME1")])
def test_an_image_for_the_eye_that_is_stored_the_other_way_round_can_be_taken_by_name(
    tmp_path: Path, modality: str, photometric: str
) -> None:
    more: dict[str, object] = {"PixelIntensityRelationship": "DISP", "PhotometricInterpretation": photometric}
    more |= {"PositionerType": "CARM", "EstimatedRadiographicMagnificationFactor": DETECTOR / ISO}
    counts = [files.counts_of(P[0, 0, k]) for k in (0, 1)]
    usual = read_radiographs(*_both(tmp_path, counts, modality=modality, **more), grey="presentation")
    odd = _both(tmp_path, [files.AIR - c for c in counts], modality=modality, **more)
    with pytest.raises(InputError, match=r"look inverted.*the other reading \('presentation, bright absorbs' or"):
        read_radiographs(*odd, grey="presentation")
    assert torch.allclose(read_radiographs(*odd, grey="presentation, bright absorbs").p, usual.p, atol=1e-6)


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


LEVELS = {
    "line integrals": {},
    "logarithm": {"PixelIntensityRelationship": "LOG"},
    "for the eye": {"PixelIntensityRelationship": "DISP"},
    "png": None,
}
GREY = {"for the eye": "presentation", "png": "dark absorbs"}


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in LEVELS for b in LEVELS if a != b])
def test_two_radiographs_of_different_kinds_are_taken_together_as_films(tmp_path: Path, first: str, second: str) -> None:
    pair, angles = [], (180.0, -90.0)
    for k, kind in enumerate((first, second)):
        p = files.picture_of(P[0, 0, k])
        stored = np.round(60000 * np.exp(-p) if kind == "line integrals" else 40000 - 8000 * p).astype(np.uint16)
        header = LEVELS[kind]
        if header is None:
            pair.append(files.write_png(tmp_path / f"{k}.png", stored))
        else:
            facts = {**files.xa(ISO, DETECTOR, PIXEL, angles[k]), **header}
            pair.append(files.write_dicom(tmp_path / f"{k}.dcm", stored, **facts))
    poses = PoseFile(frontal=replace(BOTH.frontal, air_value=None), lateral=replace(BOTH.lateral, air_value=None))
    greys = (GREY.get(first, "auto"), GREY.get(second, "auto"))
    taken = read_radiographs(*pair, poses=poses, grey=greys)
    assert taken.meaning == "film"
    said = [note for note in taken.notes if "line integrals were taken as a film" in note]
    assert [note.split(":")[0] for note in said] == [
        view for view, kind in zip(("frontal", "lateral"), (first, second), strict=True) if kind == "line integrals"
    ]
    for view in (0, 1):  # each is the line integrals but for a gain and an offset
        ours, true = taken.p[0, 0, view].flatten(), P[0, 0, view].flatten()
        assert float(torch.corrcoef(torch.stack([ours, true]))[0, 1]) > 0.999
    if greys[0] != greys[1]:
        with pytest.raises(InputError, match=r"are those of the frontal and of the lateral view|the file does not say"):
            read_radiographs(*pair, poses=poses, grey="presentation" if "presentation" in greys else "auto")


def test_readings_of_three_views_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one reading for both views or one for each"):
        read_radiographs(*dicom_pair(tmp_path), grey=("auto", "auto", "auto"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown reading of grey levels 'atuo'; did you mean 'auto'"):
        read_radiographs(*dicom_pair(tmp_path), grey=("auto", "atuo"))


def test_angiography_has_no_sign_and_rises_with_intensity_while_dx_without_one_must_be_told(tmp_path: Path) -> None:
    pair = dicom_pair(tmp_path, PixelIntensityRelationshipSign=None)
    assert float((read_radiographs(*pair).p - P).abs().max()) < 0.01
    shown = dicom_pair(tmp_path, PixelIntensityRelationshipSign=None, PixelIntensityRelationship="DISP")
    with pytest.raises(InputError, match="PixelIntensityRelationship is DISP: its grey levels were processed for the eye"):
        read_radiographs(*shown)
    facts = {"PixelIntensityRelationshipSign": None, "PresentationIntentType": "FOR PROCESSING"}
    plain = dicom_pair(
        tmp_path, modality="DX", PositionerType="CARM", EstimatedRadiographicMagnificationFactor=1 / 0.7, **facts
    )
    with pytest.raises(InputError, match="what its grey levels mean"):
        read_radiographs(*plain)
    assert float((read_radiographs(*plain, grey="intensity").p - P).abs().max()) < 0.01


def _both(folder: Path, stored: list[np.ndarray], **more: object) -> list[Path]:
    angles = (180.0, -90.0)
    return [
        files.write_dicom(folder / f"{k}.dcm", s, **{**files.xa(ISO, DETECTOR, PIXEL, a), **more})
        for k, (s, a) in enumerate(zip(stored, angles, strict=True))
    ]


@pytest.mark.parametrize(
    ("store", "header"),
    [
        (lambda c: c, {"RescaleSlope": -1, "RescaleIntercept": 65535}),
        (lambda c: c, {"RescaleSlope": 2, "RescaleIntercept": 0}),
        (lambda c: 65535 - c, {"PixelIntensityRelationshipSign": -1, "RescaleSlope": 2, "RescaleIntercept": 0}),
        (lambda c: 65535 - c, {"PixelIntensityRelationshipSign": -1, "RescaleSlope": -1, "RescaleIntercept": 65535}),
        (lambda c: 4095 - c // 16, {"PixelIntensityRelationshipSign": -1, "BitsStored": 12, "HighBit": 11}),
        (
            lambda c: (32767 - c.astype(int) // 2).astype(np.int16).view(np.uint16),
            {"PixelIntensityRelationshipSign": -1, "PixelRepresentation": 1},
        ),
    ],
)
def test_intensities_come_back_whatever_their_sign_depth_and_rescaling(
    tmp_path: Path, store: Callable[[np.ndarray], np.ndarray], header: dict[str, object]
) -> None:
    stored = [store(files.counts_of(P[0, 0, k])) for k in range(2)]
    pair = read_radiographs(*_both(tmp_path, stored, **header))
    assert pair.meaning == "line integral" and float((pair.p - P).abs().max()) < 0.05  # 12 bits are the coarsest


def test_a_scale_of_nothing_is_refused(tmp_path: Path) -> None:
    stored = [files.counts_of(P[0, 0, k]) for k in range(2)]
    with pytest.raises(FileFormatError, match=r"0.dcm: rescales its values by 0 \* stored"):
        read_radiographs(*_both(tmp_path, stored, RescaleSlope=0, RescaleIntercept=0))


def test_pictures_without_anything_in_them_are_refused(tmp_path: Path) -> None:
    blank = _both(tmp_path, [np.full((30, 28), v, np.uint16) for v in (7, 8)])
    with pytest.raises(InputError, match="all its pixels hold one value, 7"):
        read_radiographs(*blank)


def test_air_that_is_darker_than_the_picture_is_refused_and_that_of_a_film_is_said_to_be_unused(tmp_path: Path) -> None:
    names = [files.write_png(tmp_path / f"{k}.png", files.counts_of(P[0, 0, k])) for k in range(2)]
    with_air = lambda value: PoseFile(**{v: replace(BOTH[v], air_value=value) for v in ("frontal", "lateral")})
    for value in (files.AIR / 2, 0.0, -5.0):
        with pytest.raises(InputError, match=r"air_value .* is below its brightest pixels"):
            read_radiographs(*names, poses=with_air(value), grey="intensity")
    assert read_radiographs(*names, poses=with_air(files.AIR * 0.97), grey="intensity")
    with pytest.raises(ConfigError, match="air_value: expected a stored value"):
        with_air(math.nan)
    film = read_radiographs(*names, poses=with_air(float(files.AIR)), grey="dark absorbs")
    assert sum("air_value is not used" in n for n in film.notes) == 2


def test_pixels_that_stand_for_no_measurement_are_not_taken_as_air_or_dark(tmp_path: Path) -> None:
    stored = [files.counts_of(P[0, 0, k]) // 20 for k in range(2)]
    for one in stored:
        one[:, :5] = 65535
    with pytest.raises(InputError, match=r"17.9 % of its pixels hold PixelPaddingValue, so they were not measured"):
        read_radiographs(*_both(tmp_path, stored, PixelPaddingValue=65535))
    assert read_radiographs(*_both(tmp_path, stored, PixelPaddingValue=7))


def test_values_that_go_through_a_table_or_leave_all_numbers_are_refused(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    stored = [files.counts_of(P[0, 0, k]) for k in range(2)]
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType, table.LUTData = [4, 0, 16], "US", b"\0" * 8
    with pytest.raises(UnsupportedDataError, match=r"0.dcm: its values go through a look-up table \(ModalityLUTSequence\)"):
        read_radiographs(*_both(tmp_path, stored, ModalityLUTSequence=[table]))
    with pytest.raises(FileFormatError, match=r"0.dcm: values rescaled by 1e\+306 \* stored \+ 0 are not finite"):
        read_radiographs(*_both(tmp_path, stored, RescaleSlope="1e306", RescaleIntercept="0"))


def test_line_integrals_read_as_intensities_and_in_another_unit_are_refused(tmp_path: Path) -> None:
    write = lambda factor: [
        files.write_nifti_picture(tmp_path / f"{k}.nii.gz", factor * files.picture_of(P[0, 0, k])) for k in range(2)
    ]
    with pytest.raises(InputError, match=r"as .intensity. 100 % of its pixels hold no signal: air_value"):
        read_radiographs(*write(1), poses=BOTH, grey="intensity")
    with pytest.raises(InputError, match=r"cannot be line integrals: nearly all lie from 0 to .*, expected 0 to 15"):
        read_radiographs(*write(1000), poses=BOTH, grey="line integral")


@pytest.mark.parametrize("air", [13.0, 14.0])
def test_a_picture_mostly_without_signal_is_refused_whatever_its_air_value(air: float) -> None:
    """1e-4 * 13 / 13 is a rounding above 1e-4."""
    values = np.full((20, 20), air)
    values[2:18, 2:18] = 0.0
    _, problems = grey_of(Film(Path("a.png"), values, None), "intensity", air_value=air)
    assert any("64 % of its pixels hold no signal: air_value is wrong" in problem for problem in problems)


@pytest.mark.parametrize("shown", [{}, {"PresentationIntentType": "FOR PRESENTATION"}])
@pytest.mark.parametrize(
    ("blind", "words"),
    [
        ((slice(4, -4), slice(4, -4)), "of its pixels hold no signal"),
        ((slice(None), slice(0, 1)), "of its border holds no signal"),
    ],
)
def test_what_holds_no_signal_is_refused_in_images_for_the_eye_too(
    tmp_path: Path, shown: dict[str, object], blind: tuple[slice, slice], words: str
) -> None:
    counts = [files.counts_of(P[0, 0, k]) for k in (0, 1)]
    for stored in counts:
        stored[blind] = 0
    with pytest.raises(InputError, match=words):
        read_radiographs(*_both(tmp_path, counts, **shown), grey="presentation" if shown else "auto")


def _edges(kind: str, *at: int) -> dict[str, object]:
    names = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")
    return {f"{kind}Shape": "RECTANGULAR", **{f"{kind}{n}Edge": v for n, v in zip(names, at, strict=True)}}


@pytest.mark.parametrize(
    ("header", "share"),
    [
        (_edges("Collimator", 4, 30, 1, 28), "10 %"),
        (_edges("Shutter", 1, 30, 8, 21), "50 %"),
        ({"CollimatorShape": "CIRCULAR", "CenterOfCircularCollimator": [15, 14], "RadiusOfCircularCollimator": 14}, "27.1 %"),
    ],
)
def test_what_lies_behind_collimator_or_shutter_is_refused(tmp_path: Path, header: dict[str, object], share: str) -> None:
    with pytest.raises(InputError, match=f"{share}.* of its pixels lie behind collimator or shutter"):
        read_radiographs(*dicom_pair(tmp_path, **header))


def test_an_aperture_as_large_as_the_picture_covers_nothing_and_one_that_is_not_read_is_said(tmp_path: Path) -> None:
    for header in (_edges("Collimator", 1, 30, 1, 28), _edges("Shutter", 0, 31, 0, 29)):
        assert not any("covered by it" in note for note in read_radiographs(*dicom_pair(tmp_path, **header)).notes)
    odd = read_radiographs(*dicom_pair(tmp_path, CollimatorShape="POLYGONAL"))
    assert sum("CollimatorShape POLYGONAL is not read" in note for note in odd.notes) == 2


def test_a_border_without_signal_is_refused_though_no_header_tells_of_a_collimator(tmp_path: Path) -> None:
    counts = [files.counts_of(P[0, 0, k]) for k in (0, 1)]
    for stored in counts:
        stored[:, :1] = 0
    with pytest.raises(InputError, match=r"% of its border holds no signal, as behind a collimator"):
        read_radiographs(*_both(tmp_path, counts))
