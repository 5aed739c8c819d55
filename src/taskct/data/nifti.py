"""NIfTI in and out: the one file that knows its order x, y, z and its world right-anterior-superior."""

from __future__ import annotations

import gzip
import io
import os
from typing import Any

import numpy as np

from taskct.core.errors import FileFormatError, InputError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, atomic_path
from taskct.core.open_files import parsing, regular_file
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.data.bounded import read_head
from taskct.data.case import Case
from taskct.data.volume import NO_ORIENTATION, StoredVolume, Volume, case_from_volume

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_REFUSED_TYPES = {0: "unknown", 1: "binary", 32: "complex", 128: "RGB", 1536: "float128", 1792: "complex", 2048: "complex"}
_REFUSED_TYPES |= {2304: "RGBA"}
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown (taken as mm), metre, mm, micron
_MOST_HEADER_BYTES = 64 * 2**20  # header extensions lie before the values
_SAME_PLACE_VOXELS = 0.1  # sform and qform that differ by more than this somewhere in the volume are noted
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_REVERSED = [2, 1, 0, 3]  # x, y, z <-> z, y, x
_WRITER = b"taskct"  # in the header's `descrip`


def read_nifti(
    path: str | os.PathLike[str],
    *,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Case:
    """A .nii or .nii.gz of HU -> Case; the header is checked against the file's real length before anything is allocated.

    Raises FileFormatError (damaged, truncated, lying, hostile) and UnsupportedDataError (4D, colour, complex, pairs of
    files, sheared axes). Odd but readable things are in `provenance["notes"]`.
    """
    volume = read_nifti_volume(path, limit_bytes=limit_bytes)
    return case_from_volume(path, volume, format_name="NIfTI", mu_water_per_mm=mu_water_per_mm)


def read_nifti_volume(path: str | os.PathLike[str], *, limit_bytes: int = MAX_VOLUME_BYTES) -> Volume:
    """The values of a NIfTI file in our orientation: its own type if it is not scaled, else float32."""
    return open_nifti(path).read(limit_bytes=limit_bytes)


def open_nifti(path: str | os.PathLike[str]) -> StoredVolume:
    """What the header of a NIfTI file says; nothing of its values is read."""
    path = regular_file(path)
    header = _read_header(path)
    shape = _shape(header, path)
    dtype = _dtype(header, path)
    affine_ras, notes = _affine(header, shape, path)
    return StoredVolume(
        path,
        shape[::-1],  # x runs fastest in the file, so C order is z, y, x
        dtype,
        (_RAS_TO_LPS @ affine_ras)[np.ix_(_REVERSED, _REVERSED)],
        tuple(notes),
        {"path": path, "offset": _offset(header, path)},
        lambda values: _scaled(values, header, path),
        may_be_padded=header["descrip"].item() != _WRITER,
    )


def write_nifti(case: Case, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a case's HU to .nii or .nii.gz: int16 when they are whole numbers that fit, else float32.

    Reading it again gives the identical values and affine (to the float32 of the NIfTI header). The same case gives the
    same bytes.
    """
    hu = case.hu.numpy()
    _write(hu.astype(np.int16) if fits_int16(hu) else hu, case, path, overwrite=overwrite)


def write_nifti_labels(case: Case, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a case's labels to .nii or .nii.gz in the smallest unsigned type (int32 if there are negative ones)."""
    if case.labels is None:
        raise InputError(f"case {case.case_id} has no labels to write")
    labels = case.labels.numpy()
    low, high = int(labels.min()), int(labels.max())
    dtype = np.int32 if low < 0 or high > 65535 else (np.uint8 if high < 256 else np.uint16)
    _write(labels.astype(dtype), case, path, overwrite=overwrite)


def _write(values: np.ndarray, case: Case, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    import nibabel

    name = os.fspath(path).lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: expected a name that ends in .nii or .nii.gz")
    assert case.affine_mm is not None
    affine_ras = _affine_ras(case.affine_mm)
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), affine_ras)
    image.set_sform(affine_ras, code=1)
    image.set_qform(affine_ras, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = _WRITER
    with atomic_path(path, overwrite=overwrite) as part, open(part, "wb") as raw:
        if name.endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=5, mtime=0) as packed:
                image.to_stream(packed)
        else:
            image.to_stream(raw)


def fits_int16(values: np.ndarray) -> bool:
    """Whether all values are whole numbers that int16 holds."""
    if values.size == 0:
        return True
    return bool(values.min() >= -32768 and values.max() <= 32767 and (values == np.rint(values)).all())


def nifti_header(shape: tuple[int, int, int], affine_mm: np.ndarray, dtype: np.dtype) -> bytes:
    """The head of an uncompressed .nii of planes (Z, Y, X) of `dtype`, whose bytes follow it; the affine is that of a Case."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape(shape[::-1])
    header.set_data_dtype(dtype)
    header.set_sform(_affine_ras(affine_mm), code=1)
    header.set_qform(_affine_ras(affine_mm), code=1)
    header.set_xyzt_units("mm")
    header["descrip"] = _WRITER
    header["magic"], header["vox_offset"] = b"n+1", header["sizeof_hdr"] + 4
    return header.binaryblock + b"\0\0\0\0"  # no extensions


def _affine_ras(affine_mm: np.ndarray) -> np.ndarray:
    """The affine of a Case -> voxel (x, y, z, 1) to RAS position in mm."""
    return _RAS_TO_LPS @ affine_mm[np.ix_(_REVERSED, _REVERSED)]


def is_nifti_head(head: bytes) -> bool:
    """True when the first bytes (unpacked) are a NIfTI-1 or NIfTI-2 header, of one file or of a pair."""
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _read_header(path: os.PathLike[str]) -> Any:
    import nibabel

    head = read_head(path, 540)
    if not is_nifti_head(head):
        if len(head) >= 348 and head[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c"):
            raise UnsupportedDataError(f"{path}: an ANALYZE 7.5 header records no orientation; convert it to NIfTI")
        raise FileFormatError(f"{path}: expected a NIfTI file, but the content is not NIfTI")
    second = head[4:7] == b"n+2" or head[4:7] == b"ni2"
    if head[4:7] == b"ni2" or head[344:347] == b"ni1":
        raise UnsupportedDataError(f"{path}: a NIfTI pair (.hdr and .img); convert it to one .nii file")
    size, kind = (540, nibabel.Nifti2Header) if second else (348, nibabel.Nifti1Header)
    if len(head) < size:
        raise FileFormatError(f"{path}: truncated within its header")
    order = {int.from_bytes(head[:4], "little"): "<", int.from_bytes(head[:4], "big"): ">"}.get(size)
    if order is None:
        raise FileFormatError(f"{path}: declares a header of {int.from_bytes(head[:4], 'little')} bytes, expected {size}")
    with parsing(path, "a NIfTI header"):
        return kind.from_fileobj(io.BytesIO(head[:size]), endianness=order, check=False)


def _shape(header: Any, path: os.PathLike[str]) -> tuple[int, int, int]:
    dims = [int(n) for n in header["dim"]]
    if not 2 <= dims[0] <= 7 or any(n < 1 for n in dims[1 : dims[0] + 1]):
        raise FileFormatError(f"{path}: declares impossible dimensions {dims}; the header is damaged")
    sizes = [*dims[1 : dims[0] + 1], 1][: max(3, dims[0])]
    count = int(np.prod([float(n) for n in sizes[3:]]))
    if count > 1:
        raise UnsupportedDataError(f"{path}: holds {count} volumes of {tuple(sizes[:3])}; extract one of them first")
    return sizes[0], sizes[1], sizes[2]


def _dtype(header: Any, path: os.PathLike[str]) -> np.dtype:
    code = int(header["datatype"])
    if code not in _TYPES:
        what = _REFUSED_TYPES.get(code, "unknown")
        raise UnsupportedDataError(f"{path}: data type {code} ({what}); expected whole or real numbers, one per voxel")
    dtype = np.dtype(_TYPES[code])
    if int(header["bitpix"]) not in (0, 8 * dtype.itemsize):
        raise FileFormatError(f"{path}: declares data type {code} with {int(header['bitpix'])} bits; the header is damaged")
    return dtype.newbyteorder(header.endianness)


def _offset(header: Any, path: os.PathLike[str]) -> int:
    offset, least = float(header["vox_offset"]), int(header["sizeof_hdr"]) + 4
    if offset == 0:
        return least
    if not (np.isfinite(offset) and least <= offset <= _MOST_HEADER_BYTES and offset == int(offset)):
        raise FileFormatError(f"{path}: values begin at byte {offset:g}, expected {least} or a little more")
    return int(offset)


def _affine(header: Any, shape: tuple[int, int, int], path: os.PathLike[str]) -> tuple[np.ndarray, list[str]]:
    """Voxel (x, y, z, 1) -> RAS position in mm, and what is odd about it."""
    notes = []
    sform = header.get_sform() if int(header["sform_code"]) > 0 else None
    qform = _qform(header, path) if int(header["qform_code"]) > 0 else None
    if sform is not None and not np.isfinite(sform).all():
        raise FileFormatError(f"{path}: the sform holds NaN or infinite numbers; the header is damaged")
    if sform is not None and qform is not None:
        corners = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])]).T
        apart_mm = float(np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max())
        if apart_mm > _SAME_PLACE_VOXELS * np.linalg.norm(sform[:3, :3], axis=0).min():
            notes.append(f"sform and qform differ by up to {apart_mm:.3g} mm; the sform was used")
    affine = sform if sform is not None else qform
    if affine is None:
        steps = [float(s) for s in header["pixdim"][1:4]]
        steps[2] = (steps[2] or 1.0) if int(header["dim"][0]) == 2 else steps[2]
        if not all(np.isfinite(s) and s > 0 for s in steps):
            raise FileFormatError(f"{path}: voxel size {steps} mm; expected positive numbers")
        affine = np.diag([*steps, 1.0])
        notes.append(f"{NO_ORIENTATION}; axes were taken as right, anterior, superior")
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:
        raise FileFormatError(f"{path}: unknown unit of length {unit}")
    if _MM_PER_UNIT[unit] != 1:
        notes.append(f"lengths were given in {'metres' if unit == 1 else 'microns'}")
    affine = np.diag([*[_MM_PER_UNIT[unit]] * 3, 1.0]) @ affine
    if unit == 0:
        notes.append("the header names no unit of length; mm were assumed")
    if int(header["dim"][0]) == 2:
        notes.append(_thicken(affine))
    return affine, notes


def _thicken(affine: np.ndarray) -> str:
    """Give a 2D image a slice direction where its header has none (edited in place), and say how thick it was taken to be."""
    thickness = float(np.linalg.norm(affine[:3, 2]))
    if not thickness > 0:
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / max(float(np.linalg.norm(normal)), 1e-30)
        thickness = 1.0
    return f"a 2D image, one slice of unknown thickness: {thickness:g} mm were assumed"


def _qform(header: Any, path: os.PathLike[str]) -> np.ndarray:
    numbers = [float(header[n]) for n in ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")]
    with parsing(path, "a NIfTI header with a qform"):
        qform = header.get_qform()
    if not np.isfinite(numbers).all() or not np.isfinite(qform).all():
        raise FileFormatError(f"{path}: the qform holds NaN or infinite numbers; the header is damaged")
    return qform


def _scaled(values: np.ndarray, header: Any, path: os.PathLike[str]) -> np.ndarray:
    """values * scl_slope + scl_inter, computed in float64 slice by slice; a slope of 0 or NaN means unscaled."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isnan(slope) or slope == 0:
        slope, inter = 1.0, 0.0
    inter = 0.0 if np.isnan(inter) else inter
    if not (np.isfinite(slope) and np.isfinite(inter)):
        raise FileFormatError(f"{path}: declares the scale {slope:g} * value + {inter:g}; the header is damaged")
    if (slope, inter) == (1.0, 0.0):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    scaled = np.empty(values.shape, dtype=np.float32)
    for z in range(len(values)):
        scaled[z] = values[z].astype(np.float64) * slope + inter
    return scaled
