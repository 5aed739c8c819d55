"""Projections that a real detector measured: raw counts with flats and darks, and the Helsinki tomography challenge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import FileFormatError, InputError, UnsupportedDataError
from taskct.core.files import MAX_VOLUME_BYTES, existing_path
from taskct.core.open_files import parsing, read_bytes, read_start
from taskct.data.hdf5_guard import HDF5_MAGIC, open_hdf5, read_array
from taskct.data.sets.matlab5 import read_matlab5
from taskct.data.sets.rotation_axis import find_rotation_axis
from taskct.geometry import Beam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.noise import log_transform

FLOOR_COUNTS = 0.1  # a reading at or below this, after the dark frame, is taken as this: the rule of docs/dose.md
_MAT_LIMIT_BYTES = 256 * 2**20
_EVEN_STEP = 1e-3  # of a step: angles that differ by more from an even scan get a pose each


class MeasuredScan(NamedTuple):
    """Line integrals of a real scan and what is needed to reconstruct them."""

    p: Tensor  # (R, 1, V, C): detector rows as batch
    beam: Beam
    grid: Grid  # a suggestion: (Y, X)
    angles_rad: np.ndarray


class RawCounts(NamedTuple):
    """What the detector read: all (frames, R, C) as stored, and one angle per projection."""

    counts: np.ndarray
    flats: np.ndarray
    darks: np.ndarray
    angles_rad: np.ndarray


def read_htc2022(path: str | os.PathLike[str]) -> MeasuredScan:
    """A .mat file of the Helsinki Tomography Challenge 2022 -> line integrals (1, 1, V, 560) of a flat fan beam.

    The files hold -log data of the central row of a cone-beam scanner, 0.2 mm columns, distances in the file. Their angles
    turn as ours do (the outer edge of the disc fits to 0.2 columns so, to 0.7 with the opposite sense); which side of the
    disc was up is not recorded, so the image may be a mirror image. The suggested grid is the challenge's 512 x 512.

    Raises FileFormatError or UnsupportedDataError for any other content; MATLAB 5 and 7.3 files are read.
    """
    found = existing_path(path)
    facts = _matlab_fields(found)
    get = lambda name: _one_number(facts, name, found)
    sinogram, angles_deg = _numbers(facts, "sinogram", found), _numbers(facts, "angles", found).reshape(-1)
    if sinogram.shape != (len(angles_deg), int(get("numDetectorsPost"))) or not np.isfinite(sinogram).all():
        raise FileFormatError(f"{found}: a sinogram of {sinogram.shape} for {len(angles_deg)} angles, or not finite")
    distances = {"source_iso_mm": get("distanceSourceOrigin"), "source_detector_mm": get("distanceSourceDetector")}
    beam = _fan(angles_deg, cols=sinogram.shape[1], pixel_mm=get("pixelSizePost"), **distances)
    side = 512
    p = torch.from_numpy(sinogram.astype(np.float32))[None, None]
    return MeasuredScan(p, beam, Grid((side, side), get("effectivePixelSizePost")), np.deg2rad(angles_deg))


def read_dxchange(
    path: str | os.PathLike[str],
    *,
    pixel_mm: float,
    axis_col: float | None = None,
    angles_rad: np.ndarray | None = None,
    floor_counts: float = FLOOR_COUNTS,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> MeasuredScan:
    """A Data Exchange file (synchrotron, parallel beam) -> line integrals (R, 1, V, C) and its ParallelBeam.

    p = -ln((counts - dark) / (flat - dark)) with the means of the dark and flat frames, counts below `floor_counts` raised
    to it. `axis_col` is the column (counted from 0, fractions allowed) on which the axis of rotation falls; without it
    `find_rotation_axis` looks for it. `pixel_mm` is the size of a column, which the file does not hold.
    `angles_rad` replaces the angles of the file. The sense of rotation is not recorded either: with parallel rays the
    wrong one gives a mirror image, nothing else.
    """
    raw = read_counts(path, limit_bytes=limit_bytes)
    if angles_rad is not None:
        raw = raw._replace(angles_rad=np.asarray(angles_rad, dtype=np.float64))
    try:
        p = counts_to_p(raw, floor_counts=floor_counts)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    views, _, cols = p.shape
    start, step = _even_step(np.rad2deg(raw.angles_rad), path, given=angles_rad is not None)
    if axis_col is None:
        axis_col = find_rotation_axis(p.mean(1), raw.angles_rad)
    if not 0.5 <= axis_col <= cols - 1.5:  # every view must see a pixel on each side of it
        raise InputError(f"{path}: expected the axis of rotation between columns 0.5 and {cols - 1.5:g}, got {axis_col:g}")
    offset_mm = ((cols - 1) / 2 - axis_col) * pixel_mm
    beam = ParallelBeam(
        views=views, cols=cols, pixel_mm=pixel_mm, start_deg=start, arc_deg=step * views, col_offset_mm=offset_mm
    )
    side = 2 * int(min(axis_col, cols - 1 - axis_col) + 0.5)  # the circle that every view sees
    return MeasuredScan(
        torch.from_numpy(p.transpose(1, 0, 2)[:, None].copy()), beam, Grid((side, side), pixel_mm), raw.angles_rad
    )


def read_counts(path: str | os.PathLike[str], *, limit_bytes: int = MAX_VOLUME_BYTES) -> RawCounts:
    """The raw frames of a Data Exchange file: `exchange/data`, `data_white`, `data_dark` and `theta` (degrees)."""
    found = existing_path(path)
    with open_hdf5(found) as file:
        counts, flats, darks = (
            read_array(file, f"exchange/{name}", limit_bytes=limit_bytes) for name in ("data", "data_white", "data_dark")
        )
        theta = read_array(file, "exchange/theta", limit_bytes=limit_bytes).astype(np.float64).reshape(-1)
    if counts.ndim != 3 or flats.ndim != 3 or darks.ndim != 3 or not counts.shape[1:] == flats.shape[1:] == darks.shape[1:]:
        raise FileFormatError(
            f"{found}: frames of data {counts.shape}, white {flats.shape} and dark {darks.shape} do not fit together"
        )
    if len(theta) != len(counts) or not np.isfinite(theta).all():
        raise FileFormatError(f"{found}: {len(theta)} angles for {len(counts)} projections, or not finite")
    for name, frames in (("data", counts), ("data_white", flats), ("data_dark", darks)):
        if not np.isfinite(frames).all():
            raise FileFormatError(f"{found}: exchange/{name} holds NaN or infinite counts")
    return RawCounts(counts, flats, darks, np.deg2rad(theta))


def counts_to_p(raw: RawCounts, *, floor_counts: float = FLOOR_COUNTS) -> np.ndarray:
    """Counts with flats and darks -> line integrals (V, R, C) as float32, with the low-count rule of `read_dxchange`.

    >>> frame = np.full((1, 1, 2), 100.0)
    >>> raw = RawCounts(frame * np.exp(-0.5) + 5, frame + 5, np.full((1, 1, 2), 5.0), np.zeros(1))
    >>> counts_to_p(raw).round(4).tolist()
    [[[0.5, 0.5]]]
    """
    dark = raw.darks.mean(0, dtype=np.float64)
    air = raw.flats.mean(0, dtype=np.float64) - dark
    if not (air > floor_counts).all():
        dead = int((air <= floor_counts).sum())
        raise FileFormatError(f"{dead} detector pixels read no more with the beam on than off; mask or mend them first")
    counts = torch.from_numpy(raw.counts - dark)
    return log_transform(counts, torch.from_numpy(air), floor_photons=floor_counts).float().numpy()


def _fan(angles_deg: np.ndarray, *, cols: int, pixel_mm: float, source_iso_mm: float, source_detector_mm: float) -> Beam:
    """A FanBeam, or a VectorBeam of the same fans where the angles are not evenly spaced."""
    size = {"cols": cols, "pixel_mm": pixel_mm, "source_iso_mm": source_iso_mm, "source_detector_mm": source_detector_mm}
    views = len(angles_deg)
    step = (angles_deg[-1] - angles_deg[0]) / max(views - 1, 1)
    if step != 0 and np.abs(angles_deg - angles_deg[0] - step * np.arange(views)).max() < _EVEN_STEP * abs(step):
        return FanBeam(views=views, start_deg=float(angles_deg[0]), arc_deg=float(step * views), **size)  # type: ignore[arg-type]
    poses = [FanBeam(views=1, start_deg=float(a), **size).poses() for a in angles_deg]  # type: ignore[arg-type]
    join = lambda name: np.concatenate([getattr(pose, name) for pose in poses])
    return VectorBeam(
        rows=1,
        cols=cols,
        detector_mm=join("detector_mm"),
        col_step_mm=join("col_step_mm"),
        row_step_mm=join("row_step_mm"),
        source_mm=join("source_mm"),
    )


def _even_step(angles_deg: np.ndarray, path: str | os.PathLike[str], *, given: bool) -> tuple[float, float]:
    """First angle and step of an even scan, in degrees."""
    step = (angles_deg[-1] - angles_deg[0]) / max(len(angles_deg) - 1, 1)
    if len(angles_deg) < 2 or step == 0 or np.abs(np.diff(angles_deg) - step).max() > 0.05 * abs(step):
        if given:
            raise InputError(f"{path}: angles_rad are not evenly spaced, as a ParallelBeam needs them; leave uneven views out")
        raise UnsupportedDataError(f"{path}: expected at least two evenly spaced angles; pass the right ones as angles_rad")
    return float(angles_deg[0]), float(step)


def _matlab_fields(path: Path) -> Mapping[str, Any]:
    """The sinogram and the parameters of the one struct in a MATLAB file, as a flat table."""
    head = read_start(path, 520)
    if head[:10] == b"MATLAB 7.3" and head[512:] == HDF5_MAGIC:
        return _matlab_7_fields(path)
    if head[:10] != b"MATLAB 5.0" or len(head) < 128:
        raise FileFormatError(f"{path}: expected a MATLAB 5 or 7.3 file, but the content is neither")
    raw = read_bytes(path, limit_bytes=_MAT_LIMIT_BYTES)
    with parsing(path, "MATLAB"):
        content = read_matlab5(raw, path, limit_bytes=_MAT_LIMIT_BYTES)
    scans = {
        name: top
        for name, top in content.items()
        if isinstance(top, dict) and isinstance(top.get("parameters"), dict) and "sinogram" in top
    }
    _refuse_several(path, list(scans))
    for top in scans.values():
        return {"sinogram": top["sinogram"], **top["parameters"]}
    raise FileFormatError(f"{path}: expected a struct with sinogram and parameters, as in HTC 2022")


def _refuse_several(path: Path, scans: list[str]) -> None:
    if len(scans) > 1:
        listed = ", ".join(scans[:4]) + (", ..." if len(scans) > 4 else "")
        raise UnsupportedDataError(f"{path}: holds {len(scans)} scans ({listed}); save each to a file of its own")


def _matlab_7_fields(path: Path) -> Mapping[str, Any]:
    with open_hdf5(path) as file:
        tops = [name for name in file if f"{name}/parameters" in file and f"{name}/sinogram" in file]
        _refuse_several(path, tops)
        if not tops:
            raise FileFormatError(f"{path}: expected a struct with sinogram and parameters, as in HTC 2022")
        top = tops[0]
        fields: dict[str, Any] = {"sinogram": read_array(file, f"{top}/sinogram", limit_bytes=_MAT_LIMIT_BYTES).T}
        for name in file[f"{top}/parameters"]:
            if getattr(file[f"{top}/parameters/{name}"], "dtype", np.dtype("S1")).kind == "f":  # text is of no use here
                fields[name] = read_array(file, f"{top}/parameters/{name}", limit_bytes=_MAT_LIMIT_BYTES).squeeze()
        return fields


def _numbers(facts: Mapping[str, Any], name: str, path: Path) -> np.ndarray:
    values = np.asarray(facts.get(name))
    if values.dtype.kind not in "iuf" or values.size < 2:
        raise FileFormatError(f"{path}: expected an array of numbers as {name}")
    return values.astype(np.float64)


def _one_number(facts: Mapping[str, Any], name: str, path: Path) -> float:
    value = np.asarray(facts.get(name))
    if value.size != 1 or value.dtype.kind not in "iuf" or not (np.isfinite(value) and value > 0).all():
        raise FileFormatError(f"{path}: expected one positive number as {name}, got {str(facts.get(name))[:60]}")
    return float(value.reshape(-1)[0])
