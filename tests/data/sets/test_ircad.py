from __future__ import annotations

import numpy as np
from dicom_files import save_stack

from taskct.data.open import open_case, open_cases


def _patient(folder, *, slices: int = 5) -> dict[str, np.ndarray]:
    """As 3D-IRCADb lays out a patient: files without a suffix, masks of 0 and 255 as CT images of the same places."""
    names = [f"image_{k}" for k in range(slices)]
    save_stack(folder / "PATIENT_DICOM", slices=slices, names=names)
    masks = {}
    for number, (name, rows) in enumerate({"liver": 10, "livertumor01": 3, "skin": 16}.items()):
        masks[name] = np.zeros((slices, 16, 20), bool)
        masks[name][1:-1, :rows, 4 : 4 + rows] = True

        def change(k, made, mask=masks[name]):
            made.PixelData = (mask[k] * np.uint16(255)).tobytes()

        changes = {"SeriesInstanceUID": f"1.2.5.{number}", "RescaleIntercept": 0, "RescaleType": None}
        save_stack(folder / "MASKS_DICOM" / name, slices=slices, names=names, change=change, **changes)
    return masks


def test_a_patient_is_one_ct_whose_masks_are_its_labels(tmp_path):
    masks = _patient(tmp_path / "3Dircadb1.1")
    (tmp_path / "3Dircadb1.1" / "MESHES_VTK").mkdir()
    for case in (open_case(tmp_path / "3Dircadb1.1"), *open_cases(tmp_path)):
        assert case.hu.shape == (5, 16, 20) and float(case.hu.min()) < -500
        assert case.label_names == {1: "liver", 2: "livertumor01", 3: "skin"}
        tumour, liver = masks["livertumor01"], masks["liver"]
        assert np.array_equal(case.labels.numpy() == 2, tumour)
        assert np.array_equal(case.labels.numpy() == 1, liver & ~tumour)  # the skin holds all of them and swallows none


def test_one_mask_folder_labels_the_ct_alone(tmp_path):
    masks = _patient(tmp_path)
    case = open_case(tmp_path / "PATIENT_DICOM", labels=tmp_path / "MASKS_DICOM" / "liver")
    assert np.array_equal(case.labels.numpy() == 1, masks["liver"]) and case.label_names == {1: "liver"}
