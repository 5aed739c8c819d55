"""Measured projections as a Scan: what the command line reconstructs and describes."""

from __future__ import annotations

import os
from pathlib import Path

from taskct.core.errors import InputError, TaskctError
from taskct.core.files import MAX_VOLUME_BYTES, existing_path
from taskct.core.open_files import read_start
from taskct.data.hdf5_guard import HDF5_MAGIC, open_hdf5
from taskct.data.scan import MEASURED, Scan
from taskct.data.sets.measured import MeasuredScan, read_dxchange, read_htc2022

HTC2022, DXCHANGE = "Helsinki 2022 (.mat)", "Data Exchange (.h5)"
_NOTES = {
    HTC2022: "the side of the disc that was up is not recorded: the image may be a mirror image",
    DXCHANGE: "the sense of rotation is not recorded: the image may be a mirror image",
}


def measured_kind(path: str | os.PathLike[str]) -> str:
    """Which form of measured projections a file has, by its content; '' for anything else.

    MATLAB files are taken for those of the Helsinki Tomography Challenge; reading one says when it is not.
    """
    if not Path(path).is_file():
        return ""
    head = read_start(path, 520)
    if head.startswith((b"MATLAB 5.0", b"MATLAB 7.3")):
        return HTC2022
    if not head.startswith(HDF5_MAGIC):
        return ""
    try:
        with open_hdf5(path) as file:
            return DXCHANGE if "exchange" in file else ""
    except TaskctError:
        return ""  # its own reader says what is wrong with it


def read_measured_scan(
    path: str | os.PathLike[str],
    *,
    pixel_mm: float | None = None,
    axis_col: float | None = None,
    limit_bytes: int = MAX_VOLUME_BYTES,
) -> Scan:
    """A file of measured projections -> a Scan whose dose is not known; detector rows become slices.

    A Data Exchange file does not hold the size of a column: `pixel_mm` gives it. `axis_col` is the column on which the axis of
    rotation falls; without it, it is looked for. Values in HU refer to water at 70 keV, which a measured beam need not have.

    Raises InputError when `pixel_mm` is missing, or given for a file that holds its own sizes; what the readers raise.
    """
    found = existing_path(path, what="measured scan")
    kind = measured_kind(found)
    if kind == HTC2022:
        if pixel_mm is not None or axis_col is not None:
            raise InputError(
                f"{found}: holds its own pixel size and axis; leave out pixel_mm and axis_col (--pixel-mm, --axis-col)"
            )
        return _scan(read_htc2022(found), kind)
    if kind == DXCHANGE:
        if pixel_mm is None:
            raise InputError(f"{found}: does not hold the size of a detector pixel; give pixel_mm=... (--pixel-mm) in mm")
        counts = read_dxchange(found, pixel_mm=pixel_mm, axis_col=axis_col, limit_bytes=limit_bytes)
        return _scan(counts, kind, row_mm=pixel_mm)
    raise InputError(f"{found}: not a file of measured projections (Helsinki 2022, Data Exchange)")


def _scan(measured: MeasuredScan, kind: str, *, row_mm: float | None = None) -> Scan:
    """The scan; where several rows are slices, `row_mm` is their distance."""
    notes = [_NOTES[kind], "the dose is not recorded"]
    dy, dx = measured.grid.spacing_mm[-2:]
    spacing_mm = None if row_mm is None else (row_mm, dy, dx)
    if row_mm is not None and len(measured.p) > 1:
        notes.append(f"the detector's pixels are taken for squares, so slices lie {row_mm:g} mm apart")
    case = {"format": kind, "notes": notes, MEASURED: True}
    return Scan(
        p=measured.p,
        beam=measured.beam,
        grid=measured.grid,
        spacing_mm=spacing_mm,
        case_id="measured",
        provenance={"case": case},
    )
