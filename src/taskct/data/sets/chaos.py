"""CHAOS: CT as DICOM beside liver masks as a pile of PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from taskct.core.errors import FileFormatError, UnsupportedDataError
from taskct.core.open_files import open_binary, parsing
from taskct.data.volume import Volume, canonical_volume

CHAOS_LABELS = {1: "liver"}
_MOST_PIXELS = 4096 * 4096


def read_chaos_masks(folder: Path, dicom_folder: Path) -> Volume:
    """The masks of a CHAOS CT (`Ground/`) with the positions of its slices (`DICOM_anon/`) -> labels 0 and 1.

    The masks are numbered in the order of the DICOM file names, which in some patients runs upwards and in others
    downwards; the positions in the DICOM headers decide where each one belongs.
    """
    from taskct.data.dicom.parse import looks_like_dicom, open_header

    masks = sorted(f for f in folder.iterdir() if f.suffix.lower() == ".png" and not f.name.startswith("."))
    slices = sorted(f for f in dicom_folder.iterdir() if f.is_file() and looks_like_dicom(f))
    if not masks or len(masks) != len(slices):
        raise FileFormatError(f"{folder}: holds {len(masks)} masks for {len(slices)} slices of {dicom_folder.name}")
    headers = [open_header(f).header for f in slices]
    try:
        place = np.array([[float(v) for v in h.ImagePositionPatient][::-1] for h in headers])
        row, col = np.array([float(v) for v in headers[0].ImageOrientationPatient]).reshape(2, 3)[:, ::-1]
        row_mm, col_mm = (float(v) for v in headers[0].PixelSpacing)
    except (AttributeError, TypeError, ValueError) as error:
        raise UnsupportedDataError(f"{dicom_folder}: its slices name no position ({error})") from error
    order = np.argsort(place @ np.cross(col, row))
    step = (place[order[-1]] - place[order[0]]) / max(len(order) - 1, 1) if len(order) > 1 else np.cross(col, row)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, col * row_mm, row * col_mm
    affine[:3, 3] = place[order[0]]
    shape = (int(headers[0].Rows), int(headers[0].Columns))
    values = np.stack([_mask(masks[k], shape) for k in order])
    return canonical_volume(folder, values, affine, [])


def _mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    with open_binary(path) as stream, parsing(path, "PNG"), Image.open(stream, formats=["PNG"]) as image:
        if (image.height, image.width) != shape or shape[0] * shape[1] > _MOST_PIXELS:
            raise FileFormatError(f"{path}: {image.height} x {image.width} pixels for a slice of {shape[0]} x {shape[1]}")
        return (np.asarray(image.convert("L")) > 0).astype(np.uint8)
