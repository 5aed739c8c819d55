"""RTSTRUCT on the samples of a case, beside two other ways to fill a polygon and two other ways to store labels."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from dicom_files import SERIES, save, save_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from rtstruct_files import rtstruct

from taskct.core.errors import DataError, GeometryError, UnsupportedDataError
from taskct.data.dicom.rtstruct import even_odd, read_rtstruct
from taskct.data.dicom.series import read_series
from taskct.data.dicom.write_seg import write_seg
from taskct.data.open import open_case

SHAPE = (16, 20)  # of the slices of dicom_files, pixels of 0.75 x 0.5 mm, first one at (-100.5, -90.25)


def _mm(points: np.ndarray, z: int) -> np.ndarray:
    """(row, column) -> x, y, z in mm on slice z of `save_stack`."""
    return np.c_[-100.5 + 0.5 * points[:, 1], -90.25 + 0.75 * points[:, 0], np.full(len(points), -50.0 + 2.0 * z)]


def _ring(middle, radius, count=40) -> np.ndarray:
    at = np.linspace(0, 2 * np.pi, count, endpoint=False) + 0.013  # no corner on a pixel's centre
    return np.asarray(middle) + radius * np.c_[np.sin(at), np.cos(at)]


# --- laws


polygons = st.lists(
    st.lists(st.tuples(st.floats(-3, 19), st.floats(-3, 23)), min_size=3, max_size=9).map(lambda p: np.array(p) + 1e-4),
    min_size=1,
    max_size=4,
)


@settings(max_examples=120, deadline=None)
@given(polygons=polygons)
def test_the_even_odd_rule_agrees_with_matplotlib(polygons):
    from matplotlib.path import Path

    rows, cols = np.indices(SHAPE)
    centres = np.c_[rows.ravel(), cols.ravel()]
    wanted = np.zeros(SHAPE, bool)
    sure = np.ones(SHAPE, bool)  # centres that are not on an edge, where both may say either
    for polygon in polygons:
        ends = np.roll(polygon, -1, axis=0)
        along = ends - polygon
        length = np.maximum((along**2).sum(1), 1e-30)
        share = np.clip(((centres[:, None] - polygon) * along).sum(2) / length, 0, 1)
        away = np.linalg.norm(polygon + share[..., None] * along - centres[:, None], axis=2).min(1)
        sure &= (away > 1e-6).reshape(SHAPE)
        # matplotlib fills by winding number: a polygon that crosses itself is cut into its crossings by an exact ray instead
        inside = np.zeros(len(centres), bool)
        for (r0, c0), (r1, c1) in zip(polygon, ends, strict=True):
            crosses = (r0 <= centres[:, 0]) != (r1 <= centres[:, 0])
            with np.errstate(divide="ignore", invalid="ignore"):
                at = c0 + (centres[:, 0] - r0) / (r1 - r0) * (c1 - c0)
            inside ^= crosses & (at <= centres[:, 1])
        if len(polygon) == 3:  # a triangle never crosses itself
            assert np.array_equal(inside[sure.ravel()], Path(polygon).contains_points(centres)[sure.ravel()])
        wanted ^= inside.reshape(SHAPE)
    assert np.array_equal(even_odd(polygons, SHAPE)[sure], wanted[sure])


@pytest.mark.parametrize("middle", [(7.3, 9.1), (0.2, 3.3), (15.5, 19.4)])
@pytest.mark.parametrize("radius", [0.4, 2.6, 9.7])
def test_a_disc_with_a_hole_agrees_with_skimage(middle, radius):
    from skimage.draw import polygon2mask

    outer, inner = _ring(middle, radius), _ring(middle, 0.5 * radius)
    wanted = polygon2mask(SHAPE, outer) ^ polygon2mask(SHAPE, inner)
    assert np.array_equal(even_odd([outer, inner], SHAPE), wanted)
    assert np.array_equal(even_odd([inner[::-1], outer], SHAPE), wanted)  # neither order nor sense of rotation matters


def test_polygons_that_share_an_edge_share_no_pixel():
    left = np.array([[0.0, 0.0], [0.0, 8.0], [12.0, 8.0], [12.0, 0.0]])
    right = left + np.array([0, 8])
    one, two = even_odd([left], SHAPE), even_odd([right], SHAPE)
    assert not (one & two).any() and (one | two).sum() == 12 * 16


# --- one synthetic patient, three ways to store its labels


@pytest.fixture
def patient(tmp_path):
    """A CT of 6 slices with liver (a disc with a hole) and tumour: as RTSTRUCT, and as the masks that skimage fills."""
    from skimage.draw import polygon2mask

    save_stack(tmp_path / "ct", slices=6)
    masks = np.zeros((2, 6, *SHAPE), bool)
    contours: dict[str, list[np.ndarray]] = {"liver": [], "tumour": []}
    for z in range(1, 5):
        outer, hole, tumour = _ring((7.3, 9.2), 5.7 + 0.2 * z), _ring((7.1, 5.9), 1.6), _ring((8.4, 12.3), 1.9)
        masks[0, z] = polygon2mask(SHAPE, outer) ^ polygon2mask(SHAPE, hole)
        contours["liver"] += [_mm(outer, z), _mm(hole, z)]
        if z < 3:
            masks[1, z] = polygon2mask(SHAPE, tumour)
            contours["tumour"].append(_mm(tumour, z))
    path = save(rtstruct(contours), tmp_path / "rs" / "rs.dcm")
    return tmp_path, path, masks


def test_rtstruct_seg_and_mask_images_of_one_patient_are_the_same_labels(patient):
    pytest.importorskip("highdicom")
    folder, path, masks = patient
    wanted = np.where(masks[1], 2, np.where(masks[0], 1, 0))
    of_rtstruct = open_case(folder / "ct", labels=path)
    assert np.array_equal(of_rtstruct.labels.numpy(), wanted)
    assert of_rtstruct.label_names == {1: "liver", 2: "tumour"}

    write_seg(of_rtstruct, folder / "seg" / "seg.dcm", source=folder / "ct")
    of_seg = open_case(folder / "ct", labels=folder / "seg")  # the folder that holds it will do
    assert torch.equal(of_seg.labels, of_rtstruct.labels) and of_seg.label_names == of_rtstruct.label_names

    for name, mask in zip(("liver", "tumour"), masks, strict=True):
        uid = f"1.2.9.{name == 'liver':d}"

        def change(k, made, mask=mask):
            made.PixelData = (mask[k] * np.uint16(255)).tobytes()

        save_stack(folder / "masks" / name, slices=6, change=change, SeriesInstanceUID=uid, RescaleIntercept=0)
    of_masks = open_case(folder / "ct", labels=folder / "masks")
    assert torch.equal(of_masks.labels, of_rtstruct.labels) and of_masks.label_names == of_rtstruct.label_names

    one = open_case(folder / "ct", labels=folder / "masks" / "liver")
    assert np.array_equal(one.labels.numpy() > 0, masks[0]) and one.label_names == {1: "liver"}


def test_flipped_and_reordered_series_carry_their_contours(patient):
    folder, path, masks = patient

    def flip(k, made):
        pixels = np.frombuffer(made.PixelData, np.uint16).reshape(SHAPE)[::-1, ::-1]
        made.PixelData = np.ascontiguousarray(pixels).tobytes()
        made.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        made.ImagePositionPatient = [-100.5 + 0.5 * 19, -90.25 + 0.75 * 15, -50.0 + 2.0 * k]

    save_stack(folder / "flipped", slices=6, change=flip)
    assert np.array_equal(open_case(folder / "flipped", labels=path).labels.numpy() > 0, masks[0] | masks[1])


@pytest.mark.parametrize("place", ["beside", "below"])
def test_label_objects_beside_a_ct_are_never_passed_over_in_silence(patient, place):
    folder, path, _ = patient
    into = folder / "ct" if place == "beside" else folder / "ct" / "rt"
    into.mkdir(exist_ok=True)
    path.rename(into / "rs.dcm")
    (note,) = [n for n in open_case(folder / "ct").provenance["notes"] if "rs.dcm" in n]
    assert note.startswith("RTSTRUCT rs.dcm lies with the CT and was not read")
    labelled = open_case(folder / "ct", labels=into / "rs.dcm")
    assert not [n for n in labelled.provenance["notes"] if "was not read" in n]


# --- bad input


def _refused(tmp_path, error, words, regions, **how):
    save_stack(tmp_path / "ct")
    path = save(rtstruct(regions, **how), tmp_path / "rs.dcm")
    with pytest.raises(error, match=words) as caught:
        read_rtstruct(path, read_series(tmp_path / "ct"))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_contours_that_belong_elsewhere_are_refused(tmp_path):
    good = _mm(_ring((8, 9), 3.1), 1)
    for number, (error, words, points, how) in enumerate(
        [
            (GeometryError, "0.5 slices beside a slice", good + np.array([0, 0, 1.0]), {}),
            (GeometryError, "beside a slice of the CT", good[:, [2, 1, 0]], {}),
            (GeometryError, "all 1 contours lie outside", good + np.array([0, 0, 40.0]), {}),
            (GeometryError, "FrameOfReferenceUID", good, {"frame": "1.2.99"}),
            (UnsupportedDataError, "no closed contour", good, {"kind": "POINT"}),
            (DataError, "0 numbers|expected finite", good[:0], {}),
        ]
    ):
        _refused(tmp_path / str(number), error, words, {"liver": [points]}, **how)


def test_what_is_left_out_or_lost_is_noted(tmp_path):
    save_stack(tmp_path / "ct", slices=6)
    ring = _ring((8, 9), 5.2)
    regions = {
        "gaps": [_mm(_ring((8, 9), 1.3), z) for z in (0, 3)],
        "outside": [_mm(ring, z) for z in (2, 40)],
        "twin": [_mm(ring, 2)],
    }
    path = save(rtstruct(regions, first_number=0), tmp_path / "rs.dcm")
    labels, names, notes = read_rtstruct(path, read_series(tmp_path / "ct"))
    assert names == {1: "gaps", 2: "outside", 3: "twin"}  # 0 cannot be a label
    assert set(labels.unique().tolist()) == {0, 1, 3}
    said = "\n".join(notes)
    assert "gaps: 2 slices between its contours have none" in said
    assert "1 of 5 contours lie outside" in said
    assert "label 2 (outside) is lost to smaller ones inside" in said


def test_a_body_outline_does_not_swallow_the_organs(tmp_path):
    save_stack(tmp_path / "ct")
    regions = {"liver": [_mm(_ring((8, 9), 2.2), 1)], "external": [_mm(_ring((8, 9), 7.4), 1)]}
    path = save(rtstruct(regions, series=SERIES), tmp_path / "rs.dcm")
    labels, _, notes = read_rtstruct(path, read_series(tmp_path / "ct"))
    assert int((labels == 1).sum()) == int(even_odd([_ring((8, 9), 2.2)], SHAPE).sum()) > 0
    assert any("the smaller one was taken" in n for n in notes)


@pytest.mark.parametrize(("off_mm", "noted"), [(0.06, False), (0.16, True), (-0.4, True)])
def test_contours_a_little_beside_their_slice_are_noted(tmp_path, off_mm, noted):
    save_stack(tmp_path / "ct")
    path = save(rtstruct({"liver": [_mm(_ring((8, 9), 3.1), 1) + np.array([0, 0, off_mm])]}), tmp_path / "rs.dcm")
    labels, _, notes = read_rtstruct(path, read_series(tmp_path / "ct"))
    assert labels[1].any() and not labels[0].any() and not labels[2].any()
    assert any("slices beside the slices they were drawn on" in n for n in notes) == noted


def test_contours_that_contradict_their_headers_are_refused(tmp_path):
    save_stack(tmp_path / "ct")
    for number, (words, change) in enumerate(
        (
            (
                "a contour of 99 points",
                lambda made: setattr(made.ROIContourSequence[0].ContourSequence[0], "NumberOfContourPoints", 99),
            ),
            ("region 7, which is not described", lambda made: setattr(made.ROIContourSequence[0], "ReferencedROINumber", 7)),
        )
    ):
        made = rtstruct({"liver": [_mm(_ring((8, 9), 3.1), 1)]})
        change(made)
        path = save(made, tmp_path / f"{number}.dcm")
        with pytest.raises(DataError, match=words):
            read_rtstruct(path, read_series(tmp_path / "ct"))


def test_label_numbers_stored_as_images_are_kept_and_a_ct_is_not_taken_for_labels(tmp_path):
    save_stack(tmp_path / "ct")

    def numbers(k, made):
        made.PixelData = (np.indices(SHAPE).sum(0) // 10 + 1000).astype(np.uint16).tobytes()

    save_stack(tmp_path / "map", change=numbers, RescaleIntercept=-1000)
    assert open_case(tmp_path / "ct", labels=tmp_path / "map").labels.unique().tolist() == [0, 1, 2, 3]
    with pytest.raises(UnsupportedDataError, match="different values: an image and not labels"):
        open_case(tmp_path / "ct", labels=tmp_path / "ct")


def test_an_element_of_no_known_kind_is_refused_in_one_line_wherever_it_stands(tmp_path):
    save_stack(tmp_path / "series", slices=2)
    case = read_series(tmp_path / "series")
    save(rtstruct({"liver": [_mm(_ring((7, 9), 3), 0)]}), tmp_path / "right.dcm")
    right = (tmp_path / "right.dcm").read_bytes()
    places = [found.end() - 2 for found in re.finditer(rb"\x06\x30..[A-Z]{2}", right, re.DOTALL)]
    refused = []
    for place, zeros in itertools.product(places, (1, 64)):  # the second letter of what it holds, and what follows
        (tmp_path / "damaged.dcm").write_bytes(right[: place + 1] + bytes(zeros) + right[place + 1 + zeros :])
        try:
            read_rtstruct(tmp_path / "damaged.dcm", case)
        except DataError as error:
            refused.append(str(error))
    assert len(places) >= 10 and len(refused) >= 15
    assert all(line.startswith(str(tmp_path / "damaged.dcm")) and "\n" not in line for line in refused)
