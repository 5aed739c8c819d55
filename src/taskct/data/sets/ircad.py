"""3D-IRCADb: a CT in PATIENT_DICOM, and one series of mask images per organ in MASKS_DICOM."""

from __future__ import annotations

from pathlib import Path

CT_FOLDER, MASK_FOLDER = "patient_dicom", "masks_dicom"


def ircad_patients(folders: list[Path]) -> list[tuple[Path, Path]]:
    """(CT folder, mask folder) of every patient among these folders; upper and lower case mean the same."""
    found = []
    for folder in folders:
        below = {d.name.lower(): d for d in folder.iterdir() if d.is_dir()}
        if CT_FOLDER in below and MASK_FOLDER in below:
            found.append((below[CT_FOLDER], below[MASK_FOLDER]))
    return found
