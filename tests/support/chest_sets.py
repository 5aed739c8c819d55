"""Tiny chest CT in the layouts of public sets: a body with two lungs, written as a set of that name would lie on a disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from dicom_files import ct_slice, save

from taskct.data.case import Case

SHAPE, SPACING_MM = (12, 48, 56), (2.5, 4.0, 4.0)


def tiny_chest(number: int = 0, *, name: str = "") -> Case:
    """A body of 40 HU with two lungs of -850 HU in air; the noise depends on the number."""
    _, y, x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    hu = np.full(SHAPE, -1000.0, np.float32)
    hu[((y - 24) / 20) ** 2 + ((x - 28) / 26) ** 2 < 1] = 40
    for side in (-1, 1):
        hu[((y - 24) / 13) ** 2 + ((x - 28 - side * 12) / 9) ** 2 < 1] = -850
    hu += np.random.default_rng(number).integers(-20, 20, SHAPE)
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = -200.0, -90.0, -110.0
    return Case(torch.from_numpy(np.rint(hu)), SPACING_MM, name or f"p{number}", affine_mm=affine)


def write_metaimage(path: Path, hu: np.ndarray, *, origin_xyz: Sequence[float], flipped: bool = False) -> None:
    """A .mhd with its .raw as LUNA16 has them: int16, offset of the first voxel, and perhaps a flipped TransformMatrix.

    `hu` (z, y, x) is in the patient's orientation; where `flipped`, its first voxel is the one farthest left and back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stored, origin = np.asarray(hu, np.int16), np.array(origin_xyz, float)
    matrix = "1 0 0 0 1 0 0 0 1"
    if flipped:
        stored, matrix = stored[:, ::-1, ::-1], "-1 0 0 0 -1 0 0 0 1"
        last = np.array([hu.shape[2] - 1, hu.shape[1] - 1, 0]) * [SPACING_MM[2], SPACING_MM[1], SPACING_MM[0]]
        origin = origin + last
    path.with_suffix(".raw").write_bytes(np.ascontiguousarray(stored).tobytes())
    path.write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        f"TransformMatrix = {matrix}\nOffset = {' '.join(map(str, origin))}\nCenterOfRotation = 0 0 0\n"
        f"AnatomicalOrientation = RAI\nElementSpacing = {SPACING_MM[2]} {SPACING_MM[1]} {SPACING_MM[0]}\n"
        f"DimSize = {hu.shape[2]} {hu.shape[1]} {hu.shape[0]}\nElementType = MET_SHORT\nElementDataFile = {path.stem}.raw\n"
    )


def write_lidc_series(folder: Path, case: Case, *, patient: str, uid: str) -> list[str]:
    """A CT series as LIDC-IDRI has it; the SOPInstanceUID of each slice, from the feet up."""
    uids = []
    for k, hu in enumerate(case.hu.numpy()):
        pixels = (hu + 1024).astype(np.uint16)
        z, y, x = case.affine_mm[:3, 3]  # type: ignore[index]
        sop = f"{uid}.{k + 1}"
        made = ct_slice(
            z + k * SPACING_MM[0],
            k,
            pixels,
            SeriesInstanceUID=uid,
            SOPInstanceUID=sop,
            PatientID=patient,
            PixelSpacing=list(SPACING_MM[1:]),
            ImagePositionPatient=[x, y, z + k * SPACING_MM[0]],
        )
        save(made, folder / f"{len(case.hu) - k:06d}.dcm")
        uids.append(sop)
    return uids


def roi(sop: str, points: Sequence[tuple[int, int]], *, inclusion: bool = True, z_mm: float = 0.0) -> str:
    """An outline: (row, column) of its edge."""
    edge = "".join(f"<edgeMap><xCoord>{c}</xCoord><yCoord>{r}</yCoord></edgeMap>" for r, c in points)
    return (
        f"<roi><imageZposition>{z_mm}</imageZposition><imageSOP_UID>{sop}</imageSOP_UID>"
        f"<inclusion>{'TRUE' if inclusion else 'FALSE'}</inclusion>{edge}</roi>"
    )


def nodule(name: str, rois: str, ratings: Mapping[str, int] | None = None) -> str:
    """A nodule of a reading session."""
    about = "".join(f"<{k}>{v}</{k}>" for k, v in (ratings or {}).items())
    given = f"<characteristics>{about}</characteristics>" if about else ""
    return f"<unblindedReadNodule><noduleID>{name}</noduleID>{given}{rois}</unblindedReadNodule>"


def non_nodule(name: str, sop: str, at: tuple[int, int]) -> str:
    """A non-nodule: one point."""
    return (
        f"<nonNodule><nonNoduleID>{name}</nonNoduleID><imageZposition>0</imageZposition><imageSOP_UID>{sop}</imageSOP_UID>"
        f"<locus><xCoord>{at[1]}</xCoord><yCoord>{at[0]}</yCoord></locus></nonNodule>"
    )


def write_lidc_xml(path: Path, uid: str, sessions: Sequence[str], *, root: str = "LidcReadMessage") -> Path:
    """The XML of a series with one text per reader."""
    text = "".join(f"<readingSession><annotationVersion>3.12</annotationVersion>{s}</readingSession>" for s in sessions)
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} uid="1.3.6.1" xmlns="http://www.nih.gov">'
        f"<ResponseHeader><Version>1.7</Version><SeriesInstanceUid>{uid}</SeriesInstanceUid></ResponseHeader>{text}</{root}>"
    )
    return path


def ring(top: int, left: int, size: int) -> list[tuple[int, int]]:
    """The edge of a square that encloses `size` x `size` pixels, its first corner at (top, left)."""
    low, high = (top, left), (top + size + 1, left + size + 1)
    across = [(low[0], c) for c in range(low[1], high[1])] + [(r, high[1]) for r in range(low[0], high[0])]
    back = [(high[0], c) for c in range(high[1], low[1], -1)] + [(r, low[1]) for r in range(high[0], low[0], -1)]
    return across + back
