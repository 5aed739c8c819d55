"""LIDC-IDRI in its own layout: readers' outlines, holes, points, radiographs beside the CT, patients with two scans."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from chest_sets import nodule, non_nodule, ring, roi, tiny_chest, write_lidc_series, write_lidc_xml
from dicom_files import ct_slice, save

from taskct.core.errors import DataError, GeometryError, InputError, UnsupportedDataError
from taskct.data.marked_set import open_lidc
from taskct.data.open import open_case
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.data.sets.lidc import LidcReading
from taskct.data.sets.lidc_series import lidc_patient
from taskct.data.sets.lidc_xml import root_of

KINDS = ["solid nodule", "part-solid nodule", "ground-glass nodule"]
UID = "1.2.840.1"


def patient(root: Path, *, name: str = "LIDC-IDRI-0001", uid: str = UID, number: int = 0) -> tuple[Path, list[str]]:
    series = root / name / "study" / "series"
    return series, write_lidc_series(series, tiny_chest(number), patient=name, uid=uid)


def four_readers(sops: list[str]) -> list[str]:
    """Three readers see one nodule (4 x 4 pixels, one of them a pixel further), one of them another, one a point."""
    solid = {"subtlety": 5, "texture": 5, "malignancy": 4}
    same = [nodule(f"n{k}", roi(sops[5], ring(19, 14 + (k == 2), 4)) + roi(sops[6], ring(19, 14, 4)), solid) for k in range(3)]
    alone = nodule("other", roi(sops[8], ring(25, 40, 3)), {"texture": 1})
    small = nodule("tiny", roi(sops[2], [(30, 14)]))
    return [same[0], same[1] + small, same[2] + alone, non_nodule("vessel", sops[3], (20, 41))]


def test_marks_of_several_readers_become_one_nodule_and_the_edge_is_outside(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    (case,) = open_lidc(tmp_path).cases()
    assert case.marks is not None
    boxes = case.marks.boxes({"nodule": KINDS})
    assert boxes is not None and boxes.corners.tolist() == [[5, 20, 15, 7, 24, 19]]  # 4 x 4 within the ring, two slices
    number = next(n for n in case.marks.numbers(KINDS))
    assert int((case.marks.instances == number).sum()) == 32
    facts = case.provenance["nodules"][str(number)]
    assert (facts["readers"], facts["malignancy"], facts["volume_mm3"]) == (3, 4.0, 32 * 2.5 * 16)
    assert case.marks.kinds[number] == "solid nodule"


def test_what_few_readers_saw_points_and_non_nodules_are_ignored_and_not_lost(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    (case,) = open_lidc(tmp_path).cases()
    kinds = sorted(case.marks.kinds[n] for n in case.marks.ignored)  # type: ignore[union-attr]
    assert kinds == ["ground-glass nodule", "nodule below 3 mm", "non-nodule"]
    assert any("1 nodule that fewer than 3 readers" in n for n in case.provenance["notes"])
    (all_count,) = open_lidc(tmp_path, least_readers=1).cases()
    assert len(all_count.marks.numbers(KINDS)) == 2  # type: ignore[union-attr]


def test_votes_count_readers_at_each_sample(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    xml = write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    votes = LidcReading(xml, open_case(series)).votes
    assert votes[5, 21, 15] == 2 and votes[5, 21, 16] == 3 and votes[5, 21, 19] == 1 and votes[5, 19, 16] == 0
    assert votes.max() == 3 and votes[8].sum() == 9


def test_a_hole_is_left_out_with_its_edge(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    hollow = nodule("n", roi(sops[4], ring(10, 10, 9)) + roi(sops[4], ring(13, 13, 1), inclusion=False), {"texture": 3})
    write_lidc_xml(series / "1.xml", UID, [hollow] * 3 + [""])
    (case,) = open_lidc(tmp_path).cases()
    shown = (case.marks.instances > 0).numpy()  # type: ignore[union-attr]
    assert shown.sum() == 81 - 9 and not shown[4, 14, 14] and shown[4, 12, 12]


def test_touching_marks_of_one_reader_stay_two_nodules(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    left, right, both = (roi(sops[5], ring(10, c, n)) for c, n in ((10, 4), (14, 4), (10, 8)))
    write_lidc_xml(series / "1.xml", UID, [nodule("a", left) + nodule("b", right), nodule("c", both), "", ""])
    (case,) = open_lidc(tmp_path, least_readers=1).cases()
    assert len(case.marks.numbers(KINDS)) == 2  # type: ignore[union-attr]
    assert any("kept apart" in n for n in case.provenance["notes"])


def test_radiographs_and_derived_segmentations_beside_the_ct_are_named(tmp_path: Path) -> None:
    series, sops = patient(tmp_path, name="LIDC-IDRI-0262")
    write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    film = tmp_path / "LIDC-IDRI-0262" / "films" / "cr"
    made = ct_slice(
        0.0, 0, SOPClassUID="1.2.840.10008.5.1.4.1.1.1", Modality="CR", SeriesInstanceUID="1.9", SOPInstanceUID="1.9.1"
    )
    save(made, film / "1.dcm")
    write_lidc_xml(film / "cr.xml", "1.9", [""], root="IdriReadMessage")
    seg = ct_slice(
        0.0, 0, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG", SeriesInstanceUID="1.8", SOPInstanceUID="1.8.1"
    )
    save(seg, tmp_path / "LIDC-IDRI-0262" / "seg" / "1.dcm")
    found = open_lidc(tmp_path)
    assert len(found) == 1
    words = "\n".join(found.left_out)
    assert "a radiograph (CR), left out" in words and "marks of a radiograph" in words
    assert "a derived segmentation (SEG), left out; the SEG of this patient are known to lie outside" in words


def test_two_scans_of_one_patient_are_one_patient(tmp_path: Path) -> None:
    for uid, study in (("1.2.840.1", "a"), ("1.2.840.2", "b")):
        folder = tmp_path / "LIDC-IDRI-0132" / study
        sops = write_lidc_series(folder, tiny_chest(int(uid[-1])), patient="LIDC-IDRI-0132", uid=uid)
        write_lidc_xml(folder / "r.xml", uid, four_readers(sops))
    cases = list(open_lidc(tmp_path).cases())
    assert len(cases) == 2 and len({c.patient_id for c in cases}) == 1


def test_a_ct_without_xml_is_kept_as_unknown_and_xml_without_ct_is_named(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    patient(tmp_path, name="LIDC-IDRI-0002", uid="1.2.840.7", number=1)
    other = write_lidc_xml(tmp_path / "stray.xml", "1.2.840.8", [""] * 4)
    found = open_lidc(tmp_path)
    assert [c.marks is not None for c in found.cases()] == [True, False]
    assert found.left_out == (f"{other}: marks a CT that is not there, series 1.2.840.8",)


def test_two_xml_of_one_series_are_refused(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    for name in ("a.xml", "b.xml"):
        write_lidc_xml(series / name, UID, four_readers(sops))
    with pytest.raises(InputError, match="marks the same series as"):
        open_lidc(tmp_path)


def test_marks_on_a_slice_that_is_missing_and_outside_of_the_pixels_are_refused(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    write_lidc_xml(series / "1.xml", UID, [nodule("n", roi("9.9", ring(3, 3, 2), z_mm=77.0))])
    with pytest.raises(GeometryError, match="z 77 mm that the CT does not have"):
        list(open_lidc(tmp_path).cases())
    write_lidc_xml(series / "1.xml", UID, [nodule("n", roi(sops[0], ring(60, 3, 2)))])
    with pytest.raises(GeometryError, match="row 60, column 3, outside of its slice"):
        list(open_lidc(tmp_path).cases())


def test_xml_of_another_series_is_refused(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    xml = write_lidc_xml(series / "1.xml", "1.2.3.4.5", four_readers(sops))
    with pytest.raises(UnsupportedDataError, match=r"marks series 1\.2\.3\.4\.5, not that of"):
        LidcReading(xml, open_case(series, series_uid=UID))
    assert np.isfinite(open_case(series).hu.numpy()).all()  # the folder opens without it


@pytest.mark.parametrize(
    ("begin", "encoding"),
    [("<?xml version='1.0'?>\n<!-- " + "x" * 9000 + " -->\n", "utf-8"), ("<?xml version='1.0' encoding='utf-16'?>", "utf-16")],
)
@pytest.mark.parametrize("prefix", ["", "nih:"])
def test_xml_is_found_whatever_its_prefix_encoding_and_comments(
    tmp_path: Path, begin: str, encoding: str, prefix: str
) -> None:
    series, sops = patient(tmp_path)
    xml = write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    body = re.sub(r"<\?.*?\?>", "", xml.read_text(), count=1)
    if prefix:
        body = re.sub(r"<(/?)(\w)", rf"<\1{prefix}\2", body).replace(
            "<nih:LidcReadMessage", '<nih:LidcReadMessage xmlns:nih="x"', 1
        )
    xml.write_text(begin + body, encoding=encoding)
    (case,) = open_lidc(tmp_path).cases()
    assert case.marks is not None and len(case.marks.numbers(KINDS)) == 1


def test_ratings_off_their_scale_do_not_decide_the_kind_and_are_said(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    reads = [nodule(f"n{k}", roi(sops[5], ring(19, 14, 4)), {"texture": 0 if k else 5}) for k in range(4)]
    write_lidc_xml(series / "069.xml", UID, reads)
    (case,) = open_lidc(tmp_path).cases()
    assert case.marks is not None and list(case.marks.kinds.values()) == ["solid nodule"]
    assert any("3 ratings off the scale, the first texture 0" in n for n in case.provenance["notes"])


def test_xml_of_many_comments_and_nothing_else_is_looked_at_quickly(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<!-- a -->" * 5000)  # a pattern that tries every way to end a comment takes ages
    assert root_of(tmp_path / "a.xml") == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<xCoord>14<", "<xCoord>99999999<", "row 19, column 99999999, outside of its slice of 48 x 56"),
        ("<xCoord>14<", "<xCoord>-3<", "column -3, outside of its slice"),
    ],
)
def test_an_outline_that_runs_out_of_its_slice_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    series, sops = patient(tmp_path)
    xml = write_lidc_xml(series / "069.xml", UID, four_readers(sops))
    xml.write_text(xml.read_text().replace(old, new, 1))
    with pytest.raises(GeometryError, match=f"069.xml: an outline runs through .*{words}"):
        list(open_lidc(tmp_path).cases())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("readingSession", "ReadingSession", "holds no readingSession"),
        ("<texture>5<", "<texture>high<", "expected a whole number as texture"),
        ("<LidcReadMessage", "<!DOCTYPE a [<!ENTITY b 'c'>]><LidcReadMessage", "declares a document type"),
        ("</LidcReadMessage>", "", "no element found"),
    ],
)
def test_a_ct_beside_xml_that_cannot_be_read_is_refused_or_skipped_and_not_unknown(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    good, sops = patient(tmp_path)
    write_lidc_xml(good / "069.xml", UID, four_readers(sops))
    bad, sops = patient(tmp_path, name="LIDC-IDRI-0002", uid="1.2.840.2", number=1)
    xml = write_lidc_xml(bad / "070.xml", "1.2.840.2", four_readers(sops))
    xml.write_text(xml.read_text().replace(old, new))
    found = open_lidc(tmp_path)
    assert any(words in line for line in found.left_out)
    with pytest.raises(DataError, match=f"1 of 2 cases cannot be read .*070.xml: .*{words}"):
        list(found.cases())
    with pytest.warns(SkippedCaseWarning, match="070.xml"):
        (case,) = found.cases(skip_bad=True)
    assert case.marks is not None and not any("not read since not DICOM" in n for n in case.provenance["notes"])


def test_a_nodule_whose_outline_encloses_no_pixel_makes_no_negative(tmp_path: Path) -> None:
    series, sops = patient(tmp_path)
    write_lidc_xml(series / "069.xml", UID, [nodule("n", roi(sops[5], [(20, 20), (20, 21)]))] * 4)
    (case,) = open_lidc(tmp_path).cases()
    assert case.marks is not None and int((case.marks.instances[5, 18:23, 18:24] > 0).sum()) > 0
    assert case.marks.ignored == frozenset(case.marks.shown) and not case.marks.numbers(KINDS)
    assert any("4 outlines of nodules enclose no pixel; such places are ignored" in n for n in case.provenance["notes"])


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_header_of_another_patient_than_the_list_of_series_is_said(tmp_path: Path) -> None:
    uid = "1.3.6.1.4.1.14519.5.2.1.6279.6001.154677396354641150280013275227"  # of LIDC-IDRI-0314
    for name in ("LIDC-IDRI-0314", "LIDC-IDRI-0001"):
        series, _ = patient(tmp_path / name, name=name, uid=uid)
        write_lidc_xml(series / "069.xml", uid, [""] * 4)
        (case,) = open_lidc(tmp_path / name).cases()
        said = [n for n in case.provenance["notes"] if "names another patient" in n]
        assert len(said) == (name != "LIDC-IDRI-0314") and case.patient_id == lidc_patient(uid)
