"""The folder of an estimate: NIfTI and derived DICOM of estimate, spread and prior, a page, and the numbers."""

from __future__ import annotations

import os
from pathlib import Path

from taskct.core.files import atomic_folder, refuse_existing, refuse_others, write_text
from taskct.core.runs import json_text
from taskct.data.dicom.derived_series import write_series
from taskct.data.nifti import write_nifti
from taskct.systems.biplanar.own_pair.pair_estimate import PairEstimate
from taskct.systems.biplanar.own_pair.pair_page import pair_page

DESCRIPTION = "estimated from two radiographs, not for diagnosis"
FILES = ("estimate", "spread", "prior")
WRITTEN = (*(f"{name}.nii.gz" for name in FILES), *(f"{name}_dicom" for name in FILES), "page.html", "estimate.json")


def write_estimate(made: PairEstimate, out: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write `out`/estimate.nii.gz, spread.nii.gz, prior.nii.gz, the same as DICOM series, page.html and estimate.json.

    Everything or nothing is written; with `overwrite` an earlier estimate is replaced, and no other folder. Returns the files
    and folders.
    """
    target = Path(out)
    refuse_existing(target, overwrite=overwrite, folder=True)
    refuse_others(target, WRITTEN)
    cases = {"estimate": made.estimate, "spread": made.spread, "prior": made.prior}
    facts = {
        "what": DESCRIPTION,
        "method": made.method,
        "numbers": dict(made.numbers),
        "doubts": list(made.doubts),
        "notes": list(made.notes),
        "settings": made.estimate.provenance["settings"],
        "poses": made.estimate.provenance["poses"],
    }
    how = f"{DESCRIPTION}; method {made.method}; {len(made.notes)} notes and {len(made.doubts)} doubts in estimate.json"
    with atomic_folder(target, overwrite=overwrite) as part:
        for name, case in cases.items():
            write_nifti(case, part / f"{name}.nii.gz")
            words = DESCRIPTION if name == "estimate" else f"{name}: {DESCRIPTION}"
            write_series(
                case, part / f"{name}_dicom", description=words[:64], method=f"{name}; {how}"[:900], made_of=made.images
            )
        write_text(part / "page.html", pair_page(made))
        write_text(part / "estimate.json", json_text(facts))
    return [target / name for name in WRITTEN]
