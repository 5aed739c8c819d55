"""A scan becomes a volume, and a volume a file or a DICOM series."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.core.errors import InputError
from taskct.core.files import refuse_existing
from taskct.core.write_locks import claim

if TYPE_CHECKING:
    from taskct.data.case import Case
    from taskct.data.scan import Scan

SLICES_AT_ONCE = 8  # bounds the memory of a long scan; a method treats each slice alone, so the result is the same
_FILES = (".nii", ".nii.gz")
_OF_VALUES = ("fingerprint", "notes")  # what was said about the original values does not hold for a reconstruction


def reconstruct_scan(scan: Scan, reconstruct: Callable[..., Any]) -> Case:
    """Scan -> case in HU, a few slices at a time under a 2D beam."""
    import torch

    from taskct.core.progress import track

    A = scan.projector()
    step = SLICES_AT_ONCE if scan.grid.ndim == 2 else len(scan.p)
    parts = track(
        range(0, len(scan.p), step), f"reconstructing {scan.case_id}", progress=None if len(scan.p) > step else False
    )
    with torch.no_grad():
        mu = torch.cat([reconstruct(scan.p[first : first + step], A) for first in parts])
    facts = dict(scan.provenance.get("case", {}))  # of the CT that was scanned: its series, study and frame of reference
    return scan.to_case(mu, **{k: v for k, v in facts.items() if k not in _OF_VALUES}, reconstruction=describe(reconstruct))


def describe(reconstruct: Callable[..., Any]) -> dict[str, Any]:
    """Name and settings of a method as plain values."""
    if isinstance(reconstruct, partial):
        return {"method": reconstruct.func.__name__, **reconstruct.keywords}
    return {"method": getattr(reconstruct, "__name__", type(reconstruct).__name__)}


def refuse_output(out: Path, *sources: Path | None, overwrite: bool) -> None:
    """Claim a volume's name before the work, or refuse it.

    It is refused when it is neither NIfTI nor a folder, exists, is one of the inputs, is out of reach, or is being written.
    """
    if not is_file_name(out) and out.suffix:
        raise InputError(f"{out}: expected a name that ends in .nii.gz or .nii, or a folder (no suffix) for a DICOM series")
    refuse_input(out, *sources)
    claim(out)
    if is_file_name(out):
        refuse_existing(out, overwrite=overwrite)
        return
    refuse_existing(out, overwrite=overwrite, folder=True)
    if out.is_dir():
        from taskct.data.dicom.derived_series import refuse_series_folder

        refuse_series_folder(out, overwrite=overwrite)


def refuse_input(out: Path, *sources: Path | None) -> None:
    """Refuse an output that is one of the inputs, or a folder that holds one."""
    target = out.resolve()
    for source in sources:
        there = None if source is None else source.resolve()
        if there is not None and there.exists() and (target == there or target in there.parents):
            raise InputError(f"{out}: {'is' if target == there else 'holds'} the input {source}; choose another name")


def is_file_name(out: Path) -> bool:
    """True for a NIfTI name, False for a folder."""
    return out.name.lower().endswith(_FILES)


def write_volume(case: Case, out: Path, *, original: Path | None, description: str, overwrite: bool) -> None:
    """Write NIfTI or, into a folder, a DICOM series derived from `original`. `description` says what was done."""
    if is_file_name(out):
        from taskct.data.nifti import write_nifti

        write_nifti(case, out, overwrite=overwrite)
        return
    from taskct.data.dicom.derived_series import write_series

    write_series(case, out, source=original, description=description[:64], method=description, overwrite=overwrite)
