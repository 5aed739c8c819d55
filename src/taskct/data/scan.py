"""A scan with everything needed to reconstruct it, in memory and as one HDF5 file.

File layout (schema 1): the text `header` is JSON with format, schema, beam, grid, dose, identifiers and provenance; the data
sets `p` and `affine_mm`, and where they exist `modulation`, `bowtie` and the vectors of a VectorBeam under
`beam/`, are plain arrays. Nothing in it is code, and nothing points outside.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.config import from_dict
from taskct.core.errors import (
    DataError,
    FileFormatError,
    GeometryError,
    InputError,
    TaskctError,
    UnitsError,
    UnsupportedDataError,
)
from taskct.core.files import MAX_VOLUME_BYTES, check_array_size
from taskct.core.notebook_html import fact_card, sizes, small_picture
from taskct.core.provenance import fingerprint
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_hu, to_hu_unchecked
from taskct.data.case import Case
from taskct.data.hdf5_guard import open_hdf5, read_array, read_text
from taskct.data.hdf5_write import create_hdf5
from taskct.geometry import Beam, ConeBeam, FanBeam, Grid, ParallelBeam, VectorBeam
from taskct.physics.dose import Dose
from taskct.physics.noise import relative_air
from taskct.physics.projector import Projector

if TYPE_CHECKING:
    import h5py

SCHEMA = 1
MEASURED = "measured"  # a fact of the case in the provenance of a scan
_FORMAT = "taskct scan"
_SAME_SPACING = 1e-3  # part; NIfTI keeps float32, DICOM text, and both are far closer
_MAX_HEADER_BYTES = 2**20  # what `read_text` reads
_PLAIN_BEAMS = {"ParallelBeam": ParallelBeam, "FanBeam": FanBeam, "ConeBeam": ConeBeam}
_VECTORS = ("detector_mm", "col_step_mm", "row_step_mm", "source_mm", "direction")


@dataclass(frozen=True, eq=False)
class Scan:
    """Projections and what belongs to them.

    `p` is (slices, 1, V, C) for a 2D `grid`, (1, 1, V, R, C) for a 3D one; `grid` is what to reconstruct on. `dose` is None
    when it is not known or there is no noise. `modulation` and `bowtie` are those the scan was taken with
    (`physics.noise`). `spacing_mm` (z, y, x) and `affine_mm` place the reconstruction in the patient, as in `Case`;
    `slices` are the numbers of the slices in their case. `mu_water_per_mm` turns a reconstruction into HU.
    """

    p: Tensor
    beam: Beam
    grid: Grid
    dose: Dose | None = None
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM
    case_id: str = "scan"
    patient_id: str = ""
    affine_mm: np.ndarray | None = None
    spacing_mm: tuple[float, float, float] | None = None
    slices: tuple[int, ...] = ()
    modulation: Tensor | None = None
    bowtie: Tensor | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = _p_shape(self.beam, self.grid)
        if self.p.dtype not in (torch.float32, torch.float64) or self.p.shape[1:] != wanted or len(self.p) == 0:
            raise GeometryError(
                f"Scan expects p of shape (B, {', '.join(map(str, wanted))}) in float32 or float64 from its "
                f"{type(self.beam).__name__}, got {self.p.dtype} {tuple(self.p.shape)}"
            )
        relative_air(self.p, modulation=self.modulation, bowtie=self.bowtie)  # refuses what does not fit
        count = len(self.p) if self.grid.ndim == 2 else self.grid.shape[0]
        set_ = lambda name, value: object.__setattr__(self, name, value)
        set_("slices", tuple(int(n) for n in self.slices) or tuple(range(count)))
        if len(self.slices) != count:
            raise GeometryError(f"Scan expects the numbers of its {count} slices, got {len(self.slices)}")
        in_plane = self.grid.spacing_mm[-2:]
        if self.spacing_mm is None:
            set_("spacing_mm", (self.grid.spacing_mm[0] if self.grid.ndim == 3 else 1.0, *in_plane))
        spacing = np.asarray(self.spacing_mm, dtype=np.float64)
        if spacing.shape != (3,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
            raise GeometryError(f"Scan expects three positive spacing_mm (z, y, x), got {self.spacing_mm!r}")
        set_("spacing_mm", tuple(float(s) for s in spacing))
        if self.affine_mm is None:
            affine = np.diag([*spacing, 1.0])
            affine[1:3, 3] = self.grid.origin_mm[-2:]
            affine[0, 3] = self.grid.origin_mm[0] if self.grid.ndim == 3 else 0.0
            set_("affine_mm", affine)
        placed = np.asarray(self.affine_mm, dtype=np.float64)
        if placed.shape != (4, 4) or not np.isfinite(placed).all():
            raise GeometryError(f"Scan expects a finite affine_mm of shape (4, 4), got {placed.shape}")
        set_("affine_mm", placed)
        _check_place(self.grid, spacing, placed)
        if not 0 < self.mu_water_per_mm < 1:
            raise UnitsError(
                f"Scan expects mu_water_per_mm between 0 and 1 (water is about 0.02), got {self.mu_water_per_mm!r}"
            )
        set_("patient_id", self.patient_id or self.case_id)

    def __repr__(self) -> str:
        dose = "" if self.dose is None else f", {self.dose.used_photons:.4g} photons"
        grid = sizes(self.grid.shape, self.grid.spacing_mm)
        return f"Scan({self.case_id!r}, p {tuple(self.p.shape)}, {type(self.beam).__name__}, grid {grid}{dose})"

    def _repr_html_(self) -> str:
        axes = "(slices, 1, view, column)" if self.p.ndim == 4 else "(1, 1, view, row, column)"
        facts = {
            "patient": self.patient_id,
            "projections": f"{tuple(self.p.shape)}, {axes}",
            "beam": f"{type(self.beam).__name__}, {self.beam.views} views",
            "grid": sizes(self.grid.shape, self.grid.spacing_mm),
            "dose": "not known, or without noise"
            if self.dose is None
            else f"{self.dose.used_photons:.4g} photons per pixel in air",
            "slices": ", ".join(map(str, self.slices[:8])) + (" ..." if len(self.slices) > 8 else ""),
        }
        first = self.p[0, 0] if self.p.ndim == 4 else self.p[0, 0, :, self.p.shape[3] // 2]
        values = first.detach().cpu().numpy()
        return fact_card(
            f"Scan {self.case_id}", facts, picture=small_picture(values, 0.0, float(values.max())), alt="the first sinogram"
        )

    @property
    def is_measured(self) -> bool:
        """Whether its projections were measured (`read_measured_scan`), not simulated."""
        case = self.provenance.get("case")
        return isinstance(case, Mapping) and case.get(MEASURED) is True

    def projector(self, *, backend: str = "auto") -> Projector:
        """The projector of this scan, onto its grid."""
        return Projector(self.grid, self.beam, backend=backend)

    def to_case(self, mu: Tensor, **provenance: Any) -> Case:
        """A reconstruction of this scan, mu (slices, 1, Y, X) or (1, 1, Z, Y, X) in 1/mm, as a case in HU.

        A measured scan may be one of a small object at a low energy: its attenuation may be any, a patient's may not.
        """
        convert = to_hu_unchecked if self.is_measured else to_hu
        hu = convert(mu.detach().float().cpu(), mu_water_per_mm=self.mu_water_per_mm)
        shape = (len(self.slices), *self.grid.shape[-2:])
        if hu.numel() != np.prod(shape) or tuple(hu.shape[-2:]) != shape[-2:]:
            raise GeometryError(f"to_case expects mu of {shape} slices and pixels from this scan, got {tuple(mu.shape)}")
        assert self.spacing_mm is not None
        return Case(
            hu=hu.reshape(shape),
            spacing_mm=self.spacing_mm,
            case_id=self.case_id,
            patient_id=self.patient_id,
            affine_mm=self.affine_mm,
            mu_water_per_mm=self.mu_water_per_mm,
            provenance={**self.provenance, **provenance},
        )


def write_scan(scan: Scan, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a scan as one HDF5 file; `read_scan` gives an equal one back. Raises OutputExistsError, InputError."""
    header = json.dumps(_header(scan), default=_plain, allow_nan=False)
    if len(header) > _MAX_HEADER_BYTES:
        raise InputError(f"{path}: the provenance of this scan takes {len(header)} bytes, more than 1 MiB; shorten it")
    with create_hdf5(path, overwrite=overwrite) as file:
        file.create_dataset("header", data=np.bytes_(header.encode("ascii")))
        file.create_dataset("p", data=scan.p.detach().cpu().numpy())
        file.create_dataset("affine_mm", data=np.asarray(scan.affine_mm, dtype=np.float64))
        for name in ("modulation", "bowtie"):
            values = getattr(scan, name)
            if values is not None:
                file.create_dataset(name, data=torch.as_tensor(values).detach().cpu().numpy())
        if isinstance(scan.beam, VectorBeam):
            for name in _VECTORS:
                if getattr(scan.beam, name) is not None:
                    file.create_dataset(f"beam/{name}", data=getattr(scan.beam, name))
    return Path(path)


