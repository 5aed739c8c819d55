"""LUNA16 in its own layout: flipped scans, nodules in the patient's mm, exclusions, subsets as folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chest_sets import SHAPE, SPACING_MM, tiny_chest, write_metaimage

from taskct.core.errors import FileFormatError, GeometryError, InputError
from taskct.data.marked_set import open_luna16
from taskct.data.open import open_cases
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.data.splits import split_by_patient

UID_314 = "1.3.6.1.4.1.14519.5.2.1.6279.6001.154677396354641150280013275227"  # of LIDC-IDRI-0314
HEAD = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"
ORIGIN = (-110.0, -90.0, -200.0)
AT = (5, 24, 40)  # z, y, x of a nodule


def world(at: tuple[int, int, int]) -> str:
    """LPS x, y, z of a sample, as text of a table."""
    return ",".join(str(o + k * s) for o, k, s in zip(ORIGIN, at[::-1], SPACING_MM[::-1], strict=True))


def make_set(root: Path) -> Path:
    for fold, (uid, flipped) in enumerate((("1.2.7", False), (UID_314, True))):
        hu = tiny_chest(fold).hu.numpy().copy()
        hu[AT] = 900
        write_metaimage(root / f"subset{fold}" / f"{uid}.mhd", hu, origin_xyz=ORIGIN, flipped=flipped)
    rows = [f"{uid},{world(AT)},18.0\n" for uid in ("1.2.7", UID_314)] + [f"1.2.99,{world(AT)},5\n"]
    (root / "annotations.csv").write_text(HEAD + "".join(rows))
    (root / "evaluationScript" / "annotations").mkdir(parents=True)
    excluded = f"{UID_314},{world((8, 20, 15))},-1\n"
    (root / "evaluationScript" / "annotations" / "annotations_excluded.csv").write_text(HEAD + excluded)
    return root


def test_a_nodule_lies_at_its_place_whether_the_scan_is_flipped_or_not(tmp_path: Path) -> None:
    for case in open_luna16(make_set(tmp_path)).cases():
        assert case.marks is not None and case.hu[AT] == 900
        boxes = case.marks.boxes({"nodule": ["nodule"]})
        assert boxes is not None
        assert boxes.corners.tolist() == [[2, 22, 38, 9, 27, 43]]  # 18 mm: 7 slices of 2.5 mm, 5 pixels of 4 mm, about AT
        assert case.marks.presence({"nodule": ["nodule"]}).tolist() == [1.0]
        assert case.marks.class_map({"nodule": ["nodule"]}) is None  # no outline is known


def test_excluded_findings_count_neither_way_and_have_ten_mm_where_no_diameter_is_given(tmp_path: Path) -> None:
    case = next(open_luna16(make_set(tmp_path)).fold(1).cases())
    boxes = case.marks.boxes({"nodule": ["nodule"]})  # type: ignore[union-attr]
    assert boxes is not None and boxes.ignored.tolist() == [[6, 19, 14, 11, 22, 17]]


def test_subsets_are_folds_and_patients_are_those_of_lidc(tmp_path: Path) -> None:
    found = open_luna16(make_set(tmp_path))
    assert found.folds == (0, 1) and len(found.without_fold(0)) == 1
    for asked in (found.fold, found.without_fold):
        with pytest.raises(InputError, match=r"has the parts \(0, 1\), asked for \(0, 7\)"):
            asked(0, 7)
    with pytest.raises(InputError, match="unknown outside 'ignore'"):
        open_luna16(found.folder, outside="ignore")
    (case,) = found.fold(1).cases()
    assert case.case_id == "luna-0314" and case.provenance["fold"] == 1
    from taskct.data.dicom.identity import patient_pseudonym

    assert case.patient_id == patient_pseudonym("LIDC-IDRI-0314")
    assert split_by_patient([*found.cases()], fractions=(0.5, 0, 0.5)).train


def test_scans_that_a_table_lists_and_the_folder_lacks_are_counted(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    assert open_luna16(root).left_out == (
        f"{root / 'annotations.csv'}: 1 of 3 scans with nodules are not in {root} (other subsets?): 1.2.99",
    )
    with pytest.warns(SkippedCaseWarning, match="1 of 3 scans"):
        assert [c.marks is not None for c in open_cases(root)] == [True, True]
    assert len(open_luna16(root / "subset1")) == 1  # its tables lie above


def test_a_nodule_outside_of_its_ct_is_refused_by_its_row_or_left_out_with_a_note(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    (root / "annotations.csv").write_text(HEAD + f"1.2.7,110,-90,{-200 - 99},6\n")
    with pytest.raises(GeometryError, match=r"annotations.csv row 2: a lesion at \(110.0, -90.0, -299.0\) mm lies outside"):
        list(open_luna16(root).fold(0).cases())
    (case,) = open_luna16(root, outside="skip").fold(0).cases()
    assert any("left out" in note and "row 2" in note for note in case.provenance["notes"])
    assert case.marks.presence({"nodule": ["nodule"]}).tolist() == [0.0]  # type: ignore[union-attr]


@pytest.mark.parametrize("row", ["1.2.7,1,2,x,4\n", "1.2.7,1,2,3\n"])
def test_a_damaged_row_is_named(tmp_path: Path, row: str) -> None:
    root = make_set(tmp_path)
    (root / "annotations.csv").write_text(HEAD + row)
    with pytest.raises(FileFormatError, match="row 2"):
        list(open_luna16(root).cases())


def test_a_scan_in_two_subsets_and_tables_that_differ_are_refused(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    write_metaimage(root / "subset1" / "1.2.7.mhd", np.zeros(SHAPE), origin_xyz=ORIGIN)
    with pytest.raises(InputError, match="the same scan as"):
        open_luna16(root)
    (root / "subset1" / "1.2.7.mhd").unlink()
    (root / "copy").mkdir()
    (root / "copy" / "annotations.csv").write_text(HEAD)
    with pytest.raises(InputError, match="that differ"):
        open_luna16(root)


def test_a_missing_table_of_exclusions_is_noted(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    (root / "evaluationScript" / "annotations" / "annotations_excluded.csv").unlink()
    case = next(open_luna16(root).cases())
    assert any("annotations_excluded.csv is not there" in note for note in case.provenance["notes"])


def test_a_nodule_without_a_size_is_refused_and_not_taken_as_one_outside(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    (root / "annotations.csv").write_text(HEAD + f"1.2.7,{world(AT)},0\n")
    with pytest.raises(FileFormatError, match="row 2: expected a diameter above 0"):
        list(open_luna16(root, outside="skip").fold(0).cases())


def test_a_table_without_a_row_makes_no_negatives(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    (root / "annotations.csv").write_text(HEAD)
    with pytest.raises(FileFormatError, match=r"annotations.csv: holds no row"):
        open_luna16(root)


def test_fractions_of_samples_are_no_sizes(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    header = root / "subset0" / "1.2.7.mhd"
    header.write_text(header.read_text().replace(f"DimSize = {SHAPE[2]}", f"DimSize = {SHAPE[2]}.5"))
    with pytest.raises(FileFormatError, match=r"expected 3 whole numbers as DimSize, got '56.5 48 12'"):
        list(open_luna16(root).fold(0).cases())
