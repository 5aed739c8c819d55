"""A volume becomes a file or a DICOM series; names that it cannot have are refused before the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taskct.core.errors import InputError
from taskct.core.files import refuse_existing, refuse_sources
from taskct.core.write_locks import claim

if TYPE_CHECKING:
    from taskct.data.case import Case

_FILES = (".nii", ".nii.gz")


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
    refuse_sources(out, [source for source in sources if source is not None])


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