def read_scan(path: str | os.PathLike[str], *, limit_bytes: int = MAX_VOLUME_BYTES) -> Scan:
    """Read a scan file; sizes are checked against the header before anything is allocated.

    Raises FileFormatError for a file that is not a scan, truncated, inconsistent, altered or hostile, UnsupportedDataError for
    a newer schema or data kept outside the file, InputError when there is no file.
    """
    with open_hdf5(path) as file:
        try:
            return _read(file, path, limit_bytes)
        except DataError:
            raise
        except (TaskctError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise FileFormatError(f"{path}: this scan file is damaged or inconsistent ({text})") from error


def _read(file: h5py.File, path: str | os.PathLike[str], limit_bytes: int) -> Scan:
    missing = [name for name in ("header", "p") if name not in file]
    if len(missing) == 1:
        raise FileFormatError(f"{path}: this scan file is damaged, it has no {missing[0]!r}; write it again")
    head = json.loads(read_text(file, "header"), parse_constant=_no_constant)
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise FileFormatError(f"{path}: is HDF5, but no taskct scan")
    if head.get("schema") != SCHEMA:
        raise UnsupportedDataError(
            f"{path}: has schema {head.get('schema')!r}, this version reads {SCHEMA}; use the taskct that wrote it"
        )
    beam = _read_beam(file, head["beam"], limit_bytes)
    grid = Grid(**head["grid"])
    slices = (len(head["slices"]),) if grid.ndim == 2 else ()
    check_array_size(path, (*slices, *grid.shape), 4, limit_bytes=limit_bytes)  # what a reconstruction will take
    declared = tuple(file["p"].shape)
    if declared[1:] != _p_shape(beam, grid):
        raise FileFormatError(f"{path}: declares p of shape {declared}, but its beam makes (B, {_p_shape(beam, grid)})")
    values = read_array(file, "p", limit_bytes=limit_bytes)
    if values.dtype not in (np.float32, np.float64) or not np.isfinite(values).all():
        raise FileFormatError(f"{path}: p holds {values.dtype} or values that are not finite; expected line integrals")
    if fingerprint(values) != head["p_fingerprint"]:
        raise FileFormatError(f"{path}: the projections were altered after the file was written (fingerprint differs)")
    optional = {
        n: torch.from_numpy(read_array(file, n, limit_bytes=limit_bytes)) for n in ("modulation", "bowtie") if n in file
    }
    for name in ("case_id", "patient_id"):
        if not isinstance(head[name], str):
            raise FileFormatError(f"{path}: {name} is {head[name]!r}, not a text")
    if not isinstance(head["provenance"], dict):
        raise FileFormatError(f"{path}: the provenance is not a table")
    scan = Scan(
        p=torch.from_numpy(values),
        beam=beam,
        grid=grid,
        dose=None if head["dose"] is None else from_dict(Dose, head["dose"]),
        mu_water_per_mm=float(head["mu_water_per_mm"]),
        case_id=head["case_id"],
        patient_id=head["patient_id"],
        affine_mm=read_array(file, "affine_mm", limit_bytes=2**20),
        spacing_mm=tuple(head["spacing_mm"]),
        slices=tuple(head["slices"]),
        provenance=head["provenance"],
        **optional,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a truncated view is said when it is reconstructed
        scan.projector()  # refuses a beam that cannot see the grid; nothing large is made yet
    return scan


def _header(scan: Scan) -> dict[str, Any]:
    kind = type(scan.beam).__name__
    if isinstance(scan.beam, VectorBeam):
        beam: dict[str, Any] = {"rows": scan.beam.rows, "cols": scan.beam.cols}
    else:
        beam = asdict(scan.beam)
    return {
        "format": _FORMAT,
        "schema": SCHEMA,
        "beam": {"kind": kind, **beam},
        "grid": asdict(scan.grid),
        "dose": None if scan.dose is None else asdict(scan.dose),
        "mu_water_per_mm": scan.mu_water_per_mm,
        "case_id": scan.case_id,
        "patient_id": scan.patient_id,
        "spacing_mm": scan.spacing_mm,
        "slices": scan.slices,
        "p_fingerprint": fingerprint(scan.p),
        "provenance": dict(scan.provenance),
    }


def _read_beam(file: h5py.File, settings: dict[str, Any], limit_bytes: int) -> Beam:
    settings = dict(settings)
    kind = settings.pop("kind")
    if kind in _PLAIN_BEAMS:
        return from_dict(_PLAIN_BEAMS[kind], settings)
    if kind != "VectorBeam":
        raise FileFormatError(f"{file.filename}: has an unknown beam {kind!r}; one of {', '.join(_PLAIN_BEAMS)}, VectorBeam")
    vectors = {n: read_array(file, f"beam/{n}", limit_bytes=limit_bytes) for n in _VECTORS if f"beam/{n}" in file}
    return VectorBeam(rows=settings["rows"], cols=settings["cols"], **vectors)


def _p_shape(beam: Beam, grid: Grid) -> tuple[int, ...]:
    """What follows the batch: (1, V, C) for a 2D grid, (1, V, R, C) for a 3D one."""
    if grid.ndim == 2:
        if beam.rows != 1:
            raise GeometryError(f"a scan of a 2D grid has one detector row, got {beam.rows}; use a 3D grid")
        return (1, beam.views, beam.cols)
    return (1, beam.views, beam.rows, beam.cols)


def _check_place(grid: Grid, spacing_mm: np.ndarray, affine_mm: np.ndarray) -> None:
    """The grid, the spacing and the affine must tell the same sample distances."""
    own = np.array(grid.spacing_mm)
    if not np.allclose(spacing_mm[-grid.ndim :], own, rtol=_SAME_SPACING, atol=0):
        raise GeometryError(f"Scan expects the spacing_mm of its grid {grid.spacing_mm}, got {tuple(spacing_mm.tolist())}")
    lengths = np.linalg.norm(affine_mm[:3, :3], axis=0)
    if abs(np.linalg.det(affine_mm[:3, :3])) < 0.5 * lengths.prod() or not lengths.all():
        raise GeometryError(f"Scan expects an affine_mm that can be inverted, got {affine_mm[:3, :3].tolist()}")
    if not np.allclose(lengths, spacing_mm, rtol=_SAME_SPACING, atol=0):
        raise GeometryError(f"Scan expects an affine_mm with spacing_mm {tuple(spacing_mm.tolist())}, got {lengths.tolist()}")


def _plain(value: Any) -> Any:
    """Numbers of numpy and names of files, as JSON knows them."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def is_scan_file(path: Path) -> bool:
    """True for an HDF5 file that holds a taskct scan, or what is left of one; LoDoPaB's files are HDF5 as well."""
    if not path.is_file() or path.suffix.lower() not in (".h5", ".hdf5"):
        return False
    with open_hdf5(path) as file:
        return "header" in file or "p" in file
