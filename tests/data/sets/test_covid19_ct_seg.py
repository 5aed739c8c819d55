"""COVID-19-CT-Seg: what is not in HU is refused unless told, sides, patients, and CT without a mask."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from chest_sets import SHAPE, tiny_chest

from taskct.core.errors import FileFormatError, InputError, UnsupportedDataError
from taskct.data.marked_set import open_covid19
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import open_cases
from taskct.data.sets.covid19_ct_seg import patient_of
from taskct.data.sets.label_files import SkippedCaseWarning

NAMES = ("coronacases_001", "radiopaedia_10_85902_1", "radiopaedia_10_85902_3")

COVID_CT = "COVID-19-CT-Seg_20cases/coronacases_001.nii.gz"


def labels_of(*, mirrored: bool = False) -> torch.Tensor:
    x = torch.arange(SHAPE[2]).expand(SHAPE)
    labels = torch.where((x > 28) ^ torch.tensor(mirrored), 1, 2).to(torch.int16)  # x rises to the left
    labels[:, :10] = 0
    labels[5:8, 22:26, 12:18] = 3
    return labels


def make_set(root: Path, *, mirrored: bool = False) -> Path:
    for number, name in enumerate(NAMES):
        case = replace(tiny_chest(number), labels=labels_of(mirrored=mirrored))
        if name.startswith("radiopaedia"):
            case = replace(case, hu=((case.hu.clamp(-1250, 250) + 1250) / 1500 * 255).round())
        write_nifti(case, root / "COVID-19-CT-Seg_20cases" / f"{name}.nii.gz")
        for folder, labels in (("Lung_and_Infection_Mask", case.labels), ("Infection_Mask", (case.labels == 3).short())):
            write_nifti_labels(replace(case, labels=labels), root / folder / f"{name}.nii.gz")  # type: ignore[arg-type]
    return root


def test_values_of_0_to_255_are_refused_by_name_or_left_out(tmp_path: Path) -> None:
    found = open_covid19(make_set(tmp_path))
    with pytest.raises(
        FileFormatError, match=r"2 of 3 cases cannot be read.*radiopaedia_10_85902_1.nii.gz: values from \d+ to \d+ are not HU"
    ):
        list(found.cases())
    with pytest.warns(SkippedCaseWarning, match="are not HU"):
        assert [c.case_id for c in found.cases(skip_bad=True)] == ["coronacases_001"]


def test_values_of_0_to_255_go_back_to_hu_when_told(tmp_path: Path) -> None:
    cases = list(open_covid19(make_set(tmp_path), not_hu="rescale").cases())
    truth = tiny_chest(1).hu.clamp(-1250, 250)
    assert float((cases[1].hu - truth).abs().max()) < 3  # half a step of 5.9 HU
    assert any("put back to -1250 to 250 HU" in n for n in cases[1].provenance["notes"])
    assert not any("may not be HU" in n for n in cases[1].provenance["notes"])


def test_two_scans_of_one_patient_share_a_name() -> None:
    assert patient_of(NAMES[1]) == patient_of(NAMES[2]) != patient_of("radiopaedia_14_85914_0")
    assert patient_of("coronacases_001") != patient_of("coronacases_002")


def test_infection_comes_from_the_combined_map_or_from_its_own(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    for _ in range(2):
        case = next(open_covid19(root).cases())
        marks = case.marks
        assert marks is not None and int((marks.instances > 0).sum()) == 3 * 4 * 6
        assert marks.presence({"infection": ["infection"]}).tolist() == [1.0]
        assert not any("mirrored" in n for n in case.provenance["notes"])
        combined = root / "Lung_and_Infection_Mask"
        if combined.exists():
            combined.rename(tmp_path / "elsewhere")


def test_lungs_on_the_wrong_side_are_noted(tmp_path: Path) -> None:
    case = next(open_covid19(make_set(tmp_path, mirrored=True)).cases())
    assert any("mirrored" in n for n in case.provenance["notes"])


def test_a_note_on_values_that_may_not_be_hu_stays_unless_they_were_put_back(tmp_path: Path) -> None:
    root = make_set(tmp_path, mirrored=True)
    case = tiny_chest(0)
    write_nifti(case.with_hu(case.hu.index_fill(0, torch.tensor([0]), 40000.0)), root / COVID_CT, overwrite=True)
    notes = next(open_covid19(root).cases()).provenance["notes"]
    assert any("mirrored" in n for n in notes) and any("may not be HU" in n for n in notes)


def test_a_ct_without_a_mask_is_counted_and_unknown(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    (root / "Lung_and_Infection_Mask" / "coronacases_001.nii.gz").unlink()
    found = open_covid19(root)
    assert "1 CT without a mask" in found.left_out[0] and "coronacases_001" in found.left_out[0]
    assert next(found.cases()).marks is None


def test_masks_on_another_grid_are_refused(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    moved = replace(tiny_chest(), labels=labels_of(), affine_mm=np.diag([2.5, 4.0, 4.0, 1.0]))
    write_nifti_labels(moved, root / "Lung_and_Infection_Mask" / "coronacases_001.nii.gz", overwrite=True)
    with pytest.raises((FileFormatError, UnsupportedDataError), match=r"coronacases_001.nii.gz: its labels lie elsewhere"):
        list(open_covid19(root).cases())


@pytest.mark.parametrize("folder", ["COVID-19-CT-Seg_20cases", "Lung_and_Infection_Mask"])
def test_two_files_of_one_name_are_refused_with_both_named(tmp_path: Path, folder: str) -> None:
    place = make_set(tmp_path) / folder
    twice = place / "radiopaedia_org_10_85902_1.nii.gz"
    twice.write_bytes((place / "radiopaedia_10_85902_1.nii.gz").read_bytes())
    with pytest.raises(InputError, match=r"_1.nii.gz: has the name of .*_1.nii.gz; keep one of the two"):
        open_covid19(tmp_path)


def test_an_infection_map_without_infection_is_a_negative_and_a_combined_map_without_lungs_is_refused(tmp_path: Path) -> None:
    root = make_set(tmp_path)
    case = replace(tiny_chest(0), labels=torch.zeros(SHAPE, dtype=torch.int16))
    write_nifti_labels(case, root / "Lung_and_Infection_Mask" / "coronacases_001.nii.gz", overwrite=True)
    with pytest.raises(FileFormatError, match="labels no voxel"):
        list(open_covid19(root, not_hu="rescale").cases())
    shutil.rmtree(root / "Lung_and_Infection_Mask")
    write_nifti_labels(case, root / "Infection_Mask" / "coronacases_001.nii.gz", overwrite=True)
    first = next(open_covid19(root).cases())
    assert first.marks.findings == {"infection": False}  # type: ignore[union-attr]


@pytest.mark.parametrize("combined", [True, False])
def test_a_label_that_the_set_does_not_have_is_refused(tmp_path: Path, *, combined: bool) -> None:
    root = make_set(tmp_path)
    if not combined:
        shutil.rmtree(root / "Lung_and_Infection_Mask")
    labels = labels_of() if combined else (labels_of() == 3).short()
    labels[0, 0, 0] = 4
    place = root / ("Lung_and_Infection_Mask" if combined else "Infection_Mask") / "coronacases_001.nii.gz"
    write_nifti_labels(replace(tiny_chest(0), labels=labels), place, overwrite=True)
    words = "this set has 1 left lung, 2 right lung, 3 infection" if combined else "this set has 1 infection"
    with pytest.raises(
        FileFormatError, match=f"coronacases_001.nii.gz: its labels hold 4, of which no kind is named; {words}"
    ):
        list(open_covid19(root, not_hu="rescale").cases())


def test_labels_of_your_own_have_neither_the_names_nor_the_marks_of_the_set(tmp_path: Path) -> None:
    root = make_set(tmp_path / "set")
    for number, name in enumerate(NAMES):
        organs = torch.zeros(SHAPE, dtype=torch.int16)
        organs[3:6, 20:24, 20:24], organs[0] = 3, 9
        write_nifti_labels(replace(tiny_chest(number), labels=organs), tmp_path / "own" / f"{name}.nii.gz")
    with pytest.warns(SkippedCaseWarning, match="not HU"):
        (case,) = open_cases(root, labels=tmp_path / "own", skip_bad=True)
    assert case.marks is None and "infection" not in case.label_names.values()
