"""One scan or patient in training and in test is found, whatever it is called and in whatever format it lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from chest_sets import SPACING_MM, ring, roi, tiny_chest, write_lidc_series, write_lidc_xml, write_metaimage
from chest_sets import nodule as nodule_xml

from taskct.core.errors import InputError
from taskct.data.marked_set import open_lidc, open_luna16, open_marked
from taskct.data.nifti import write_nifti
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.data.shared_scans import refuse_shared_scans, same_patients, shared_scans
from taskct.data.slice_recipe import SliceRecipe

UID_314 = "1.3.6.1.4.1.14519.5.2.1.6279.6001.154677396354641150280013275227"


def lidc_and_luna(root: Path) -> tuple[Path, Path]:
    """The same scan in both layouts; LUNA16's copy was shifted by one HU, as another conversion might."""
    series = root / "lidc" / "LIDC-IDRI-0314"
    sops = write_lidc_series(series, tiny_chest(), patient="LIDC-IDRI-0314", uid=UID_314)
    write_lidc_xml(series / "1.xml", UID_314, [nodule_xml("n", roi(sops[3], ring(20, 12, 3)))] * 4)
    luna = root / "luna"
    write_metaimage(luna / "subset0" / f"{UID_314}.mhd", tiny_chest().hu.numpy() + 1, origin_xyz=(-110.0, -90.0, -200.0))
    at = ",".join(str(v) for v in (-110 + 14 * SPACING_MM[2], -90 + 22 * SPACING_MM[1], -200 + 3 * SPACING_MM[0]))
    (luna / "annotations.csv").write_text(f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{UID_314},{at},12\n")
    return root / "lidc", luna


def test_lidc_and_luna16_are_the_same_scans_patients_and_places(tmp_path: Path) -> None:
    lidc, luna = lidc_and_luna(tmp_path)
    (one,), (other,) = open_lidc(lidc).cases(), open_luna16(luna).cases()
    assert one.patient_id == other.patient_id
    (pair,) = shared_scans([one], [other])
    assert pair.by == "series UID"
    with pytest.raises(InputError, match="in training and in test: lidc-0314 and luna-0314"):
        refuse_shared_scans([one], [other])
    kinds = ["solid nodule", "part-solid nodule", "ground-glass nodule", "nodule"]
    middle = [
        (c[:3] + c[3:]) / 2
        for case in (one, other)
        for c in [case.marks.boxes({k: [k] for k in kinds}).corners[0]]  # type: ignore[union-attr]
    ]
    assert float((middle[0] - middle[1]).abs().max()) <= 0.5  # samples: outline and ball lie at one place


def test_copies_are_found_by_content_and_cleared_cases_pass() -> None:
    one = replace(tiny_chest(1), provenance={"fingerprint": "abc"})
    assert shared_scans([one], [replace(tiny_chest(2), provenance={"fingerprint": "abc"})])[0].by == "content"
    refuse_shared_scans([one], [tiny_chest(2)], sets=("luna16", "msd-lung"))


def test_sets_whose_patients_go_by_other_numbers_are_refused_as_a_whole() -> None:
    with pytest.raises(InputError, match="luna16 and lodopab are CT of the same patients under other numbers"):
        refuse_shared_scans([tiny_chest(1)], [tiny_chest(2)], sets=("luna16", "lodopab"))


def test_one_patient_under_two_names_is_refused_or_left_out(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write_nifti(tiny_chest(1), tmp_path / f"{name}.nii.gz")
    (tmp_path / "boxes.csv").write_text("case,kind,x_mm,y_mm,z_mm,diameter_mm\n")
    found = open_marked(tmp_path, boxes=tmp_path / "boxes.csv", kinds=["nodule"], unlisted="absent")
    with pytest.raises(InputError, match="one patient goes by two names"):
        list(found.cases())
    with pytest.warns(SkippedCaseWarning, match="the same CT as"):
        assert len(list(found.cases(skip_bad=True))) == 1


def test_slices_of_a_marked_set_carry_marks_on_any_grid(tmp_path: Path) -> None:
    lidc, _ = lidc_and_luna(tmp_path)
    for recipe, box in ((SliceRecipe(), [21, 13, 24, 16]), (SliceRecipe(shape=(64, 64), pixel_mm=4.0), [29, 17, 32, 20])):
        images = open_lidc(lidc).images(recipe)
        assert images.has_marks and len(images) == 12
        marks = images.take([3]).targets["marks"][0]
        assert marks.boxes({"nodule": ["solid nodule"]}).corners.tolist() == [box]
        assert images.take([0]).targets["marks"][0].presence({"nodule": ["solid nodule"]}).tolist() == [0.0]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["luna61", "LIDC", "lodopab-ct "])
def test_a_misspelt_set_is_refused_and_not_one_that_shares_nobody(side: int, name: str) -> None:
    sets = ("lodopab", "lodopab")
    with pytest.raises(InputError, match="unknown public set"):
        refuse_shared_scans([], [], sets=(name, sets[1]) if side == 0 else (sets[0], name))
    with pytest.raises(InputError, match="unknown public set"):
        same_patients(name)
    refuse_shared_scans([], [], sets=("", "lodopab"))  # a set of one's own
